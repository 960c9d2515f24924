"""The sound to try a loudspeaker with: short, no louder than speech, and without clicks."""

from __future__ import annotations

import numpy as np

from tuiconf.media.chime import chime
from tuiconf.media.opus import SAMPLE_RATE


def test_it_is_heard_startles_nobody_and_ends_in_silence() -> None:
    frames = chime(960)
    assert {len(frame) for frame in frames} == {960}
    sound = np.concatenate(frames)
    assert 1.0 < len(sound) / SAMPLE_RATE < 1.5
    assert 0.05 < np.abs(sound).max() < 0.25
    assert np.abs(np.diff(sound)).max() < 0.03
    assert max(abs(sound[0]), abs(sound[-1])) < 1e-3
