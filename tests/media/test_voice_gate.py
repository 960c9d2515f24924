"""Voice activation on real speech: no syllable is cut, nothing of a quiet room is passed on, no frame is missing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.speech import speech_frames
from tuiconf.media import opus
from tuiconf.media.levels import HOLD_S, rms_dbfs
from tuiconf.media.opus import Pcm
from tuiconf.media.voice_gate import LOOK_BACK_FRAMES, VoiceGate

FRAME = 960
SECOND = 50


def _gate() -> VoiceGate:
    return VoiceGate(frame_samples=FRAME)


def _silence(frames: int) -> list[Pcm]:
    return [np.zeros(FRAME, np.float32)] * frames


def _room(frames: int, dbfs: float, seed: int = 1) -> list[Pcm]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal(FRAME) * 10 ** (dbfs / 20)).astype(np.float32) for _ in range(frames)]


def _passed(gate: VoiceGate, frames: list[Pcm]) -> list[Pcm]:
    """What the gate gave for each of them."""
    given = [*frames, *_silence(LOOK_BACK_FRAMES)]
    return [gate.frame(frame) for frame in given][LOOK_BACK_FRAMES:]


@pytest.mark.parametrize("room_dbfs", [-60.0, -50.0, -45.0])
@pytest.mark.parametrize("voice_db", [0.0, -10.0])
def test_nothing_of_what_is_said_is_cut_off(room_dbfs: float, voice_db: float) -> None:
    gain = np.float32(10 ** (voice_db / 20))
    spoken = [*_silence(SECOND), *(frame * gain for frame in speech_frames(12)), *_silence(SECOND)]
    heard = [voice + noise for voice, noise in zip(spoken, _room(len(spoken), room_dbfs), strict=True)]
    passed = _passed(_gate(), heard)
    lost = [voice for voice, out in zip(spoken, passed, strict=True) if not out.any()]
    assert max(rms_dbfs(voice) for voice in lost) < min(room_dbfs, -60.0)


def test_what_is_passed_on_is_unchanged_but_for_a_fade_at_both_ends() -> None:
    spoken = speech_frames(6)
    passed = _passed(_gate(), [*_silence(SECOND), *spoken])[SECOND:]
    changed = [
        not np.array_equal(voice, out) for voice, out in zip(spoken, passed, strict=True) if out.any() and voice.any()
    ]
    turns = sum(a.any() != b.any() for a, b in itertools.pairwise(passed))
    assert sum(changed) <= turns + 1


@pytest.mark.parametrize("dbfs", [-70.0, -55.0, -45.0, -35.0])
def test_the_noise_of_a_room_is_not_passed_on(dbfs: float) -> None:
    passed = _passed(_gate(), _room(20 * SECOND, dbfs))
    assert not any(out.any() for out in passed)


def test_a_click_is_not_speech() -> None:
    click = np.zeros(FRAME, np.float32)
    click[400:420] = 0.9
    passed = _passed(_gate(), [*_room(SECOND, -60), click, *_room(SECOND, -60, seed=2)])
    assert not any(out.any() for out in passed)


def test_it_closes_a_moment_after_the_last_word_and_not_between_two() -> None:
    tone = [(0.2 * np.sin(np.arange(FRAME) / 10)).astype(np.float32)]
    gap = round(HOLD_S * SECOND) - 2
    words = [*_silence(SECOND), *tone * 10, *_silence(gap), *tone * 10]
    passed = _passed(_gate(), [*words, *_silence(2 * SECOND)])
    is_open = [bool(out.any()) for out in passed]
    assert all(is_open[SECOND + 1 : SECOND + 10]) and all(is_open[SECOND + 11 + gap : len(words)])
    room = _room(2 * SECOND, -60)
    after = _passed(_gate(), [*_room(SECOND, -60), *tone * 10, *room])[SECOND + 10 :]
    held = sum(bool(out.any()) for out in after)
    assert held * 0.02 == pytest.approx(HOLD_S, abs=0.041)
    assert all(out.any() for out in after[:held])


def test_what_was_heard_while_nothing_was_to_be_sent_is_never_sent() -> None:
    gate, spoken = _gate(), speech_frames(4)
    for frame in spoken:
        gate.hear(frame)
    passed = [gate.frame(frame) for frame in _silence(LOOK_BACK_FRAMES + 30)]
    assert not any(out.any() for out in passed)


def test_there_is_no_click_between_silence_and_a_noisy_room() -> None:
    tone = [(0.2 * np.sin(np.arange(FRAME) / 10)).astype(np.float32)] * 20
    passed = np.concatenate(_passed(_gate(), [*_room(SECOND, -45), *tone, *_room(SECOND, -45)]))
    edges = np.flatnonzero(np.diff((passed != 0).astype(np.int8)))
    assert len(edges) >= 2
    assert max(abs(passed[edge]) + abs(passed[edge + 1]) for edge in (edges[0], edges[-1])) < 10 ** (-60 / 20)


def test_speech_and_silence_are_packets_of_one_size(libopus: opus.Opus) -> None:
    """What a constant bit rate is for: sizes and times of packets do not tell when somebody speaks."""
    gate, encoder = _gate(), opus.Encoder(libopus)
    frames = [gate.frame(frame) for frame in [*_silence(SECOND), *speech_frames(4), *_silence(2 * SECOND)]]
    assert any(frame.any() for frame in frames) and not all(frame.any() for frame in frames)
    assert len({len(encoder.encode(frame)) for frame in frames}) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1e-4, 0.3, np.nan, np.inf])), max_size=80))
def test_for_every_frame_there_is_one(steps: list[tuple[bool, float]]) -> None:
    gate = _gate()
    for through, value in steps:
        frame = np.full(FRAME, value, np.float32)
        if through:
            assert gate.frame(frame).shape == (FRAME,)
        else:
            gate.hear(frame)
