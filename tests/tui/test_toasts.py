"""What is said in passing leaves the call to be seen, whoever makes things happen."""

from __future__ import annotations

import pytest

from tests.tui.support import ADA, MARA, ME, ROBIN, FakeControl, make_app, running, screen_text, state, until
from tuiconf.control.events import Knocked, MuteRequested, ParticipantJoined, Person
from tuiconf.tui.app import make_screen
from tuiconf.tui.screens.safety import SafetyScreen
from tuiconf.tui.toasts import MOST, Severity, Toast, latest

CROWD = tuple(
    Person(leaf=10 + nth, name=f"Guest {nth}", fingerprint=f"{nth:04}-bbbb", host=False, trust="new")
    for nth in range(60)
)


def _toast(text: str, severity: Severity = "information") -> Toast:
    return Toast(text=text, severity=severity, until=1.0)


def test_the_last_are_kept_and_warnings_longer_than_the_rest() -> None:
    said = [_toast("a"), _toast("b", "warning"), _toast("c"), _toast("d", "error"), _toast("e")]
    assert [toast.text for toast in latest(said, 3)] == ["b", "d", "e"]
    assert [toast.text for toast in latest(said[:4], 1)] == ["d"]
    assert latest(said[:1], 3) == said[:1]


async def test_a_crowd_that_joins_covers_no_more_than_a_few_do_and_hides_no_warning() -> None:
    control = FakeControl(state(participants=(ADA, ME)))
    async with running(make_app(control), notifications=True) as (app, pilot):
        control.happen(*(ParticipantJoined(participant=who, epoch=8) for who in CROWD))
        control.happen(MuteRequested(by=MARA))
        await until(pilot, lambda: "asked for quiet" in screen_text(app))
        await until(pilot, lambda: "Guest 59 joined" in screen_text(app))
        assert screen_text(app).count(" joined, new") == MOST - 1
        assert "through the relay" in screen_text(app)


async def test_in_a_small_window_the_last_sentence_is_the_one_that_is_seen() -> None:
    control = FakeControl(state(participants=(ADA, ME)))
    async with running(make_app(control), (40, 12), notifications=True) as (app, pilot):
        control.happen(ParticipantJoined(participant=CROWD[0], epoch=8), MuteRequested(by=MARA))
        await until(pilot, lambda: "Mara asked for quiet" in screen_text(app))
        assert "Guest 0 joined" not in screen_text(app)


async def test_whoever_knocks_while_one_looks_at_another_page_is_told() -> None:
    async with running(make_app(control := FakeControl(state(me=ADA))), notifications=True) as (app, pilot):
        app.open("settings")
        await pilot.pause()
        control.happen(Knocked(caller=ROBIN))
        await until(pilot, lambda: "Robin knocks" in screen_text(app))
        assert "KNOCK" in screen_text(app).splitlines()[0]


async def test_in_the_call_a_knock_is_a_warning_and_nothing_besides() -> None:
    async with running(make_app(control := FakeControl(state(me=ADA))), notifications=True) as (app, pilot):
        control.happen(Knocked(caller=ROBIN))
        await until(pilot, lambda: "waits to be let in" in screen_text(app))
        assert "knocks" not in screen_text(app)


@pytest.mark.parametrize("page", ["verify", "safety"])
async def test_what_is_read_aloud_or_scanned_is_not_covered(page: str) -> None:
    async with running(make_app(control := FakeControl()), notifications=True) as (app, pilot):
        app.push_screen(SafetyScreen(MARA.leaf, name="Mara") if page == "safety" else make_screen(page))
        await pilot.pause()
        control.happen(ParticipantJoined(participant=CROWD[0], epoch=7))
        await until(pilot, lambda: "Guest 0 joined" in screen_text(app))
        lines = screen_text(app).splitlines()
        assert next(at for at, line in enumerate(lines) if "Guest 0 joined" in line) > 18
        assert lines[-1].endswith("Esc back")
