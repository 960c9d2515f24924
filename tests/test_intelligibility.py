"""The measure of speech must itself be right before anything is judged by it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.intelligibility import STOI_RATES, Samples, align, find, read, score
from tuiconf.speech import samples


@pytest.fixture(scope="module")
def speech() -> Samples:
    return read(samples()[0])


@pytest.mark.parametrize("shift", [0, 1, 12_345, 100_000])
def test_a_delayed_copy_is_found_and_scores_one(speech: Samples, shift: int) -> None:
    recording = np.concatenate([np.zeros(shift, np.float32), speech * 0.5, np.zeros(5000, np.float32)])
    assert find(speech, recording) == shift
    assert score(speech, recording) == pytest.approx(1.0, abs=1e-3)


def test_a_recording_that_began_late_is_found_too(speech: Samples) -> None:
    recording = speech[30_000:]
    assert find(speech, recording) == -30_000
    a, b = align(speech, recording)
    assert np.array_equal(a, b)


@pytest.mark.parametrize("rate", STOI_RATES)
def test_more_noise_and_more_holes_score_lower_at_every_rate(speech: Samples, rate: int) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, float(speech.std()), len(speech)).astype(np.float32)
    scores = [score(speech, speech + level * noise, rate=rate) for level in (0.0, 0.3, 1.0, 3.0, 10.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.999 and scores[-1] < 0.6
    holes = speech.copy().reshape(-1)
    for at in range(0, len(holes), 9600):
        holes[at : at + 2880] = 0
    assert score(speech, holes, rate=rate) < 0.95


def test_another_voice_is_not_mistaken_for_this_one(speech: Samples) -> None:
    assert score(speech, read(samples()[1])) < 0.5


def test_what_shares_less_than_a_second_has_no_score(speech: Samples) -> None:
    with pytest.raises(ValueError, match="less than a second"):
        score(speech, speech[:20_000])
