"""A page over the call: a title, what it is about, a line for what went wrong, and the keys."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuiconf.tui.keymap import bindings
from tuiconf.tui.model import Parts
from tuiconf.tui.screens.base import Modal
from tuiconf.tui.warnings import warnings
from tuiconf.tui.widgets.keyline import Hint, KeyLine
from tuiconf.tui.widgets.rows import Tone
from tuiconf.tui.widgets.status import microphone
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


Flag = tuple[str, str]
"""A word that says what is so, and its tone."""

_FLAGS: Final[Mapping[str, str]] = {tone: STYLES[tone] for tone in ("notice", "warning", "bad")}

_BADGES: Final[Mapping[str, str]] = {
    "live": "bold $background on $success",
    "muted": "bold $background on $error",
    "waiting": "bold on $foreground 25%",
}
# The line is reversed there, which is the terminal's own way to set it apart.
_ANSI_BADGES: Final[Mapping[str, str]] = {
    "live": "bold not reverse ansi_black on ansi_green",
    "muted": "bold not reverse ansi_bright_white on ansi_red",
    "waiting": "bold not reverse",
}


def said(text: str, tone: Tone = "plain") -> Content:
    """One line or sentence that others may have written a part of: neutralised, and never markup."""
    return Content.styled(visible(text), STYLES[tone])


def lines(parts: Iterable[Content]) -> Content:
    """One below the other."""
    return Content("\n").join(parts)


class TitleLine(Widget):
    """What the page is, and at the right edge what it is about; and what is so in the call that the page covers.

    `flags` are the words of its warnings, the gravest first, and `badge` says whether one is heard there.
    """

    DEFAULT_CSS = """
    TitleLine { height: 1; background: $panel; color: $foreground; text-style: bold; }
    TitleLine:ansi { text-style: bold reverse; }
    """

    def __init__(self, title: str, aside: str = "") -> None:
        super().__init__()
        self._title, self._aside, self._short = title, aside, aside
        self._flags: tuple[Flag, ...] = ()
        self._badge: Flag | None = None

    def flag(self, flags: Sequence[Flag], badge: Flag | None) -> None:
        """So it is in the call."""
        new = (tuple(flags), badge)
        if new != (self._flags, self._badge):
            self._flags, self._badge = new
            self.refresh()

    def show(self, title: str | None = None, *, aside: str = "", short: str = "") -> None:
        """Say this instead; `short` is the aside where there is no room for all of it."""
        new = (self._title if title is None else title, aside, short or aside)
        if new != (self._title, self._aside, self._short):
            self._title, self._aside, self._short = new
            self.refresh()

    @property
    def text(self) -> str:
        """What it says."""
        words = [word for word, _ in (*self._flags, *((self._badge,) if self._badge else ()))]
        return " ".join(filter(None, (self._title, self._aside, *words)))

    def render(self) -> Content:
        """The line. What it is about gives way to the gravest warning, and the others to what it is about."""
        badge = f" {self._badge[0]} " if self._badge else ""
        width = max(0, self.content_size.width - 2 - len(badge))
        title = fit(self._title, width)
        room = width - cells(title) - 2
        flags = self._fitting(room - (cells(self._short) + 2 if self._short else 0), least=room)
        room -= sum(len(word) + 2 for word, _ in flags)
        aside = visible(self._aside) if cells(visible(self._aside)) <= room else fit(self._short, max(0, room))
        begin = Content.assemble(f" {title}", *(part for word, tone in flags for part in ("  ", (word, _FLAGS[tone]))))
        space = " " * max(0, width + 1 - begin.cell_length - cells(aside))
        styles = _ANSI_BADGES if self.app.native_ansi_color else _BADGES
        end = (badge, styles[self._badge[1]]) if self._badge else ""
        return Content.assemble(begin, f"{space}{aside} ", end)

    def _fitting(self, room: int, *, least: int) -> list[Flag]:
        """Whole words; the first one as soon as there is room for it at all."""
        shown: list[Flag] = []
        for word, tone in self._flags:
            room -= len(word) + 2
            if room < 0 and (shown or len(word) + 2 > least):
                break
            shown.append((word, tone))
        return shown


@lru_cache(64)
def _page_with(keys: tuple[Binding, ...]) -> type[Vertical]:
    """What is around all widgets of a page, and so asked for a key's meaning after the focused one, before the screen.

    Of one screen's bindings Textual drops those whose keys the settings give to another.
    """
    page = [replace(key, action=f"screen.{key.action}") for key in keys]
    return type("Page", (Vertical,), {"BINDINGS": page, "__module__": __name__})


class Panel(Modal[R]):
    """Base of the pages. `body` is what is in it, `hints` which keys it has now.

    `KEYS` are those of the page alone. Where the settings bind one of them to muting or help, here it is the page's.
    """

    HEADING = ""
    KEYS: ClassVar[Sequence[Binding]] = ()
    TELLS: ClassVar[Container[str]] = ()
    """The warnings that this page is about."""

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

    def on_mount(self) -> None:
        """What is so in the call is seen from the first moment on."""
        self._flag()

    def on_resize(self) -> None:
        """Lines between things only where there is room for them."""
        self.set_class(self.size.height < LOW, "-low")

    def model_changed(self, parts: Parts) -> None:
        """The page covers the call, whose warnings, and whether one is heard there, are seen here as well."""
        self._flag()
        super().model_changed(parts)

    def _flag(self) -> None:
        model = self.tui.model
        phase = model.state.phase if model.state is not None else ""
        flags = [(one.word, one.tone) for one in warnings(model) if one.word not in self.TELLS]
        self.query_one(TitleLine).flag(flags, microphone(model) if phase in ("joined", "reconnecting") else None)

    def body(self) -> ComposeResult:
        """What is between the title and the foot."""
        yield from ()

    def hints(self) -> Sequence[Hint]:
        """The keys, the most wanted first and the way back last."""
        return (("Esc", "back"),)

    def head(self, text: str | None = None, *, aside: str = "", short: str = "") -> None:
        """What the first line says."""
        self.query_one(TitleLine).show(text, aside=aside, short=short)

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
