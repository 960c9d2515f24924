"""A list of rows in columns: a thousand cost what is seen of them, and only rows that differ are painted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuiconf.untrusted import cells, fit

Tone = Literal["plain", "quiet", "strong", "good", "notice", "warning", "bad"]
"""What a word is to whoever reads it; the theme says what that looks like. Never the only sign of anything."""

# The marker of the row that keys act on, and a space: seen without colour, and read by a screen reader.
_GUTTER: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How wide a column is, and from which width of the list on it is there."""

    cells: int
    grows: bool = False
    """Takes what the others leave; `cells` is its least, `most` its most: far apart they are not one row."""
    most: int = 10_000
    right: bool = False
    from_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A word or two in a row. It is neutralised when it is drawn, so it may be what others wrote."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that can be chosen, or a heading (`key` is empty). A single cell goes across all columns."""

    key: str
    cells: tuple[Cell, ...]


def widths(columns: Sequence[Column], width: int) -> list[int]:
    """The cells of each column in a list of `width`, a space between two included; 0: it is not shown."""
    shown = [column.from_width <= width for column in columns]
    taken = sum(column.cells + 1 for column, there in zip(columns, shown, strict=True) if there) - 1
    growing = [at for at, column in enumerate(columns) if column.grows and shown[at]]
    spare = width - taken
    result = [column.cells if there else 0 for column, there in zip(columns, shown, strict=True)]
    for nth, at in enumerate(growing):
        share = spare // (len(growing) - nth)
        wide = max(1, min(columns[at].most, result[at] + share))
        spare -= wide - result[at]
        result[at] = wide
    return result


class Rows(ScrollView, can_focus=True, inherit_bindings=False):
    """Up and down move, Enter chooses. What is under the cursor stays under it when rows come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--quiet",
        "rows--strong",
        "rows--good",
        "rows--notice",
        "rows--warning",
        "rows--bad",
        "rows--cursor",
        "rows--cursor-blurred",
    }
    DEFAULT_CSS = """
    Rows {
        width: 100%;
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .rows--quiet { color: $quiet; }
        & > .rows--strong { text-style: bold; }
        & > .rows--good { color: $success; }
        & > .rows--notice { color: $accent; }
        & > .rows--warning { color: $warning; text-style: bold; }
        & > .rows--bad { color: $error; text-style: bold; }
        & > .rows--cursor { background: $primary; color: $background; text-style: bold; }
        & > .rows--cursor-blurred { background: $panel; }
        &:ansi > .rows--quiet { text-style: dim; }
        &:ansi > .rows--cursor { background: ansi_default; color: ansi_default; text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(-1)", "Last", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on a row, or it was clicked twice."""

        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            """The list, for `@on` with a selector."""
            return self.rows

    class Moved(Message):
        """Another row is under the cursor."""

        def __init__(self, rows: Rows, key: str | None) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            """The list, for `@on` with a selector."""
            return self.rows

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        marker: str = "›",
        id: str | None = None,  # noqa: A002 - what Textual calls it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._empty = empty
        self._marker = marker
        self._rows: tuple[Row, ...] = ()
        self._cursor = 0
        self._said: str | None = None  # the key that `Moved` told last

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is listed."""
        return self._rows

    @property
    def key(self) -> str | None:
        """Of the row under the cursor; None where there is none."""
        return self._rows[self._cursor].key if self._rows and self._rows[self._cursor].key else None

    def show(self, rows: Sequence[Row], *, empty: str | None = None) -> None:
        """List these instead. The cursor stays with what it is on, or else where it is."""
        before, key = self._rows, self.key
        self._rows = tuple(rows)
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.refresh()
        found = next((at for at, row in enumerate(self._rows) if key is not None and row.key == key), None)
        moved_from, self._cursor = self._cursor, self._nearest(self._cursor if found is None else found, 1)
        if len(before) != len(self._rows):
            self._size_changed()
        else:
            self._repaint_changed(before)
        if moved_from != self._cursor:
            self.refresh_line(moved_from)
            self.refresh_line(self._cursor)
            self._keep_in_sight()
        self._tell()

    def move_to(self, key: str) -> None:
        """Put the cursor on this row, if it is there."""
        self._go(next((at for at, row in enumerate(self._rows) if row.key == key), self._cursor), 1)

    def action_move(self, steps: int) -> None:
        """One row up or down; headings are passed over."""
        self._go(self._cursor + steps, steps)

    def action_page(self, direction: int) -> None:
        """As many rows as are seen."""
        self._go(self._cursor + direction * max(1, self.size.height - 1), direction)

    def action_edge(self, at: int) -> None:
        """The first row, or the last."""
        self._go(at if at >= 0 else len(self._rows) - 1, 1 if at >= 0 else -1)

    def action_choose(self) -> None:
        """What Enter means is up to the screen."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def on_mount(self) -> None:
        """The size is known only when there is a screen."""
        self._size_changed()

    def on_resize(self) -> None:
        """In a smaller window the cursor would be out of sight."""
        self._keep_in_sight()

    def on_click(self, event: Click) -> None:
        """The row under the mouse is the row under the cursor; a second click chooses it."""
        at = event.y + self.scroll_offset.y
        if 0 <= at < len(self._rows) and self._rows[at].key:
            self._go(at, 1)
            if event.chain > 1:
                self.action_choose()

    def on_focus(self) -> None:
        """The cursor looks different."""
        self.refresh_line(self._cursor)

    def on_blur(self) -> None:
        """The cursor looks different."""
        self.refresh_line(self._cursor)

    def render_line(self, y: int) -> Strip:
        """One line of what is seen."""
        at = y + self.scroll_offset.y
        base = self.rich_style
        if at < len(self._rows):
            return self._draw(self._rows[at], base, under_cursor=at == self._cursor)
        if not self._rows and at == 0 and self._empty:
            style = self.get_component_rich_style("rows--quiet")
            return self._line([Segment("  ", base), Segment(fit(self._empty, max(1, self._width - 2)), style)], base)
        return Strip.blank(self._width, base)

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _draw(self, row: Row, base: Style, *, under_cursor: bool) -> Strip:
        under_cursor = under_cursor and bool(row.key)
        line = base
        if under_cursor:
            line = self.get_component_rich_style("rows--cursor" if self.has_focus else "rows--cursor-blurred")
        lead = f"{self._marker} " if under_cursor else " " * _GUTTER
        segments = [Segment(lead, line)]
        across = len(row.cells) == 1
        for width, column, cell in self._placed(row, across=across):
            segments += [_padded(cell.text, width, line + self._tone(cell.tone, line, base), right=column.right)]
            segments += [Segment(" ", line)]
        return self._line(segments, line)

    def _placed(self, row: Row, *, across: bool) -> list[tuple[int, Column, Cell]]:
        room = self._width - _GUTTER - 1
        if across:
            return [(room, self._columns[0], row.cells[0])]
        shown = zip(widths(self._columns, room), self._columns, row.cells, strict=False)
        return [(width, column, cell) for width, column, cell in shown if width]

    def _tone(self, tone: Tone, line: Style, base: Style) -> Style:
        """On the bar of the cursor its own colour is the one that can be read; words say what colours do elsewhere."""
        if tone == "plain" or (line is not base and self.has_focus):
            return Style.null()
        toned = self.get_component_rich_style(f"rows--{tone}")
        return Style(color=toned.color, bold=toned.bold, dim=toned.dim)

    def _line(self, segments: list[Segment], style: Style) -> Strip:
        return Strip(segments).adjust_cell_length(self._width, style)

    def _go(self, at: int, direction: int) -> None:
        if not self._rows:
            return
        before, self._cursor = self._cursor, self._nearest(at, direction)
        if before != self._cursor:
            self.refresh_line(before)
            self.refresh_line(self._cursor)
        self._keep_in_sight()
        self._tell()

    def _nearest(self, at: int, direction: int) -> int:
        """The row there, or the next one that can be chosen in that direction, or else in the other."""
        if not self._rows:
            return 0
        at = max(0, min(len(self._rows) - 1, at))
        forth = range(at, len(self._rows)) if direction > 0 else range(at, -1, -1)
        back = range(at, -1, -1) if direction > 0 else range(at, len(self._rows))
        return next((nth for nth in (*forth, *back) if self._rows[nth].key), at)

    def _keep_in_sight(self) -> None:
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if height and not top <= self._cursor < top + height:
            goal = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=goal, animate=False, immediate=True)

    def _tell(self) -> None:
        if self.key != self._said:
            self._said = self.key
            self.post_message(self.Moved(self, self.key))

    def _repaint_changed(self, before: tuple[Row, ...]) -> None:
        for at, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new:
                self.refresh_line(at)

    def _size_changed(self) -> None:
        self.virtual_size = Size(0, len(self._rows))
        self.refresh()


def _padded(text: str, width: int, style: Style, *, right: bool) -> Segment:
    shown = fit(text, width)
    space = " " * max(0, width - cells(shown))
    return Segment(space + shown if right else shown + space, style)
