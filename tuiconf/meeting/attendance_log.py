"""The attendance log: lines are added and on the disk before anything else happens, so no end loses what was known."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.adapters.private_files import FILE_MODE, FileError, make_folder
from tuiconf.meeting.attendance import Line

_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class AttendanceLog:
    """Opened and closed for each addition, a few times in a meeting: whoever rotates or fetches it may do so."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make sure that it can be written.

        Raises:
            FileError: it cannot.
        """
        make_folder(self.path.parent)
        self.add(())

    def add(self, lines: Sequence[Line]) -> None:
        """Add lines, and wait for the disk.

        Raises:
            FileError: they are not in the file, or may not be.
        """
        data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        try:
            # Made for its owner only; permissions that somebody changed stay, so that others can be let read it.
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
            with os.fdopen(fd, "ab", buffering=0) as file:
                if data:
                    file.write(_line_end(fd) + data)
                    os.fsync(fd)
        except OSError as error:
            why = "the disk is full" if error.errno in _DISK_FULL else (error.strerror or "unknown reason").lower()
            raise FileError(f"{self.path} could not be written: {why}") from error


def _line_end(fd: int) -> bytes:
    """What is missing of the last line, if a power cut or a full disk cut it off."""
    with contextlib.suppress(OSError):  # not a file with an end: a pipe
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            return b"\n"
    return b""
