"""Warnings, for as long as they hold: one line each, the gravest first, and no room taken where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tuiconf.tui.warnings import Warning  # noqa: A004 - that is what it is
from tuiconf.tui.widgets.painted import Line, Painted
from tuiconf.untrusted import cells, fit

# In a small window one line less for the call is a lot: the gravest are shown, and how many there are besides.
MAX_LINES: Final = 3

# From this width on the sentences stand below one another.
_ALIGNED_FROM: Final = 60


class Banner(Painted):
    """`key_of` says which key an action has, for the hint at the end of a line."""

    DEFAULT_CSS = """
    Banner { display: none; height: auto; max-height: 3; padding: 0 1; background: $surface; }
    """

    def __init__(self, key_of: Callable[[str], str]) -> None:
        super().__init__()
        self._key_of = key_of
        self._warnings: tuple[Warning, ...] = ()

    def show(self, warnings: list[Warning]) -> None:
        """Show these, and no others."""
        if tuple(warnings) != self._warnings:
            self._warnings = tuple(warnings)
            self.display = bool(warnings)
            self.renew()

    def draw(self, width: int, height: int) -> list[Line]:
        """One line each, and in the last one how many there was no room for."""
        shown = self._warnings[: min(height, MAX_LINES)]
        more = len(self._warnings) - len(shown)
        words = max((cells(one.word) for one in shown), default=0) if width >= _ALIGNED_FROM else 0
        return [self._line(one, width, words, more if one is shown[-1] else 0) for one in shown]

    def _line(self, warning: Warning, width: int, words: int, more: int) -> Line:
        key = self._key_of(warning.action) if warning.action else ""
        end = f"{key} {_DOES[warning.action]}" if key else ""
        end = f"{end}  +{more} more".strip() if more else end
        word = warning.word.ljust(words)
        room = width - cells(word) - 2
        if cells(end) + 24 > room:  # the sentence comes first
            end = f"+{more}" if more else key
        text = fit(warning.text, room - (cells(end) + 2 if end else 0))
        space = " " * (room - cells(text) - cells(end))
        begin: Line = ((word, warning.tone), ("  ", "plain"), (text, "plain"), (space, "plain"))
        lead = len(key) if key and end.startswith(key) else 0
        return (*begin, (end[:lead], "strong"), (end[lead:], "quiet"))


_DOES: Final = {"verify": "decide", "record": "stop", "lobby": "decide"}
