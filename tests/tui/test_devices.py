"""Devices: what is chosen is used at once, and what one hears of oneself is seen."""

from __future__ import annotations

import msgspec

from tests.tui.showing import shown
from tests.tui.support import AUDIO, FakeControl, levels, refused, state, until
from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.tui.screens.devices import device_rows, talking

MICROPHONE = schema.Device(name="Mic", spec="device:Mic", default=True, stable=True)
TWIN = schema.Device(name="Twin", spec=None, default=False, stable=True)


async def test_devices_are_listed_and_the_one_in_use_is_marked() -> None:
    async with shown("devices") as there:
        await until(there.pilot, lambda: "USB headset" in there.text)
        assert "● default (Built-in microphone)" in there.text
        assert "Built-in speakers" in there.text


async def test_enter_uses_an_input_and_an_output() -> None:
    async with shown("devices") as there:
        await until(there.pilot, lambda: "USB headset" in there.text)
        await there.press("down", "down", "enter", "end", "enter")
        asked = there.control.asked_for(schema.AudioSet)
        assert [(one.input, one.output) for one in asked] == [("device:USB headset", None), (None, "null")]


async def test_what_another_window_chooses_is_marked_here() -> None:
    async with shown("devices") as there:
        await until(there.pilot, lambda: "USB headset" in there.text)
        there.control.happen(msgspec.structs.replace(AUDIO, input="device:USB headset"))
        await until(there.pilot, lambda: "● USB headset" in there.text)


async def test_the_gain_moves_in_steps_and_ends_where_the_engine_ends() -> None:
    async with shown("devices") as there:
        await there.press("plus", "right", "minus", "left")
        assert [one.gain_db for one in there.control.asked_for(schema.AudioSet)] == [1.0, 1.0, -1.0, -1.0]
    loudest = FakeControl(state=state(audio=msgspec.structs.replace(AUDIO, gain_db=24.0)))
    async with shown("devices", loudest) as there:
        await there.press("plus")
        assert [one.gain_db for one in there.control.asked_for(schema.AudioSet)] == [24.0]


async def test_ones_own_level_is_seen() -> None:
    async with shown("devices") as there:
        there.control.happen(levels(own=-18.0))
        await until(there.pilot, lambda: "-18 dB" in there.text)


async def test_talking_goes_from_a_key_to_holding_to_the_voice() -> None:
    async with shown("devices") as there:
        await there.press("t")
        assert "while a key is held" in there.text
        assert there.control.asked_for(schema.Mute)  # holding begins with silence
        assert [one.voice_activation for one in there.control.asked_for(schema.AudioSet)] == [False]
        await there.press("t")
        assert [one.voice_activation for one in there.control.asked_for(schema.AudioSet)] == [False, True]
        assert there.launcher.done == [("save", "tui", "talk", "hold"), ("save", "tui", "talk", "voice")]


async def test_a_way_of_talking_that_the_engine_refuses_is_not_taken() -> None:
    control = FakeControl(answers={schema.AudioSet: refused("no")})
    async with shown("devices", control, settings=Tui(talk="hold")) as there:
        await there.press("t")
        assert there.app.settings.talk == "hold"
        assert there.launcher.done == []


async def test_why_there_are_no_devices_is_told() -> None:
    none = schema.Devices(inputs=(), outputs=(), problem="the sound system does not answer")
    control = FakeControl(answers={schema.GetDevices: none})
    async with shown("devices", control) as there:
        await until(there.pilot, lambda: "the sound system does not answer" in there.text)
        assert "none: you are not heard" in there.text
        await there.press("r")
        assert len(control.asked_for(schema.GetDevices)) == 2


async def test_a_device_that_its_name_does_not_tell_apart_is_not_chosen() -> None:
    twins = schema.Devices(inputs=(TWIN,), outputs=())
    async with shown("devices", FakeControl(answers={schema.GetDevices: twins})) as there:
        await until(there.pilot, lambda: "Twin" in there.text)
        await there.press("down", "enter")
        assert there.control.asked_for(schema.AudioSet) == []
        assert "does not tell it from another" in there.text


def test_whatever_else_is_in_use_is_listed_as_well() -> None:
    rows = device_rows("input", (MICROPHONE,), "talk.ogg")
    assert [row.key for row in rows] == ["input default", "input device:Mic", "input null", "input talk.ogg"]
    assert rows[-1].cells[0].text == "●"


def test_how_one_is_heard_is_told_as_it_is_in_effect() -> None:
    by_voice = msgspec.structs.replace(AUDIO, voice_activation=True)
    assert talking("voice", by_voice) == "whenever you speak"
    assert talking("voice", AUDIO) == "whenever you speak (off in this call)"
    assert talking("toggle", by_voice) == "on and off with a key, and whenever you speak"
