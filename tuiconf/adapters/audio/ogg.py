"""An Ogg Opus file, written by PyAV; playable up to its last second also after `kill -9`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuiconf.adapters.audio.base import SAMPLE_RATE, Frame

if TYPE_CHECKING:
    import av

# Fine speech in 14 MB an hour: it has been through the call's own 32 kb/s already, and is not to lose much again.
BIT_RATE: Final = 48_000


class OggOpusFile:
    """Appends samples to a new Ogg Opus file. Blocking: runs in the sink's thread."""

    def __init__(self, path: Path) -> None:
        """Create the file, or empty it; a new one is readable by its owner only.

        Raises:
            OSError: it cannot be created.
        """
        import av

        self._file = open(  # noqa: SIM115 - closed by close()
            path, "wb", buffering=0, opener=lambda p, flags: os.open(p, flags | os.O_CLOEXEC, 0o600)
        )
        self._failed: OSError | None = None
        self._container = av.open(self, "w", format="ogg", options={"flush_packets": "1"})
        self._stream = self._container.add_stream(
            "libopus", rate=SAMPLE_RATE, options={"b": str(BIT_RATE), "application": "voip"}
        )
        self._stream.layout = "mono"
        self._make_frame = av.AudioFrame.from_ndarray
        self._samples = 0

    def write(self, data: bytes) -> int:
        """What PyAV calls with the next bytes of the file. Keeps the error, which FFmpeg would turn into a number."""
        try:
            return self._file.write(data) or 0
        except OSError as error:
            self._failed = error
            raise

    def append(self, samples: Frame) -> None:
        """Add samples.

        Raises:
            OSError: the disk is full, or the like.
        """
        frame = self._make_frame(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._samples
        self._samples += len(samples)
        self._mux(frame)

    def close(self) -> None:
        """Write the last page and close.

        Raises:
            OSError: it could not be written.
        """
        try:
            if self._failed is None and self._samples:
                self._mux(None)
            self._container.close()
        finally:
            self._file.close()
        if self._failed is not None:
            raise self._failed

    def _mux(self, frame: av.AudioFrame | None) -> None:
        self._container.mux(self._stream.encode(frame))
        if self._failed is not None:
            raise self._failed
