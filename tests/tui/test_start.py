"""From the start screen into a call: by a link, a room from before, a new room, or a call that runs here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from textual.events import Paste
from textual.widgets import Input

from tests.tui.showing import PREPARED, Shown
from tests.tui.support import RECENT, FakeControl, FakeLauncher, make_app, running, state, until
from tuiconf.control import schema
from tuiconf.errors import UsageError
from tuiconf.tui.launcher import RecentRoom, RelayUnknown
from tuiconf.tui.screens.check import CheckScreen
from tuiconf.tui.screens.start import StartScreen, start_rows
from tuiconf.tui.widgets.rows import Rows

LINK = "tuiconf://relay.example/standup#c2VjcmV0c2VjcmV0c2VjcmV0"
PIN = "pinpinpinpinpinpinpinpinpinpinpinpinpinpinp"


@contextlib.asynccontextmanager
async def _started(launcher: FakeLauncher, size: tuple[int, int] = (80, 24)) -> AsyncGenerator[Shown]:
    control = FakeControl(state=state(**PREPARED))
    async with running(make_app(control, call=None, launcher=launcher), size) as (app, pilot):
        yield Shown(app, pilot, control, launcher, [])


def _is_on(there: Shown, kind: type) -> Callable[[], bool]:
    return lambda: isinstance(there.app.screen, kind)


@dataclass
class SlowLauncher(FakeLauncher):
    """Reaches a relay when it is told to."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def join(self, where: str) -> str:
        """As slow as a relay can be."""
        call = await super().join(where)
        await self.reached.wait()
        return call


async def test_a_pasted_link_leads_to_the_device_check() -> None:
    async with _started(FakeLauncher(rooms=())) as there:
        assert isinstance(there.app.focused, Input)
        there.app.post_message(Paste(LINK + "\n"))
        await there.press("enter")
        await until(there.pilot, _is_on(there, CheckScreen))
        assert there.launcher.done == [("join", LINK)]


async def test_a_link_is_pasted_into_its_place_wherever_one_is() -> None:
    async with _started(FakeLauncher()) as there:
        assert isinstance(there.app.focused, Rows)
        there.app.post_message(Paste(LINK))
        await until(there.pilot, lambda: isinstance(there.app.focused, Input))
        assert there.app.screen.query_one(Input).value == LINK


async def test_a_link_that_was_copied_in_several_lines_is_one() -> None:
    async with _started(FakeLauncher(rooms=())) as there:
        there.app.screen.query_one(Input).post_message(Paste("\ntuiconf://relay.example/stand\nup#c2VjcmV0\n"))
        await until(there.pilot, lambda: "tuiconf://relay.example/standup#c2VjcmV0" in there.text)


async def test_a_wrong_link_is_one_sentence_and_what_was_typed_stays() -> None:
    error = UsageError("the link has no secret after '#': copy all of it, and put it in quotes")
    async with _started(FakeLauncher(rooms=(), error=error)) as there:
        there.app.screen.query_one(Input).value = "relay.example/standup"
        await there.press("enter")
        await until(there.pilot, lambda: "The link has no secret after '#'" in there.text)
        assert isinstance(there.app.screen, StartScreen)
        assert there.app.screen.query_one(Input).value == "relay.example/standup"
        await there.press("x")
        assert "no secret" not in there.text


async def test_an_empty_link_says_what_to_do() -> None:
    async with _started(FakeLauncher(rooms=())) as there:
        await there.press("enter")
        assert "Paste a link here" in there.text
        assert there.launcher.done == []


async def test_enter_on_a_recent_room_joins_it_by_its_reference() -> None:
    async with _started(FakeLauncher()) as there:
        assert "standup" in there.text
        assert "reading group" in there.text
        await there.press("down", "enter")
        await until(there.pilot, _is_on(there, CheckScreen))
        assert there.launcher.done == [("join", "r2")]


async def test_a_room_is_forgotten_only_when_asked_twice() -> None:
    async with _started(FakeLauncher()) as there:
        await there.press("x", "enter", "n")
        assert there.launcher.done == []
        await there.press("x", "y")
        assert there.launcher.done == [("forget", "r1")]
        await until(there.pilot, lambda: "standup" not in there.text)


async def test_a_call_that_runs_here_is_attached_to_and_not_started() -> None:
    async with _started(FakeLauncher(calls=("k3f9",))) as there:
        assert "k3f9" in there.text
        await there.press("enter")
        await until(there.pilot, _is_on(there, CheckScreen))
        assert there.launcher.done == []
        assert there.control.asked_for(schema.Attach)


async def test_a_call_that_is_gone_meanwhile_is_one_sentence() -> None:
    async with _started(FakeLauncher(calls=("k3f9",))) as there:
        there.control.closed = True
        await there.press("enter")
        await until(there.pilot, lambda: "The engine does not answer" in there.text)


async def test_a_room_is_hosted_on_a_relay_with_a_name_and_a_lobby() -> None:
    async with _started(FakeLauncher()) as there:
        await there.press("n")
        await there.press("down", "up", *"relay.example", "enter", *"tea", "down", "down", "enter")
        await until(there.pilot, _is_on(there, CheckScreen))
        assert there.launcher.done == [("host", "relay.example", "tea", "unknown")]


async def test_a_room_without_a_relay_is_not_hosted() -> None:
    async with _started(FakeLauncher()) as there:
        await there.press("n", "enter", "enter", "enter")
        assert "A room needs a relay" in there.text
        await there.press("escape")
        assert isinstance(there.app.screen, StartScreen)
        assert there.launcher.done == []


async def test_the_pin_of_an_unknown_relay_is_shown_and_asked_about() -> None:
    async with _started(FakeLauncher(unknown=RelayUnknown("relay.example:4433", PIN))) as there:
        await there.press("enter")
        await until(there.pilot, lambda: PIN in there.text)
        assert "relay.example:4433" in there.text
        await there.press("y")
        await until(there.pilot, _is_on(there, CheckScreen))
        assert there.launcher.done == [("join", "r1"), ("accept", "relay.example:4433"), ("join", "r1")]


async def test_a_relay_whose_pin_is_wrong_is_not_joined() -> None:
    async with _started(FakeLauncher(unknown=RelayUnknown("relay.example:4433", PIN))) as there:
        await there.press("enter")
        await until(there.pilot, lambda: PIN in there.text)
        await there.press("enter", "n")
        assert "Not joined" in there.text
        assert there.launcher.done == [("join", "r1")]


async def test_escape_stops_what_is_being_started_and_its_engine_is_not_left_behind() -> None:
    launcher = SlowLauncher()
    async with _started(launcher) as there:
        await there.press("enter")
        await until(there.pilot, lambda: "Reaching the relay" in there.text)
        await there.press("escape")
        assert "Stopped. Nobody was called." in there.text
        launcher.reached.set()
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.Leave)))
        assert isinstance(there.app.screen, StartScreen)
        assert there.control.closed


async def test_while_one_call_is_started_keys_still_work_and_no_second_is() -> None:
    launcher = SlowLauncher()
    async with _started(launcher) as there:
        await there.press("enter", "down", "enter", "n")
        assert launcher.done == [("join", "r1")]
        assert there.app.screen.query_one(Rows).key == "room r2"


async def test_q_ends_without_a_question() -> None:
    async with _started(FakeLauncher()) as there:
        await there.press("q")
        await until(there.pilot, lambda: there.app.return_value is not None)
        assert there.app.return_value is not None
        assert there.app.return_value.how == "quit"


async def test_all_of_it_can_be_reached_in_a_small_window() -> None:
    async with _started(FakeLauncher(calls=("k3f9",)), size=(40, 12)) as there:
        for wanted in ("Link or invite code", "k3f9", "standup", "reading group", "Host a new room", "quit"):
            assert wanted in there.text


async def test_settings_and_help_are_there_before_any_call() -> None:
    async with _started(FakeLauncher()) as there:
        await there.press("s")
        assert "Theme" in there.text
        await there.press("escape", "question_mark")
        assert "Host a room" in there.text


def test_a_room_of_others_words_is_a_row_like_any_other() -> None:
    evil: Any = RecentRoom(room="\x1b[2J", relay="r", last_joined=0.0, ref="r9")
    rows = start_rows(FakeLauncher(rooms=(*RECENT, evil)), now=0.0)
    assert [row.key for row in rows] == ["", "room r1", "room r2", "room r9", "", "host"]
