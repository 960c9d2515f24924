"""How a call has been, second by second: bounded, and only about those who were heard."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.control.support import STATS, patient
from tuiconf.conference.events import AudioStats, Reconnected, StreamStats
from tuiconf.control import schema
from tuiconf.control.statistics import KEPT_S, Moments, Statistics


def stream(
    leaf: int, received: int, *, loss: float = 0.0, buffer_ms: float = 40.0, delay_ms: float | None = None
) -> StreamStats:
    """Of one participant."""
    return StreamStats(
        leaf=leaf,
        name="Bo",
        fingerprint="",
        frames_received=received,
        frames_played=received,
        frames_concealed=0,
        frames_late=0,
        loss_percent=loss,
        buffer_ms=buffer_ms,
        delay_ms_p50=delay_ms,
        delay_ms_p95=None,
    )


def stats(*streams: StreamStats, rtt_ms: float | None = 12.0) -> AudioStats:
    return msgspec.structs.replace(STATS, streams=streams, rtt_ms=rtt_ms)


def test_the_worst_and_the_mean_are_of_those_who_were_heard() -> None:
    moments = Moments()
    moments.add(stats(stream(1, 50, loss=2.0, buffer_ms=40, delay_ms=90), stream(2, 50, loss=7.0, buffer_ms=60)), ts=1)
    moments.add(stats(stream(1, 100, loss=1.0), stream(2, 50, loss=7.0)), ts=2)
    moments.add(stats(stream(1, 100, loss=1.0), stream(2, 50, loss=7.0)), ts=3)
    first, second, third = moments.history().moments
    assert (first.loss_percent, first.buffer_ms, first.delay_ms, first.rtt_ms) == (7.0, 50.0, 90.0, 12.0)
    assert (second.loss_percent, second.buffer_ms, second.delay_ms) == (1.0, 40.0, None)
    assert (third.loss_percent, third.buffer_ms, third.rtt_ms) == (None, None, 12.0)


def test_who_comes_to_a_leaf_that_is_free_again_is_heard() -> None:
    moments = Moments()
    moments.add(stats(stream(1, 5000)), ts=1)
    moments.add(stats(), ts=2)
    moments.add(stats(stream(1, 10, loss=3.0)), ts=3)
    assert moments.history().moments[-1].loss_percent == 3.0


def test_a_second_counts_once() -> None:
    moments = Moments()
    for ts in (1.0, 1.2, 2.0):
        moments.add(stats(), ts=ts)
    assert [moment.ts for moment in moments.history().moments] == [1.0, 2.0]


@patient
@given(st.lists(st.floats(min_value=-1e9, max_value=1e10), max_size=400))
def test_two_minutes_are_kept_and_no_more(times: list[float]) -> None:
    moments = Moments()
    for ts in times:
        moments.add(stats(stream(1, 1)), ts=ts)
    assert len(moments.history().moments) <= KEPT_S == 120


def test_the_desk_answers_about_figures_and_nothing_else() -> None:
    desk = Statistics()
    assert desk.do(schema.Mute()) is None
    assert desk.do(schema.GetHistory()) == schema.History(moments=())
    desk.happened(STATS)
    desk.happened(Reconnected(epoch=1, rejoined=False))
    history = desk.do(schema.GetHistory())
    assert isinstance(history, schema.History) and len(history.moments) == 1
