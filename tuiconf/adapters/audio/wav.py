"""A WAV file that can be played at any moment, also after `kill -9`, and that may grow past 4 GiB.

Until then the header is plain RIFF, with a JUNK chunk where RF64's `ds64` chunk goes later (EBU Tech 3306 §3).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

from tuiconf.adapters.audio.base import SAMPLE_RATE, Frame, create_file, to_s16le

SAMPLE_BYTES: Final = 2
HEADER_BYTES: Final = 80
_U32_MAX: Final = 0xFFFF_FFFF
_DS64_BYTES: Final = 28

# The largest `data` chunk whose RIFF sizes still fit in 32 bits: 12 hours and 25 minutes.
RIFF_DATA_LIMIT: Final = _U32_MAX - HEADER_BYTES - 1


def header(data_bytes: int, *, riff_limit: int = RIFF_DATA_LIMIT) -> bytes:
    """The first 80 bytes of a file with that much audio: 48 kHz, mono, 16 bits."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * SAMPLE_BYTES, SAMPLE_BYTES, 16)
    riff_bytes = HEADER_BYTES - 8 + data_bytes
    if data_bytes <= riff_limit:
        start = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", _DS64_BYTES)
        return start + fmt + struct.pack("<4sI", b"data", data_bytes)
    ds64 = struct.pack("<4sIQQQI", b"ds64", _DS64_BYTES, riff_bytes, data_bytes, data_bytes // SAMPLE_BYTES, 0)
    return struct.pack("<4sI4s", b"RF64", _U32_MAX, b"WAVE") + ds64 + fmt + struct.pack("<4sI", b"data", _U32_MAX)


class WavFile:
    """Appends samples to a new WAV file. Blocking: runs in the sink's thread."""

    def __init__(self, path: Path, *, riff_limit: int = RIFF_DATA_LIMIT) -> None:
        """Create the file, or empty it.

        Raises:
            OSError: it cannot be created.
        """
        self._riff_limit = riff_limit
        self._data_bytes = 0
        self._fd = create_file(path)
        try:
            self._write_header()
        except OSError:
            os.close(self._fd)
            raise

    def append(self, samples: Frame) -> None:
        """Add samples, then make the header true again.

        Raises:
            OSError: the disk is full, or the like. What was written before stays playable.
        """
        data = to_s16le(samples)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], HEADER_BYTES + self._data_bytes + written)
        finally:
            self._data_bytes += written - written % SAMPLE_BYTES
            self._write_header()

    def close(self) -> None:
        """Close it; the header is true already."""
        os.close(self._fd)

    def _write_header(self) -> None:
        head = header(self._data_bytes, riff_limit=self._riff_limit)
        written = 0
        while written < HEADER_BYTES:  # a disk may have room for half of it, and says so when asked again
            written += os.pwrite(self._fd, head[written:], written)
