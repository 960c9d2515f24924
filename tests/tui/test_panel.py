"""A page covers the call: what is so there, and whether one is heard, is seen on its first line."""

from __future__ import annotations

import pytest

from tests.tui.showing import PREPARED, shown
from tests.tui.support import ADA, BEN, ME, ROBIN, FakeControl, make_app, running, screen_text, state, until
from tuiconf.config import Tui
from tuiconf.control.events import Knocked, Reconnecting
from tuiconf.tui.screens.panel import TitleLine


async def test_whether_one_is_heard_is_seen_and_follows_the_key() -> None:
    async with shown("devices") as there:
        assert there.text.splitlines()[0].endswith(" LIVE")
        await there.press("m")
        await until(there.pilot, lambda: there.text.splitlines()[0].endswith(" MUTED"))


async def test_warnings_of_the_call_are_there_in_words() -> None:
    control = FakeControl(state(participants=(ADA, BEN, ME), me=ADA))
    async with shown("statistics", control) as there:
        assert there.text.splitlines()[0].split()[:2] == ["Statistics", "in"]
        control.happen(Reconnecting(), Knocked(caller=ROBIN))
        await until(there.pilot, lambda: "RECONNECTING  KNOCK" in there.text.splitlines()[0])


async def test_before_the_call_begins_nobody_is_said_to_be_heard() -> None:
    async with shown("devices", FakeControl(state(**PREPARED))) as there:
        assert there.text.splitlines()[0].split() == ["Devices"]


@pytest.mark.parametrize("theme", ["dark", "light", "ansi", "none"])
async def test_in_a_small_window_the_gravest_warning_is_there_whole(theme: str) -> None:
    control = FakeControl(state(callers=(ROBIN,)))
    async with running(make_app(control, settings=Tui(theme=theme)), (40, 12)) as (app, pilot):  # type: ignore[arg-type]
        app.open("participants")
        await pilot.pause()
        first = screen_text(app).splitlines()[0]
        assert first.split()[:2] == ["Participants", "CHANGED"]
        assert first.endswith(" LIVE")
        assert app.screen.query_one(TitleLine).text == "Participants 5 people CHANGED KNOCK LIVE"
