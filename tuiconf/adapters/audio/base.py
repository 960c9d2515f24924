"""What every audio source and sink has in common: the frame, the two protocols, the errors."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tuiconf.errors import TuiconfError, UsageError

SAMPLE_RATE: Final = 48_000
FRAME_SAMPLES: Final = 960  # 20 ms

Frame = NDArray[np.float32]
"""Mono samples at 48 kHz, shape (n,), nominally within ±1."""


class AudioError(TuiconfError):
    """A source or sink cannot be opened, or has failed.

    One sentence for the user, who gave the file or device that it names; it is not for a log.
    """

    code = "audio"


class AudioSpecError(UsageError):
    """What was given to --audio-in or --audio-out is not something audio can come from or go to."""

    code = "audio_spec"


class Source(Protocol):
    """Where a participant's audio comes from."""

    label: str
    """What it is, in a few words for a person. May contain a file or device name: not for a log."""

    @property
    def ended(self) -> bool:
        """No frame will come any more."""
        ...

    async def start(self) -> None:
        """Open it. On an error nothing is left open.

        Raises:
            AudioError: it cannot be.
        """
        ...

    def frame(self) -> Frame | None:
        """The frame that is due now, or None: nothing to send. Never blocks.

        To be called once a tick, also while muted: what is live must be taken, or it would be heard late.

        Raises:
            AudioError: the source has failed. Raised once; it has `ended` then.
        """
        ...

    async def close(self) -> None:
        """Let go of everything. May be called twice, and without `start`."""
        ...


class Sink(Protocol):
    """Where what a participant hears goes to."""

    label: str

    async def start(self) -> None:
        """Open it. On an error nothing is left open.

        Raises:
            AudioError: it cannot be.
        """
        ...

    def write(self, frame: Frame) -> None:
        """Play or keep one frame. Never blocks; a sink that cannot keep up loses its oldest frames.

        To be called once a tick, with silence when there is nothing to hear. After the error it does nothing.

        Raises:
            AudioError: the sink has failed. Raised once.
        """
        ...

    async def close(self) -> None:
        """Write what is still held, finish headers, let go of everything. May be called twice.

        Raises:
            AudioError: what was still held could not be written, and `write` has not said so before.
        """
        ...


def create_file(path: Path) -> int:
    """A descriptor of a new or emptied regular file. Only its owner may read a new one: it is a private conversation.

    Raises:
        OSError: it cannot be created, or is no regular file.
    """
    # Without O_NONBLOCK a named pipe would hold us until somebody reads it.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return fd


def to_s16le(frame: Frame) -> bytes:
    """16-bit little-endian samples; what is beyond ±1 is clipped, what is not a number is silence."""
    scaled = np.nan_to_num(frame * np.float32(32768), nan=0.0, posinf=32767.0, neginf=-32768.0)
    data: bytes = np.rint(np.clip(scaled, -32768.0, 32767.0)).astype("<i2").tobytes()
    return data


def from_s16le(data: bytes) -> Frame:
    """The samples of an even number of bytes."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) * np.float32(1 / 32768)
