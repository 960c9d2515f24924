"""Who is here: whether they speak, what they show, how well they come through, and who they are to us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuiconf.control.events import Level, Person
from tuiconf.tui.model import CallModel
from tuiconf.tui.widgets.meter import filled_cells
from tuiconf.tui.widgets.painted import Line, Painted, Span, Tone
from tuiconf.tui.widgets.status import BAD_LOSS, SOME_LOSS
from tuiconf.untrusted import cells, fit

METER_CELLS: Final = 5  # as wide as "muted", which stands in its place

TRUST: Final[Mapping[str, Span]] = {
    "self": ("you", "quiet"),
    "new": ("new", "notice"),
    "known": ("known", "plain"),
    "verified": ("verified", "good"),
    "changed": ("CHANGED", "bad"),
}
"""One word for each state, and no two share one."""

_TRUST_CELLS: Final = 8
_QUALITY_CELLS: Final = 4
_LEAST_NAME: Final = 8
_CUT_NAME: Final = 10  # names are cut to it before states are left out
_MOST_NAME: Final = 24
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Widths:
    """The cells of each column; 0: it is not there."""

    meter: int
    name: int
    states: int
    quality: int


def widths(width: int, longest_name: int) -> Widths:
    """What fits, given up in this order: the quality, the words for states, the end of long names, the meter."""
    name = min(max(longest_name, _LEAST_NAME), _MOST_NAME)
    gap = len(_GAP)
    room = width - METER_CELLS - 1 - gap - _TRUST_CELLS  # for the name, and what comes after the trust
    for states, quality in ((18, _QUALITY_CELLS), (13, _QUALITY_CELLS), (13, 0), (9, 0), (4, 0)):
        left = room - gap - states - (gap + quality if quality else 0)
        if left >= min(name, _CUT_NAME):
            return Widths(METER_CELLS, min(name, left), states, quality)
    if room < _LEAST_NAME:
        return Widths(0, max(1, min(name, room + METER_CELLS + 1)), 0, 0)
    return Widths(METER_CELLS, min(name, room), 0, 0)


class Roster(Painted):
    """Shows a model. `bar` is what a meter is made of."""

    DEFAULT_CSS = """
    Roster { height: 1fr; }
    """

    def __init__(self, model: CallModel) -> None:
        super().__init__()
        self._model = model
        self.bar = "▄"
        self.moving = True
        """Whether there are meters; without, a word says who speaks."""

    def draw(self, width: int, height: int) -> list[Line]:
        """A line for each, as many as there is room for, and how many there are besides."""
        people = in_order(self._model)
        shown = people if len(people) <= height else people[: height - 1]
        columns = widths(width, max((cells(fit(who.name, _MOST_NAME)) for who in shown), default=0))
        levels = self._levels()
        loss = self._loss()
        lines = [self._line(who, columns, levels.get(who.leaf), loss.get(who.leaf)) for who in shown]
        if len(shown) < len(people):
            lines.append(self._rest(people[len(shown) :], levels, width))
        return lines

    def wanted_height(self, width: int) -> int:
        """One line each."""
        return max(1, len(self._model.people))

    def _line(self, who: Person, columns: Widths, level: Level | None, loss: float | None) -> Line:
        me = who.trust == "self"
        spans: list[Span] = [self._meter(who, level), (" ", "plain")] if columns.meter else []
        spans.append((_filled(fit(who.name, columns.name), columns.name), "strong" if me else "plain"))
        poor = loss is not None and loss >= BAD_LOSS
        trust, trust_tone = TRUST[who.trust]
        spans += [(_GAP, "plain"), (trust.ljust(_TRUST_CELLS), trust_tone)]
        if columns.quality:
            word, tone = _quality(loss) if not me else ("", "plain")
            spans += [(_GAP, "plain"), (word.ljust(columns.quality), tone)]
        if columns.states:
            words = self._states(who, poor=poor and not columns.quality)
            spans += [(_GAP, "plain"), *_words(words, columns.states)]
        return tuple(spans)

    def _meter(self, who: Person, level: Level | None) -> Span:
        if who.muted:
            return "muted", "quiet"
        if level is None or not level.speaking:
            return " " * METER_CELLS, "plain"
        if not self.moving:
            return "talks", "good"
        return (self.bar * max(1, filled_cells(level.dbfs, METER_CELLS))).ljust(METER_CELLS), "good"

    def _states(self, who: Person, *, poor: bool) -> list[tuple[str, Tone, int]]:
        """Words, their tones, and their ranks where there is not room for all."""
        volumes = self._model.state.volumes if self._model.state is not None else ()
        hushed = any(volume.leaf == who.leaf and volume.muted for volume in volumes)
        words: tuple[tuple[bool, str, Tone, int], ...] = (
            (who.host, "host", "plain", 3),
            (who.hand, "hand", "notice", 1),
            (who.recording, "rec", "warning", 0),
            (poor, "poor", "warning", 4),
            (hushed, "off", "quiet", 2),
        )
        return [(word, tone, rank) for there, word, tone, rank in words if there]

    def _rest(self, others: list[Person], levels: Mapping[int, Level], width: int) -> Line:
        speaking = [who.name for who in others if (level := levels.get(who.leaf)) is not None and level.speaking]
        text = f"and {len(others)} more"
        if speaking:
            text = fit(f"{text}, {speaking[0]} talks", width)
        return ((text, "quiet"),)

    def _levels(self) -> dict[int, Level]:
        levels = self._model.levels
        if levels is None:
            return {}
        audio = self._model.state.audio if self._model.state is not None else None
        own = [levels.own] if levels.own is not None and audio is not None and audio.live else []
        return {level.leaf: level for level in (*levels.others, *own)}

    def _loss(self) -> dict[int, float]:
        stats = self._model.stats
        return {stream.leaf: stream.loss_percent for stream in stats.streams} if stats is not None else {}


def in_order(model: CallModel) -> list[Person]:
    """Oneself, then whoever needs to be seen, then the others as they sit: nobody moves because they speak."""

    def rank(who: Person) -> tuple[bool, ...]:
        return (who.trust != "self", who.trust != "changed", not who.hand, not who.host, who.muted)

    return sorted(model.people, key=rank)


def _quality(loss: float | None) -> tuple[str, Tone]:
    if loss is None:
        return "", "plain"
    if loss >= BAD_LOSS:
        return "poor", "warning"
    return ("fair", "plain") if loss >= SOME_LOSS else ("good", "quiet")


def _words(words: list[tuple[str, Tone, int]], width: int) -> list[Span]:
    """Whole words, the most important ones where not all fit, in the order in which they always stand."""
    kept: set[str] = set()
    room = width + 1
    for word, _, _ in sorted(words, key=lambda one: one[2]):
        if len(word) + 1 <= room:
            kept.add(word)
            room -= len(word) + 1
    spans: list[Span] = []
    for word, tone, _ in words:
        if word in kept:
            spans += [(" ", "plain"), (word, tone)] if spans else [(word, tone)]
    return [*spans, (" " * (width - sum(len(text) for text, _ in spans)), "plain")]


def _filled(text: str, width: int) -> str:
    return text + " " * (width - cells(text))
