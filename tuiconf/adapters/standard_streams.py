"""Standard input, output and error of a process that must never wait for whoever is at their other end.

A terminal that was stopped with Ctrl-S, a pager, a pipe into a program that hangs: none of them may hold up the
call. Lines to be written wait, bounded, for a thread of their own; lines typed are read when they are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, TextIO

# A command is a line somebody types; a pipe that sends no newline is not kept for ever.
MAX_LINE_BYTES: Final = 1 << 14

READ_BYTES: Final = 1 << 12

# What waits for a reader who does not read: some minutes of a call, 300 kB. Then the oldest lines go.
MAX_WAITING_LINES: Final = 1000

# How long the last lines may take to be read before the process ends without them.
LAST_LINES_S: Final = 1.0


def occupy_closed() -> None:
    """Put /dev/null where standard input, output or error is closed.

    Otherwise the next socket gets that number, and what is printed goes to the network.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stderr is None:
        # Printing to None would print to standard output, where a program reads.
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process runs


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person may look at it, or type."""
    return stream is not None and stream.isatty()


def stdin_is_open() -> bool:
    """Whether there was a standard input at all when the process began: some starters close it."""
    return sys.stdin is not None


class LineWriter:
    """Writes lines to a descriptor on a thread of its own: `write` never blocks."""

    def __init__(self, fd: int, *, on_broken: Callable[[OSError], None]) -> None:
        """`on_broken` is called once, on that thread, when nobody reads any more or the disk is full."""
        self._fd = fd
        self._on_broken = on_broken
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING_LINES)
        self._changed = threading.Condition()
        self._closing = False
        self._writing = False
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Write this line, in its turn; what the encoding does not have is escaped."""
        with self._changed:
            self._waiting.append(line.encode("utf-8", "backslashreplace") + b"\n")
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many lines wait to be written."""
        return len(self._waiting)

    def wait_written(self, patience_s: float) -> None:
        """Block until all lines are written, for so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._writing), patience_s)

    def close(self) -> None:
        """Write what still waits, for `LAST_LINES_S` at most."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(LAST_LINES_S)

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                while line:
                    line = line[self._write_some(line) :]
        except OSError as error:
            self._on_broken(error)

    def _write_some(self, line: bytes) -> int:
        try:
            return os.write(self._fd, line)
        except BlockingIOError:
            # Another program at the same terminal or pipe made it non-blocking, for all who have it open.
            select.select([], [self._fd], [])
            return 0

    def _next(self) -> bytes | None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            self._writing = True
            return self._waiting.popleft()


async def typed_lines(fd: int = 0) -> AsyncIterator[str]:
    """The lines of standard input until it ends. Nothing is read before it is asked for; the loop never blocks.

    Too long a line is cut, not kept.
    """
    cutter = _Lines()
    while data := await read_some(fd):
        for line in cutter.feed(data):
            yield line
    for line in cutter.feed(b"\n"):
        if line:
            yield line


async def read_some(fd: int) -> bytes:
    """Some bytes, or none at the end. Nothing is read before it is asked for; the loop never blocks."""
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return os.read(fd, READ_BYTES)
        await _readable(fd)
        return os.read(fd, READ_BYTES)
    except BlockingIOError:
        return await read_some(fd)
    except OSError:  # a terminal that hung up reads like this
        return b""


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def notice() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(fd, notice)
    except OSError:
        return  # /dev/null and its like: always readable, so epoll does not take them
    try:
        await ready
    finally:
        with contextlib.suppress(OSError):
            loop.remove_reader(fd)


class _Lines:
    """Cuts bytes into lines."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with this."""
        held, lines = self._held, []
        held += data
        while (end := held.find(b"\n")) >= 0:
            lines.append(bytes(held[: min(end, MAX_LINE_BYTES)]).decode(errors="replace"))
            del held[: end + 1]
        del held[MAX_LINE_BYTES:]
        return lines
