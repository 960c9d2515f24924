"""Files encrypted to an age recipient as they are written, by pyrage, the Python binding of age's Rust implementation.

pyrage pulls what it encrypts, so each file has a thread that it pulls in. It seals 64 KiB at a time; what it still
holds is saved as a file of its own (see the package).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import threading
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Final

from tuiconf.adapters.private_files import replace
from tuiconf.adapters.recording.folder import PartFile, create_file, write_all
from tuiconf.adapters.recording.options import RecipientError
from tuiconf.crypto.primitives import Random

SUFFIX: Final = ".age"

# age's STREAM: so much plaintext in a chunk, and so much more ciphertext.
CHUNK_BYTES: Final = 64 * 1024
TAG_BYTES: Final = 16

# Pages on their way to one file's thread: when it cannot write, the recording's own bounded queue is to fill instead.
MAX_PAGES: Final = 64

# A disk that takes nothing for so long is as good as full.
STALLED_S: Final = 10.0


class AgeFolder:
    """Everything in it can be read by the recipient alone, also not by us."""

    def __init__(self, path: Path, recipient: object, *, rng: Random) -> None:
        self.path = path
        self._recipient = recipient
        self._rng = rng

    def create(self, name: str) -> PartFile:
        return _AgeFile(self, name)

    def replace(self, name: str, data: bytes) -> None:
        sealed: bytes = _pyrage().encrypt(data, [self._recipient])
        replace(self.path / (name + SUFFIX), sealed, rng=self._rng)

    def encrypt(self, source: _Pages, target: _Disk) -> None:
        """Until the source ends.

        Raises:
            OSError: the target could not be written.
        """
        pyrage = _pyrage()
        try:
            pyrage.encrypt_io(source, target, [self._recipient])
        except pyrage.EncryptError as error:
            raise OSError(str(error)) from error


def parse_recipient(text: str) -> object:
    """The recipient, for `AgeFolder`.

    Raises:
        RecipientError: it is none, or pyrage is not there.
    """
    pyrage = _pyrage()
    try:
        recipient: object = pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        # Not a word of what was given: it may be the secret key, by mistake.
        raise RecipientError(
            "encrypt_to is no age recipient: give the public key that age-keygen prints, age1…"
        ) from error
    return recipient


def _pyrage() -> ModuleType:
    # Imported only when something is to be encrypted: 2 MB that most recordings do without. It has no types.
    try:
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise RecipientError("encrypt_to needs the package pyrage: pip install pyrage") from error


class _AgeFile:
    """One file, and its tail as long as it is open."""

    def __init__(self, folder: AgeFolder, name: str) -> None:
        self._folder = folder
        stem, dot, suffix = name.partition(".")
        self._tail_name = f"{stem}.tail{dot}{suffix}"
        self._disk = _Disk(create_file(folder.path / (name + SUFFIX)))
        self._source = _Pages()
        self._failed: OSError | None = None
        self._head = b""
        self._unsealed: deque[tuple[int, bytes]] = deque()  # where in the plaintext they end, pages
        self._size = 0
        self._saved = 0
        self._thread = threading.Thread(target=self._run, name="age", daemon=True)
        self._thread.start()

    def append(self, pages: bytes) -> None:
        if not pages:
            return
        self._hand_over(pages)
        self._size += len(pages)
        if self._head:
            self._unsealed.append((self._size, pages))
        else:
            self._head = pages
        while self._unsealed and self._unsealed[0][0] <= self._disk.sealed_bytes:
            self._unsealed.popleft()

    def save(self) -> None:
        if self._saved != self._size:
            self._folder.replace(self._tail_name, self._head + b"".join(pages for _, pages in self._unsealed))
            self._saved = self._size

    def close(self) -> None:
        """Seal what is left. Only then is the tail of no use any more."""
        try:
            self._hand_over(b"")
        finally:
            self._thread.join(STALLED_S)
            if not self._thread.is_alive():
                self._disk.close()
        self._raise_failure()
        if self._thread.is_alive():
            raise TimeoutError("the disk does not answer")
        (self._folder.path / (self._tail_name + SUFFIX)).unlink(missing_ok=True)

    def _hand_over(self, pages: bytes) -> None:
        self._raise_failure()
        try:
            self._source.put(pages)
        except queue.Full as error:
            raise TimeoutError("the disk does not answer") from error

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            self._folder.encrypt(self._source, self._disk)
        except OSError as error:
            self._failed = self._disk.failed or error
            self._source.drain()


class _Pages:
    """What pyrage reads from: blocks until there is something."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue(MAX_PAGES)
        self._rest = b""

    def put(self, pages: bytes) -> None:
        self._queue.put(pages, timeout=STALLED_S)

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = self._queue.get()
        part, self._rest = self._rest[:size], self._rest[size:]
        return part

    def drain(self) -> None:
        """Nobody reads any more: let nobody wait for it."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()


class _Disk:
    """What pyrage writes to. It would turn our exception into a text, so that is kept."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._written = 0
        self.failed: OSError | None = None

    @property
    def sealed_bytes(self) -> int:
        """How much plaintext can be read back: age's header is far smaller than a chunk, so it does not count."""
        return self._written // (CHUNK_BYTES + TAG_BYTES) * CHUNK_BYTES

    def write(self, data: bytes) -> int:
        try:
            write_all(self._fd, data)
        except OSError as error:
            self.failed = error
            raise
        self._written += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        os.close(self._fd)
