"""A run of numbers as one line of small bars. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"


def columns(points: Sequence[tuple[float, float | None]], *, width: int, seconds: int) -> list[float | None]:
    """The last `seconds` in `width` columns at most, the newest last, each with the highest of what falls into it.

    Columns begin at whole multiples of their length on the clock, so between two shifts only the last one changes:
    over a slow line a bar costs a character, and not a line.
    """
    if not points or width < 1:
        return []
    length = max(1, math.ceil(seconds / width))
    newest = int(points[-1][0] // length)
    count = min(width, math.ceil(seconds / length))
    highest: dict[int, float] = {}
    for when, value in points:
        at = int(when // length)
        if value is not None and newest - count < at <= newest:
            highest[at] = max(value, highest.get(at, -math.inf))
    return [highest.get(at) for at in range(newest - count + 1, newest + 1)]


def ceiling(values: Sequence[float | None], *, least: float) -> float:
    """Where the scale ends: 1, 2 or 5 times a power of ten, so that it seldom changes."""
    top = max((value for value in values if value is not None), default=0.0)
    if not top > least:
        return least
    power: float = 10.0 ** math.floor(math.log10(top))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if top <= step * power * (1 + 1e-9))


def bars(values: Sequence[float | None], *, low: float, high: float, unicode: bool) -> str:
    """One character for each value, a space where there is none; what is outside of the scale ends at it."""
    steps = BARS if unicode else ASCII_BARS
    return "".join(" " if value is None else steps[_step(value, low, high, len(steps))] for value in values)


def _step(value: float, low: float, high: float, steps: int) -> int:
    if high <= low:
        return 0
    share = (value - low) / (high - low)
    return min(steps - 1, max(0, int(share * steps)))
