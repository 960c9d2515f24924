"""What a participant sends: whether, and what of the input, however it is muted, held, and activated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.speech import speech_frames
from tuiconf.adapters.audio import FRAME_SAMPLES, AudioError, Frame
from tuiconf.engine.outgoing import Outgoing
from tuiconf.media.opus import Pcm
from tuiconf.media.voice_gate import LOOK_BACK_FRAMES

QUIET = np.zeros(FRAME_SAMPLES, np.float32)


class Recorded:
    """A microphone that gives these frames, and silence after them."""

    label = "recorded"
    ended = False

    def __init__(self, frames: list[Pcm]) -> None:
        self._frames = itertools.chain(frames, itertools.repeat(QUIET))

    async def start(self) -> None:
        pass

    def frame(self) -> Frame | None:
        return next(self._frames)

    async def close(self) -> None:
        pass


async def microphone(frames: list[Pcm], *, voice_activation: bool = False) -> Outgoing:
    """What is sent of it."""
    outgoing = Outgoing(lambda *_: None)
    await outgoing.set_input(Recorded(frames), "recorded")
    outgoing.voice_activation = voice_activation
    return outgoing


def taken(outgoing: Outgoing, ticks: int) -> list[Pcm | None]:
    return [outgoing.frame() for _ in range(ticks)]


@pytest.mark.parametrize("muted", [False, True])
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("deafened", [False, True])
@pytest.mark.parametrize("held_back", [False, True])
@pytest.mark.parametrize("voice_activation", [False, True])
async def test_something_is_sent_exactly_when_it_is_said_to_be_live(
    muted: bool, key: bool, deafened: bool, held_back: bool, voice_activation: bool
) -> None:
    outgoing = await microphone([QUIET], voice_activation=voice_activation)
    outgoing.muted, outgoing.push_to_talk = muted, key
    outgoing.deafened, outgoing.held_back = deafened, held_back
    assert outgoing.live is ((not muted or key) and not deafened and not held_back)
    assert (outgoing.frame() is not None) is outgoing.live


async def test_with_voice_activation_there_is_a_frame_in_every_tick_and_only_speech_in_them() -> None:
    spoken = speech_frames(4)
    outgoing = await microphone([QUIET] * 50 + spoken, voice_activation=True)
    frames = taken(outgoing, 50 + len(spoken) + 100)
    assert all(frame is not None and frame.shape == (FRAME_SAMPLES,) for frame in frames)
    sounding = [bool(frame.any()) for frame in frames if frame is not None]
    assert not any(sounding[:50]) and any(sounding) and not any(sounding[-50:])


async def test_what_was_said_while_muted_is_not_sent_after_it() -> None:
    spoken = speech_frames(2)
    loud = max(range(len(spoken)), key=lambda at: float(np.abs(spoken[at]).sum()))
    outgoing = await microphone(spoken[:loud], voice_activation=True)
    outgoing.muted = True
    assert taken(outgoing, loud) == [None] * loud
    outgoing.muted = False
    assert not any(frame is not None and frame.any() for frame in taken(outgoing, LOOK_BACK_FRAMES + 50))


async def test_a_talk_key_sends_all_of_it_and_at_once() -> None:
    whisper = [np.full(FRAME_SAMPLES, 1e-4 * (1 + number), np.float32) for number in range(20)]
    outgoing = await microphone(whisper, voice_activation=True)
    outgoing.muted = outgoing.push_to_talk = True
    for expected, frame in zip(whisper, taken(outgoing, len(whisper)), strict=True):
        assert frame is not None and np.array_equal(frame, expected)


async def test_what_is_played_is_sent_though_nobody_speaks() -> None:
    tone = np.full(FRAME_SAMPLES, 0.25, np.float32)
    outgoing = await microphone([], voice_activation=True)
    await outgoing.play(Recorded([tone]), "a tone")
    frame = outgoing.frame()
    assert frame is not None and np.allclose(frame, tone)
    await outgoing.close()


async def test_the_input_is_measured_muted_or_not_and_with_its_gain() -> None:
    outgoing = await microphone([np.full(FRAME_SAMPLES, 0.1, np.float32)], voice_activation=True)
    outgoing.muted = outgoing.held_back = True
    outgoing.gain_db = -20.0
    frame = outgoing.own_frame()
    assert frame is not None and np.allclose(frame, 0.01)


async def test_an_input_that_cannot_be_opened_leaves_the_one_before() -> None:
    class Broken(Recorded):
        async def start(self) -> None:
            raise AudioError("no such microphone")

    outgoing = await microphone([np.full(FRAME_SAMPLES, 0.1, np.float32)])
    with pytest.raises(AudioError):
        await outgoing.set_input(Broken([]), "broken")
    assert outgoing.input_name == "recorded"
    frame = outgoing.frame()
    assert frame is not None and frame.any()
