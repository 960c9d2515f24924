"""The mixer: what everyone else says, as one signal that never clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tuiconf.media.opus import Pcm

# Up to here (−3 dBFS) the mix is exactly the sum; above it bends towards full scale. One voice seldom gets here.
KNEE: Final = 0.7


def mix(frames: Sequence[Pcm], *, gains: Sequence[float] | None = None, samples: int = 960) -> Pcm:
    """The sum of the frames, each times its gain, within ±1: a fresh array.

    Each sample is limited by itself: there is no state, so no pumping, and nothing changes from one frame to the
    next but the signal. No frames give `samples` of silence. NaN and infinity in a frame count as silence.
    """
    if not frames:
        return np.zeros(samples, np.float32)
    if gains is not None:
        frames = [frame * np.float32(gain) for frame, gain in zip(frames, gains, strict=True)]
    total: Pcm = frames[0] + frames[1] if len(frames) > 1 else frames[0].copy()
    for frame in frames[2:]:
        total += frame
    return limit(total)


def limit(pcm: Pcm) -> Pcm:
    """`pcm`, bent smoothly into ±1 where it is over the knee. Changes it in place and returns it."""
    # Where the extremes are costs a third of what the largest magnitude does. A NaN is found as either, and is not
    # within the knee.
    if pcm.item(pcm.argmax()) <= KNEE and pcm.item(pcm.argmin()) >= -KNEE:
        return pcm
    if not np.isfinite(pcm).all():
        np.nan_to_num(pcm, copy=False, posinf=0.0, neginf=0.0)
    magnitude = np.abs(pcm)
    over = magnitude > KNEE
    bent = KNEE + (1 - KNEE) * np.tanh((magnitude[over] - KNEE) / (1 - KNEE))
    pcm[over] = np.copysign(bent, pcm[over])
    return pcm
