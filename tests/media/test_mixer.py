"""The mix is the sum while it fits, and never leaves ±1; levels and the speaking mark follow the sound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.speech import speech_frames, speech_pcm
from tuiconf.media import levels
from tuiconf.media.levels import HOLD_S, SILENCE_DBFS, SpeakingDetector, rms_dbfs
from tuiconf.media.mixer import KNEE, mix
from tuiconf.media.opus import Pcm


def _sine(amplitude: float, hertz: float = 440.0) -> Pcm:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(960) / 48_000)).astype(np.float32)


def test_voices_that_fit_are_added_exactly() -> None:
    a, b, c = _sine(0.2), _sine(0.2, 300), _sine(0.2, 1000)
    assert np.array_equal(mix([a, b, c]), a + b + c)
    assert np.array_equal(mix([a]), a)


def test_the_mix_is_fresh_and_its_parts_stay_as_they_were() -> None:
    a, b = _sine(0.9), _sine(0.9)
    before = a.copy()
    out = mix([a, b])
    out[:] = 0
    assert np.array_equal(a, before)
    assert mix([a]) is not a


def test_no_voices_are_silence() -> None:
    assert np.array_equal(mix([], samples=480), np.zeros(480, np.float32))


def test_each_participant_has_a_gain() -> None:
    a, b = _sine(0.3), _sine(0.3, 300)
    assert np.allclose(mix([a, b], gains=[0.5, 0.0]), a * 0.5)


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=6), st.integers(0, 1000))
def test_the_mix_never_leaves_full_scale_and_never_folds_over(gains: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [rng.uniform(-1, 1, 960).astype(np.float32) for _ in gains]
    out = mix(frames, gains=gains)
    total = np.sum([frame * np.float32(gain) for frame, gain in zip(frames, gains, strict=True)], axis=0)
    assert np.abs(out).max() <= 1.0
    order = np.argsort(total)
    assert (np.diff(out[order]) >= -1e-6).all()  # louder stays louder
    small = np.abs(total) < KNEE * 0.99
    assert np.allclose(out[small], total[small], atol=1e-5)


def test_the_limiter_has_no_memory() -> None:
    loud, soft = _sine(2.0), _sine(0.1)
    first = mix([soft])
    mix([loud])
    assert np.array_equal(mix([soft]), first)


def test_nonsense_from_one_participant_is_silenced() -> None:
    broken = _sine(0.3)
    broken[100], broken[200], broken[300] = np.nan, np.inf, -np.inf
    out = mix([broken, _sine(0.3, 300)])
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 1.0


def test_levels_are_in_decibels_of_full_scale() -> None:
    assert rms_dbfs(np.ones(960, np.float32)) == pytest.approx(0.0)
    assert rms_dbfs(_sine(1.0, 500)) == pytest.approx(-3.01, abs=0.05)
    assert rms_dbfs(np.zeros(960, np.float32)) == SILENCE_DBFS


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_nonsense_has_a_level_too(value: float) -> None:
    frame = np.full(960, value, np.float32)
    assert rms_dbfs(frame) >= SILENCE_DBFS
    assert rms_dbfs(np.zeros(0, np.float32)) == SILENCE_DBFS


def _marks(frames: list[Pcm]) -> list[bool]:
    detector = SpeakingDetector()
    return [detector.update(rms_dbfs(frame), now=tick * 0.02) for tick, frame in enumerate(frames)]


def test_speech_is_marked_and_its_gaps_do_not_make_the_mark_flicker() -> None:
    marks = _marks(speech_frames(12.0))
    loud = [rms_dbfs(frame) > -30 for frame in speech_frames(12.0)]
    assert sum(mark for mark, is_loud in zip(marks, loud, strict=True) if is_loud) > 0.9 * sum(loud)
    assert sum(a != b for a, b in itertools.pairwise(marks)) <= 20


def test_speech_over_a_noisy_room_is_marked_and_the_room_alone_is_not() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.normal(0, 0.01, 960).astype(np.float32) for _ in range(600)]  # −40 dBFS
    assert sum(_marks(noise)) == 0
    speech = speech_frames(12.0)
    both = _marks([*noise, *(a + b for a, b in zip(speech, noise, strict=False))])
    assert sum(both[600:]) > 300


def test_a_click_is_not_speech() -> None:
    frames = [np.zeros(960, np.float32)] * 50
    frames[20] = _sine(0.9)
    assert not any(_marks(frames))


def test_the_mark_goes_out_when_no_frames_come_any_more() -> None:
    detector = SpeakingDetector()
    for tick in range(50):
        detector.update(-90.0 if tick < 40 else -20.0, now=tick * 0.02)
    assert detector.speaking(now=1.0)
    assert not detector.speaking(now=1.0 + HOLD_S)


def test_the_speech_that_tests_use_is_speech() -> None:
    assert levels.rms_dbfs(speech_pcm()) > -30
