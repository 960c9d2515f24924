"""Where it begins: paste a link, take a room from before, host one, or come back to a call that runs here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Paste
from textual.widgets import Input, Static
from textual.worker import Worker

from tuiconf.errors import TuiconfError
from tuiconf.tui.keymap import bindings, shown
from tuiconf.tui.launcher import Launcher, RecentRoom, RelayUnknown
from tuiconf.tui.screens.base import ModelScreen
from tuiconf.tui.screens.giving_up import discard
from tuiconf.tui.screens.panel import LOW, TitleLine, said
from tuiconf.tui.screens.question import Question
from tuiconf.tui.screens.wording import ago
from tuiconf.tui.widgets.field import LinkField, joined
from tuiconf.tui.widgets.keyline import Hint, KeyLine
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows, Tone
from tuiconf.untrusted import visible

Begin = Callable[[], Awaitable[str]]

_COLUMNS: Final = (
    Column(cells=12, grows=True, most=36),
    Column(cells=14, grows=True, most=44, from_width=46),
    Column(cells=12, right=True, from_width=30),
)


class StartScreen(ModelScreen[None]):
    """What goes wrong is said below the link, and what was typed stays."""

    DEFAULT_CSS = """
    StartScreen KeyLine { margin-top: 1; }
    StartScreen.-low KeyLine { margin-top: 0; }
    StartScreen > .page { width: 100%; max-width: 120; height: 100%; }
    StartScreen .label { height: 1; margin-top: 1; padding: 0 1; color: $quiet; }
    StartScreen Input { margin: 0 1; height: 1; border: none; padding: 0 1; background: $surface; }
    StartScreen Input:focus { border: none; background: $panel; }
    StartScreen Input:ansi { text-style: underline; }
    StartScreen .said { height: auto; max-height: 3; min-height: 1; padding: 0 1; }
    StartScreen Rows { height: 1fr; }
    StartScreen.-low .label { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Stop what is being started, or go back to the list", show=False),
        Binding("n", "host", "Host a room", show=False),
        Binding("x,delete", "forget", "Forget a room", show=False),
        Binding("slash", "link", "Type or paste a link", show=False),
        *bindings("settings", "help", "quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._beginning: Worker[None] | None = None
        self._entering = False
        """The engine is there, and its call is about to be shown: too late to stop."""

    def compose(self) -> ComposeResult:
        """The page."""
        with Vertical(classes="page"):
            yield TitleLine("tuiconf", "end-to-end encrypted calls")
            yield Static("Link or invite code", classes="label")
            yield LinkField(placeholder="tuiconf://relay/room#secret", select_on_focus=False)
            yield Static(classes="said")
            yield Rows(_COLUMNS)
            yield KeyLine(self._hints())

    def on_mount(self) -> None:
        """What runs and what was joined before."""
        self._list()
        self.query_one(Rows if self.query_one(Rows).key and self._has_calls else Input).focus()

    def on_resize(self) -> None:
        """Lines between things only where there is room for them."""
        self.set_class(self.size.height < LOW, "-low")

    def on_descendant_focus(self) -> None:
        """Letters are letters while the link is typed."""
        self.query_one(KeyLine).show(self._hints())

    def on_paste(self, event: Paste) -> None:
        """A link goes where links go, wherever one is."""
        link = self.query_one(Input)
        if not link.has_focus:
            link.value = joined(event.text, LinkField.glue)
            link.focus()
            event.stop()

    def on_input_changed(self) -> None:
        """What was said of it is about what stood there before."""
        if self._beginning is None:
            self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the link."""
        where = event.value.strip()
        if not where:
            self._say("Paste a link here, or choose a room below.")
        elif (launcher := self.tui.launcher) is not None:
            self._begin(lambda: launcher.join(where), "Reaching the relay")

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Enter on a call, a room, or what else there is to do."""
        kind, _, ref = event.key.partition(" ")
        launcher = self.tui.launcher
        if kind == "call":
            self._return_to(ref)
        elif kind == "room" and launcher is not None:
            self._begin(lambda: launcher.join(ref), "Reaching the relay")
        elif kind == "host":
            self.action_host()

    def action_cancel(self) -> None:
        """Escape: stop beginning, or leave the link."""
        if self._beginning is None:
            self.query_one(Rows).focus()
        elif not self._entering:
            self._beginning.cancel()
            self._failed("")
            self._say("Stopped. Nobody was called.")

    def action_link(self) -> None:
        """To the link."""
        self.query_one(Input).focus()

    def action_host(self) -> None:
        """Ask which relay, and begin."""
        from tuiconf.tui.screens.hosting import Hosting, HostScreen

        def asked(wish: Hosting | None) -> None:
            launcher = self.tui.launcher
            if wish is not None and launcher is not None:
                self._begin(lambda: launcher.host(wish.relay, wish.room, wish.lobby), "Reaching the relay")

        if self._beginning is None:
            self.app.push_screen(HostScreen(), asked)

    def action_forget(self) -> None:
        """Asked first: the secret of the link is gone with it."""
        room = self._room
        if room is None:
            return

        def answered(sure: bool | None) -> None:
            if sure:
                self._forget(room)

        detail = "Its link is deleted from this machine: to come back, somebody has to send it again."
        self.app.push_screen(
            Question(f"Forget {visible(room.room)}?", details=(detail,), yes="forget", no="no"), answered
        )

    def action_settings(self) -> None:
        """How it looks."""
        from tuiconf.tui.screens.settings import SettingsScreen

        self.app.push_screen(SettingsScreen())

    def action_help(self) -> None:
        """The keys."""
        from tuiconf.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def action_quit(self) -> None:
        """There is no call, and no question."""
        self.tui.action_quit()

    # --- what is shown

    @property
    def _has_calls(self) -> bool:
        return any(row.key.startswith(("call ", "room ")) for row in self.query_one(Rows).rows)

    @property
    def _room(self) -> RecentRoom | None:
        key = self.query_one(Rows).key or ""
        rooms = self.tui.launcher.recent() if self.tui.launcher is not None else ()
        return next((room for room in rooms if key == f"room {room.ref}"), None)

    def _hints(self) -> Sequence[Hint]:
        if self._beginning is not None:
            return (("Esc", "stop"),)
        keys = self.tui.settings.keys
        if isinstance(self.focused, Input):
            return (("Enter", "join"), ("Tab", "rooms, host a room"), ("Esc", "back"))
        return (
            ("Enter", "join"),
            ("/", "link"),
            ("n", "host a room"),
            ("x", "forget"),
            (shown(keys.settings), "settings"),
            (shown(keys.help), "help"),
            (shown(keys.quit), "quit"),
        )

    def _say(self, text: str, tone: Tone = "plain") -> None:
        self.query_one(".said", Static).update(said(text, tone))

    def _list(self) -> None:
        try:
            rows = start_rows(self.tui.launcher, now=time.time())
        except TuiconfError as error:
            self._say(str(error), "bad")
            rows = [_HOST]
        self.query_one(Rows).show(rows)

    def _forget(self, room: RecentRoom) -> None:
        if self.tui.launcher is None:
            return
        try:
            self.tui.launcher.forget(room.ref)
        except TuiconfError as error:
            self._say(str(error), "bad")
        self._list()

    # --- what is begun

    def _begin(self, begin: Begin, doing: str, *, runs: bool = False) -> None:
        """One at a time; Escape stops it. `runs`: the call was there before, and goes on whatever happens here."""
        if self._beginning is not None:
            return
        self._say(f"{doing} …", "quiet")
        # A worker of the app: this screen is gone before it is done.
        self._beginning = self.app.run_worker(self._try(begin, doing, runs=runs), group="begin")
        self.query_one(KeyLine).show(self._hints())

    def _return_to(self, call: str) -> None:
        """To a call that runs on this machine."""

        async def there() -> str:
            return call

        self._begin(there, f"Coming back to {call}", runs=True)

    async def _try(self, begin: Begin, doing: str, *, runs: bool) -> None:
        try:
            call = await begin() if runs else await self._begun(begin)
            self._entering = True
            await self.tui.enter(call)
        except RelayUnknown as unknown:
            self._failed("")
            self._ask(unknown, begin, doing)
        except TuiconfError as error:
            self._failed(_sentence(error))
            self._list()

    def _failed(self, why: str) -> None:
        self._beginning, self._entering = None, False
        self._say(why, "bad")
        self.query_one(KeyLine).show(self._hints())

    async def _begun(self, begin: Begin) -> str:
        """The call's name. An engine that starts although nobody waits for it any more is not left running."""
        starting = asyncio.ensure_future(begin())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._discard)
            raise

    def _discard(self, started: asyncio.Future[str]) -> None:
        if not started.cancelled() and started.exception() is None:
            self.app.run_worker(discard(self.tui, started.result()), group="giving up")

    def _ask(self, unknown: RelayUnknown, begin: Begin, doing: str) -> None:
        def answered(right: bool | None) -> None:
            if right:
                self._begin(lambda: self._accept(unknown, begin), doing)
            else:
                self._say("Not joined: the relay was not accepted.")

        details = (
            "Compare its pin with the one its operator gives. If it is not the same, somebody stands in between.",
            unknown.pin,
        )
        question = f"{visible(unknown.address)} was never used from here. Is this its pin?"
        self.app.push_screen(Question(question, details=details, yes="it is the same", no="it is not"), answered)

    async def _accept(self, unknown: RelayUnknown, begin: Begin) -> str:
        if self.tui.launcher is not None:
            await self.tui.launcher.accept_relay(unknown)
        return await begin()


_HOST: Final = Row(key="host", cells=(Cell(text="Host a new room …"),))


def start_rows(launcher: Launcher | None, *, now: float) -> list[Row]:
    """Calls that run here, rooms from before, and a new one.

    Raises:
        TuiconfError: what is remembered cannot be read.
    """
    calls = launcher.running() if launcher is not None else ()
    rooms = launcher.recent() if launcher is not None else ()
    rows: list[Row] = []
    if calls:
        rows += [_heading("Running on this machine")]
        rows += [
            Row(key=f"call {call}", cells=(Cell(text=call), Cell(text=""), Cell(text="attach", tone="good")))
            for call in calls
        ]
    if rooms:
        rows += [_heading("Recent rooms")]
        rows += [_room_row(room, now) for room in rooms]
    return [*rows, _heading("" if rows else "No rooms yet"), _HOST]


def _room_row(room: RecentRoom, now: float) -> Row:
    return Row(
        key=f"room {room.ref}",
        cells=(
            Cell(text=room.room),
            Cell(text=room.relay, tone="quiet"),
            Cell(text=ago(now - room.last_joined), tone="quiet"),
        ),
    )


def _heading(text: str) -> Row:
    return Row(key="", cells=(Cell(text=text, tone="quiet"),))


def _sentence(error: TuiconfError) -> str:
    """Errors are sentences without capitals, to follow a program's name; here they stand alone."""
    text = str(error)
    return text[:1].upper() + text[1:]
