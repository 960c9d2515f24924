"""Reports come back as they were sent, and whatever else comes is a `ReportError`; the loss meter counts right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim.link import LinkProfile, LossyLink
from tuiconf.errors import LocalProtocolError
from tuiconf.media.report import MAX_LEAF, MAX_LOSSES, Loss, LossMeter, Report, ReportError, decode_report

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 64) - 1)

losses = st.lists(
    st.builds(Loss, leaf=st.integers(0, MAX_LEAF), received=U32, lost=U32),
    max_size=MAX_LOSSES,
    unique_by=lambda loss: loss.leaf,
).map(tuple)


@given(st.builds(Report, counter=U64, wall_time_us=U64, losses=losses))
def test_a_report_comes_back_as_it_was_sent(report: Report) -> None:
    assert decode_report(report.encode()) == report


@given(st.builds(Report, counter=U64, wall_time_us=U64, losses=losses), st.data())
def test_a_cut_or_lengthened_report_is_refused(report: Report, data: st.DataObject) -> None:
    whole = report.encode()
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\x00"):
        try:
            shorter = decode_report(damaged)
        except ReportError:
            continue
        assert len(shorter.losses) < len(report.losses)  # cut exactly between two losses


@given(st.binary(max_size=250))
def test_no_bytes_bring_anything_but_a_report_or_the_one_error(data: bytes) -> None:
    for candidate in (data, b"\x01" + data):
        try:
            report = decode_report(candidate)
        except ReportError:
            continue
        assert report.encode() == candidate


def test_a_report_of_another_version_or_naming_a_leaf_twice_or_an_impossible_one_is_refused() -> None:
    good = Report(counter=1, wall_time_us=2, losses=(Loss(leaf=3, received=4, lost=5),)).encode()
    entry = good[17:]
    for bad in (b"\x02" + good[1:], good + entry, good[:17] + b"\x10\x00" + entry[2:], good + 16 * entry):
        with pytest.raises(ReportError):
            decode_report(bad)


@pytest.mark.parametrize(
    "report",
    [
        Report(counter=-1, wall_time_us=0),
        Report(counter=0, wall_time_us=1 << 64),
        Report(counter=0, wall_time_us=0, losses=(Loss(leaf=1, received=-1, lost=0),)),
        Report(counter=0, wall_time_us=0, losses=(Loss(leaf=MAX_LEAF + 1, received=0, lost=0),)),
        Report(counter=0, wall_time_us=0, losses=tuple(Loss(leaf=leaf, received=0, lost=0) for leaf in range(17))),
    ],
)
def test_a_report_that_cannot_be_sent_is_our_own_mistake(report: Report) -> None:
    with pytest.raises(LocalProtocolError):
        report.encode()


def test_the_lost_fraction_is_of_what_was_sent() -> None:
    assert Loss(leaf=0, received=90, lost=10).fraction == 0.1
    assert Loss(leaf=0, received=0, lost=0).fraction == 0.0


@pytest.mark.parametrize("burst", [1, 3])
def test_the_meter_counts_what_the_link_lost_and_how(burst: int) -> None:
    link, meter, last = LossyLink(LinkProfile(loss=0.1, burst=burst, reorder=0.02), seed=5), LossMeter(), 0
    for seq in range(2000):
        link.send(seq.to_bytes(2, "big"), now=seq * 0.02)
    for _, data in link.receive(now=1000.0):
        last = int.from_bytes(data, "big")
        meter.count(last)
    runs = meter.burst_frames
    received, lost = meter.take()
    assert received == 2000 - link.lost
    assert abs(lost - link.lost) <= 3  # at the end nothing tells
    assert runs is not None
    assert burst * 0.8 <= runs <= burst * 1.4
    assert meter.take() == (0, 0)
    assert meter.burst_frames is None


def test_a_pause_or_a_new_numbering_is_no_loss() -> None:
    meter = LossMeter()
    for seq in (0, 1, 500, 501, 3, 4, 1 << 60):
        meter.count(seq)
    assert meter.take() == (7, 0)
