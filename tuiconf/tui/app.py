"""The terminal interface: connects to a call, keeps the model up to date, and shows the screens."""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar, Final, Literal, TypeVar

import msgspec
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.events import Mount
from textual.filter import LineFilter, NoColor
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.control.client import EngineGone
from tuiconf.control.events import NAMES, CallEvent, Envelope, Failed, Knocked, Left
from tuiconf.errors import TuiconfError
from tuiconf.tui import notices, theme
from tuiconf.tui.keymap import keymap
from tuiconf.tui.launcher import Capabilities, Control, Keeper, Launcher
from tuiconf.tui.line_filters import AsciiOnly
from tuiconf.tui.model import ALL, CallModel, Part, Parts
from tuiconf.tui.outcome import Outcome
from tuiconf.tui.screens.base import Modal, ModelScreen
from tuiconf.tui.talking import RENEW_S, Talking
from tuiconf.tui.terminal.driver import TerminalDriver
from tuiconf.tui.terminal.events import BackgroundKnown, KeyReleased, KeyReleasesKnown
from tuiconf.tui.terminal.patient import PatientOutput
from tuiconf.tui.toasts import Severity, Toasts
from tuiconf.untrusted import visible

R = TypeVar("R", bound=msgspec.Struct)

TuiSettings = Tui

# Between two repaints at least so long: what happens within is one. Eight a second feel immediate, and what comes four
# times a second (levels) is not delayed by them.
PACE_S: Final = 0.125

# Imported when they are first shown: the first paint does not wait for screens that nobody has asked for.
SCREENS: Final = {
    "start": ("start", "StartScreen"),
    "check": ("check", "CheckScreen"),
    "call": ("call", "CallScreen"),
    "verify": ("verify", "VerifyScreen"),
    "lobby": ("lobby", "LobbyScreen"),
    "participants": ("participants", "ParticipantsScreen"),
    "devices": ("devices", "DevicesScreen"),
    "settings": ("settings", "SettingsScreen"),
    "statistics": ("statistics", "StatisticsScreen"),
    "help": ("help", "HelpScreen"),
    "link": ("link", "LinkScreen"),
    "leaving": ("leaving", "LeavingScreen"),
}


def make_screen(name: str) -> Screen[Any]:
    """One of `SCREENS`."""
    module, kind = SCREENS[name]
    screen: Screen[Any] = getattr(import_module(f"tuiconf.tui.screens.{module}"), kind)()
    return screen


class TuiconfApp(PatientOutput[Outcome]):
    """Made by the process, and by tests. `connect` takes a call's name; without a `call` the start screen comes first.
    Without a `keeper` settings hold for this time only.

    `model` is what is shown; `control` the connection to the engine, while there is one.
    """

    CSS_PATH = "tuiconf.tcss"
    TITLE = "tuiconf"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+c", "quit", "Quit", show=False),
    ]

    def __init__(
        self,
        *,
        call: str | None,
        connect: Callable[[str], Awaitable[Control]],
        launcher: Launcher | None,
        keeper: Keeper | None = None,
        settings: TuiSettings,
        terminal: Capabilities,
    ) -> None:
        super().__init__(driver_class=TerminalDriver)
        self._call = call
        self._connect = connect
        self.launcher = launcher
        self.keeper = keeper
        self.settings = settings
        self.terminal = terminal
        self.takes_mouse = terminal.mouse
        self.model = CallModel()
        self.control: Control | None = None
        self.pace_s = PACE_S
        self._dark = terminal.dark
        self._talking = Talking(self, terminal, self._talk)
        self._changed: set[Part] = set()
        self._timer: Timer | None = None
        self._shown_at = 0.0
        self._failure = ""
        self._told_to_leave = False
        self._toasts = Toasts(self)
        self._filters_added: tuple[LineFilter, ...] = ()
        self.animation_level = "none"  # nothing that moves by itself is worth the bytes
        self.when_focused = _stand_still
        for known in theme.THEMES.values():
            self.register_theme(known)
        self.restyle()

    # --- how it looks

    @property
    def ascii(self) -> bool:
        """Whether nothing but ASCII characters may be drawn."""
        return theme.in_ascii(self.settings, unicode=self.terminal.unicode)

    @property
    def dark(self) -> bool:
        """Whether the terminal's background is, as far as is known."""
        return self._dark

    @property
    def motion(self) -> bool:
        """Whether things may move."""
        return self.settings.motion and self.terminal.motion

    def restyle(self, settings: TuiSettings | None = None) -> None:
        """Look, and take keys, as these settings say from now on."""
        self.settings = settings or self.settings
        name = theme.choose(self.settings, self.terminal.colours, dark=self._dark)
        self.no_color = name == "none"
        self._filters_added = (*((NoColor(),) if self.no_color else ()), *((AsciiOnly(),) if self.ascii else ()))
        self.theme = theme.THEMES[name].name
        self.set_class(self.ascii, "-ascii")
        self.set_keymap(keymap(self.settings.keys))

    def on_background_known(self, event: BackgroundKnown) -> None:
        """The terminal has told what colour it is."""
        if event.dark is not self._dark:
            self._dark = event.dark
            self.restyle()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What is done to each line before it goes to the terminal."""
        return (*super().get_line_filters(), *self._filters_added)

    # --- the call

    @on(Mount)
    async def _begin(self) -> None:
        """The first screen: the start screen, or that of the call."""
        if self._call is None:
            await self.push_screen(make_screen("start"))
            return
        try:
            await self.enter(self._call)
        except TuiconfError as error:
            self.exit(Outcome(how="failed", message=str(error)))

    async def enter(self, call: str) -> None:
        """Connect to this call, and show it.

        Raises:
            TuiconfError: nobody answers there.
        """
        control = await self._connect(call)
        try:
            await control.call(schema.Attach())
            state = await control.call(schema.GetState())
            await control.call(schema.Subscribe(events=sorted(NAMES), since=state.seq))
        except TuiconfError:
            await control.close()
            raise
        self.control = control
        self.model.begin(state)
        self.run_worker(self._pump(control), group="events", exit_on_error=True)
        await self._show_phase()

    async def do(self, request: schema.Request[R]) -> R | None:
        """Ask the engine; None when it was refused, and the person was told why."""
        if self.control is None:
            return None
        try:
            return await self.control.call(request)
        except EngineGone:
            self._engine_gone()
        except TuiconfError as error:
            self.tell(str(error), "error")
        return None

    async def toggle_mute(self) -> None:
        """Mute, or be heard again."""
        state = self.model.state
        if state is not None:
            await self.do(schema.Unmute() if state.audio.muted else schema.Mute())

    async def begin_call(self, *, muted: bool) -> bool:
        """Begin a call that was prepared, in the way of talking that the settings say; whether it was."""
        by_voice = schema.AudioSet(voice_activation=True)
        if self.settings.talk == "voice" and await self.do(by_voice) is None:
            return False  # or all of the room would be heard
        return await self.do(schema.Join(muted=muted or self.settings.talk == "hold")) is not None

    async def detach(self) -> None:
        """Go, and leave the call as it is."""
        if await self.do(schema.Detach()) is None:
            return
        state = self.model.state
        # Not `live`: who is heard by voice is not live while they pause, and heard again when they go on.
        muted = state is not None and (state.audio.muted or state.audio.deafened)
        heard = "you are muted" if muted else "you can still be heard"
        name = state.call if state is not None else ""
        message = f"detached: the call goes on, and {heard}; tuiconf attach {name} picks it up"
        self.exit(Outcome(how="detached", message=message))

    async def leave(self, *, now: bool = False) -> None:
        """Leave the call; the app ends when the engine says that it is over."""
        await self.do(schema.Leave(now=now))

    def tell(self, message: str, severity: Severity = "information") -> None:
        """Say a sentence that does not need to be kept. What others wrote in it is neutralised."""
        self._toasts.say(visible(message), severity)

    def open(self, name: str) -> None:
        """Show one of the dialogs and pages; what it was for, it does itself."""
        self.push_screen(make_screen(name))

    def action_quit(self) -> None:  # type: ignore[override] # Textual's is a coroutine, and awaits whatever it gets
        """Ask whether to leave or to detach; without a call, just end."""
        if self.control is None:
            self.exit(Outcome(how="quit"))
        elif any(type(screen).__name__ == SCREENS["leaving"][1] for screen in self.screen_stack):
            self.end()  # asked twice
        else:
            self.push_screen(make_screen("leaving"), self._decided)

    def end(self) -> None:
        """Told to leave, by a signal say; told twice, without a goodbye."""
        if self.control is None:
            self.exit(Outcome(how="quit"))
        else:
            self.run_worker(self.leave(now=self._told_to_leave))
            self._told_to_leave = True

    def _decided(self, how: Literal["leave", "detach"] | None) -> None:
        if how == "detach":
            self.run_worker(self.detach())
        elif how == "leave":
            self.end()

    # --- the talk key

    @property
    def talk_words(self) -> tuple[str, ...]:
        """How one talks on this terminal, the longest way to say it first."""
        return self._talking.words(self.settings.keys.talk)

    def talk_key(self) -> None:
        """It was pressed, or repeats."""
        self._talking.key()

    def stop_talking(self) -> None:
        """A key that is let go now would not be noticed."""
        self._talking.lost()

    def on_key_released(self, event: KeyReleased) -> None:
        """From terminals that tell."""
        self._talking.released(event.key, self.settings.keys.talk)

    def on_key_releases_known(self, event: KeyReleasesKnown) -> None:
        """Whether the terminal tells."""
        self._talking.know_releases(supported=event.supported)
        self._change(frozenset({Part.AUDIO}))

    def on_app_blur(self) -> None:
        """Another window has the keys now."""
        self.stop_talking()

    def _talk(self, down: bool) -> None:
        self.run_worker(self.do(schema.PushToTalkDown(renew_s=RENEW_S) if down else schema.PushToTalkUp()))

    # --- what happens

    async def _pump(self, control: Control) -> None:
        async for envelope in control.events():
            self._happened(envelope)
            if self.model.stale:
                await self._ask_anew(control)
        if self.return_value is None:
            self._engine_gone()

    async def _ask_anew(self, control: Control) -> None:
        try:
            self.model.begin(await control.call(schema.GetState()))
        except TuiconfError:
            return  # it is gone: the events end as well
        self._change(ALL)

    def _happened(self, envelope: Envelope) -> None:
        event = envelope.data
        self._change(self.model.apply(envelope))
        if isinstance(event, Left):
            self._over(event)
        elif isinstance(event, Failed) and event.fatal:
            self._failure = event.message
        elif not self._is_shown(event) and (notice := notices.notice(event)) is not None:
            self.tell(*notice)

    def _is_shown(self, event: CallEvent) -> bool:
        """Whoever knocks is seen in the call, and in the lobby; of whom one may not let in there is nothing to tell."""
        there = type(self.screen).__name__ in (SCREENS["call"][1], SCREENS["lobby"][1])
        return isinstance(event, Knocked) and (there or not self.model.may_admit)

    def _over(self, event: Left) -> None:
        reason: Literal["left", "removed", "failed"] = event.reason.value
        message = {"left": "left", "removed": "you were removed by the host", "failed": "the call has ended"}[reason]
        self.exit(Outcome(how=reason, message=self._failure if reason == "failed" and self._failure else message))

    def _fatal_error(self) -> None:
        """A fault of ours. Textual would print all that the program knew just then: names, chat, links."""
        place = ""
        if self._exception is not None:
            where = traceback.extract_tb(self._exception.__traceback__)[-1]
            place = f" ({type(self._exception).__name__}, {PurePath(where.filename).name}:{where.lineno})"
        state = self.model.state
        back = f" The call goes on for a while, muted: tuiconf attach {state.call}" if state is not None else ""
        self.panic(Text(f"a fault of this program has ended the interface{place}: please report it.{back}"))

    def _engine_gone(self) -> None:
        message = "the engine has ended without a word: the call is over"
        self.exit(Outcome(how="failed", message=message), return_code=1)

    def _change(self, parts: Parts) -> None:
        """Show it: at once, unless something was shown just before."""
        self._changed |= parts
        if not self._changed or self._timer is not None:
            return
        wait = self._shown_at + self.pace_s - time.monotonic()
        self._timer = self.set_timer(max(0.001, wait), self._show)

    async def _show(self) -> None:
        self._timer = None
        self._shown_at = time.monotonic()
        parts, self._changed = frozenset(self._changed), set()
        if Part.PHASE in parts:
            await self._show_phase()
        for screen in self.screen_stack:
            if isinstance(screen, ModelScreen | Modal) and screen.is_mounted:
                screen.model_changed(parts)

    async def _show_phase(self) -> None:
        """A prepared call has a screen of its own until it begins."""
        state = self.model.state
        wanted = "check" if state is not None and state.phase == "ready" else "call"
        names = [type(screen).__name__ for screen in self.screen_stack]
        if SCREENS[wanted][1] in names:
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        await self.push_screen(make_screen(wanted))


def _stand_still(focused: Widget) -> None:
    """A cursor that blinks costs bytes while nobody types."""
    if isinstance(focused, Input):
        focused.cursor_blink = False
