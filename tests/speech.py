"""The speech the package ships, as samples: what tests of sound are made with."""

from __future__ import annotations

import functools

import av
import numpy as np

from tuiconf import speech
from tuiconf.media.opus import SAMPLE_RATE, Pcm


@functools.cache
def speech_pcm(seconds: float = 12.0) -> Pcm:
    """All samples one after the other, repeated to fill `seconds`: 48 kHz mono, read-only."""
    once = np.concatenate([_decode(str(path)) for path in speech.samples()])
    wanted = int(seconds * SAMPLE_RATE)
    pcm = np.tile(once, -(-wanted // len(once)))[:wanted]
    pcm.flags.writeable = False
    return pcm


def speech_frames(seconds: float = 12.0, frame_ms: int = 20) -> list[Pcm]:
    """The same in frames."""
    samples = SAMPLE_RATE // 1000 * frame_ms
    pcm = speech_pcm(seconds)
    return [pcm[at : at + samples] for at in range(0, len(pcm) - samples + 1, samples)]


def _decode(path: str) -> Pcm:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with av.open(path) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.float32)
