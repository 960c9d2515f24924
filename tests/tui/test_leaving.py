"""`q` asks whether to leave or to detach, and what it says of either is true."""

from __future__ import annotations

import msgspec
import pytest

from tests.tui.showing import PREPARED, shown
from tests.tui.support import ADA, AUDIO, BEN, ME, FakeControl, state, until
from tuiconf.control import schema
from tuiconf.tui.screens.leaving import choices, fate


def _audio(**changes: object) -> schema.State:
    return state(audio=msgspec.structs.replace(AUDIO, **changes))


async def test_enter_leaves_and_escape_stays() -> None:
    async with shown("leaving") as there:
        assert "Leave the call?" in there.text
        await there.press("enter")
        assert there.results == ["leave"]
    async with shown("leaving") as there:
        await there.press("escape")
        assert there.results == [None]


async def test_q_in_the_call_asks_and_leaving_tells_the_engine() -> None:
    async with shown(None) as there:
        await there.press("q")
        assert "Leave the call?" in there.text
        await there.press("l")
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.Leave)))


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
async def test_the_keys_that_end_programs_ask_on_every_page_and_pressed_again_leave(key: str) -> None:
    async with shown("devices") as there:
        await there.press(key)
        assert "Leave the call?" in there.text
        assert there.control.asked_for(schema.Leave) == []
        await there.press(key)
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.Leave)))


async def test_letters_choose_without_the_list() -> None:
    async with shown("leaving") as there:
        await there.press("d")
        assert there.results == ["detach"]


async def test_whoever_is_live_is_told_that_they_stay_heard_and_can_mute_first() -> None:
    async with shown("leaving") as there:
        assert "ARE STILL HEARD" in there.text
        await there.press("down", "enter")
        await until(there.pilot, lambda: there.results == ["detach"])
        assert there.control.asked_for(schema.Mute)


async def test_detaching_quietly_waits_for_the_engine_to_say_that_nobody_hears_one() -> None:
    control = FakeControl(answers={schema.Mute: schema.Done()})
    async with shown("leaving", control) as there:
        await there.press("down", "enter")
        assert there.results == []
        control.happen(msgspec.structs.replace(AUDIO, muted=True, live=False))
        await until(there.pilot, lambda: there.results == ["detach"])


async def test_whoever_is_muted_is_told_that_nobody_hears_them() -> None:
    async with shown("leaving", FakeControl(state=_audio(muted=True, live=False))) as there:
        assert "you stay muted" in there.text
        assert "STILL HEARD" not in there.text
        await there.press("down", "enter")
        assert there.results == ["detach"]


async def test_the_text_follows_when_one_is_muted_meanwhile() -> None:
    async with shown("leaving") as there:
        there.control.happen(msgspec.structs.replace(AUDIO, muted=True, live=False))
        await until(there.pilot, lambda: "you stay muted" in there.text)


def test_a_pause_in_speech_is_not_being_muted() -> None:
    quiet = _audio(voice_activation=True, live=False)
    assert any("STILL HEARD whenever you speak" in sentence for sentence in fate(quiet))
    assert ("quietly", "Mute, and detach") in choices(quiet)
    held = _audio(muted=True, push_to_talk=True, live=True)  # the key goes up with this connection
    assert any("you stay muted" in sentence for sentence in fate(held))


def test_the_only_host_is_told_who_follows_and_how_to_hand_over() -> None:
    me = msgspec.structs.replace(ME, host=True)
    alone = state(me=me, participants=(msgspec.structs.replace(ADA, host=False), BEN, me))
    assert any(
        "only host" in sentence and "p, then o" in sentence for sentence in fate(alone, "p, then o, hands over.")
    )
    with_another = state(me=me, participants=(ADA, BEN, me))
    assert not any("only host" in sentence for sentence in fate(with_another))
    nobody = state(me=me, participants=(me,))
    assert any("You are alone" in sentence for sentence in fate(nobody))


def test_a_call_that_has_not_begun_is_given_up() -> None:
    assert choices(state(**PREPARED))[0] == ("leave", "Give it up: the call has not begun")
