"""How a call has been: the last second, and the last two minutes; and what its process costs."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from tuiconf.adapters.process_figures import figures
from tuiconf.conference.events import AudioStats, Event, Reconnected, StreamStats
from tuiconf.control import schema
from tuiconf.control.schema import AnyRequest, Moment

# What fits into the width of a terminal, second by second. A moment is about 100 bytes.
KEPT_S: Final = 120

# Statistics come once a second, and once more when somebody was removed or all is over: that is no second of its own.
LEAST_S: Final = 0.5


class Moments:
    """The last two minutes of a call. Pure."""

    def __init__(self) -> None:
        self._kept: deque[Moment] = deque(maxlen=KEPT_S)
        self._received: dict[int, int] = {}

    def add(self, stats: AudioStats, *, ts: float) -> None:
        """The statistics that were told at `ts`, in seconds since 1970."""
        if self._kept and 0 <= ts - self._kept[-1].ts < LEAST_S:
            return
        heard = [stream for stream in stats.streams if stream.frames_received > self._received.get(stream.leaf, 0)]
        self._received = {stream.leaf: stream.frames_received for stream in stats.streams}
        self._kept.append(_moment(stats, heard, ts))

    def history(self) -> schema.History:
        """The oldest first."""
        return schema.History(moments=tuple(self._kept))


class Statistics:
    """A desk for all requests about figures; to be told what happens."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last: AudioStats | None = None
        self._reconnections = 0
        self._moments = Moments()

    def happened(self, event: Event) -> None:
        """Something happened in the call."""
        match event:
            case AudioStats():
                self._last = event
                self._moments.add(event, ts=round(time.time(), 3))
            case Reconnected():
                self._reconnections += 1

    def do(self, request: AnyRequest) -> msgspec.Struct | None:
        """Do it; None when it is not about figures."""
        match request:
            case schema.GetStats():
                return self._stats()
            case schema.GetHistory():
                return self._moments.history()
            case _:
                return None

    def _stats(self) -> schema.Stats:
        process = figures()
        return schema.Stats(
            audio=self._last,
            uptime_s=round(time.monotonic() - self._began, 1),
            reconnections=self._reconnections,
            rss_bytes=process.rss_bytes,
            cpu_s=round(process.cpu_s, 2),
            tasks=len(asyncio.all_tasks()),
            file_descriptors=process.file_descriptors,
        )


def _moment(stats: AudioStats, heard: list[StreamStats], ts: float) -> Moment:
    return Moment(
        ts=ts,
        rtt_ms=stats.rtt_ms,
        loss_percent=max((stream.loss_percent for stream in heard), default=None),
        buffer_ms=_mean(stream.buffer_ms for stream in heard),
        delay_ms=_mean(stream.delay_ms_p50 for stream in heard),
        level_dbfs=stats.level_dbfs,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None
