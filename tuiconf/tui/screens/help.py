"""Which keys do what on the screen below, as they are bound now, and the commands that can be typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widgets import Input, Static

from tuiconf.commands import COMMANDS
from tuiconf.tui.keymap import ACTIONS, shown
from tuiconf.tui.model import CallModel
from tuiconf.tui.screens.panel import Panel
from tuiconf.tui.widgets.keyline import Hint

_ABOUT = {action.id: action.about for action in ACTIONS}
_ORDER = {action.id: at for at, action in enumerate(ACTIONS)}
_NAMES = {
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
    "space": "space",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "backspace": "Backspace",
    "delete": "Del",
}

# What a page that scrolls takes; Textual binds more to it, which nobody needs to be told.
_SCROLLS = {"up", "down", "pageup", "pagedown", "home", "end"}


# Every screen of Textual's has these, and none of ours means them.
_TEXTUAL = {"app.focus_next", "app.focus_previous", "screen.copy_text", "app.help_quit"}

_NARROW = 60


class HelpScreen(Panel[None]):
    """Escape closes it; up and down scroll."""

    HEADING = "Help"
    DEFAULT_CSS = """
    HelpScreen VerticalScroll { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    HelpScreen VerticalScroll > Static { height: auto; }
    HelpScreen .heading { margin-top: 1; text-style: bold; }
    """

    def action_help(self) -> None:
        """It is this."""

    def body(self) -> ComposeResult:
        """Keys, then commands."""
        with VerticalScroll():
            yield Static("Keys", classes="heading")
            yield Static(classes="keys")
            if _can_type(self.tui.model):
                yield Static("Commands, typed where chat is", classes="heading")
                yield Static(classes="commands")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        return (("up/down", "scroll"), ("Esc", "back"))

    def on_mount(self) -> None:
        """So that it scrolls at once."""
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        """What is bound does not change while this is shown; how wide the columns are does."""
        narrow = self.size.width < _NARROW
        stack = self.app.screen_stack
        if self not in stack:
            return  # closed in the same moment
        below = stack[stack.index(self) - 1]
        self.query_one(".keys", Static).update(_table(bound(below), 9 if narrow else 18))
        for there in self.query(".commands").results(Static):
            there.update(_table(commands(), 12 if narrow else 26))


def _can_type(model: CallModel) -> bool:
    return model.state is not None and model.state.phase != "ready"


def bound(screen: Screen[Any]) -> list[tuple[str, str]]:
    """Keys and what they do there: those of the settings first, in their order, and then the screen's own."""
    keys: dict[tuple[str, str], list[str]] = {}
    order: dict[tuple[str, str], int] = {}
    for key, active in screen.active_bindings.items():
        if _is_ours(key, active) and (about := _about(active.binding)):
            what = (active.binding.action, about)
            keys.setdefault(what, []).append(key_name(key))
            order.setdefault(what, _ORDER.get(active.binding.id or "", len(ACTIONS)))
    return [(" or ".join(keys[what]), what[1]) for what in sorted(keys, key=lambda what: order[what])]


def _is_ours(key: str, active: ActiveBinding) -> bool:
    """Not the keys with which any line is edited, nor what Textual has in every screen."""
    if not active.enabled or active.binding.action in _TEXTUAL or isinstance(active.node, Input):
        return False
    return key in _SCROLLS or not type(active.node).__module__.startswith("textual.")


def commands() -> list[tuple[str, str]]:
    """Each command as it is typed, and what it does."""
    return [(one.usage, f"{one.help} (hosts)" if one.hosts_only else one.help) for one in COMMANDS]


def key_name(key: str) -> str:
    """The key as a person reads it on the keyboard."""
    return _NAMES.get(key) or key_to_character(key) or shown(key)


def _about(binding: Binding) -> str:
    return _ABOUT.get(binding.id or "", binding.tooltip or binding.description)


def _table(rows: Iterable[tuple[str, str]], widest: int) -> Table:
    """Two columns that wrap within themselves, the first no wider than that."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", max_width=widest)
    table.add_column()
    for keys, about in rows:
        table.add_row(Text(keys), Text(about))  # `[NAME]` is no markup
    return table
