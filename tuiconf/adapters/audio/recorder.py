"""A file as the speaker: what is heard is written by a thread, so that a slow disk never holds up a call."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from tuiconf.adapters.audio.base import SAMPLE_RATE, AudioError, Frame
from tuiconf.adapters.audio.decoder import reason

# How much is written at once: what `kill -9` can lose, against waking the disk. Half a second.
BLOCK_SAMPLES: Final = SAMPLE_RATE // 2

# What a disk that has stalled makes us hold: 30 s, 6 MB. What comes while that is full is not recorded.
MAX_BLOCKS: Final = 60

# A disk that does not take the last block in this time is left to the daemon thread.
CLOSE_TIMEOUT_S: Final = 5.0


class AudioFile(Protocol):
    """What a format does. Blocking; used by one thread at a time."""

    def append(self, samples: Frame) -> None: ...

    def close(self) -> None: ...


class FileSink:
    """Records into a file."""

    def __init__(self, path: Path, open_file: Callable[[Path], AudioFile]) -> None:
        self.label = f"the file {path.name}"
        self.dropped_blocks = 0
        self._path = path
        self._open_file = open_file
        self._pending: list[Frame] = []
        self._pending_samples = 0
        self._blocks: queue.Queue[Frame | None] = queue.Queue(MAX_BLOCKS + 1)  # one more for the end
        self._failed: AudioError | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Create the file.

        Raises:
            AudioError: it cannot be created.
        """
        try:
            file = await asyncio.to_thread(self._open_file, self._path)
        except (OSError, ValueError) as error:
            raise self._sentence(error) from error
        self._thread = threading.Thread(target=self._run, args=(file,), name="audio recorder", daemon=True)
        self._thread.start()

    def write(self, frame: Frame) -> None:
        """Record a frame.

        Raises:
            AudioError: the disk is full, or the like.
        """
        if self._thread is None:
            return
        self._raise_failure()
        self._pending.append(frame)
        self._pending_samples += len(frame)
        if self._pending_samples >= BLOCK_SAMPLES:
            self._hand_over()

    async def close(self) -> None:
        """Write what is left, finish the header, close the file.

        Raises:
            AudioError: that failed.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._hand_over()
        self._blocks.put_nowait(None)
        await asyncio.to_thread(thread.join, CLOSE_TIMEOUT_S)
        self._raise_failure()
        if thread.is_alive():
            raise AudioError(f"the end of {self._path} could not be written: the disk does not answer")

    def _hand_over(self) -> None:
        if not self._pending:
            return
        block = np.concatenate(self._pending)
        self._pending.clear()
        self._pending_samples = 0
        if self._blocks.qsize() < MAX_BLOCKS:
            self._blocks.put_nowait(block)
        else:
            self.dropped_blocks += 1

    def _raise_failure(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            self._thread = None  # it has ended by itself
            raise failed

    def _run(self, file: AudioFile) -> None:
        try:
            try:
                while (block := self._blocks.get()) is not None:
                    file.append(block)
            finally:
                file.close()
        except (OSError, ValueError) as error:
            self._failed = self._sentence(error)

    def _sentence(self, error: BaseException) -> AudioError:
        return AudioError(f"{self._path} cannot be written: {reason(error)}")
