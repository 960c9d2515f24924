"""A QR code as lines of text: half blocks, two modules in a cell; without Unicode, a module in two cells. Pure.

Letters are no modules: no camera takes a `#` for a dark square. What is drawn without Unicode are spaces (`solid`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content

Modules = Sequence[Sequence[bool]]
"""The code without its margin: rows of modules, True where dark."""

_INK = "#"

# The standard says 4 modules of light around the code; every reader at hand takes 2.
QUIET = 2

# Upper and lower module of a cell, by whether each is drawn.
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QrLines:
    """A code that is ready to be shown; all lines are equally wide."""

    lines: tuple[str, ...]

    @property
    def width(self) -> int:
        """In cells."""
        return len(self.lines[0])

    @property
    def height(self) -> int:
        """In lines."""
        return len(self.lines)

    def fits(self, width: int, height: int) -> bool:
        """Whether all of it can be seen there: a part cannot be scanned."""
        return self.width <= width and self.height <= height


def qr_modules(text: str) -> Modules:
    """The smallest code for the text that survives 15 % of damage (level M)."""
    import segno  # 6 MB of its own, and most calls never show one

    return [[bool(module) for module in row] for row in segno.make(text, error="m", micro=False).matrix]


def draw_qr(modules: Modules, *, unicode: bool, ink_is_light: bool) -> QrLines:
    """The code in characters.

    `ink_is_light`: what is drawn is brighter than what is left out, as in a terminal that is dark; then the light
    modules are drawn, margin included, and otherwise the dark ones.
    """
    framed = _framed(modules)
    drawn = [[module != ink_is_light for module in row] for row in framed]
    return QrLines(lines=tuple(_halved(drawn) if unicode else _doubled(drawn)))


def solid(code: QrLines, ink: str) -> Content:
    """The code in spaces, of which those that are drawn have the style `ink`: `reverse`, or a background."""
    runs = (("".join(run), drawn) for line in code.lines for drawn, run in groupby(line + "\n", _INK.__eq__))
    return Content.assemble(*((" " * len(run), ink) if drawn else run for run, drawn in runs)).rstrip("\n")


def _framed(modules: Modules) -> list[list[bool]]:
    width = len(modules[0]) + 2 * QUIET
    margin = [[False] * width for _ in range(QUIET)]
    side = [False] * QUIET
    return [*margin, *([*side, *row, *side] for row in modules), *margin]


def _halved(drawn: Sequence[Sequence[bool]]) -> list[str]:
    """Versions have an odd number of modules: the last line is a half, and what is below stays as the margin is."""
    rows = [*drawn, drawn[0]] if len(drawn) % 2 else list(drawn)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs]


def _doubled(drawn: Sequence[Sequence[bool]]) -> list[str]:
    return ["".join(2 * (_INK if module else " ") for module in row) for row in drawn]
