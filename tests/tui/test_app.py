"""The app: connecting, keeping up with what happens, talking, and how it ends."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

import msgspec
import pytest
from textual.events import AppBlur

from tests.tui.support import (
    ADA,
    AUDIO,
    BEN,
    ME,
    FakeControl,
    FakeLauncher,
    FakeTerminal,
    levels,
    make_app,
    refused,
    running,
    screen_text,
    state,
    until,
)
from tuiconf.conference.events import LeftReason
from tuiconf.config import Keys, Tui
from tuiconf.control import schema
from tuiconf.control.client import EngineGone
from tuiconf.control.events import NAMES, EventsMissed, Failed, Joined, Left, ParticipantJoined
from tuiconf.tui import talking
from tuiconf.tui.app import SCREENS, TuiconfApp, make_screen
from tuiconf.tui.outcome import Outcome
from tuiconf.tui.terminal.events import BackgroundKnown, KeyReleased, KeyReleasesKnown


def toasts(app: TuiconfApp) -> list[str]:
    """What was said in passing."""
    return [notification.message for notification in app._notifications]


@pytest.mark.parametrize("name", list(SCREENS))
def test_there_is_every_screen_that_is_named(name: str) -> None:
    assert type(make_screen(name)).__name__ == SCREENS[name][1]


async def test_it_attaches_and_asks_for_all_that_happens_after_the_state() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, _):
        assert [type(request).__name__ for request in control.asked[:3]] == ["Attach", "GetState", "Subscribe"]
        (subscribed,) = control.asked_for(schema.Subscribe)
        assert subscribed.since == 10 and set(subscribed.events) == NAMES
        assert type(app.screen).__name__ == "CallScreen"


async def test_without_a_call_it_begins_with_the_start_screen() -> None:
    async with running(make_app(call=None, launcher=FakeLauncher())) as (app, _):
        assert type(app.screen).__name__ == "StartScreen"
        assert app.control is None


async def test_a_prepared_call_shows_its_check_and_once_begun_the_call() -> None:
    control = FakeControl(state(phase="ready", me=None, participants=(), epoch=None, security_code=None))
    async with running(make_app(control)) as (app, pilot):
        assert type(app.screen).__name__ == "CheckScreen"
        control.state = state(seq=20)
        control.happen(Joined(epoch=7, security_code="1", me=ME, participants=(ADA, ME)))
        await until(pilot, lambda: type(app.screen).__name__ == "CallScreen")
        assert len(app.screen_stack) == 2  # nothing of the check is left below


@pytest.mark.parametrize(
    ("settings", "asked", "muted"),
    [
        (Tui(), [schema.Join], False),
        (Tui(talk="hold"), [schema.Join], True),
        (Tui(talk="voice"), [schema.AudioSet, schema.Join], False),
    ],
)
async def test_a_call_begins_in_the_way_of_talking_that_is_set(settings: Tui, asked: list[type], muted: bool) -> None:
    control = FakeControl()
    async with running(make_app(control, settings=settings)) as (app, _):
        control.asked.clear()
        assert await app.begin_call(muted=False)
        assert [type(request) for request in control.asked] == asked
        assert control.asked_for(schema.Join)[0].muted is muted


async def test_nobody_answers() -> None:
    control = FakeControl()
    control.closed = True
    async with running(make_app(control)) as (app, pilot):
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == Outcome(how="failed", message="the engine does not answer")


async def test_what_was_missed_is_asked_for_anew() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        control.state = state(seq=50, participants=(ADA, ME))
        control.happen(EventsMissed(events=3, levels=0))
        await until(pilot, lambda: len(app.model.people) == 2)
        assert len(control.asked_for(schema.GetState)) == 2


async def test_many_events_are_one_repaint() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        shown: list[Any] = []
        app.screen.refresh_model = shown.append  # type: ignore[attr-defined]
        app.pace_s = 30.0
        app._shown_at = 0.0
        await pilot.pause()
        control.happen(*(levels(ada=-20.0 - step) for step in range(20)))
        await until(pilot, lambda: app.model.levels is not None and app.model.levels.others[0].dbfs == -39.0)
        assert len(shown) <= 2


async def test_a_request_that_is_refused_is_told_and_gives_nothing() -> None:
    control = FakeControl(answers={schema.Lock: refused("Only hosts may do that\x1b[2J")})
    async with running(make_app(control)) as (app, pilot):
        assert await app.do(schema.Lock()) is None
        await pilot.pause()
        assert toasts(app) == ["Only hosts may do that·[2J"]
        assert await app.do(schema.Mute()) is not None


async def test_what_happens_is_told_in_passing_and_as_text_not_as_markup() -> None:
    control = FakeControl()
    async with running(make_app(control), notifications=True) as (app, pilot):
        bold = msgspec.structs.replace(BEN, leaf=9, name="[b]Kim[/b]")
        control.happen(ParticipantJoined(participant=bold, epoch=8))
        await until(pilot, lambda: "[b]Kim[/b] joined, known," in screen_text(app))


# --- how it ends


@pytest.mark.parametrize(
    ("events", "outcome", "code"),
    [
        ([Left(reason=LeftReason.LEFT)], Outcome(how="left", message="left"), 0),
        (
            [Left(reason=LeftReason.REMOVED)],
            Outcome(how="removed", message="you were removed by the host"),
            1,
        ),
        (
            [Failed(code="relay", message="the relay is full", fatal=True), Left(reason=LeftReason.FAILED)],
            Outcome(how="failed", message="the relay is full"),
            1,
        ),
    ],
)
async def test_the_end_of_the_call_is_the_end_of_the_app(events: list[Any], outcome: Outcome, code: int) -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        control.happen(*events)
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == outcome
        assert outcome.exit_code == code


async def test_a_fault_of_ours_is_told_without_what_the_program_knew(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(secret: str) -> None:
        raise ZeroDivisionError(secret)

    with pytest.raises(ZeroDivisionError):
        async with running(make_app()) as (app, pilot):
            app.call_later(fail, "tuiconf://relay/room#secret")
            await until(pilot, lambda: not app.is_running)
    told = " ".join(capsys.readouterr().err.split())
    assert "please report it" in told and "tuiconf attach standup" in told
    assert "secret" not in told


@pytest.mark.parametrize("how", ["events", "request"])
async def test_an_engine_that_is_gone_is_told_and_is_a_failure(how: str) -> None:
    control = FakeControl(answers={schema.Mute: EngineGone("the engine is gone")})
    async with running(make_app(control)) as (app, pilot):
        if how == "events":
            control.end()
        else:
            await pilot.press("m")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value is not None
        assert app.return_value.how == "failed" and app.return_value.exit_code == 1
        assert "the call is over" in app.return_value.message


@pytest.mark.parametrize(("live", "said"), [(True, "you can still be heard"), (False, "you are muted")])
async def test_whoever_detaches_is_told_whether_they_are_heard(live: bool, said: str) -> None:
    control = FakeControl(state(audio=msgspec.structs.replace(AUDIO, live=live, muted=not live)))
    async with running(make_app(control)) as (app, pilot):
        await app.detach()
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value is not None and app.return_value.how == "detached"
        assert said in app.return_value.message and "tuiconf attach standup" in app.return_value.message
        assert control.asked_for(schema.Detach)


async def test_told_to_end_it_leaves_and_told_twice_without_a_goodbye() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.end()
        app.end()
        await until(pilot, lambda: len(control.asked_for(schema.Leave)) == 2)
        assert [request.now for request in control.asked_for(schema.Leave)] == [False, True]


async def test_without_a_call_to_end_is_just_to_end() -> None:
    async with running(make_app(call=None)) as (app, pilot):
        app.end()
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == Outcome(how="quit")


@pytest.mark.parametrize(("key", "kind"), [("l", schema.Leave), ("d", schema.Detach)])
async def test_q_asks_whether_to_leave_or_to_detach(key: str, kind: type) -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        await pilot.press("q")
        assert type(app.screen).__name__ == "LeavingScreen"
        assert not control.asked_for(kind)
        await pilot.press(key)
        await until(pilot, lambda: bool(control.asked_for(kind)))


# --- talking


async def keys_of_talking(control: FakeControl) -> list[str]:
    """What was asked of the microphone; that the key is still down is nothing new."""
    kinds = (schema.PushToTalkDown, schema.PushToTalkUp)
    asked = [
        type(request).__name__.removeprefix("PushToTalk") for request in control.asked if isinstance(request, kinds)
    ]
    return [kind for kind, _ in groupby(asked)]


async def test_with_key_releases_one_is_live_while_the_key_is_held() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.pause()
        assert app.talk_words[0] == "hold space to talk"
        await pilot.press("space", "space")  # a press, and its repeat
        app.post_message(KeyReleased("x"))
        await pilot.pause()
        assert await keys_of_talking(control) == ["Down"]
        app.post_message(KeyReleased("space"))
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))


async def test_without_them_silence_follows_when_the_key_no_longer_repeats() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=False))
        await pilot.pause()
        await pilot.press("space")
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkDown)))
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))
        assert "a moment later" in app.talk_words[0]


async def test_in_tmux_the_key_switches_whatever_the_terminal_claims() -> None:
    control = FakeControl()
    async with running(make_app(control, terminal=FakeTerminal(multiplexer="tmux"))) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.pause()
        assert app.talk_words[0] == "space to talk, space to stop"
        await pilot.press("space")
        app.post_message(KeyReleased("space"))
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkDown)))
        await until(pilot, lambda: "talking while the key is down" in screen_text(app))
        assert not control.asked_for(schema.PushToTalkUp)


async def test_while_the_key_is_down_that_is_said_again_so_that_an_interface_that_hangs_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(talking, "SAY_AGAIN_S", 0.05)
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.press("space")
        await until(pilot, lambda: len(control.asked_for(schema.PushToTalkDown)) >= 3)
        assert {request.renew_s for request in control.asked_for(schema.PushToTalkDown)} == {talking.RENEW_S}
        app.post_message(KeyReleased("space"))
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))
        await asyncio.sleep(0.2)
        assert await keys_of_talking(control) == ["Down", "Up"]


async def test_an_interface_that_has_hung_while_the_key_was_down_does_not_switch_the_microphone_on_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(talking, "RENEW_S", 0.0)  # as if the last time it was said were longer ago
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.press("space")
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))
        assert await keys_of_talking(control) == ["Down", "Up"]


@pytest.mark.parametrize("how", ["blur", "dialog"])
async def test_whoever_cannot_see_the_key_go_up_ends_it(how: str) -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.press("space")
        if how == "blur":
            app.post_message(AppBlur())
        else:
            app.open("help")
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))
        assert await keys_of_talking(control) == ["Down", "Up"]


async def test_the_talk_key_can_be_another() -> None:
    control = FakeControl()
    async with running(make_app(control, settings=Tui(keys=Keys(talk="#")))) as (app, pilot):
        app.post_message(KeyReleasesKnown(supported=True))
        await pilot.press("number_sign")
        app.post_message(KeyReleased("number_sign"))
        await until(pilot, lambda: bool(control.asked_for(schema.PushToTalkUp)))
        await pilot.press("space")
        assert await keys_of_talking(control) == ["Down", "Up"]


# --- how it looks


@pytest.mark.parametrize(
    ("settings", "terminal", "theme"),
    [
        (Tui(), FakeTerminal(), "tuiconf-dark"),
        (Tui(), FakeTerminal(dark=False), "tuiconf-light"),
        (Tui(), FakeTerminal(colours="16"), "tuiconf-ansi"),
        (Tui(theme="light"), FakeTerminal(colours="16"), "tuiconf-ansi"),
        (Tui(theme="light"), FakeTerminal(), "tuiconf-light"),
        (Tui(theme="ansi"), FakeTerminal(), "tuiconf-ansi"),
        (Tui(theme="none"), FakeTerminal(), "tuiconf-none"),
        (Tui(theme="dark"), FakeTerminal(colours="none"), "tuiconf-none"),
    ],
)
def test_the_theme_is_what_is_set_as_far_as_the_terminal_can(settings: Tui, terminal: FakeTerminal, theme: str) -> None:
    assert make_app(settings=settings, terminal=terminal).theme == theme


async def test_the_background_that_the_terminal_tells_decides() -> None:
    async with running(make_app()) as (app, pilot):
        app.post_message(BackgroundKnown(dark=False))
        await until(pilot, lambda: app.theme == "tuiconf-light")


async def test_without_colour_there_is_none() -> None:
    app = make_app(terminal=FakeTerminal(colours="none"))
    async with running(app) as (app, pilot):
        await pilot.press("c", "/", "m")
        styles = {segment.style for strip in app.screen._compositor.render_strips() for segment in strip}
        colours = {colour for style in styles if style for colour in (style.color, style.bgcolor) if colour}
        assert all(colour.is_default for colour in colours)


@pytest.mark.parametrize("name", sorted(set(SCREENS) - {"start", "check"}))
async def test_in_ascii_there_is_nothing_else_on_any_screen(name: str) -> None:
    settings = Tui(ascii=True)
    app = make_app(settings=settings, launcher=FakeLauncher())
    async with running(app, notifications=True) as (app, pilot):
        if name != "call":
            app.open(name)
        app.tell("Zoë – joined …")
        for _ in range(3):
            await pilot.pause()
        await asyncio.sleep(0)
        assert screen_text(app).replace("\n", "").isascii()
