"""An Ogg Opus file, written by PyAV; playable up to its last second also after `kill -9`."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Final

import numpy as np

from tuiconf.adapters.audio.base import SAMPLE_RATE, Frame, create_file

# Fine speech in 14 MB an hour: it has been through the call's own 32 kb/s already, and is not to lose much again.
BIT_RATE: Final = 48_000


class OggOpusFile:
    """Appends samples to a new Ogg Opus file. Blocking: runs in the sink's thread."""

    def __init__(self, path: Path) -> None:
        """Create the file, or empty it.

        Raises:
            OSError: it cannot be created.
        """
        import av

        self._file = io.FileIO(create_file(path), "wb")
        self._failed: OSError | None = None
        self._samples = 0
        self._make_frame = av.AudioFrame.from_ndarray
        with contextlib.ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(self._file.close)
            self._container = av.open(self, "w", format="ogg", options={"flush_packets": "1"})
            unless_all_is_well.callback(self._container.close)
            self._stream = self._container.add_stream(
                "libopus", rate=SAMPLE_RATE, options={"b": str(BIT_RATE), "application": "voip"}
            )
            self._stream.layout = "mono"
            self._container.start_encoding()
            self._raise_failure()
            unless_all_is_well.pop_all()

    def write(self, data: bytes) -> int:
        """What PyAV calls with the next bytes of the file.

        An exception would pass through FFmpeg and come out as another; so it is kept, and the rest is not written.
        """
        rest = memoryview(data)
        try:
            while rest and self._failed is None:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._failed = error
        return len(data)

    def append(self, samples: Frame) -> None:
        """Add samples.

        Raises:
            OSError: the disk is full, or the like.
        """
        sane = np.clip(np.nan_to_num(samples), -1, 1).astype(np.float32)
        frame = self._make_frame(sane.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._samples
        self._samples += len(samples)
        self._container.mux(self._stream.encode(frame))
        self._raise_failure()

    def close(self) -> None:
        """Write the last page and close.

        Raises:
            OSError: it could not be written.
        """
        try:
            if self._samples:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        finally:
            self._file.close()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed
