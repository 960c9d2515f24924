"""Digits large enough to be read aloud from across a desk: 3 by 5 dots, with Unicode two of them in a cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_DOTS = {
    "0": ("###", "#.#", "#.#", "#.#", "###"),
    "1": (".#.", "##.", ".#.", ".#.", "###"),
    "2": ("###", "..#", "###", "#..", "###"),
    "3": ("###", "..#", "###", "..#", "###"),
    "4": ("#.#", "#.#", "###", "..#", "..#"),
    "5": ("###", "#..", "###", "..#", "###"),
    "6": ("###", "#..", "###", "#.#", "###"),
    "7": ("###", "..#", "..#", ".#.", ".#."),
    "8": ("###", "#.#", "###", "#.#", "###"),
    "9": ("###", "#.#", "###", "..#", "###"),
    " ": ("...", "...", "...", "...", "..."),
}
_HALVES = {"..": " ", "#.": "▀", ".#": "▄", "##": "█"}

_GAP = 3  # cells between two groups
_DIGIT = 4  # cells of a digit with the space after it


def group_width(digits: int) -> int:
    """The cells that a group takes."""
    return digits * _DIGIT - 1


def big_lines(groups: Sequence[str], *, width: int, unicode: bool) -> tuple[str, ...] | None:
    """The groups in big digits, as many side by side as fit, an empty line between rows. None: not one fits."""
    each = group_width(max(map(len, groups)))
    per_row = even_rows(len(groups), (width + _GAP) // (each + _GAP))
    if not per_row:
        return None
    lines: list[str] = []
    for at in range(0, len(groups), per_row):
        if lines:
            lines.append("")
        lines += _row(groups[at : at + per_row], unicode=unicode)
    return tuple(lines)


def even_rows(count: int, most: int) -> int:
    """How many to a row, `most` at most, so that every row is full; 0 where not one fits."""
    return next((each for each in range(min(most, count), 0, -1) if count % each == 0), 0)


def plain_lines(groups: Sequence[str], *, width: int) -> tuple[str, ...]:
    """The groups in digits of one cell, spaced where there is room."""
    spaced = [" ".join(group) for group in groups]
    shown, gap = (spaced, 3) if width >= 2 * len(spaced[0]) + 3 else (list(groups), 2)
    per_row = max(1, even_rows(len(shown), (width + gap) // (len(shown[0]) + gap)))
    return tuple((" " * gap).join(shown[at : at + per_row]) for at in range(0, len(shown), per_row))


def _row(groups: Sequence[str], *, unicode: bool) -> list[str]:
    dots = [(" " * _GAP).join(_dots(group, line) for group in groups) for line in range(5)]
    if not unicode:
        return [line.replace(".", " ") for line in dots]
    below = [*dots[1::2], dots[0].replace("#", ".")]
    return [_halved(*pair) for pair in zip(dots[::2], below, strict=True)]


def _halved(upper: str, lower: str) -> str:
    return "".join(_HALVES.get(above + beneath, " ") for above, beneath in zip(upper, lower, strict=True))


def _dots(group: str, line: int) -> str:
    return ".".join(_DOTS[digit][line] for digit in group)
