"""Leave the call, or go and stay in it: what either means is said before."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.control.events import AudioChanged
from tuiconf.tui.keymap import shown
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.base import Modal
from tuiconf.tui.screens.panel import LOW, lines, said
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows

How = Literal["leave", "detach"]


class LeavingScreen(Modal[How]):
    """What `q` asks. None: stay, and go on."""

    DEFAULT_CSS = """
    LeavingScreen .dialog { max-width: 64; }
    LeavingScreen .dialog-title { margin-bottom: 1; }
    LeavingScreen Rows { height: auto; max-height: 4; }
    LeavingScreen .fate { height: auto; margin-top: 1; color: $quiet; }
    LeavingScreen KeyLine { padding: 0; margin-top: 1; }
    LeavingScreen.-low .dialog { padding: 0 1; }
    LeavingScreen.-low .dialog-title, LeavingScreen.-low .fate, LeavingScreen.-low KeyLine { margin: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "take('leave')", "Leave", show=False),
        Binding("d", "detach", "Detach", show=False),
    ]

    _going_quietly = False

    def compose(self) -> ComposeResult:
        """The dialog."""
        with Vertical(classes="dialog"):
            yield Static("Leave the call?", classes="dialog-title")
            yield Rows([Column(cells=10, grows=True)])
            yield Static(classes="fate")
            yield KeyLine((("l", "leave"), ("d", "detach, muted"), ("Enter", "choose"), ("Esc", "stay")))

    def on_mount(self) -> None:
        """Show what there is to choose."""
        self.refresh_model(frozenset((Part.AUDIO,)))
        self.query_one(Rows).focus()

    def on_resize(self) -> None:
        """Nothing left empty where there is little room."""
        self.set_class(self.size.height < LOW, "-low")

    def refresh_model(self, parts: Parts) -> None:
        """Whether one can be heard, and who is host, may change while this is asked."""
        state = self.tui.model.state
        if state is None or not parts & {Part.AUDIO, Part.ROSTER, Part.POLICY, Part.PHASE}:
            return
        if self._going_quietly and not may_be_heard(state.audio):
            self.dismiss("detach")
            return
        self.query_one(Rows).show([Row(key=key, cells=(Cell(text=text),)) for key, text in choices(state)])
        hand_over = f"{shown(self.tui.settings.keys.participants)}, then o, hands over."
        self.query_one(".fate", Static).update(lines(said(sentence) for sentence in fate(state, hand_over)))

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Enter."""
        self.work(self._take(event.key))

    async def action_take(self, how: str) -> None:
        """A letter was pressed."""
        await self._take(how)

    async def action_detach(self) -> None:
        """A letter detaches without leaving a microphone on; to be heard without sitting there is chosen in words."""
        state = self.tui.model.state
        await self._take("quietly" if state is not None and may_be_heard(state.audio) else "detach")

    async def _take(self, how: str) -> None:
        if how == "quietly":
            # Gone only when the engine says that nobody hears us: whoever wants to be unheard must not trust a wish.
            self._going_quietly = True
            self._going_quietly = await self.tui.do(schema.Mute()) is not None
        elif how == "leave":
            self.dismiss("leave")
        else:
            self.dismiss("detach" if how == "detach" else None)


def choices(state: schema.State) -> list[tuple[str, str]]:
    """What can be done, each with a key."""
    leave = "Give it up: the call has not begun" if state.phase == "ready" else "Leave the call"
    detach = [("detach", "Detach: the call goes on without this window")]
    if may_be_heard(state.audio):
        detach = [
            ("quietly", "Mute, and detach"),
            ("detach", "Detach, and still be heard"),
        ]
    return [("leave", leave), *detach, ("stay", "Stay")]


def may_be_heard(audio: AudioChanged) -> bool:
    """Whether others can hear this participant when nobody sits here any more: a key that is held is let go then."""
    return not audio.muted and not audio.deafened


def fate(state: schema.State, hand_over: str = "") -> list[str]:
    """What follows, one sentence each. `hand_over` says how that is done."""
    return [*_after_leaving(state, hand_over), _after_detaching(state)]


def _after_detaching(state: schema.State) -> str:
    back = f"tuiconf attach {state.call} comes back."
    if not may_be_heard(state.audio):
        return f"Detached you stay muted: nobody hears you. {back}"
    if state.audio.voice_activation:
        return f"Detached you ARE STILL HEARD whenever you speak. {back}"
    return f"Detached you ARE STILL HEARD: the microphone stays on. {back}"


def _after_leaving(state: schema.State, hand_over: str) -> list[str]:
    if state.phase != "joined" or state.me is None:
        return []
    others = [who for who in state.participants if who.leaf != state.me.leaf]
    if not others:
        return ["You are alone: when you leave, the call is over."]
    if state.me.host and not any(who.host for who in others):
        return [
            f"You are the only host: when you leave, one of the others becomes host by the room's rule. {hand_over}"
        ]
    return []
