"""The device check: nobody hears one until one says so."""

from __future__ import annotations

from typing import Any

from tests.tui.showing import PREPARED, shown
from tests.tui.support import FakeControl, FakeLauncher, levels, make_app, refused, running, state, until
from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.tui.screens.check import CheckScreen, device_name
from tuiconf.tui.screens.devices import DevicesScreen
from tuiconf.tui.screens.start import StartScreen


def _prepared(**changes: Any) -> FakeControl:
    return FakeControl(state=state(**PREPARED, **changes))


async def test_the_promise_the_room_and_the_devices_are_there() -> None:
    async with shown(None, _prepared()) as there:
        assert isinstance(there.app.screen, CheckScreen)
        await until(there.pilot, lambda: "default (Built-in microphone)" in there.text)
        assert "Nobody hears you until you say so" in there.text
        assert "room standup" in there.text
        assert "default (Built-in speakers)" in there.text
        assert not there.control.asked_for(schema.Join)


async def test_the_level_of_ones_own_microphone_moves() -> None:
    async with shown(None, _prepared()) as there:
        assert "no sound" in there.text
        there.control.happen(levels(own=-24.0))
        await until(there.pilot, lambda: "-24 dB" in there.text)


async def test_enter_joins_and_is_heard() -> None:
    async with shown(None, _prepared()) as there:
        await there.press("enter", "enter")
        assert [one.muted for one in there.control.asked_for(schema.Join)] == [False]


async def test_one_can_join_muted() -> None:
    async with shown(None, _prepared()) as there:
        await there.press("down", "enter")
        assert [one.muted for one in there.control.asked_for(schema.Join)] == [True]


async def test_whoever_holds_a_key_to_talk_joins_without_being_heard() -> None:
    async with shown(None, _prepared(), settings=Tui(talk="hold")) as there:
        assert "heard while space is held" in there.text
        await there.press("enter")
        assert [one.muted for one in there.control.asked_for(schema.Join)] == [True]


async def test_whoever_talks_by_voice_does_not_join_with_an_open_microphone_instead() -> None:
    control = _prepared()
    control.answers[schema.AudioSet] = refused("no")
    async with shown(None, control, settings=Tui(talk="voice")) as there:
        await there.press("enter")
        assert control.asked_for(schema.AudioSet)
        assert not control.asked_for(schema.Join)
        del control.answers[schema.AudioSet]
        await there.press("enter")
        assert control.asked_for(schema.Join)


async def test_other_devices_are_chosen_and_shown_here() -> None:
    async with shown(None, _prepared()) as there:
        await there.press("d")
        assert isinstance(there.app.screen, DevicesScreen)
        await there.press("escape")
        assert isinstance(there.app.screen, CheckScreen)


async def test_a_machine_without_sound_says_why() -> None:
    control = _prepared()
    control.answers[schema.GetDevices] = schema.Devices(inputs=(), outputs=(), problem="PortAudio is not installed")
    async with shown(None, control) as there:
        await until(there.pilot, lambda: "PortAudio is not installed" in there.text)


async def test_escape_ends_the_engine_and_goes_back_to_the_start() -> None:
    control = _prepared()
    async with running(make_app(control, call=None, launcher=FakeLauncher())) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CheckScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, StartScreen))
        assert [one.now for one in control.asked_for(schema.Leave)] == [True]
        assert control.closed
        assert app.control is None
        assert app.return_value is None


async def test_a_call_that_begins_elsewhere_is_shown() -> None:
    control = _prepared()
    async with shown(None, control) as there:
        from tuiconf.control.events import Waiting

        control.happen(Waiting())
        await until(there.pilot, lambda: not isinstance(there.app.screen, CheckScreen))


async def test_in_a_small_window_every_choice_and_the_promise_are_there() -> None:
    async with shown(None, _prepared(), size=(40, 12)) as there:
        for wanted in ("Nobody hears you", "Join, and be heard", "Join muted", "Other devices", "Back", "Esc back"):
            assert wanted in there.text


def test_a_device_goes_by_the_name_a_person_knows() -> None:
    headset = schema.Device(name="USB headset", spec="device:usb", default=False, stable=True)
    assert device_name("device:usb", (headset,)) == "USB headset"
    assert device_name("default", (headset,)) == "default"
    assert device_name("null", ()) == "none"
    assert device_name("talk.ogg", ()) == "talk.ogg"
