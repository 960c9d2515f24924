"""A calendar file is read by a process of its own, with bounds on its time and memory.

Some rules that never come keep dateutil busy for a quarter of a minute each, and it cannot be interrupted; a file with
a hundred of them would do so for as long as it likes. And files come from outside.

The process gets the file on standard input, and prints one JSON object: `start`, or `error`.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.adapters import private_files
from tuiconf.adapters.own_program import own_command
from tuiconf.adapters.printing import print_to
from tuiconf.meeting.calendar_file import MAX_FILE_BYTES, CalendarError, CalendarFile

# A usual file takes half a second of a fast core, five of a Raspberry Pi's.
CPU_S: Final = 20

# When the machine is so busy that those are not to be had.
PATIENCE_S: Final = 120.0

# Python and the library need 40 MB, and what the largest file is parsed into some 100.
MEMORY_BYTES: Final = 1 << 29


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    start: datetime | None = None
    error: str | None = None


async def next_start(path: Path, after: datetime, *, zone: str | None, cpu_s: int = CPU_S) -> datetime | None:
    """The first start after that moment in this file, in UTC; None when there is none within two years.

    Raises:
        CalendarError: the file cannot be used.
        FileError: it cannot be read.
    """
    data = private_files.read(path, max_bytes=MAX_FILE_BYTES, secret=False)
    if data is None:
        raise CalendarError(f"{path}: there is no such file")
    answer = await _ask(data, after.isoformat(), zone or "", str(cpu_s))
    if answer.error is not None:
        raise CalendarError(f"{path}: {answer.error}")
    return answer.start


async def _ask(data: bytes, *arguments: str) -> _Answer:
    child = await asyncio.create_subprocess_exec(
        *own_command("tuiconf.meeting.calendar_process", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await child.communicate(data)
        return msgspec.json.decode(said, type=_Answer)
    except (TimeoutError, msgspec.DecodeError):  # it said nothing: its time is over, or its memory
        return _Answer(error="its rules take too long to follow")
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _main(after: str, zone: str, cpu_s: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s)))
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        start = CalendarFile(sys.stdin.buffer.read(), zone=zone or None).next(datetime.fromisoformat(after))
        answer = _Answer(start=start)
    except CalendarError as error:
        answer = _Answer(error=str(error))
    print_to(sys.stdout, msgspec.json.encode(answer).decode() + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
