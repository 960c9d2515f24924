"""One's own level, four times a second: a line of its own, painted only when it looks different."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from tuiconf.tui.widgets.meter import level_bar

METER_CELLS = 25
_NUMBER_CELLS = 9

# What the engine says of a source that gives nothing.
_SILENCE_DBFS = -90.0


class LevelLine(Widget):
    """A label, the meter, and the number."""

    DEFAULT_CSS = """
    LevelLine { height: 1; padding: 0 1; }
    """

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label
        self._dbfs: float | None = None

    def show(self, dbfs: float | None) -> None:
        """So loud it is now."""
        before = self._words
        self._dbfs = dbfs
        if self._words != before:
            self.refresh()

    @property
    def _words(self) -> tuple[str, str]:
        room = self.content_size.width - len(self._label) - _NUMBER_CELLS
        unicode = not bool(getattr(self.app, "ascii", False))
        bar = level_bar(self._dbfs, max(1, min(METER_CELLS, room)), unicode=unicode)
        silent = self._dbfs is None or self._dbfs <= _SILENCE_DBFS
        return bar, "no sound" if silent else f"{self._dbfs:.0f} dB"

    def render(self) -> Content:
        """The line."""
        bar, number = self._words
        return Content.assemble((self._label, "$quiet"), (bar, "$success"), f" {number}")
