"""A sine tone, to hear whether a connection works."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tuiconf.adapters.audio.base import FRAME_SAMPLES, SAMPLE_RATE, Frame

DEFAULT_HZ: Final = 440.0
MIN_HZ: Final = 20.0
MAX_HZ: Final = 20_000.0

# 20 dB below full scale: about as loud as speech, and three of them still mix without clipping.
AMPLITUDE: Final = 0.1


class ToneSource:
    """A tone without end and without clicks: the phase goes on from frame to frame."""

    ended = False

    def __init__(self, hz: float = DEFAULT_HZ, *, frame_samples: int = FRAME_SAMPLES) -> None:
        self.label = f"a tone of {hz:g} Hz"
        self._phases = 2 * math.pi * hz / SAMPLE_RATE * np.arange(frame_samples)
        self._step = 2 * math.pi * hz / SAMPLE_RATE * frame_samples
        self._phase = 0.0

    async def start(self) -> None:
        """Nothing to open."""

    def frame(self) -> Frame | None:
        """The next stretch of the tone."""
        frame: Frame = (AMPLITUDE * np.sin(self._phases + self._phase)).astype(np.float32)
        self._phase = (self._phase + self._step) % (2 * math.pi)
        return frame

    async def close(self) -> None:
        """Nothing to let go of."""
