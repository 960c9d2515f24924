"""A thread that writes to a terminal which may take its time, or never take anything again.

A thread, not a non-blocking descriptor: the descriptor of a terminal is shared with the shell that started us, and a
crash would leave the shell with it.
"""

from __future__ import annotations

import os
import select
import threading
import time

# What is written between two looks at whether to stop: what a tty takes at once.
CHUNK_BYTES = 4_096

# What may wait in all. Frames stop far below; this is for whoever writes control sequences to a terminal that is
# stopped: what comes after is dropped, each whole.
MAX_WAITING_BYTES = 65_536


class PatientWriter:
    """`write` never blocks. Without `stop`, the thread ends with the process."""

    def __init__(self, fileno: int) -> None:
        self._fileno = fileno
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._since: float | None = None  # when the oldest of what is not written yet was handed in
        self._stopped = False
        self._dead = False
        self.dropped_bytes = 0
        self._thread = threading.Thread(target=self._run, name="tuiconf-output", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """Handed in and not yet begun to be written."""
        return self._waiting_bytes

    def stuck_s(self, *, now: float) -> float:
        """How long the oldest of what is not written yet has been waiting."""
        since = self._since
        return 0.0 if since is None else now - since

    def write(self, data: bytes) -> bool:
        """Hand in `data`; False when it was dropped, whole."""
        with self._changed:
            if self._stopped or self._dead or self._waiting_bytes + len(data) > MAX_WAITING_BYTES:
                self.dropped_bytes += len(data)
                return False
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if self._since is None:
                self._since = time.monotonic()
            self._changed.notify()
            return True

    def forget(self) -> bool:
        """Drop what is not begun; True when there was any."""
        with self._changed:
            forgotten, self._waiting, self._waiting_bytes = bool(self._waiting), [], 0
            return forgotten

    def stop(self, *, patience_s: float) -> bool:
        """Write the rest, for so long; False when the terminal did not take it."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while data := self._next():
            self._put(memoryview(data))

    def _next(self) -> bytes:
        """All that waits; nothing when it is over."""
        with self._changed:
            if not self._waiting:
                self._since = None
            self._changed.wait_for(lambda: self._waiting or self._stopped)
            data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
            return data

    def _put(self, data: memoryview) -> None:
        while data and not self._dead:
            try:
                data = data[os.write(self._fileno, data[:CHUNK_BYTES]) :]
            except BlockingIOError:  # somebody else has made the terminal non-blocking
                select.select([], [self._fileno], [])
            except OSError:  # hung up
                self._dead = True
