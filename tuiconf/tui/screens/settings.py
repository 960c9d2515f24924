"""What is set, and what that comes to on this terminal. A change holds at once, and is kept for the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, cast

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from tuiconf.tui.keymap import shown
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.devices import TALK_WORDS, Talk, change_talk, keep
from tuiconf.tui.screens.panel import Panel, said
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows

Value = str | bool

_COLUMNS: Final = (
    Column(cells=14),
    Column(cells=20, grows=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of `[tui]`, its values in the order they come, and what each is called."""

    key: str
    name: str
    values: tuple[Value, ...]
    words: Mapping[Value, str]
    about: str


_ON_OFF: Final[Mapping[Value, str]] = {True: "yes", False: "no"}

SETTINGS: Final = (
    Setting(
        key="theme",
        name="Theme",
        values=("auto", "dark", "light", "ansi", "none"),
        words={"auto": "auto", "dark": "dark", "light": "light", "ansi": "the terminal's 16", "none": "no colours"},
        about="Colours. What the terminal cannot show is not used.",
    ),
    Setting(
        key="ascii",
        name="ASCII only",
        values=("auto", True, False),
        words={"auto": "auto", **_ON_OFF},
        about="Draw with ASCII characters alone.",
    ),
    Setting(key="motion", name="Motion", values=(True, False), words=_ON_OFF, about="Whether meters move."),
    Setting(
        key="timestamps", name="Times in chat", values=(True, False), words=_ON_OFF, about="When each line was said."
    ),
    Setting(
        key="talk",
        name="Talking",
        values=("toggle", "hold", "voice"),
        words=dict(TALK_WORDS.items()),
        about="What makes you heard. Hold begins muted, and so silent.",
    ),
)


class SettingsScreen(Panel[None]):
    """Enter or right for the next value, left for the one before."""

    HEADING = "Settings"
    DEFAULT_CSS = """
    SettingsScreen .about { height: auto; padding: 0 1; border-top: solid $panel; }
    SettingsScreen .where { height: auto; padding: 0 1; color: $quiet; }
    SettingsScreen.-low .about { border-top: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [
        Binding("right,space", "change(1)", "The next value", show=False),
        Binding("left", "change(-1)", "The value before", show=False),
    ]

    def body(self) -> ComposeResult:
        """The settings, what the one under the cursor is, and where they are kept."""
        yield Rows(_COLUMNS)
        yield Static(classes="about")
        yield Static(classes="where")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        return (("Enter", "next value"), ("left/right", "change"), ("Esc", "back"))

    def on_mount(self) -> None:
        """Show what is set."""
        self.query_one(Rows).focus()
        self.query_one(".where", Static).update(said(self._where(), "quiet"))
        self._list()

    def refresh_model(self, parts: Parts) -> None:
        """Talking may have been changed elsewhere."""
        if Part.AUDIO in parts:
            self._list()

    def on_rows_moved(self) -> None:
        """Another setting is under the cursor."""
        self._describe()

    async def on_rows_chosen(self) -> None:
        """Enter."""
        await self.action_change(1)

    async def action_change(self, steps: int) -> None:
        """One value on, or back."""
        setting = self._setting
        if setting is None:
            return
        self.say("")
        now: Value = getattr(self.tui.settings, setting.key)
        value = setting.values[(setting.values.index(now) + steps) % len(setting.values)]
        if setting.key == "talk":
            await change_talk(self, cast("Talk", value))
        else:
            self.tui.restyle(msgspec.structs.replace(self.tui.settings, **{setting.key: value}))
            keep(self, setting.key, value)
        self._list()
        self._describe()

    # ---

    @property
    def _setting(self) -> Setting | None:
        key = self.query_one(Rows).key
        return next((setting for setting in SETTINGS if setting.key == key), None)

    def _list(self) -> None:
        self.query_one(Rows).show([self._row(setting) for setting in SETTINGS])

    def _row(self, setting: Setting) -> Row:
        value: Value = getattr(self.tui.settings, setting.key)
        theme = self.tui.theme.removeprefix("tuiconf-")
        effect = in_effect(setting, value, theme=theme, ascii_only=self.tui.ascii)
        word = setting.words[value]
        return Row(
            key=setting.key,
            cells=(Cell(text=setting.name), Cell(text=f"{word}: {effect}" if effect else word, tone="notice")),
        )

    def _describe(self) -> None:
        if (setting := self._setting) is not None:
            self.put(".about", said(setting.about))

    def _where(self) -> str:
        keys = f"Keys are set there as well, under [tui.keys]; {shown(self.tui.settings.keys.help)} shows them."
        keeper = self.tui.keeper
        if keeper is None:
            return "For this time only: there is no file of settings here."
        return f"Kept in {keeper.settings_file()}. {keys}"


def in_effect(setting: Setting, value: Value, *, theme: str, ascii_only: bool) -> str:
    """What a setting comes to on this terminal, where it does not say so itself."""
    if setting.key == "theme" and theme != value:
        return _THEME_WORDS[theme] if value == "auto" else f"{_THEME_WORDS[theme]}, as this terminal can"
    if setting.key == "ascii" and value == "auto":
        return _ON_OFF[ascii_only]
    return ""


_THEME_WORDS: Final = {"dark": "dark", "light": "light", "ansi": "16 colours", "none": "no colours"}
