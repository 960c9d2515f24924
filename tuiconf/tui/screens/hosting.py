"""What has to be known to make a room: the relay, a name, and who has to wait at its door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from tuiconf.tui.screens.panel import Panel
from tuiconf.tui.widgets.field import LinkField
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows

_LOBBIES: Final = (
    ("off", "nobody: the link is enough"),
    ("unknown", "whoever you do not know"),
    ("everyone", "everyone, until someone lets them in"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hosting:
    """A room to be made."""

    relay: str
    room: str | None
    lobby: str


class HostScreen(Panel[Hosting]):
    """Enter goes on to the next, and from the last begins; None: not after all."""

    HEADING = "Host a room"
    DEFAULT_CSS = """
    HostScreen Input { margin: 0 1; height: 1; border: none; padding: 0 1; background: $surface; }
    HostScreen Input:focus { border: none; background: $panel; }
    HostScreen Input:ansi { text-style: underline; }
    HostScreen .label { height: 1; padding: 0 1; margin-top: 1; color: $quiet; }
    HostScreen.-low .label { margin-top: 0; }
    HostScreen .page > Rows { height: 3; margin-top: 0; }
    HostScreen .space { height: 1fr; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("down", "go(1)", "Next", show=False),
        Binding("up", "go(-1)", "Before", show=False),
    ]

    def body(self) -> ComposeResult:
        """The form."""
        yield Static("Relay, with its pin if you have one", classes="label")
        yield LinkField(placeholder="relay.example or relay.example:4433?pin=…", id="relay", select_on_focus=False)
        yield Static("Name of the room; without one it gets one by chance", classes="label")
        yield Input(placeholder="letters, digits, . - _", id="room", select_on_focus=False)
        yield Static("Who has to wait at the door", classes="label")
        yield Rows([Column(cells=10, grows=True)], id="lobby")
        yield Static(classes="space")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        return (("Enter", "next, then host"), ("Tab", "next"), ("Esc", "back"))

    def on_mount(self) -> None:
        """At the first."""
        self.query_one("#lobby", Rows).show([Row(key=key, cells=(Cell(text=text),)) for key, text in _LOBBIES])
        self.query_one("#relay", Input).focus()

    def action_go(self, steps: int) -> None:
        """To the next, or back."""
        if steps > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def on_input_submitted(self) -> None:
        """Go on."""
        self.focus_next()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """The last was answered."""
        relay = self.query_one("#relay", Input).value.strip()
        room = self.query_one("#room", Input).value.strip()
        if not relay:
            self.say("A room needs a relay: type its address.", "warning")
            self.query_one("#relay", Input).focus()
            return
        self.dismiss(Hosting(relay=relay, room=room or None, lobby=event.key))
