"""Raw PCM through pipes: 16-bit little-endian, 48 kHz, mono. Without threads, and without ever blocking.

The descriptors are not ours alone (a shell shares them), so they are not made non-blocking: `poll` is asked before
every transfer, and transfers are of a size that `poll` promises. The kernel's pipe is the buffer.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from collections import deque
from typing import Final

from tuiconf.adapters.audio.base import FRAME_SAMPLES, SAMPLE_RATE, AudioError, Frame, from_s16le, to_s16le
from tuiconf.adapters.audio.decoder import reason
from tuiconf.adapters.audio.fifo import BacklogWatch, SampleFifo

SAMPLE_BYTES: Final = 2

# More than a Linux pipe holds (64 kB, 0.68 s), so that a producer which keeps its own time can be drained and told
# apart from one that is always ready with more. 192 kB of memory.
AHEAD_SAMPLES: Final = SAMPLE_RATE

READ_BYTES: Final = 1 << 16

# A producer that keeps its own time may write 100 ms at once (`arecord` does): below this nothing is piled up.
HIGH_SAMPLES: Final = SAMPLE_RATE * 120 // 1000
KEEP_SAMPLES: Final = SAMPLE_RATE * 40 // 1000
WATCH_S: Final = 2

# A reader that is this far behind is no longer listening live: the oldest frames go.
MAX_BEHIND_BYTES: Final = SAMPLE_RATE * SAMPLE_BYTES * 200 // 1000

# POSIX: a pipe that polls writable takes this much without blocking.
WRITE_BYTES: Final = select.PIPE_BUF


class PcmReader:
    """Frames out of a descriptor that carries raw PCM. Reads at most what it has room for."""

    def __init__(self, fd: int, *, frame_samples: int = FRAME_SAMPLES) -> None:
        self.at_end = False
        self._fd = fd
        self._frame_samples = frame_samples
        self._fifo = SampleFifo()
        self._half_sample = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        window = WATCH_S * SAMPLE_RATE // frame_samples
        self._watch = BacklogWatch(high=HIGH_SAMPLES, keep=KEEP_SAMPLES, full=AHEAD_SAMPLES, window=window)

    @property
    def drained(self) -> bool:
        """Nothing is left, and nothing will come."""
        return self.at_end and not self._fifo.level

    @property
    def held_samples(self) -> int:
        """How much has been read and not been handed out: the delay that we add."""
        return self._fifo.level

    def frame(self) -> Frame | None:
        """The next frame, if it has come.

        Raises:
            OSError: the descriptor cannot be read.
        """
        while not self.at_end and self._fifo.level < AHEAD_SAMPLES and self._poll.poll(0):
            self._read()
        if not self.at_end:
            excess = self._watch.observe(self._fifo.level)
            if excess:
                self._fifo.shorten(self._fifo.level - excess)
        return self._fifo.take(self._frame_samples, pad=self.at_end)

    def _read(self) -> None:
        data = os.read(self._fd, READ_BYTES)
        self.at_end = not data
        data = self._half_sample + data
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._half_sample = data[whole:]
        self._fifo.push(from_s16le(data[:whole]))


class PcmWriter:
    """Raw PCM into a descriptor. What its reader does not take in time is dropped, oldest first, in whole frames."""

    def __init__(self, fd: int) -> None:
        self.dropped = 0
        self._fd = fd
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def write(self, frame: Frame) -> None:
        """Send a frame, or hold it until the reader has room.

        Raises:
            OSError: the reader is gone, or the disk is full.
        """
        data = to_s16le(frame)
        self._held.append(data)
        self._held_bytes += len(data)
        self.flush()
        # The first is never dropped: part of it may have been sent, and what follows must not be out of step.
        while self._held_bytes > MAX_BEHIND_BYTES and len(self._held) > 1:
            self._held_bytes -= len(self._held[1])
            del self._held[1]
            self.dropped += 1

    def flush(self) -> bool:
        """Send what the reader has room for; whether nothing is left.

        Raises:
            OSError: as for `write`.
        """
        while self._held and self._poll.poll(0):
            data = self._held.popleft()
            sent = os.write(self._fd, data[:WRITE_BYTES])
            self._held_bytes -= sent
            if sent < len(data):
                self._held.appendleft(data[sent:])
        return not self._held


class StdinSource:
    """`-`: raw PCM from standard input."""

    label = "standard input"

    def __init__(self, *, fd: int = 0, frame_samples: int = FRAME_SAMPLES) -> None:
        self.ended = False
        self._fd = fd
        self._frame_samples = frame_samples
        self._reader: PcmReader | None = None

    async def start(self) -> None:
        """Look whether audio can come from it.

        Raises:
            AudioError: it is closed, or a terminal.
        """
        _check(self._fd, "standard input", "pipe raw audio in: … | tuiconf … --audio-in -")
        self._reader = PcmReader(self._fd, frame_samples=self._frame_samples)

    def frame(self) -> Frame | None:
        """The next 20 ms, if they have come.

        Raises:
            AudioError: it can no longer be read.
        """
        if self._reader is None or self.ended:
            return None
        try:
            frame = self._reader.frame()
        except OSError as error:
            self.ended = True
            raise AudioError(f"standard input cannot be read: {reason(error)}") from error
        self.ended = self._reader.drained
        return frame

    async def close(self) -> None:
        """Stop reading. The descriptor stays open: it is the process's, not ours."""
        self.ended = True
        self._reader = None


class StdoutSink:
    """`-`: raw PCM to standard output."""

    label = "standard output"

    def __init__(self, *, fd: int = 1) -> None:
        self._fd = fd
        self._writer: PcmWriter | None = None

    async def start(self) -> None:
        """Look whether audio can go to it.

        Raises:
            AudioError: it is closed, or a terminal.
        """
        _check(self._fd, "standard output", "pipe it on: tuiconf … --audio-out - | …")
        self._writer = PcmWriter(self._fd)

    def write(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            AudioError: nobody reads it any more, or the disk is full.
        """
        if self._writer is None:
            return
        try:
            self._writer.write(frame)
        except OSError as error:
            self._writer = None
            raise AudioError(f"standard output takes no more audio: {reason(error)}") from error

    async def close(self) -> None:
        """Send what the reader has room for now."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):  # its reader is gone: there is nobody left to tell
                writer.flush()


def _check(fd: int, name: str, instead: str) -> None:
    # Started without one, the process may since have opened something else under its number: Python knows.
    if (fd == 0 and sys.stdin is None) or (fd == 1 and sys.stdout is None):
        raise AudioError(f"{name} is closed: {instead}")
    try:
        mode = os.fstat(fd).st_mode
    except OSError as error:
        raise AudioError(f"{name} is closed: {instead}") from error
    if os.isatty(fd):
        raise AudioError(f"{name} is a terminal: {instead}")
    if stat.S_ISDIR(mode):
        raise AudioError(f"{name} is a folder: {instead}")
