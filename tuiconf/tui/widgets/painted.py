"""Lines of words with tones, of which only the cells that changed are painted again: over SSH each cell costs bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from tuiconf.untrusted import cells

Tone = Literal[
    "plain", "quiet", "strong", "good", "notice", "warning", "bad", "me", "link", "mention", "live", "muted", "waiting"
]
"""What a word is to whoever reads it. Never the only sign of anything: the word says it as well."""

Span = tuple[str, Tone]
Line = tuple[Span, ...]

TONES: Final[tuple[Tone, ...]] = Tone.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to say in a line if there is room, in one of several ways, the longest first.

    The lower its `rank`, the longer it stays.
    """

    ways: tuple[Line, ...]
    rank: int = 0


def piece(*texts: str, tone: Tone = "plain", rank: int = 0) -> Piece:
    """A piece of one tone, with the ways to say it."""
    return Piece(tuple(((text, tone),) for text in texts), rank)


def width_of(line: Line) -> int:
    """The cells of a line."""
    return sum(cells(text) for text, _ in line)


def spread(left: Sequence[Piece], right: Sequence[Piece], width: int, gap: str = "  ") -> Line:
    """As many pieces as fit, the more important first, some at the left edge and some at the right. None is cut."""
    by_rank = sorted((*left, *right), key=lambda one: one.rank)
    chosen: dict[int, Line] = {}
    room = width
    for one in by_rank:  # first as many as possible, each as short as it can be said
        needed = width_of(one.ways[-1]) + (len(gap) if chosen else 0)
        if needed <= room:
            chosen[id(one)] = one.ways[-1]
            room -= needed
    for one in by_rank:  # and what is left goes into saying them at length
        short = chosen.get(id(one))
        if short is not None:
            longer = next(way for way in one.ways if width_of(way) - width_of(short) <= room)
            room -= width_of(longer) - width_of(short)
            chosen[id(one)] = longer
    sides = [_joined([chosen[id(one)] for one in side if id(one) in chosen], gap) for side in (left, right)]
    space = width - sum(map(width_of, sides))
    return (*sides[0], (" " * space, "plain"), *sides[1])


def _joined(lines: Iterable[Line], gap: str) -> Line:
    spans: list[Span] = []
    for line in lines:
        spans += [(gap, "plain"), *line] if spans else line
    return tuple(spans)


class Painted(Widget):
    """Base of such widgets: `draw` says what is there now, `renew` paints what differs from before."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"painted--{tone}" for tone in TONES if tone != "plain"}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()

    def draw(self, width: int, height: int) -> list[Line]:
        """The lines, none wider than `width`; `height` of them are seen."""
        raise NotImplementedError

    def wanted_height(self, width: int) -> int:
        """How many lines there would be, where the height is `auto`."""
        return len(self.draw(width, 1 << 16))

    def renew(self) -> None:
        """Paint what is different by now."""
        size = self.content_size
        before, self._lines = self._lines, tuple(self.draw(size.width, size.height)[: size.height])
        if self.styles.is_auto_height and self.wanted_height(size.width) != size.height:
            self.refresh(layout=True)
        regions = list(_differences(before, self._lines, size))
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Everything is elsewhere."""
        self._lines = tuple(self.draw(self.content_size.width, self.content_size.height))
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are."""
        return self.wanted_height(width)

    def render_line(self, y: int) -> Strip:
        """One line, in the colours of the theme."""
        base, width = self.rich_style, self.content_size.width
        line = self._lines[y] if y < len(self._lines) else ()
        strip = Strip([Segment(text, base + self._style(tone)) for text, tone in line if text])
        return strip.adjust_cell_length(width, base).simplify()

    @property
    def text(self) -> str:
        """What is written there."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._lines)

    def _style(self, tone: Tone) -> Style:
        return Style.null() if tone == "plain" else self.get_component_rich_style(f"painted--{tone}", partial=True)


def _differences(before: Sequence[Line], after: Sequence[Line], size: Size) -> Iterable[Region]:
    """For each line that differs, the cells from the first to the last that do."""
    for y in range(size.height):
        old = before[y] if y < len(before) else ()
        new = after[y] if y < len(after) else ()
        if old == new:
            continue
        first, last = _changed_cells(old, new, size.width)
        if first <= last:
            yield Region(first, y, last - first + 1, 1)


def _changed_cells(old: Line, new: Line, width: int) -> tuple[int, int]:
    one, other = _spelled(old, width), _spelled(new, width)
    changed = [at for at in range(width) if one[at] != other[at]]
    return (changed[0], changed[-1]) if changed else (0, -1)


def _spelled(line: Line, width: int) -> list[tuple[str, Tone]]:
    """A line cell by cell; both cells of a wide character are that character, marks belong to what they are on."""
    spelled: list[tuple[str, Tone]] = []
    for text, tone in line:
        for char in text:
            wide = cells(char)
            if wide == 0 and spelled:
                spelled[-1] = (spelled[-1][0] + char, tone)
            spelled += [(char, tone)] * wide
    spelled += [(" ", "plain")] * (width - len(spelled))
    return spelled
