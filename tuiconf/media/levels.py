"""How loud a frame is, and whether somebody is speaking."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tuiconf.media.opus import Pcm

# The level of silence: 16-bit audio has nothing below.
SILENCE_DBFS: Final = -96.0

# Below this a frame is a pause between words: dropping or stretching it is not heard.
QUIET_DBFS: Final = -50.0

# Speech is this much louder than the room, and never quieter than the least.
SPEECH_OVER_NOISE_DB: Final = 9.0
LEAST_SPEECH_DBFS: Final = -48.0

# A noise louder than this is taken for speech that does not stop rather than for the room.
MOST_NOISE_DBFS: Final = -30.0

# The noise floor follows a quieter room at once and a louder one at this pace: a sentence barely moves it.
FLOOR_RISE_DB_PER_S: Final = 2.0

# Words have gaps of up to about this long; a shorter hold makes the speaker's mark flicker.
HOLD_S: Final = 0.4

# One loud frame is a click. Speech lasts longer.
ATTACK_FRAMES: Final = 2


def rms_dbfs(pcm: Pcm) -> float:
    """The level of the frame's power, SILENCE_DBFS to 0 for anything within ±1 (0 is a full-scale square wave)."""
    # `vdot`, because `dot` looks up who else might want to handle it, and warns of a broken driver's overflow.
    power = float(np.vdot(pcm, pcm)) / max(len(pcm), 1)
    return _dbfs(math.sqrt(power)) if math.isfinite(power) else SILENCE_DBFS


def _dbfs(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), SILENCE_DBFS) if amplitude > 0 else SILENCE_DBFS


class SpeakingDetector:
    """Whether one participant is speaking, from the levels of the frames; holds through the gaps between words."""

    __slots__ = ("_floor", "_gap_frames", "_loud_frames", "_loud_until", "_previous", "spoken_frames")

    def __init__(self) -> None:
        self.spoken_frames = 0
        """Frames of speech so far: those between words count, those after the last word do not."""
        self._gap_frames = 0
        self._floor = MOST_NOISE_DBFS
        self._previous: float | None = None
        self._loud_frames = 0
        self._loud_until = -math.inf

    def update(self, level_dbfs: float, *, now: float) -> bool:
        """Take in the level of the frame at `now`; whether somebody is speaking."""
        self._follow_noise(level_dbfs, now)
        if level_dbfs < max(self._floor + SPEECH_OVER_NOISE_DB, LEAST_SPEECH_DBFS):
            self._loud_frames = 0
        else:
            self._loud_frames += 1
        if self._loud_frames >= ATTACK_FRAMES:
            self._loud_until = now + HOLD_S
        speaking = self.speaking(now=now)
        self._count(speaking)
        return speaking

    def _count(self, speaking: bool) -> None:
        if self._loud_frames == ATTACK_FRAMES:  # so those before were speech as well, and no pause
            self.spoken_frames += max(self._gap_frames, ATTACK_FRAMES - 1) + 1
            self._gap_frames = 0
        elif self._loud_frames > ATTACK_FRAMES:
            self.spoken_frames += 1
        else:
            self._gap_frames = self._gap_frames + 1 if speaking else 0

    def speaking(self, *, now: float) -> bool:
        """Whether somebody is speaking, also when no frames come any more."""
        return now < self._loud_until

    def _follow_noise(self, level_dbfs: float, now: float) -> None:
        elapsed = 0.0 if self._previous is None else max(now - self._previous, 0.0)
        self._previous = now
        risen = min(self._floor + FLOOR_RISE_DB_PER_S * elapsed, MOST_NOISE_DBFS)
        self._floor = max(min(level_dbfs, risen), SILENCE_DBFS)
