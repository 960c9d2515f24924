"""Voice activation: of what a microphone gives, only speech is passed on, with what came just before it.

What is not speech becomes digital silence, frame for frame, so that whoever counts packets sees no difference.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from tuiconf.media.levels import SpeakingDetector, rms_dbfs
from tuiconf.media.opus import SAMPLE_RATE, Pcm

# How much of what came before speech was noticed is passed on with it: everything is heard so much later. An «f» or
# «s» at the beginning of a word is far quieter than its vowel and lasts up to a tenth of a second. With our samples in
# a room of -50 dBFS, 60 ms cut off first sounds of up to -47 dBFS, 80 ms of -52, and 100 ms none.
LOOK_BACK_FRAMES: Final = 5


class VoiceGate:
    """Give it every frame of 20 ms, in order. Pure.

    It closes when there was no speech for `levels.HOLD_S`, which is longer than the gaps between words. The step from
    silence to the noise of a room and back is spread over one frame: it would be heard as a click.
    """

    def __init__(self, *, frame_samples: int) -> None:
        self._frame_s = frame_samples / SAMPLE_RATE
        self._silence: Pcm = np.zeros(frame_samples, np.float32)
        self._silence.setflags(write=False)
        self._fade_in: Pcm = np.arange(1, frame_samples + 1, dtype=np.float32) / np.float32(frame_samples)
        self._detector = SpeakingDetector()
        self._frames = 0
        self._held: deque[Pcm] = deque()
        self._open_frames = 0  # so many more of the held ones, and of those to come, are passed on
        self._was_open = False

    def frame(self, pcm: Pcm) -> Pcm:
        """What to send in place of this frame: the one of `LOOK_BACK_FRAMES` ago if it is of speech, or silence."""
        self._listen(pcm)
        self._held.append(pcm)
        if len(self._held) <= LOOK_BACK_FRAMES:
            return self._silence
        due = self._held.popleft()
        was_open, self._was_open = self._was_open, self._open_frames > 0
        if self._was_open:
            return due if was_open else due * self._fade_in
        return due * self._fade_in[::-1] if was_open else self._silence

    def hear(self, pcm: Pcm) -> None:
        """A frame that is sent in any case, or in none: the room is learnt from it, and nothing of it is kept."""
        self._listen(pcm)
        self._held.clear()
        self._was_open = False

    def _listen(self, pcm: Pcm) -> None:
        self._frames += 1
        speaking = self._detector.update(rms_dbfs(pcm), now=self._frames * self._frame_s)
        self._open_frames = LOOK_BACK_FRAMES + 1 if speaking else max(self._open_frames - 1, 0)
