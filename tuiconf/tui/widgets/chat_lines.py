"""Lines of chat as rows of a terminal: wrapped at words, one's own name and links marked. Pure but for the zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from tuiconf.control.schema import ChatLine
from tuiconf.tui.widgets.painted import Line, Span, Tone
from tuiconf.untrusted import cells, fit, visible

# Names are a column of their own where that leaves so much for what they say.
_COLUMNS_FROM: Final = 56
_TIME_FROM: Final = 30
_MOST_NAME: Final = 14
_TIME_CELLS: Final = 5

_LINK: Final = re.compile(r"\b(?:https?|tuiconf)://[^\s<>\"]*[^\s<>\".,;:!?)]", re.IGNORECASE)


def rows_of(line: ChatLine, own_name: str, name_cells: int, width: int, *, timestamps: bool) -> list[Line]:
    """What one line of chat takes of the screen. `name_cells`: the column of names, where there is one."""
    time = f"{datetime.fromtimestamp(line.ts).astimezone():%H:%M}" if timestamps and width >= _TIME_FROM else ""
    head: list[Span] = [(f"{time} ", "quiet")] if time else []
    if width >= _COLUMNS_FROM:
        name = fit(line.name, name_cells)
        head += [(f"{name}{' ' * (name_cells - cells(name))}  ", _tone(line))]
        indent = sum(cells(text) for text, _ in head)
    else:
        head += [(f"{fit(line.name, min(_MOST_NAME, width // 2))}  ", _tone(line))]
        indent = _TIME_CELLS + 1 if time else 2
    first = sum(cells(text) for text, _ in head)
    wrapped = list(_wrapped(visible(line.text), own_name if not line.own else "", width - first, width - indent))
    return [(*head, *wrapped[0]), *(((" " * indent, "plain"), *row) for row in wrapped[1:])]


def name_column(lines: tuple[ChatLine, ...]) -> int:
    """As wide as the longest name, within reason."""
    return max((cells(fit(line.name, _MOST_NAME)) for line in lines), default=0)


def _tone(line: ChatLine) -> Tone:
    return "me" if line.own else "strong"


def _wrapped(text: str, own_name: str, first: int, others: int) -> Iterator[Line]:
    tones = _tones(text, own_name)
    for begin, end in _breaks(text, max(1, first), max(1, others)):
        yield tuple(_spans(text, tones, begin, end))


def _tones(text: str, own_name: str) -> list[Tone]:
    """Of each character."""
    tones: list[Tone] = ["plain"] * len(text)
    if own_name and (mention := _mention(visible(own_name))) is not None:
        for found in mention.finditer(text):
            tones[found.start() : found.end()] = ["mention"] * (found.end() - found.start())
    for found in _LINK.finditer(text):
        tones[found.start() : found.end()] = ["link"] * (found.end() - found.start())
    return tones


@lru_cache(8)
def _mention(name: str) -> re.Pattern[str] | None:
    """The name as a word, with or without an @ before it. A name of one letter is in too many sentences."""
    optional = "" if len(name) < 2 else "?"
    return re.compile(rf"(?<!\w)@{optional}{re.escape(name)}(?!\w)", re.IGNORECASE) if name else None


def _breaks(text: str, first: int, others: int) -> Iterator[tuple[int, int]]:
    """Where each row begins and ends: between words, or within one that is longer than a row."""
    begin, room = 0, first
    while True:
        end = _end_of_row(text, begin, room)
        yield begin, end
        begin = end
        while begin < len(text) and text[begin] == " ":
            begin += 1
        if begin >= len(text):
            return
        room = others


def _end_of_row(text: str, begin: int, room: int) -> int:
    last_space, at = -1, begin
    while at < len(text):
        room -= cells(text[at])
        if text[at] == " ":
            last_space = at
        if room < 0:
            return last_space if last_space > begin else max(at, begin + 1)
        at += 1
    return at


def _spans(text: str, tones: list[Tone], begin: int, end: int) -> Iterator[Span]:
    start = begin
    for at in range(begin + 1, end + 1):
        if at == end or tones[at] != tones[start]:
            yield text[start:at], tones[start]
            start = at
