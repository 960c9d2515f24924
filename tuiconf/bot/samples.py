"""Samples of sound as numpy arrays, and as they go over a connection. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuiconf.errors import UsageError

SAMPLE_RATE: Final = 48_000
FRAME_SAMPLES: Final = 960
FRAME_BYTES: Final = 2 * FRAME_SAMPLES
FRAME_S: Final = FRAME_SAMPLES / SAMPLE_RATE

# An hour of sound is not turned into bytes at once, but a second of it.
BLOCK_SAMPLES: Final = SAMPLE_RATE

Frame = NDArray[np.float32]
"""20 ms of sound: shape (960,), within ±1."""

Samples = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int16]
"""Mono at 48 kHz, shape (n,): floats within ±1, or int16."""

_KINDS: Final = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int16))


class NotSamples(UsageError):
    """What was to be played are not samples of mono sound."""

    code = "samples"


def check(samples: Samples) -> None:
    """See whether these can be played.

    Raises:
        NotSamples: they are no array, not mono, or of another kind.
    """
    if not isinstance(samples, np.ndarray) or samples.ndim != 1 or samples.dtype not in _KINDS:
        raise NotSamples("sound is a one-dimensional numpy array of float32, float64 or int16: 48 kHz, mono")


def to_s16le(samples: Samples) -> bytes:
    """16 bit, little-endian. What is beyond ±1 is clipped; what is no number is silence.

    Raises:
        NotSamples: they are no array, not mono, or of another kind.
    """
    check(samples)
    if samples.dtype == np.dtype(np.int16):
        return bytes(samples.astype("<i2").tobytes())
    scaled = np.nan_to_num(samples.astype(np.float64) * 32768, nan=0.0, posinf=32767.0, neginf=-32768.0)
    return bytes(np.rint(np.clip(scaled, -32768, 32767)).astype("<i2").tobytes())


def from_s16le(data: bytes) -> Frame:
    """The samples in these bytes."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) * np.float32(1 / 32768)


def blocks_of(samples: Samples) -> Iterator[bytes]:
    """All of it, a second at a time."""
    for at in range(0, len(samples), BLOCK_SAMPLES):
        yield to_s16le(samples[at : at + BLOCK_SAMPLES])
