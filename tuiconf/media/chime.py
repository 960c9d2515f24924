"""Three notes to hear one's own loudspeaker by. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from tuiconf.media.opus import SAMPLE_RATE, Pcm

# A major chord going up, each note over the end of the one before.
_NOTES_HZ: Final = (523.25, 659.26, 783.99)
_NOTE_S: Final = 0.28
_RING_S: Final = 0.6

# About as loud as speech: nobody is to jump who wears headphones.
_AMPLITUDE: Final = 0.15
_ATTACK_S: Final = 0.008
_DECAY_S: Final = 0.18


def chime(frame_samples: int) -> list[Pcm]:
    """The frames of about 1.2 s of sound."""
    step, ring = int(_NOTE_S * SAMPLE_RATE), int(_RING_S * SAMPLE_RATE)
    count = -(-(step * (len(_NOTES_HZ) - 1) + ring) // frame_samples)
    sound = np.zeros(count * frame_samples, np.float32)
    at = np.arange(ring) / SAMPLE_RATE
    # The last hundredth goes down to nothing: a note that is cut off clicks.
    shape = np.minimum(at / _ATTACK_S, 1.0) * np.exp(-at / _DECAY_S) * np.minimum((_RING_S - at) / _ATTACK_S, 1.0)
    for number, hertz in enumerate(_NOTES_HZ):
        note = _AMPLITUDE * shape * np.sin(2 * np.pi * hertz * at)
        sound[number * step : number * step + ring] += note.astype(np.float32)
    return [sound[at : at + frame_samples] for at in range(0, len(sound), frame_samples)]
