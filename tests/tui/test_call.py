"""The call screen: what it shows of the call, and what its keys and its chat do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from textual.events import Paste
from textual.geometry import Region

from tests.tui.support import (
    ADA,
    AUDIO,
    BEN,
    MARA,
    ME,
    NOW,
    ROBIN,
    ZOE,
    FakeControl,
    FakeTerminal,
    chat,
    levels,
    make_app,
    refused,
    running,
    screen_text,
    state,
    stats,
    until,
)
from tuiconf.commands import COMMANDS
from tuiconf.config import Keys, Tui
from tuiconf.control import schema
from tuiconf.control.events import (
    ChatReceived,
    EpochChanged,
    Knocked,
    KnockEnded,
    ParticipantJoined,
    ParticipantLeft,
    Reconnecting,
    RecordingChanged,
    StatusChanged,
    TrustChanged,
    Undecryptable,
)
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.widgets.banner import Banner
from tuiconf.tui.widgets.chat_input import ChatInput, Completions
from tuiconf.tui.widgets.chat_log import ChatLog
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.tui.widgets.roster import Roster
from tuiconf.tui.widgets.status import StatusBar
from tuiconf.tui.widgets.title import TitleBar


def kinds(control: FakeControl) -> list[str]:
    """What was asked of the engine after the beginning."""
    return [type(request).__name__ for request in control.asked[3:]]


def value(app: TuiconfApp) -> str:
    """What stands in the chat's field."""
    return app.screen.query_one(ChatInput).field.value


async def test_the_roster_follows_what_happens() -> None:
    control = FakeControl(state(participants=(ADA, ME)))
    async with running(make_app(control)) as (app, pilot):
        roster = app.screen.query_one(Roster)
        await until(pilot, lambda: "Ada" in roster.text)
        control.happen(ParticipantJoined(participant=MARA, epoch=8))
        await until(pilot, lambda: "Mara      new" in roster.text)
        control.happen(TrustChanged(participant=msgspec.structs.replace(MARA, trust="verified")))
        control.happen(StatusChanged(participant=msgspec.structs.replace(ADA, muted=True, hand=True)))
        await until(pilot, lambda: "Mara      verified" in roster.text and "muted Ada" in roster.text)
        control.happen(levels(mara=-12.0))
        await until(pilot, lambda: "▄▄▄▄  Mara" in roster.text)
        control.happen(ParticipantLeft(participant=MARA, epoch=9, reason="left"))
        await until(pilot, lambda: "Mara" not in roster.text)


async def test_only_the_cells_of_a_meter_that_moves_are_painted() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        roster = app.screen.query_one(Roster)
        control.happen(levels(ada=-20.0))
        await until(pilot, lambda: "▄▄▄" in roster.text)
        painted: list[Region] = []
        refresh = roster.refresh

        def remember(*regions: Region, **options: Any) -> Roster:
            painted.extend(regions)
            return refresh(*regions, **options)

        roster.refresh = remember  # type: ignore[method-assign]
        control.happen(levels(ada=-20.0, ben=-60.0, mara=-59.0))  # the same, to the eye
        control.happen(stats())
        await until(pilot, lambda: app.model.stats is not None)
        await pilot.pause(0.2)
        painted.clear()
        control.happen(levels(ada=-1.0))
        await until(pilot, lambda: painted != [])
        assert painted == [Region(3, 3, 2, 1)]


async def test_warnings_stay_as_long_as_they_hold() -> None:
    control = FakeControl(state(participants=(ADA, BEN, ME)))
    async with running(make_app(control)) as (app, pilot):
        banner = app.screen.query_one(Banner)
        assert not banner.display
        control.happen(Undecryptable(active=True, frames=1), Knocked(caller=ROBIN))
        await until(pilot, lambda: banner.text.count("\n") == 1)
        assert "UNREADABLE" in screen_text(app) and "Robin, new to you, waits" in screen_text(app)
        recording = StatusChanged(participant=msgspec.structs.replace(BEN, recording=True))
        changed = TrustChanged(participant=msgspec.structs.replace(ADA, trust="changed"))
        control.happen(Reconnecting(), recording, changed)
        await until(pilot, lambda: "+2 more" in banner.text)
        assert banner.text.startswith("CHANGED       Ada is not who you knew")
        control.happen(Undecryptable(active=False, frames=0), KnockEnded(caller=ROBIN, reason="denied"))
        control.happen(StatusChanged(participant=BEN), TrustChanged(participant=ADA))
        await until(pilot, lambda: banner.text.startswith("RECONNECTING"))
        assert "through the relay" not in app.screen.query_one(StatusBar).text


async def test_a_new_epoch_is_shown_with_its_code() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        control.happen(EpochChanged(epoch=8, security_code="11111 22222 33333 44444 55555 66666"))
        await until(pilot, lambda: "epoch 8  code 11111 …" in app.screen.query_one(TitleBar).text)


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("m", ["Mute"]),
        ("e", ["Deafen"]),
        ("h", ["HandRaise"]),
    ],
)
async def test_keys_do_what_they_say(key: str, asked: list[str]) -> None:
    control = FakeControl()
    async with running(make_app(control)) as (_, pilot):
        await pilot.press(key)
        await until(pilot, lambda: kinds(control) == asked)


async def test_the_same_keys_take_it_back() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        for key in "meh":
            await pilot.press(key)
        await until(pilot, lambda: app.model.me is not None and app.model.me.hand)
        for key in "meh":
            await pilot.press(key)
        await until(pilot, lambda: kinds(control)[3:] == ["Unmute", "Undeafen", "HandLower"])


async def test_recording_is_asked_about_before_and_stops_at_once() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        await pilot.press("r")
        assert kinds(control) == []
        await pilot.press("y")
        await until(pilot, lambda: kinds(control) == ["RecordStart"])
        control.happen(RecordingChanged(active=True, folder="f"))
        await until(pilot, lambda: "You record this call" in screen_text(app))
        await pilot.press("r")
        await until(pilot, lambda: kinds(control) == ["RecordStart", "RecordStop"])


@pytest.mark.parametrize(
    ("key", "screen"),
    [
        ("v", "VerifyScreen"),
        ("p", "ParticipantsScreen"),
        ("l", "LobbyScreen"),
        ("d", "DevicesScreen"),
        ("s", "SettingsScreen"),
        ("i", "StatisticsScreen"),
        ("question_mark", "HelpScreen"),
        ("q", "LeavingScreen"),
        ("ctrl+c", "LeavingScreen"),
        ("ctrl+q", "LeavingScreen"),
    ],
)
async def test_each_page_has_a_key(key: str, screen: str) -> None:
    async with running(make_app()) as (app, pilot):
        await pilot.press(key)
        assert type(app.screen).__name__ == screen


async def test_the_foot_shows_the_keys_that_are_bound() -> None:
    control = FakeControl()
    async with running(make_app(control, settings=Tui(keys=Keys(mute="x", chat="t")))) as (app, pilot):
        hints = app.screen.query_one(KeyLine)
        assert ("x", "mute") in hints.hints and ("t", "chat") in hints.hints
        assert "t to write" in screen_text(app)
        await pilot.press("m")
        assert kinds(control) == []
        await pilot.press("x")
        await until(pilot, lambda: kinds(control) == ["Mute"])
        await pilot.press("t")
        assert ("Enter", "send") in hints.hints


# --- chat


@pytest.mark.parametrize("key", ["c", "enter", "tab", "slash"])
async def test_the_chat_is_opened_and_left(key: str) -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        await pilot.press(key)
        opened = app.screen.query_one(ChatInput).active
        assert value(app) == ("/" if key == "slash" else "")
        await pilot.press("escape", "m")
        assert (opened, app.screen.query_one(ChatInput).active) == (True, False)
        await until(pilot, lambda: kinds(control) == ["Mute"])


async def test_what_is_typed_is_said_keys_included_and_shown() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        await pilot.press("c", *"mute", "space", *"q?", "enter")
        await until(pilot, lambda: "Jules  mute q?" in app.screen.query_one(ChatLog).text)
        assert control.asked_for(schema.ChatSend)[0].text == "mute q?"
        assert value(app) == "" and app.screen.query_one(ChatInput).active
        await pilot.press("enter")  # nothing to say: back to the call
        assert not app.screen.query_one(ChatInput).active


async def test_all_lines_of_a_paste_are_one_line_of_chat_wherever_one_is() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        app.screen.post_message(Paste("\none\n  two\r\nthree\n"))
        await until(pilot, lambda: value(app) == "one two three")
        assert app.screen.query_one(ChatInput).active
        await pilot.press("left", "left")
        app.screen.query_one(ChatInput).field.post_message(Paste("x\ny"))
        await until(pilot, lambda: value(app) == "one two thrx yee")
        assert not control.asked_for(schema.ChatSend)


async def test_of_a_paste_that_is_too_long_it_is_said_how_much_was_taken() -> None:
    async with running(make_app(FakeControl()), notifications=True) as (app, pilot):
        app.screen.post_message(Paste("a" * (schema.MAX_CHAT_CHARACTERS + 1)))
        await until(pilot, lambda: "4000" in screen_text(app))
        assert len(value(app)) == schema.MAX_CHAT_CHARACTERS


async def test_help_that_is_typed_lists_the_keys_of_the_call_and_of_one_command_its_meaning() -> None:
    async with running(make_app(FakeControl()), notifications=True) as (app, pilot):
        await pilot.press("c", *"/help", "enter")
        await until(pilot, lambda: "Mute yourself" in screen_text(app))
        assert "Move cursor" not in screen_text(app)
        await pilot.press("escape", "c", *"/help mute", "enter")
        await until(pilot, lambda: "/mute: send nothing of" in screen_text(app))
        await pilot.press(*"/chat", "enter")
        await until(pilot, lambda: "PgUp go back in the chat" in screen_text(app))
        assert not app.screen.query_one(ChatInput).active


async def test_of_completions_that_do_not_fit_their_number_is_told() -> None:
    async with running(make_app(FakeControl())) as (app, pilot):
        await pilot.press("slash")
        shown = app.screen.query_one(Completions)
        await until(pilot, lambda: "/mute" in shown.text)
        words = shown.text.split()
        assert words[-1] == f"+{len(COMMANDS) - len(words) + 1}"


async def test_what_could_not_be_said_stays() -> None:
    control = FakeControl(answers={schema.ChatSend: refused("not in a call")})
    async with running(make_app(control)) as (app, pilot):
        await pilot.press("c", *"hello", "enter")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert value(app) == "hello"


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("/unmute", schema.Unmute()),
        ("/lobby everyone", schema.LobbySet(lobby="everyone")),
        ("/admit Robin", schema.Admit(caller="Robin")),
        ("/remove Mara", schema.Remove(participant="Mara")),
        ("/play a.wav", schema.Play(path="a.wav")),
        ("/record", schema.RecordStart()),
        ("/leave", schema.Leave()),
    ],
)
async def test_commands_are_those_of_plain_lines(line: str, request_: schema.AnyRequest) -> None:
    playing = schema.Playing(number=1)
    control = FakeControl(answers={schema.Play: playing, schema.RecordStart: RecordingChanged(active=True, folder="f")})
    async with running(make_app(control)) as (app, pilot):
        app.screen.query_one(ChatInput).open(line)
        await pilot.press("enter")
        await until(pilot, lambda: request_ in control.asked)
        await until(pilot, lambda: value(app) == "")


@pytest.mark.parametrize(
    ("line", "screen"),
    [
        ("/code", "VerifyScreen"),
        ("/who", "ParticipantsScreen"),
        ("/devices", "DevicesScreen"),
        ("/stats", "StatisticsScreen"),
        ("/help", "HelpScreen"),
        ("/link", "LinkScreen"),
        ("/level", "DevicesScreen"),
        ("/peers", "ParticipantsScreen"),
        ("/peers Mara", "SafetyScreen"),
        ("/verify Mara", "SafetyScreen"),
    ],
)
async def test_commands_that_ask_for_something_to_see_open_its_page(line: str, screen: str) -> None:
    async with running(make_app()) as (app, pilot):
        app.screen.query_one(ChatInput).open(line)
        await pilot.press("enter")
        await until(pilot, lambda: type(app.screen).__name__ == screen)
        await pilot.press("escape")
        assert value(app) == ""


async def test_the_link_is_shown_only_when_it_is_asked_for() -> None:
    async with running(make_app()) as (app, pilot):
        assert "tuiconf://" not in screen_text(app)
        app.open("link")
        await until(pilot, lambda: "tuiconf://relay.example/standup#" in screen_text(app))
        assert "tc1-stan-dup2" in screen_text(app)


async def test_detach_is_a_command_too() -> None:
    async with running(make_app()) as (app, pilot):
        app.screen.query_one(ChatInput).open("/detach")
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None and app.return_value.how == "detached")


async def test_a_command_that_is_none_says_so_and_stays() -> None:
    control = FakeControl()
    async with running(make_app(control)) as (app, pilot):
        await pilot.press("slash", *"mutee", "enter")
        await until(pilot, lambda: any("/mute" in one.message for one in app._notifications))
        assert value(app) == "/mutee" and kinds(control) == []


async def test_tab_completes_commands_and_names() -> None:
    async with running(make_app()) as (app, pilot):
        offered = app.screen.query_one(Completions)
        await pilot.press("slash", *"unm")
        await until(pilot, lambda: offered.display and offered.text.startswith("/unmute"))
        await pilot.press("tab")
        assert value(app) == "/unmute"
        app.screen.query_one(ChatInput).clear()
        await pilot.press(*"/remove ")
        await until(pilot, lambda: "Ada" in offered.text and "Mara" in offered.text)
        await pilot.press("tab")
        first = value(app)
        await pilot.press("tab")
        second = value(app)
        await pilot.press("shift+tab")
        assert first != second and value(app) == first
        app.screen.query_one(ChatInput).clear()
        await pilot.press(*"hi @ma", "tab")
        assert value(app) == "hi @Mara "
        app.screen.query_one(ChatInput).clear()
        await until(pilot, lambda: not offered.display)


async def test_the_last_line_is_seen_unless_one_has_scrolled_back() -> None:
    lines = tuple(chat(number, ADA, f"line {number}") for number in range(60))
    control = FakeControl(state(chat=lines))
    async with running(make_app(control)) as (app, pilot):
        await until(pilot, lambda: "line 59" in screen_text(app))
        control.happen(ChatReceived(participant=ADA, text="newest"))
        await until(pilot, lambda: "newest" in screen_text(app))
        await pilot.press("pageup", "up")
        await until(pilot, lambda: "newest" not in screen_text(app))
        control.happen(ChatReceived(participant=ADA, text="unseen"))
        await until(pilot, lambda: "unseen" in app.screen.query_one(ChatLog).text)
        assert "unseen" not in screen_text(app)
        await pilot.press("end")
        await until(pilot, lambda: "unseen" in screen_text(app))
        await pilot.press("down", "pagedown")


# --- any window


SIZES = [(40, 12), (60, 20), (80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_at_every_size_the_most_important_is_there(size: tuple[int, int]) -> None:
    async with running(make_app(), size=size) as (app, pilot):
        await until(pilot, lambda: "numbers" in screen_text(app))
        shown = screen_text(app)
        for word in ("standup", "encrypted", "epoch 7", "Zoe", "CHANGED", "LIVE", "c to write", "? help", "q quit"):
            assert word in shown


async def test_the_window_may_change_at_any_time() -> None:
    async with running(make_app()) as (app, pilot):
        for size in [*SIZES, (20, 6), (1, 1), (3, 50), (300, 4), (80, 24)]:
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await until(pilot, lambda: "numbers" in screen_text(app) and "LIVE" in screen_text(app))
        assert "CHANGED" in app.screen.query_one(Roster).text


async def test_a_thousand_people_take_no_more_room_than_there_is() -> None:
    crowd = tuple(msgspec.structs.replace(BEN, leaf=10 + at, name=f"Guest {at}") for at in range(1000))
    async with running(make_app(FakeControl(state(participants=(ADA, ME, *crowd))))) as (app, pilot):
        roster = app.screen.query_one(Roster)
        await until(pilot, lambda: "more" in roster.text)
        assert roster.text.splitlines()[0].split() == ["Jules", "you"]
        assert roster.text.count("\n") + 1 == roster.size.height


async def test_names_that_would_move_the_cursor_do_not() -> None:
    evil = msgspec.structs.replace(MARA, name="\x1b]0;\x07\u202e[red]")
    control = FakeControl(state(participants=(ADA, evil, ME), chat=(chat(0, evil, "[b]\x1b[31mhi\x9b2J"),)))
    async with running(make_app(control)) as (app, pilot):
        await until(pilot, lambda: "hi·2J" in screen_text(app))
        shown = screen_text(app)
        assert "[red]" in shown and "[b]" in shown
        assert not any((char < " " and char != "\n") or char in "\x7f\x9b\u202e" for char in shown)


async def test_without_motion_nothing_moves_but_words() -> None:
    control = FakeControl()
    async with running(make_app(control, terminal=FakeTerminal(motion=False))) as (app, pilot):
        control.happen(levels(ada=-20.0))
        await until(pilot, lambda: "talks Ada" in screen_text(app))
        assert "▄" not in screen_text(app)


async def test_the_place_for_pictures_takes_no_room_yet() -> None:
    async with running(make_app()) as (app, _):
        assert app.screen.query_one("#pictures").size.height == 0


async def test_chat_of_before_is_there_with_its_times_or_without() -> None:
    async with running(make_app(settings=Tui(timestamps=False))) as (app, pilot):
        await until(pilot, lambda: "Fine with me" in screen_text(app))
        assert "12:2" not in screen_text(app)
    async with running(make_app(FakeControl(state(chat=(chat(0, ZOE, "at noon"),))))) as (app, pilot):
        await until(pilot, lambda: "12:20 Zoe  at noon" in screen_text(app))
    assert NOW > 0 and AUDIO.live
