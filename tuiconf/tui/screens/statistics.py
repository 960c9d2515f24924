"""How the call is: the last two minutes as small bars, each stream, and what it costs this machine."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.control.events import AudioStats
from tuiconf.tui.model import Part, Parts
from tuiconf.tui.screens.panel import LOW, STYLES, Panel, lines, said
from tuiconf.tui.screens.wording import lasting
from tuiconf.tui.widgets.keyline import Hint
from tuiconf.tui.widgets.meter import FLOOR_DBFS
from tuiconf.tui.widgets.rows import Cell, Column, Row, Rows, Tone
from tuiconf.tui.widgets.sparkline import bars, ceiling, columns

# What the engine keeps (`stats.history`).
HISTORY_S: Final = 120

_NAME_CELLS: Final = 7
_VALUE_CELLS: Final = 9
_SCALE_CELLS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One line of the history. `high` of None: the scale ends where the numbers do, at `least` or above."""

    name: str
    unit: str
    value: Callable[[schema.Moment], float | None]
    least: float
    low: float = 0.0
    high: float | None = None


GRAPHS: Final = (
    Graph(name="RTT", unit="ms", value=lambda moment: moment.rtt_ms, least=100.0),
    Graph(name="Loss", unit="%", value=lambda moment: moment.loss_percent, least=10.0),
    Graph(name="Buffer", unit="ms", value=lambda moment: moment.buffer_ms, least=100.0),
    Graph(name="Delay", unit="ms", value=lambda moment: moment.delay_ms, least=200.0),
    Graph(name="Level", unit="dB", value=lambda moment: moment.level_dbfs, least=0.0, low=FLOOR_DBFS, high=0.0),
)


class Graphs(Widget):
    """All graphs, a line each, painted again only where a line differs."""

    DEFAULT_CSS = """
    Graphs { height: 5; padding: 0 1; margin-top: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._moments: tuple[schema.Moment, ...] = ()

    def show(self, moments: Sequence[schema.Moment]) -> None:
        """Draw these."""
        if tuple(moments) != self._moments:
            self._moments = tuple(moments)
            self.refresh()

    def render(self) -> Content:
        """Name, the newest value, the bars, and where their scale ends."""
        unicode = not bool(getattr(self.app, "ascii", False))
        return lines(_graph_line(graph, self._moments, self.content_size.width, unicode=unicode) for graph in GRAPHS)


def _graph_line(graph: Graph, moments: Sequence[schema.Moment], width: int, *, unicode: bool) -> Content:
    scaled = width >= _NAME_CELLS + _VALUE_CELLS + _SCALE_CELLS + 20
    room = width - _NAME_CELLS - _VALUE_CELLS - 2 - (_SCALE_CELLS if scaled else 0)
    values = columns([(moment.ts, graph.value(moment)) for moment in moments], width=room, seconds=HISTORY_S)
    high = graph.high if graph.high is not None else ceiling(values, least=graph.least)
    newest = graph.value(moments[-1]) if moments else None
    return Content.assemble(
        graph.name.ljust(_NAME_CELLS),
        (_number(newest, graph.unit).rjust(_VALUE_CELLS), "bold"),
        "  ",
        (bars(values, low=graph.low, high=high, unicode=unicode), STYLES["notice"]),
        (f"  of {high:g} {graph.unit}" if scaled and graph.high is None else "", STYLES["quiet"]),
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} {unit}" if unit == "%" else f"{value:.0f} {unit}"


class StatisticsScreen(Panel[None]):
    """Asked of the engine once a second, when it says how the last one was."""

    HEADING = "Statistics"
    DEFAULT_CSS = """
    StatisticsScreen .process { height: auto; padding: 0 1; margin-top: 1; }
    StatisticsScreen Rows { min-height: 2; }
    StatisticsScreen.-low Graphs { margin-top: 0; }
    StatisticsScreen.-low .process { display: none; }
    """
    KEYS: ClassVar[Sequence[Binding]] = [Binding("i", "close", "Back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._before: schema.Stats | None = None

    def body(self) -> ComposeResult:
        """History, what it costs, streams."""
        yield Graphs()
        yield Static(classes="process")
        yield Rows(_COLUMNS, empty="Nobody has been heard yet")

    def hints(self) -> Sequence[Hint]:
        """The keys."""
        return (("up/down", "scroll"), ("Esc", "back"))

    def on_mount(self) -> None:
        """Show what there is."""
        self.query_one(Rows).focus()
        self.refresh_model(frozenset((Part.STATS,)))

    def refresh_model(self, parts: Parts) -> None:
        """A second is over."""
        if Part.STATS in parts:
            self.work(self._ask(), exclusive=True, group="statistics")

    async def _ask(self) -> None:
        if (history := await self.tui.do(schema.GetHistory())) is not None:
            self.query_one(Graphs).show(history.moments)
        if (stats := await self.tui.do(schema.GetStats())) is not None:
            self._show(stats)

    def _show(self, stats: schema.Stats) -> None:
        audio = self.tui.model.stats or stats.audio
        about = process_lines(stats, self._before)
        self._before = stats
        since = lasting(stats.uptime_s)
        self.head(aside=f"in the call for {since}", short=since)
        streams = stream_rows(audio) if audio is not None else []
        low = self.app.size.height < LOW
        self.put(".process", Content("") if low else lines(said(line, "quiet") for line in about))
        self.query_one(Rows).show([*streams, *(_wrapped(about, self.app.size.width - 4) if low else ())])


_COLUMNS: Final = (
    Column(cells=8, grows=True, most=36),
    Column(cells=8, right=True),
    Column(cells=7, right=True),
    Column(cells=7, right=True, from_width=44),
    Column(cells=7, right=True, from_width=52),
    Column(cells=9, right=True, from_width=62),
    Column(cells=6, right=True, from_width=70),
)


def stream_rows(audio: AudioStats) -> list[Row]:
    """A heading, and each who is heard; whoever is heard worst is not hidden at the end of a long list."""
    heading = Row(
        key="",
        cells=tuple(
            Cell(text=text, tone="quiet")
            for text in ("Who is heard", "loss", "buffer", "delay", "95 %", "concealed", "late")
        ),
    )
    streams = sorted(audio.streams, key=lambda stream: (-stream.loss_percent, stream.leaf))
    rows = [
        Row(
            key=str(stream.leaf),
            cells=(
                Cell(text=stream.name),
                Cell(text=f"{stream.loss_percent:.1f} %", tone=_loss_tone(stream.loss_percent)),
                Cell(text=f"{stream.buffer_ms:.0f} ms"),
                Cell(text=_ms(stream.delay_ms_p50)),
                Cell(text=_ms(stream.delay_ms_p95)),
                Cell(text=str(stream.frames_concealed)),
                Cell(text=str(stream.frames_late)),
            ),
        )
        for stream in streams
    ]
    return [heading, *rows] if rows else []


def _wrapped(sentences: Sequence[str], width: int) -> list[Row]:
    """Where there is no room for them beside the list, they are at its end: it scrolls."""
    wrapped = [line for sentence in sentences for line in textwrap.wrap(sentence, max(10, width))]
    return [Row(key=f"about {nth}", cells=(Cell(text=line, tone="quiet"),)) for nth, line in enumerate(wrapped)]


def process_lines(stats: schema.Stats, before: schema.Stats | None) -> list[str]:
    """What is sent, what cannot be opened, and what the engine takes of this machine."""
    audio = stats.audio
    engine = (
        f"Engine: {_cpu(stats, before)}{stats.rss_bytes / (1 << 20):.0f} MB, reconnected {_times(stats.reconnections)}"
    )
    if audio is None:
        return [engine]
    sent = f"Sent: {audio.frames_sent} frames, each datagram repeats {_repeats(audio.repeats)}"
    return [sent, f"Not decryptable: {_undecryptable(audio.undecryptable)}", engine]


def _undecryptable(counts: dict[str, int]) -> str:
    """Only what was: silence was played in its place."""
    found = [f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(counts.items()) if count]
    return ", ".join(found) or "nothing"


def _repeats(distances: Sequence[int]) -> str:
    return "nothing" if not distances else "the frame " + " and ".join(f"{back} before" for back in distances)


def _cpu(now: schema.Stats, before: schema.Stats | None) -> str:
    """Between two looks; since the beginning it would be a number that hardly moves."""
    if before is None or now.uptime_s <= before.uptime_s:
        return ""
    return f"{100 * max(0.0, now.cpu_s - before.cpu_s) / (now.uptime_s - before.uptime_s):.0f} % of a core, "


def _times(count: int) -> str:
    return "never" if not count else "once" if count == 1 else f"{count} times"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _loss_tone(percent: float) -> Tone:
    return "bad" if percent >= 10 else "warning" if percent >= 3 else "plain"
