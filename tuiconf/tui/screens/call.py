"""The call: who is here, what they say and write, and whether all of it is protected."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.events import DescendantBlur, DescendantFocus, Paste

from tuiconf.commands import LocalCommand, find_command, parse_command
from tuiconf.control import schema
from tuiconf.errors import UsageError
from tuiconf.tui.keymap import bindings, hint, key_of, shown
from tuiconf.tui.model import ALL, Part, Parts
from tuiconf.tui.screens.base import ModelScreen
from tuiconf.tui.warnings import warnings
from tuiconf.tui.widgets.banner import Banner
from tuiconf.tui.widgets.chat_input import ChatInput
from tuiconf.tui.widgets.chat_log import ChatLog
from tuiconf.tui.widgets.field import Field
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.tui.widgets.roster import Roster
from tuiconf.tui.widgets.status import StatusBar
from tuiconf.tui.widgets.title import TitleBar

# What people look for first comes first: the foot of a small window has room for few.
_HINTS = (
    "mute",
    "chat",
    "help",
    "participants",
    "verify",
    "hand",
    "lobby",
    "record",
    "devices",
    "statistics",
    "settings",
)

_WARNED_BY = frozenset({Part.PHASE, Part.ROSTER, Part.CALLERS, Part.POLICY, Part.RECORDING, Part.PROTECTION})

# Commands that ask for something to look at, and the page where it is.
_PAGES = {
    schema.GetRoomCode: "verify",
    schema.GetDevices: "devices",
    schema.GetStats: "statistics",
    schema.ListPeers: "participants",
    schema.GetLink: "link",
    "who": "participants",
    "level": "devices",
    "verify": "verify",
}


class CallScreen(ModelScreen[None]):
    """From top to bottom: the room, warnings, pictures, people and chat, one's own state, the keys.

    `#pictures` has no children and takes no room now: pictures of people and shared screens go there, above people and
    chat, as tall as they need and at most half of the screen. The rest already makes do with what is left.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-wide")]  # noqa: RUF012 - Textual's
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]  # noqa: RUF012 - Textual's
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("mute", "talk", "deafen", "chat", "hand", "verify", "participants", "lobby"),
        *bindings("record", "devices", "statistics", "settings", "help", "quit"),
        Binding("slash", "chat('/')", "A command", show=False),
        Binding("up", "scroll_chat(-1)", "Back in the chat", show=False),
        Binding("down", "scroll_chat(1)", "Forth in the chat", show=False),
        Binding("pageup", "page_chat(-1)", "A page back in the chat", show=False),
        Binding("pagedown", "page_chat(1)", "A page forth in the chat", show=False),
        Binding("end", "chat_end", "The last line of the chat", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The parts, of which each shows the model."""
        model = self.tui.model
        keys = self.tui.settings.keys
        yield TitleBar(model)
        yield Banner(lambda action: shown(key_of(self.tui.settings.keys, action)))
        yield Container(id="pictures")
        with Container(id="body"):
            yield Roster(model)
            with Vertical(id="chat"):
                yield ChatLog(empty="Nothing was written yet")
                yield ChatInput(model, lambda: f"{shown(key_of(keys, 'chat'))} to write, / for commands")
        yield StatusBar(model)
        yield KeyLine()

    _whole = False
    """Whether all parts are there: they come one after the other, and go so."""

    def on_mount(self) -> None:
        """Show what is so."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._whole = True
        self.refresh_model(ALL)

    def on_unmount(self) -> None:
        """There is nothing to show it in any more."""
        self._whole = False

    def on_screen_resume(self) -> None:
        """Settings may be others now."""
        self.refresh_model(ALL)

    def on_screen_suspend(self) -> None:
        """A key that is let go now is not seen here."""
        self.tui.stop_talking()

    def refresh_model(self, parts: Parts) -> None:
        """Only what these parts are shown in is looked at, and of it only what differs is painted."""
        tui, model = self.tui, self.tui.model
        if not self._whole:
            return
        if parts & {Part.ROSTER, Part.LEVELS, Part.STATS, Part.AUDIO}:
            roster = self.query_one(Roster)
            roster.moving = tui.motion
            roster.bar = "#" if tui.ascii else "▄"
            roster.renew()
        if parts & {Part.CHAT}:
            own = model.me.name if model.me is not None else ""
            chat = model.state.chat if model.state is not None else ()
            self.query_one(ChatLog).show(chat, own, timestamps=tui.settings.timestamps)
        if parts & _WARNED_BY:
            self.query_one(Banner).show(warnings(model))
        self.query_one(TitleBar).renew()
        status = self.query_one(StatusBar)
        status.talk_words = tui.talk_words
        status.renew()
        if parts & {Part.PHASE, Part.CALLERS, Part.POLICY}:
            self._show_hints()

    # --- chat

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _focus_moved(self) -> None:
        if self._whole:
            self._show_hints()

    def _show_hints(self) -> None:
        keys = self.tui.settings.keys
        if self.query_one(ChatInput).active:
            self.query_one(KeyLine).show([("Enter", "send"), ("Tab", "complete"), ("Esc", "back to the call")])
            return
        actions = [action for action in _HINTS if action != "lobby" or self.tui.model.may_admit]
        self.query_one(KeyLine).show([hint(keys, action) for action in (*actions, "quit")])

    @on(ChatInput.Said)
    async def _said(self, event: ChatInput.Said) -> None:
        """Do what the line asks for; what cannot be stays to be corrected."""
        try:
            done = await self._do(parse_command(event.text))
        except UsageError as error:
            self.tui.tell(str(error), "error")
            return
        if done:
            self.query_one(ChatInput).clear()

    def on_paste(self, event: Paste) -> None:
        """Into the chat, wherever one is. Nobody sees it before Enter is pressed."""
        event.stop()
        self.action_chat()
        self.query_one(ChatInput).field.put(event.text)

    @on(Field.TooMuch)
    def _too_much(self, event: Field.TooMuch) -> None:
        self.tui.tell(f"Of what you pasted only {event.taken} characters fit into one line of chat", "warning")

    async def _do(self, meant: schema.AnyRequest | LocalCommand) -> bool:
        page = _PAGES.get(meant.name if isinstance(meant, LocalCommand) else type(meant))
        match meant:
            case LocalCommand(name="verify", argument=who) | schema.ShowPeer(peer=who) if who != "":
                self._compare(who)
            case LocalCommand(name="help", argument=str(name)) if name:
                command = find_command(name)
                self.tui.tell(f"{command.usage}: {command.help}")
            case LocalCommand(name="help"):
                self.set_focus(None)  # what it lists are the keys of the call, which do nothing while one types
                self.tui.open("help")
            case LocalCommand(name="chat"):
                self.set_focus(None)
                self.tui.tell("Up and PgUp go back in the chat, End shows the last line")
            case _ if page is not None:
                self.tui.open(page)
            case schema.Detach():
                await self.tui.detach()
            case LocalCommand():
                return False
            case _:
                return await self.tui.do(meant) is not None
        return True

    def _compare(self, who: str | int) -> None:
        from tuiconf.tui.screens.safety import SafetyScreen  # not before somebody asks, as all pages

        self.app.push_screen(SafetyScreen(who, name=str(who)))

    def action_chat(self, text: str = "") -> None:
        """Type into the chat, which begins with `text`."""
        self.query_one(ChatInput).open(text)

    def action_scroll_chat(self, lines: int) -> None:
        """Look at what was said before."""
        self.query_one(ChatLog).scroll_relative(y=lines, animate=False)

    def action_page_chat(self, direction: int) -> None:
        """Look at what was said long before."""
        log = self.query_one(ChatLog)
        log.scroll_relative(y=direction * max(1, log.size.height - 1), animate=False)

    def action_chat_end(self) -> None:
        """Look at what is said now."""
        self.query_one(ChatLog).scroll_end(animate=False)

    # --- the other keys

    async def action_mute(self) -> None:
        """Mute, or be heard again."""
        await self.tui.toggle_mute()

    def action_talk(self) -> None:
        """The key is down, or repeats."""
        self.tui.talk_key()

    async def action_deafen(self) -> None:
        """Hear nothing, or hear again."""
        state = self.tui.model.state
        if state is not None:
            await self.tui.do(schema.Undeafen() if state.audio.deafened else schema.Deafen())

    async def action_hand(self) -> None:
        """Raise the hand, or lower it."""
        me = self.tui.model.me
        if me is not None:
            await self.tui.do(schema.HandLower() if me.hand else schema.HandRaise())

    async def action_record(self) -> None:
        """Stop recording; or ask whether to begin."""
        state = self.tui.model.state
        if state is not None and state.recording is not None and state.recording.active:
            await self.tui.do(schema.RecordStop())
        else:
            from tuiconf.tui.screens.question import Question  # not before somebody asks

            question = Question("Record this call?", details=("Everyone is told.",), yes="record", no="do not")
            self.app.push_screen(question, self._record)

    def _record(self, wanted: bool | None) -> None:
        if wanted:
            self.work(self.tui.do(schema.RecordStart()))

    def action_verify(self) -> None:
        """Compare."""
        self.tui.open("verify")

    def action_participants(self) -> None:
        """Who is here."""
        self.tui.open("participants")

    def action_lobby(self) -> None:
        """Who waits."""
        self.tui.open("lobby")

    def action_devices(self) -> None:
        """Microphone and loudspeaker."""
        self.tui.open("devices")

    def action_statistics(self) -> None:
        """The connection."""
        self.tui.open("statistics")

    def action_settings(self) -> None:
        """How it looks."""
        self.tui.open("settings")

    def action_help(self) -> None:
        """The keys."""
        self.tui.open("help")

    def action_quit(self) -> None:
        """Ask whether to leave or to detach."""
        self.tui.action_quit()
