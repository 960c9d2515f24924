"""Runs a command for an event, once. It gets the event as JSON on standard input; no shell, and no name on its command
line, which everybody on the machine can read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tuiconf.meeting.delivery import DONE, Message, Outcome

# sysexits.h: "temporary failure; the user is invited to retry". Anything else is final: who knows what was done.
TRY_AGAIN_EXIT: Final = 75

# What is ours alone: secrets, and the socket by which it could speak for us to the service manager.
_NOT_PASSED_ON: Final = (
    "TUICONF_PASSPHRASE",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)


class Command:
    """One command line."""

    def __init__(self, argv: Sequence[str], *, folder: Path, timeout_s: float) -> None:
        """It runs in `folder`."""
        self._argv = argv
        self._folder = folder
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> Outcome:
        """Try once. A command that takes too long is killed, with all that it started in its process group."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                cwd=self._folder,
                env=_environment() | dict(message.variables),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Outcome(why=f"it cannot be run ({type(error).__name__})")
        try:
            async with asyncio.timeout(self._timeout_s):
                await child.communicate(message.body)
        except TimeoutError:
            return Outcome(why=f"it took longer than {self._timeout_s:g} s")
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
        return _outcome(child.returncode)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}


def _outcome(code: int | None) -> Outcome:
    return DONE if code == 0 else Outcome(again=code == TRY_AGAIN_EXIT, why=f"exit code {code}")
