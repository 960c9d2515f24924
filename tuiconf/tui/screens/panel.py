"""A page over the call: a title, what it is about, a line for what went wrong, and the keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuiconf.tui.keymap import bindings
from tuiconf.tui.screens.base import Modal
from tuiconf.tui.widgets.keyline import Hint, KeyLine
from tuiconf.tui.widgets.rows import Tone
from tuiconf.untrusted import cells, fit, visible

R = TypeVar("R")

# Below so many lines nothing is left empty.
LOW = 20

STYLES: dict[Tone, str] = {
    "plain": "",
    "quiet": "$quiet",
    "strong": "bold",
    "good": "$success",
    "notice": "$accent",
    "warning": "bold $warning",
    "bad": "bold $error",
}
"""What a tone looks like in `Content`."""


def said(text: str, tone: Tone = "plain") -> Content:
    """One line or sentence that others may have written a part of: neutralised, and never markup."""
    return Content.styled(visible(text), STYLES[tone])


def lines(parts: Iterable[Content]) -> Content:
    """One below the other."""
    return Content("\n").join(parts)


class TitleLine(Widget):
    """What the page is, and at the right edge what it is about."""

    DEFAULT_CSS = """
    TitleLine { height: 1; background: $panel; color: $foreground; text-style: bold; }
    TitleLine:ansi { text-style: bold reverse; }
    """

    def __init__(self, title: str, aside: str = "") -> None:
        super().__init__()
        self._title, self._aside = title, aside

    def show(self, title: str | None = None, *, aside: str = "") -> None:
        """Say this instead."""
        new = (self._title if title is None else title, aside)
        if new != (self._title, self._aside):
            self._title, self._aside = new
            self.refresh()

    @property
    def text(self) -> str:
        """What it says."""
        return f"{self._title} {self._aside}".strip()

    def render(self) -> Content:
        """The line; what is at the right gives way."""
        width = max(0, self.content_size.width - 2)
        title = fit(self._title, width)
        room = width - cells(title) - 2
        aside = fit(self._aside, room) if room > 2 else ""
        space = " " * max(0, width - cells(title) - cells(aside))
        return Content(f" {title}{space}{aside} ")


@lru_cache(64)
def _page_with(keys: tuple[Binding, ...]) -> type[Vertical]:
    """What is around all widgets of a page, and so asked for a key's meaning after the focused one, before the screen.

    Of one screen's bindings Textual drops those whose keys the settings give to another.
    """
    return type("Page", (Vertical,), {"BINDINGS": [replace(key, action=f"screen.{key.action}") for key in keys]})


class Panel(Modal[R]):
    """Base of the pages. `body` is what is in it, `hints` which keys it has now.

    `KEYS` are those of the page alone. Where the settings bind one of them to muting or help, here it is the page's.
    """

    HEADING = ""
    KEYS: ClassVar[Sequence[Binding]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._shown_in: dict[str, Content] = {}

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help")]

    DEFAULT_CSS = """
    Panel > .page { width: 100%; max-width: 120; height: 100%; background: $background; }
    Panel .said { height: auto; max-height: 3; padding: 0 1; display: none; }
    Panel .said.-some { display: block; }
    Panel .sentence { height: auto; padding: 0 1; color: $quiet; }
    Panel .page > Rows { margin-top: 1; }
    Panel KeyLine { margin-top: 1; }
    Panel.-low .page > Rows, Panel.-low KeyLine { margin-top: 0; }
    """

    def compose(self) -> ComposeResult:
        """The page."""
        with _page_with(tuple(self.KEYS))(classes="page"):
            yield TitleLine(self.HEADING)
            yield from self.body()
            yield Static(classes="said")
            yield KeyLine(self.hints())

    def on_resize(self) -> None:
        """Lines between things only where there is room for them."""
        self.set_class(self.size.height < LOW, "-low")

    def body(self) -> ComposeResult:
        """What is between the title and the foot."""
        yield from ()

    def hints(self) -> Sequence[Hint]:
        """The keys, the most wanted first and the way back last."""
        return (("Esc", "back"),)

    def head(self, text: str | None = None, *, aside: str = "") -> None:
        """What the first line says."""
        self.query_one(TitleLine).show(text, aside=aside)

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Say it at the foot of the page, until the next is said; an empty text takes it away."""
        line = self.query_one(".said", Static)
        line.update(said(text, tone))
        line.set_class(bool(text), "-some")

    def action_help(self) -> None:
        """The keys of this page."""
        self.tui.open("help")

    def put(self, where: str, content: Content) -> None:
        """Into the `Static` of that selector; what is there already is not painted again."""
        before, self._shown_in[where] = self._shown_in.get(where), content
        if before is None or not before.is_same(content):
            self.query_one(where, Static).update(content)

    def renew_hints(self) -> None:
        """The keys may be others now."""
        self.query_one(KeyLine).show(self.hints())

    @property
    def unicode(self) -> bool:
        """Whether there is more than ASCII to draw with."""
        return not self.tui.ascii
