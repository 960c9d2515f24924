"""Starting an engine as a process of its own, which outlives the terminal that started it.

What it has to know goes through a pipe and not on its command line, where other users could read the link, and not
through its environment, which is inherited: that is also where the identity goes, once a person has unlocked it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from tuiconf.adapters.identity_store import PASSPHRASE_VARIABLE
from tuiconf.adapters.own_program import own_command
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import Link, format_link, parse_link

# A link, an identity, and the options of one command: no system lets anybody type as much as this.
MAX_BYTES: Final = 1 << 24

# Python starts in 3 s on a Raspberry Pi 3, and in ten times that when its card is busy.
START_S: Final = 60.0

# The key is handed over unlocked: what unlocks it need not stay in the memory of a process for days.
_NOT_INHERITED: Final = (PASSPHRASE_VARIABLE,)


class LaunchFailed(TuiconfError):
    """The engine did not start; the message says why, as far as it could say so itself."""

    code = "engine_start"


class _IdentityGiven(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    seed: bytes


class _Handoff(msgspec.Struct, frozen=True, kw_only=True):
    options: str  # JSON: unlike MessagePack it takes the names of files that are no text
    link: str
    identity: _IdentityGiven


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's only line: where it is, or why it is not."""

    call: str = ""
    error: str = ""
    usage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Given:
    """What an engine process was started with."""

    args: argparse.Namespace
    link: Link
    identity: Identity


def launch(args: argparse.Namespace, link: Link, identity: Identity) -> str:
    """Start an engine, and wait until it listens; the name of its call.

    Raises:
        LaunchFailed, UsageError: it does not.
    """
    handoff_read, handoff_write = os.pipe()
    ready_read, ready_write = os.pipe()
    try:
        child = subprocess.Popen(  # noqa: S603 - ourselves
            own_command("tuiconf", "engine", str(handoff_read), str(ready_write)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(handoff_read, ready_write),
            env={key: value for key, value in os.environ.items() if key not in _NOT_INHERITED},
            start_new_session=True,
        )
    finally:
        os.close(handoff_read)
        os.close(ready_write)
    try:
        _give(handoff_write, args, link, identity)
        return _wait_until_ready(ready_read, child)
    except KeyboardInterrupt:  # whoever thinks better of it must not be in a call
        child.kill()
        child.wait()
        raise
    finally:
        os.close(ready_read)


def receive(handoff: int) -> Given:
    """What the process that started us has to say.

    Raises:
        UsageError: it is nothing of the kind.
    """
    try:
        with os.fdopen(handoff, "rb") as pipe:
            given = msgspec.msgpack.decode(pipe.read(MAX_BYTES), type=_Handoff)
        typed: dict[str, Any] = json.loads(given.options)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError) as error:  # no JSON and no text are ValueErrors
        raise UsageError("`tuiconf engine` is for tuiconf itself: use tuiconf join or host") from error
    options = {key: Path(value) if key in _PATHS and value is not None else value for key, value in typed.items()}
    identity = Identity(name=given.identity.name, seed=given.identity.seed)
    return Given(args=argparse.Namespace(**options), link=parse_link(given.link), identity=identity)


class Ready:
    """The pipe to whoever launched us: one line, that we listen or why not. They may have gone."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def listening(self, call: str) -> None:
        """Clients can connect."""
        self._tell(_Ready(call=call))

    def failed(self, error: TuiconfError) -> None:
        """We could not start. After `listening`, events tell what goes wrong."""
        self._tell(_Ready(error=str(error), usage=isinstance(error, UsageError)))

    def _tell(self, ready: _Ready) -> None:
        fd, self._fd = self._fd, None
        if fd is None:
            return
        with contextlib.suppress(OSError):
            os.write(fd, msgspec.msgpack.encode(ready))
        with contextlib.suppress(OSError):
            os.close(fd)


_PATHS: Final = ("config", "link_file")


def _give(fd: int, args: argparse.Namespace, link: Link, identity: Identity) -> None:
    # `run` is the function that brought us here; all else is what was typed.
    typed = {key: value for key, value in vars(args).items() if key != "run"}
    options = {key: str(value) if isinstance(value, Path) else value for key, value in typed.items()}
    given = _Handoff(
        options=json.dumps(options),
        link=format_link(link),
        identity=_IdentityGiven(name=identity.name, seed=identity.seed),
    )
    # A child that is dead already says so by not being ready.
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb") as pipe:
        pipe.write(msgspec.msgpack.encode(given))


def _wait_until_ready(fd: int, child: subprocess.Popen[bytes]) -> str:
    line = _read_line(fd)
    try:
        ready = msgspec.msgpack.decode(line, type=_Ready)
    except msgspec.DecodeError as error:
        child.kill()
        child.wait()
        raise LaunchFailed("the engine's process ended before it could say why") from error
    if ready.error:
        child.wait()
        raise UsageError(ready.error) if ready.usage else LaunchFailed(ready.error)
    child.returncode = 0  # it outlives us, and that nobody waits for it is meant: no ResourceWarning
    return ready.call


def _read_line(fd: int) -> bytes:
    """All of it, or nothing when it takes too long."""
    data = b""
    while select.select([fd], [], [], START_S)[0]:
        if not (more := os.read(fd, MAX_BYTES)):
            return data
        data += more
    return b""
