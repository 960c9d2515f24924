"""A process on a terminal of our own: what it writes is read only when the test says so."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 20.0
FENCE = b"\x1b[c"

_CONTROL = re.compile(r"\x1b\[(\d*)(?:;(\d*))?H|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b.|\n|\r|[^\x1b\n\r]+")


class Rig:
    """The terminal (`written` is all it got), the process, and the lines the process told."""

    def __init__(
        self, *command: str, columns: int = 80, rows: int = 24, env: dict[str, str] | None = None, tells: bool = True
    ) -> None:
        """Without `tells` its standard output is the terminal as well, as for a person."""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.mode_before = termios.tcgetattr(slave)
        environ = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], **(env or {})}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=slave,
            stderr=slave,
            stdout=subprocess.PIPE if tells else slave,
            env=environ,
            cwd=Path(__file__).parents[3],
            start_new_session=True,
            bufsize=0,
        )
        self.slave = slave
        self.answer = b"\x1b[?62;22c"  # to DA1; nothing, and it is a terminal that does not know that question
        self.written = b""
        self.told: list[str] = []
        self._rest = b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def type(self, keys: str | bytes) -> None:
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def do(self, keys: str) -> bytes:
        """Type these, and see what the ticking app draws for them."""
        size, drawn = len(self.written), self.told.count("drawn")
        self.type(keys)
        self.until(lambda: self.told.count("drawn") >= drawn + len(keys))
        while select.select([self.master], [], [], 0)[0]:
            self.listen()
        return self.written[size:]

    def until(self, happened: Callable[[], object], *, reading: bool = True) -> None:
        """Listen to the process, and read the terminal unless it is to be blocked, until this has happened."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline, f"told {self.told[-5:]}, written {self.written[-300:]!r}"
            self.listen(reading=reading)

    def until_told(self, line: str, *, reading: bool = True) -> None:
        self.until(lambda: any(told.startswith(line) for told in self.told), reading=reading)

    def until_written(self, what: bytes) -> None:
        self.until(lambda: what in self.written)

    def ticks(self) -> int:
        return sum(told.startswith("tick") for told in self.told)

    def until_ticks(self, more: int, *, reading: bool = True) -> None:
        """Its loop has gone round so many more times."""
        wanted = self.ticks() + more
        self.until(lambda: self.ticks() >= wanted, reading=reading)

    def ended(self, *, reading: bool = True) -> int:
        self.until(lambda: self.process.poll() is not None, reading=reading)
        self.listen(reading=reading)
        return self.process.returncode

    def left(self) -> bytes:
        """What was typed, and the process has not read: the shell would."""
        mode = termios.tcgetattr(self.slave)
        mode[3] &= ~termios.ICANON
        mode[6][termios.VMIN] = mode[6][termios.VTIME] = 0
        termios.tcsetattr(self.slave, termios.TCSANOW, mode)
        return os.read(self.slave, 4_096)

    def screen(self) -> list[str]:
        """What all that was written has left on the screen. Knows what Textual uses: moves to a place, and text."""
        lines: dict[int, dict[int, str]] = {}
        row = column = 0
        for found in _CONTROL.finditer(self.written.decode(errors="replace")):
            what = found[0]
            if what.endswith("H") and what.startswith("\x1b["):
                row, column = int(found[1] or 1) - 1, int(found[2] or 1) - 1
            elif what == "\n":
                row += 1
            elif what == "\r":
                column = 0
            elif not what.startswith("\x1b"):
                lines.setdefault(row, {}).update(enumerate(what, column))
                column += len(what)
        height = max(lines, default=-1) + 1
        return [_line(lines.get(row, {})) for row in range(height)]

    def listen(self, *, reading: bool = True) -> None:
        """Take what is there, or wait a moment for it."""
        told = None if self.process.stdout is None else self.process.stdout.fileno()
        ends = [end for end, wanted in ((told, True), (self.master, reading)) if end is not None and wanted]
        for ready in select.select(ends, [], [], 0.05)[0]:
            data = os.read(ready, 65_536)
            if ready == told:
                *lines, self._rest = (self._rest + data).split(b"\n")
                self.told += [line.decode() for line in lines]
            else:
                seen = len(self.written)
                self.written += data
                os.write(self.master, self.answer * self.written.count(FENCE, max(0, seen - 2)))


def _line(cells: dict[int, str]) -> str:
    return "".join(cells.get(column, " ") for column in range(max(cells, default=-1) + 1)).rstrip()
