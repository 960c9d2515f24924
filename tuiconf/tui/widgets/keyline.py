"""One line that says which keys do what here; what does not fit is left out from the end, and `?` knows it all."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from tuiconf.untrusted import cells

Hint = tuple[str, str]
"""A key as it is read, and the word for what it does."""


def fitting(hints: Sequence[Hint], width: int) -> list[Hint]:
    """As many as fit. The last one, the way back, is always among them."""
    if not hints:
        return []
    *others, last = hints
    room = width - _cells(last)
    shown: list[Hint] = []
    for hint in others:
        room -= _cells(hint) + 2
        if room < 0:
            break
        shown.append(hint)
    return [*shown, last]


def _cells(hint: Hint) -> int:
    return cells(hint[0]) + 1 + cells(hint[1])


class KeyLine(Widget):
    """The hints of a screen. Set anew as often as one likes: it is painted only when it differs."""

    DEFAULT_CSS = """
    KeyLine { height: 1; padding: 0 1; color: $quiet; }
    """

    def __init__(self, hints: Sequence[Hint] = ()) -> None:
        super().__init__()
        self._hints = tuple(hints)

    @property
    def hints(self) -> tuple[Hint, ...]:
        """What is shown, as far as it fits."""
        return self._hints

    def show(self, hints: Sequence[Hint]) -> None:
        """Show these."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.refresh()

    def render(self) -> Content:
        """The line."""
        parts: list[tuple[str, str]] = []
        for key, word in fitting(self._hints, self.content_size.width):
            parts += [("  " if parts else "", ""), (key, "bold $foreground"), (f" {word}", "")]
        return Content.assemble(*parts)
