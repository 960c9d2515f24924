"""Text to speech, by whatever command the settings name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Final

from tuiconf.errors import TuiconfError

# Ten minutes of speech as 48 kHz WAV; a command that writes without end is stopped.
MAX_WAV_BYTES: Final = 60 << 20

# A sentence takes espeak-ng 0.1 s on a Raspberry Pi, and a neural voice some seconds.
SYNTHESIS_S: Final = 60.0


class SpeechFailed(TuiconfError):
    """The speech command is not there, failed, or gave no sound."""

    code = "speech"


async def synthesise(command: Sequence[str], text: str) -> bytes:
    """The WAV file that the command makes of a text: text on its standard input, WAV on its standard output.

    Raises:
        SpeechFailed: it does not.
    """
    name = command[0]
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # to end what it starts, too
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in the command
        raise SpeechFailed(f"the speech command {name} cannot be run: install it, or set speech.command") from error
    try:
        async with asyncio.timeout(SYNTHESIS_S):
            data = await _spoken(child, text)
            code = await child.wait()
    except TimeoutError as error:
        raise SpeechFailed(f"the speech command {name} took longer than {SYNTHESIS_S:.0f} s") from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
    if code != 0 or not data:
        raise SpeechFailed(f"the speech command {name} failed")
    return data


async def _spoken(child: asyncio.subprocess.Process, text: str) -> bytes:
    if child.stdin is None or child.stdout is None:
        raise SpeechFailed("the speech command cannot be talked to")
    writing = asyncio.create_task(_tell(child.stdin, text))
    data = bytearray()
    try:
        while more := await child.stdout.read(1 << 16):
            data += more
            if len(data) > MAX_WAV_BYTES:
                raise SpeechFailed("the speech command writes without end")
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    return bytes(data)


async def _tell(stdin: asyncio.StreamWriter, text: str) -> None:
    stdin.write(text.encode(errors="replace"))
    with contextlib.suppress(OSError):  # it has read enough
        await stdin.drain()
    stdin.close()
