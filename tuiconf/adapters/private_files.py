"""Small files that are nobody else's business: read with care, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuiconf.errors import TuiconfError

if TYPE_CHECKING:  # every front end needs this file, and none of the cryptography
    from tuiconf.crypto.primitives import Random

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

# How long others may hold a lock: they read and write one small file, so it is milliseconds, or seconds on a busy card.
# Whoever was stopped in between must not stop us as well.
LOCK_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.02

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class FileError(TuiconfError):
    """A file cannot be read or written; the message is one sentence that names it and says why."""

    code = "file"


class NotPrivate(FileError):
    """Others can read or change the file; the message says what to type."""

    code = "file_permissions"


def make_folder(path: Path) -> None:
    """Make the folder, for its owner only; one that is there already must not be writable for others.

    Raises:
        FileError: it cannot be made.
        NotPrivate: others can write into it, so they could put their own file in the place of ours.
    """
    with _as_file_error(path, "made"):
        for folder in (*reversed(path.parents), path):  # `parents=True` would leave those above to the umask
            if not folder.is_dir():
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        mode = path.stat().st_mode
    if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
        raise NotPrivate(f"others can write into {path}: type chmod 700 {shlex.quote(str(path))}")


def read(path: Path, *, max_bytes: int, secret: bool) -> bytes | None:
    """The file's bytes, or None when there is no such file.

    With `secret`, a file that anyone else could read or change is refused.

    Raises:
        FileError: it cannot be read, is not a file, or is larger than `max_bytes`.
        NotPrivate: it is not its owner's alone.
    """
    try:
        # Non-blocking, or a pipe put in the file's place would hold us for ever.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _file_error(path, "read", error) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path} is not a file")
        if secret:
            _check_private(path, status)
        with _as_file_error(path, "read"), open(fd, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(fd)
    if len(data) > max_bytes:
        raise FileError(f"{path} is larger than such a file can be")
    return data


def create(path: Path, data: bytes, *, rng: Random) -> bool:
    """Write a new file, 0600; False when there is one already, which stays as it is.

    Of several processes that do this at once, one gets True. The file is there whole or not at all, also
    after a power cut.

    Raises:
        FileError: it cannot be written, for example because the disk is full.
    """
    with _as_file_error(path, "written"), _temporary(path, data, rng) as temporary:
        try:
            path.hardlink_to(temporary)  # unlike a rename, this fails when the name is taken
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # No hard links here (FAT, some network folders): the moment between looking and renaming remains.
            if path.exists():
                return False
            temporary.rename(path)
        _sync_folder(path.parent)
        return True


def replace(path: Path, data: bytes, *, rng: Random) -> None:
    """Write a file, 0600, in the place of the one that may be there; whoever reads sees the old one or the new one.

    Raises:
        FileError: it cannot be written; the old one is untouched.
    """
    with _as_file_error(path, "written"), _temporary(path, data, rng) as temporary:
        temporary.replace(path)
        _sync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path`.lock meanwhile, so that processes that read, change and replace the file take turns.

    Raises:
        FileError: the lock cannot be made, or another process does not let go of it.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise _file_error(lock, "written", error) from error
    try:
        _lock(fd, path)
        _remove_left_behind(path)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, path: Path) -> None:
    until = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise FileError(f"{path} is in use: another process has not let go of it for {LOCK_S:.0f} s") from error
            time.sleep(_LOOK_AGAIN_S)
        except OSError as error:
            raise _file_error(path, "locked", error) from error
        else:
            return


def _remove_left_behind(path: Path) -> None:
    """What a process that was killed while it wrote has left: what was forgotten since would still be in there."""
    with contextlib.suppress(OSError):
        for temporary in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            temporary.unlink(missing_ok=True)


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise NotPrivate(f"{path} belongs to another user")
    if status.st_mode & _OTHERS:
        raise NotPrivate(f"others can read {path}: type chmod 600 {shlex.quote(str(path))}")


@contextlib.contextmanager
def _temporary(path: Path, data: bytes, rng: Random) -> Iterator[Path]:
    """A file beside `path` that holds `data`, on the disk and not only in memory; gone afterwards."""
    temporary = path.with_name(f".{path.name}.{rng(8).hex()}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Make the file's name last as well. Some network folders cannot, and then there is nothing to be done."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def _as_file_error(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _file_error(path, verb, error) from error


def _file_error(path: Path, verb: str, error: OSError) -> FileError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FileError(f"{path} could not be {verb}: the disk is full")
    return FileError(f"{path} could not be {verb}: {(error.strerror or 'unknown reason').lower()}")
