"""The folder of one recording, and its files in the clear. Blocking."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from tuiconf.adapters.private_files import FILE_MODE, FOLDER_MODE, make_folder, replace
from tuiconf.crypto.primitives import Random

# Recordings begun within one second: more is not a person's doing.
MAX_SAME_NAME: Final = 100


class PartFile(Protocol):
    """One file of a track, given whole pages; the first are its header."""

    def append(self, pages: bytes) -> None:
        """Add to it.

        Raises:
            OSError: the disk is full, or the like.
        """
        ...

    def save(self) -> None:
        """Bring to the disk what a kill would lose, as far as the format lets us.

        Raises:
            OSError, FileError: the disk is full, or the like.
        """
        ...

    def close(self) -> None:
        """Finish it.

        Raises:
            OSError: the disk is full, or the like.
        """
        ...


class Folder(Protocol):
    """Where the files of a recording go."""

    path: Path

    def create(self, name: str) -> PartFile:
        """A new file; never one that exists.

        Raises:
            OSError: it cannot be created.
        """
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Write a small file whole, in the place of the one that may be there.

        Raises:
            FileError: it cannot be written.
        """
        ...


def new_folder(parent: Path, unix: float) -> Path:
    """Make a folder for a recording that begins at that Unix time: named by it, in UTC, and nobody else's business.

    Raises:
        OSError, FileError: it cannot be made.
    """
    make_folder(parent)
    name = datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    for number in range(1, MAX_SAME_NAME):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=FOLDER_MODE)
            return path
    raise FileExistsError(f"there are {MAX_SAME_NAME} recordings of this second already")


def write_all(fd: int, data: bytes) -> None:
    """Write everything.

    Raises:
        OSError: the disk is full, or the like; part of it may be written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def create_file(path: Path) -> int:
    """A descriptor of a new file, for its owner only.

    Raises:
        OSError: it cannot be created, or exists.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


class ClearFolder:
    """Files in the clear. Each page is handed to the system at once, so a killed program has lost none."""

    def __init__(self, path: Path, *, rng: Random) -> None:
        self.path = path
        self._rng = rng

    def create(self, name: str) -> PartFile:
        return _ClearFile(create_file(self.path / name))

    def replace(self, name: str, data: bytes) -> None:
        replace(self.path / name, data, rng=self._rng)


class _ClearFile:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def append(self, pages: bytes) -> None:
        write_all(self._fd, pages)

    def save(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        os.close(self._fd)
