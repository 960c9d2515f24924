"""The jitter buffer: order, caps, one frame for one lost packet, little delay on a good link, all of it adapting."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.link import LOOPBACK, PERFECT, LinkProfile, LossyLink
from tuiconf.media.jitter import (
    MAX_AHEAD,
    MAX_BEHIND,
    MAX_STARVED,
    MAX_TARGET_S,
    Conceal,
    JitterBuffer,
    Play,
    Wait,
)

FRAME_S = 0.020


def in_silence() -> bool:
    return True


def in_speech() -> bool:
    return False


@dataclass
class Run:
    """What a receiver that pops every 20 ms saw of a sender."""

    buffer: JitterBuffer = field(default_factory=JitterBuffer)
    played: list[int] = field(default_factory=list)
    dropped: int = 0
    concealed: int = 0
    waited: int = 0
    delays: list[float] = field(default_factory=list)  # from sending to playing

    def pop(self, now: float, sent: dict[int, float], *, quiet: bool = False) -> None:
        match self.buffer.pop(now=now, quiet=in_silence if quiet else in_speech):
            case Play(seq=seq, payload=payload, dropped=dropped):
                assert payload == _payload(seq)
                self.played.append(seq)
                self.dropped += dropped is not None
                self.delays.append(now - sent[seq])
            case Conceal():
                self.concealed += 1
            case Wait():
                self.waited += 1


def _payload(seq: int) -> bytes:
    return seq.to_bytes(8, "big")


def simulate(
    profile: LinkProfile,
    *,
    frames: int = 1000,
    seed: int = 1,
    copies: tuple[int, ...] = (),
    quiet_every: int = 0,
    phase_s: float = 0.007,
    mute: range = range(0),
) -> Run:
    """`mute`: ticks at which the sender sends nothing and its numbers stand still. Ends before the last is played."""
    link, run, sent = LossyLink(profile, seed=seed), Run(), {}
    seq = 0
    for tick in range(frames):
        now = tick * FRAME_S
        if tick not in mute:
            sent[seq] = now
            link.send(b"".join(_payload(seq - back) for back in (0, *copies) if seq >= back), now=now)
            seq += 1
        for at, datagram in link.receive(now=now + phase_s):
            for start in range(0, len(datagram), 8):
                frame = datagram[start : start + 8]
                run.buffer.push(int.from_bytes(frame, "big"), frame, now=at)
        run.pop(now + phase_s, sent, quiet=bool(quiet_every) and tick % quiet_every < quiet_every // 3)
    return run


@pytest.mark.parametrize("phase_s", [0.0005, 0.003, 0.007, 0.011, 0.015, 0.0195])
def test_a_good_link_is_played_whole_with_little_delay(phase_s: float) -> None:
    run = simulate(LOOPBACK, phase_s=phase_s)
    assert run.played == list(range(len(run.played)))
    assert run.concealed <= 1
    assert statistics.quantiles(run.delays, n=20)[-1] <= 0.030


@pytest.mark.parametrize("lost", [{100}, {100, 200, 300}, {100, 101}, {100, 101, 102, 103, 104}])
@pytest.mark.parametrize("phase_s", [0.001, 0.012])
def test_each_lost_packet_costs_one_frame_and_no_delay(lost: set[int], phase_s: float) -> None:
    run = simulate(LinkProfile(lose_exactly=frozenset(lost)), phase_s=phase_s)
    assert run.concealed == len(lost)
    assert run.buffer.statistics.lost == len(lost)
    assert run.played == [seq for seq in range(run.played[-1] + 1) if seq not in lost]
    assert max(run.delays) - min(run.delays) < 0.001


def _at_their_times(arrivals: dict[float, list[int]], *, pops: int) -> list[Play | Conceal | Wait]:
    """Push at these times, pop every 20 ms from 10 ms on."""
    buffer, results = JitterBuffer(), []
    for tick in range(pops):
        now = 0.010 + tick * FRAME_S
        for at in [at for at in arrivals if at <= now]:
            for seq in arrivals.pop(at):
                buffer.push(seq, _payload(seq), now=at)
        results.append(buffer.pop(now=now))
    return results


def test_the_frame_after_a_hole_is_offered_for_fec_when_it_is_here() -> None:
    results = _at_their_times({0.0: [0], 0.02: [1], 0.045: [3], 0.06: [4]}, pops=5)
    assert results[1:4] == [
        Play(seq=1, payload=_payload(1)),
        Conceal(fec=_payload(3)),
        Play(seq=3, payload=_payload(3)),
    ]


def test_an_overtaken_packet_is_put_back_in_order() -> None:
    results = _at_their_times({0.0: [0], 0.02: [2], 0.021: [1], 0.06: [3]}, pops=4)
    assert [result.seq for result in results if isinstance(result, Play)] == [0, 1, 2, 3]


def test_a_frame_that_is_merely_late_when_nothing_else_is_here_is_played_after_all() -> None:
    results = _at_their_times({0.0: [0], 0.02: [1], 0.055: [2], 0.06: [3]}, pops=5)
    assert [getattr(result, "seq", None) for result in results] == [0, 1, None, 2, 3]


def test_a_frame_whose_place_is_taken_is_not_played_any_more() -> None:
    results = _at_their_times({0.0: [0], 0.04: [2], 0.06: [3], 0.08: [4], 0.085: [1]}, pops=5)
    assert [getattr(result, "seq", None) for result in results] == [0, None, 2, 3, 4]


@pytest.mark.parametrize("jitter_s", [0.03, 0.06, 0.1])
def test_the_delay_grows_to_the_jitter_and_not_far_beyond(jitter_s: float) -> None:
    run = simulate(LinkProfile(jitter_s=jitter_s), frames=3000)
    settled = run.delays[1000:]
    assert jitter_s * 0.8 < statistics.mean(settled) - PERFECT.delay_s < jitter_s + 0.03
    late = run.buffer.statistics.late
    assert late < 30
    assert run.concealed < 60


def test_the_delay_shrinks_again_in_silence_when_the_link_gets_better() -> None:
    link, run, sent = LossyLink(LinkProfile(jitter_s=0.1), seed=3), Run(), {}
    better = LossyLink(LinkProfile(), seed=3)
    for tick in range(3000):
        now = tick * FRAME_S
        sent[tick] = now
        (link if tick < 500 else better).send(_payload(tick), now=now)
        for at, frame in [*link.receive(now=now), *better.receive(now=now)]:
            run.buffer.push(int.from_bytes(frame, "big"), frame, now=at)
        run.pop(now, sent, quiet=tick % 50 < 15)
    assert statistics.mean(run.delays[300:450]) > 0.1
    assert statistics.mean(run.delays[-500:]) < 0.065
    assert run.dropped >= 3


def test_without_silence_the_delay_shrinks_too_when_it_is_far_too_long() -> None:
    run = simulate(LinkProfile(stalls=((2.0, 2.12),)), frames=2000)
    assert statistics.mean(run.delays[-300:]) < 0.1


def test_copies_of_lost_frames_are_waited_for_once_they_are_seen_to_help() -> None:
    run = simulate(LinkProfile(loss=0.1), frames=3000, copies=(1, 3), quiet_every=50)
    late_part = [seq for seq in run.played if seq > 1000]
    assert len(late_part) / (late_part[-1] - late_part[0] + 1) > 0.99


def test_awaiting_copies_raises_the_delay_before_one_is_missed() -> None:
    buffer = JitterBuffer()
    buffer.await_copies(3)
    assert buffer.statistics.depth_ms >= 60
    buffer.await_copies(10_000)
    assert buffer.statistics.depth_ms == MAX_TARGET_S * 1000


@pytest.mark.parametrize("length", [3, 9, 25, 500])
def test_a_sender_that_mutes_and_resumes_loses_nothing_and_gains_no_delay(length: int) -> None:
    run = simulate(PERFECT, mute=range(200, 200 + length), frames=2000, quiet_every=10)
    assert run.buffer.statistics.lost == 0
    assert run.concealed <= MAX_STARVED + 3
    missing = set(range(run.played[-1])) - set(run.played)
    assert len(missing) <= run.buffer.statistics.dropped
    assert statistics.mean(run.delays[-300:]) < PERFECT.delay_s + 0.04


def test_when_nothing_comes_any_more_it_says_so_after_a_while() -> None:
    run = simulate(PERFECT, mute=range(100, 1000))
    assert run.concealed == MAX_STARVED
    assert run.waited > 800


def test_a_stall_is_caught_up_with_at_once() -> None:
    run = simulate(LinkProfile(stalls=((2.0, 2.6),)), frames=2000, quiet_every=50)
    assert run.played == sorted(run.played)
    assert max(run.delays) < PERFECT.delay_s + MAX_TARGET_S + FRAME_S
    assert statistics.mean(run.delays[-500:]) < PERFECT.delay_s + 0.04


def test_a_frame_that_comes_again_changes_nothing() -> None:
    run = simulate(LinkProfile(duplicate=1.0), frames=300)
    assert run.played == list(range(len(run.played)))
    assert run.buffer.statistics.received <= 300
    assert run.buffer.statistics.late == 0


@pytest.mark.parametrize("jump", [MAX_AHEAD, 10_000, 1 << 60, -MAX_BEHIND - 100])
def test_a_sender_that_numbers_anew_is_followed(jump: int) -> None:
    buffer = JitterBuffer()
    played: list[int] = []
    for tick in range(1200):
        seq = tick + 1000 + (jump if tick >= 600 else 0)
        buffer.push(seq, _payload(seq), now=tick * FRAME_S)
        if isinstance(result := buffer.pop(now=tick * FRAME_S + 0.015), Play):
            played.append(result.seq)
    assert played[-1] >= 2199 + jump - 2
    assert len(played) > 1190


@pytest.mark.parametrize("ahead", [10, 40, 49, 60, 200])
def test_one_frame_numbered_far_ahead_costs_little_more_than_a_second(ahead: int) -> None:
    buffer, played = JitterBuffer(), []
    for tick in range(400):
        buffer.push(tick, b"x", now=tick * FRAME_S)
        if tick == 200:
            buffer.push(tick + ahead, b"wild", now=tick * FRAME_S)
        if isinstance(result := buffer.pop(now=tick * FRAME_S + 0.015), Play):
            played.append((tick, result.seq))
    assert len(played) > 400 - 65
    assert played[-1][1] >= 397


def test_clocks_that_run_apart_do_not_add_up_to_delay_or_loss() -> None:
    """200 ppm for 20 minutes is 240 ms."""
    for drift in (1.0002, 0.9998):
        buffer, played, lags = JitterBuffer(), 0, []
        seq = 0
        for tick in range(60_000):
            now = tick * FRAME_S * drift
            while seq * FRAME_S <= now:
                buffer.push(seq, b"x", now=seq * FRAME_S)
                seq += 1
            result = buffer.pop(now=now, quiet=in_silence if tick % 50 < 10 else in_speech)
            if isinstance(result, Play):
                played += 1
                lags.append(now - result.seq * FRAME_S)
        assert max(lags[100:]) < 0.06
        assert played > 60_000 - 40


Action = tuple[str, int]


@settings(max_examples=300, deadline=None)
@given(
    actions=st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(-3, 70)),  # relative to the newest
            st.tuples(st.just("far"), st.integers(0, 1 << 63)),
            st.tuples(st.just("pop"), st.integers(0, 1)),
            st.tuples(st.just("wait"), st.integers(0, 2000)),
        ),
        max_size=200,
    )
)
def test_whatever_comes_it_plays_in_order_and_stays_within_its_caps(actions: list[Action]) -> None:
    buffer, now, newest, last = JitterBuffer(), 0.0, 100, -1
    concealed_in_a_row = 0
    for name, value in actions:
        if name in ("push", "far"):
            seq = max(0, newest + value - 3) if name == "push" else value
            if not -MAX_BEHIND < seq - newest < MAX_AHEAD:
                last = -1  # may be a new numbering
            newest = seq
            buffer.push(seq, _payload(seq), now=now)
            concealed_in_a_row = 0
        elif name == "wait":
            now += value / 1000
        else:
            now += FRAME_S
            match buffer.pop(now=now, quiet=in_silence if value else in_speech):
                case Play(seq=seq, payload=payload):
                    assert payload == _payload(seq)
                    assert seq > last
                    last, concealed_in_a_row = seq, 0
                case Conceal():
                    concealed_in_a_row += 1
        assert buffer.held <= MAX_AHEAD
        assert concealed_in_a_row <= MAX_AHEAD + MAX_STARVED
        assert 0 <= buffer.statistics.depth_ms <= MAX_TARGET_S * 1000
        assert buffer.statistics.lost >= 0


@settings(max_examples=100, deadline=None)
@given(lost=st.sets(st.integers(20, 380), max_size=60), phase=st.floats(0.0, 0.0199))
def test_on_a_steady_link_as_many_frames_are_concealed_as_were_lost(lost: set[int], phase: float) -> None:
    runs_too_long = any(all(seq + ahead in lost for ahead in range(MAX_STARVED)) for seq in lost)
    if runs_too_long:
        return
    run = simulate(LinkProfile(lose_exactly=frozenset(lost)), frames=400, phase_s=phase)
    assert run.concealed == len([seq for seq in lost if seq < run.played[-1]])
    assert run.played == [seq for seq in range(run.played[-1] + 1) if seq not in lost]


def _with_hiccups(*frames: int, stall_s: float = 0.1, quiet: bool = False) -> list[float]:
    """Delays, by frame, when the sender stands still before these and then sends twice as fast until it is in time."""
    sent: dict[int, float] = {}
    last = -1.0
    for seq in range(300):
        last = max(seq * FRAME_S + (stall_s if seq in frames else 0.0), last + FRAME_S / 2)
        sent[seq] = last
    buffer, delays, due = JitterBuffer(), dict.fromkeys(sent, 0.0), dict(sent)
    for tick in range(310):
        now = 0.013 + tick * FRAME_S
        for seq in [seq for seq, at in due.items() if at + 0.003 <= now]:
            buffer.push(seq, _payload(seq), now=due.pop(seq) + 0.003)
        result = buffer.pop(now=now, quiet=in_silence if quiet else in_speech)
        if isinstance(result, Play):
            delays[result.seq] = now - result.seq * FRAME_S
    return list(delays.values())


@pytest.mark.parametrize("frame", [0, 2, 50])
@pytest.mark.parametrize("stall_s", [0.06, 0.1, 0.14])
def test_one_hiccup_of_a_sender_is_over_a_second_later(frame: int, stall_s: float) -> None:
    """However many frames it held up: they all tell of the same one."""
    late = stall_s if frame == 0 else 0.0  # a talk that begins with it has no earlier time to go back to
    assert max(_with_hiccups(frame, stall_s=stall_s)[frame + 60 :]) <= 0.060 + late
    assert max(_with_hiccups(frame, stall_s=stall_s, quiet=True)[frame + 50 :]) <= 0.025 + late


def test_two_hiccups_in_four_seconds_are_met_as_they_come_and_more_are_awaited() -> None:
    assert max(_with_hiccups(50, 100, quiet=True)[150:180]) <= 0.035
    assert max(_with_hiccups(30, 60, 90, 120, quiet=True)[170:180]) > 0.080
