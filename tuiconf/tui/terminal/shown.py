"""The lines a terminal shows, so that painting all of them again costs what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip


class Shown:
    """Textual paints a whole screen when it is not sure: at each change of layout, when a dialog opens, as it begins.

    That is 6 kB in 256 colours, 1.7 s of a link of 30 kbit/s, and mostly what was there already. `reduced` keeps of an
    update the whole lines that differ from what was last sent. Parts of lines go through, and their lines count as
    unknown.
    """

    def __init__(self) -> None:
        self._size = (0, 0)
        self._lines: dict[int, str] = {}

    def forget(self) -> None:
        """The terminal may show anything: it has another size, or somebody else has written to it."""
        self._lines.clear()

    def reduced(self, update: RenderableType, console: Console) -> RenderableType | None:
        """What is to be sent for this update, which must then be sent; None when all of it is there."""
        if isinstance(update, LayoutUpdate):
            return self._screen(update, console)
        if isinstance(update, ChopsUpdate):
            return self._parts(update, console)
        self.forget()
        return update

    def _screen(self, update: LayoutUpdate, console: Console) -> RenderableType | None:
        self._measure(update.region.width, update.region.height)
        lines = [(row, _rendered(strips, console)) for row, strips in enumerate(update.strips, update.region.y)]
        changed = self._changed(lines)
        return Lines(changed) if changed else None

    def _parts(self, update: ChopsUpdate, console: Console) -> RenderableType | None:
        self._measure(update.chop_ends[0][-1], len(update.chop_ends))
        whole = {row for row, begin, end in update.spans if begin <= 0 and end >= update.chop_ends[row][-1]}
        changed = self._changed([(row, _rendered(update.chops[row].values(), console)) for row in sorted(whole)])
        spans = [span for span in update.spans if span[0] not in whole]
        for row, _, _ in spans:
            self._lines.pop(row, None)
        rest = ChopsUpdate(update.chops, spans, update.chop_ends) if spans else None
        return Lines(changed, rest) if changed or rest else None

    def _measure(self, width: int, height: int) -> None:
        if (width, height) != self._size:
            self._size = (width, height)
            self.forget()

    def _changed(self, lines: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        changed = [(row, line) for row, line in lines if self._lines.get(row) != line]
        self._lines.update(changed)
        return changed


class Lines(CompositorUpdate):
    """Whole lines, each at its row, and parts of others."""

    def __init__(self, lines: Sequence[tuple[int, str]], rest: CompositorUpdate | None = None) -> None:
        self._lines = lines
        self._rest = rest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Textual asks for the other form only."""
        yield Segment(self.render_segments(console))

    def render_segments(self, console: Console) -> str:
        """As it goes to the terminal."""
        lines = "".join(f"{Control.move_to(0, row).segment.text}{line}" for row, line in self._lines)
        return lines + (self._rest.render_segments(console) if self._rest is not None else "")


def _rendered(strips: Iterable[Strip | None], console: Console) -> str:
    return "".join(strip.render(console) for strip in strips if strip is not None)
