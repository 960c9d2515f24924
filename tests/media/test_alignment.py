"""Where a recording puts what was said, whatever the network and the clocks do."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.media.alignment import HOLD_S, MAX_AHEAD_S, MAX_HELD, Aligner, Placed
from tuiconf.media.opus import FRAME_LENGTHS_MS

PACKET = bytes((0x08,)) + b"speech"  # SILK, 20 ms


class Sender:
    """Sends frames to an aligner, which are captured at `said` of each, and reports of its clock."""

    def __init__(self, *, clock_error: float | None = 0.0, seed: int = 0) -> None:
        self.aligner = Aligner()
        self.said: dict[int, float] = {}
        self.rng = random.Random(seed)
        self.clock_error = clock_error
        self.delay = 0.05
        self.jitter = 0.0
        self.loss = 0.0
        self._counter = 1_000_000
        self._arrivals: list[tuple[float, int, float | None]] = []

    def speak(self, begin: float, seconds: float) -> None:
        for frame in range(round(seconds / 0.02)):
            self._counter += 1
            said = self.said[self._counter] = begin + frame * 0.02
            if self.clock_error is not None and frame % 50 == 0:
                self._send(said, said + self.clock_error)
            self._send(said, None)

    def _send(self, said: float, report: float | None) -> None:
        if self.rng.random() >= self.loss:
            self._arrivals.append(
                (said + 0.02 + self.delay + self.rng.expovariate(1) * self.jitter, self._counter, report)
            )

    def arrive(self) -> list[Placed]:
        """Everything sent, in the order of arrival."""
        placed, checked = [], 0.0
        for at, counter, report in sorted(self._arrivals, key=lambda sent: sent[0]):
            if at - checked > 0.25:
                checked = at
                placed += self.aligner.take(until=at - HOLD_S)
            if report is not None:
                self.aligner.told(counter, report, at=at)
            else:
                self.aligner.push(counter, PACKET + counter.to_bytes(4, "big"), at=at)
        return placed + self.aligner.take(until=1e9)

    def errors(self, placed: list[Placed]) -> list[float]:
        """How much later each frame was placed than it was said."""
        return [packet.slot / 100 - self.said[int.from_bytes(packet.packet[-4:], "big")] for packet in placed]


def in_order(placed: list[Placed]) -> bool:
    return all(a.slot + a.slots <= b.slot for a, b in itertools.pairwise(placed))


@pytest.mark.parametrize("jitter", [0.0, 0.005, 0.03])
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_frames_are_placed_when_they_were_said(jitter: float, loss: float) -> None:
    for seed in range(5):
        sender = Sender(seed=seed)
        sender.jitter, sender.loss = jitter, loss
        begin = 3.0 + seed / 37
        for pause in (0.0, 0.3, 0.06, 7.0, 0.11):
            begin += pause
            sender.speak(begin, 4)
            begin += 4
        placed = sender.arrive()
        assert in_order(placed) and len(placed) > 0.97 * (1 - loss) * len(sender.said)
        errors = sorted(abs(error) for error in sender.errors(placed))
        # Only the report after the pause of 60 ms, when lost, leaves some frames to guessing, and jitter the very last.
        assert errors[len(errors) * 94 // 100] < 0.0051
        assert errors[-1] < (0.0051 if loss == 0 and jitter < 0.01 else 0.2)


def test_a_route_that_becomes_longer_moves_nothing() -> None:
    sender = Sender()
    sender.speak(1, 10)
    sender.delay = 0.3
    sender.speak(11, 10)
    placed = sender.arrive()
    assert max(map(abs, sender.errors(placed))) < 0.011
    assert sender.aligner.refused.skipped == 0


def test_a_stall_of_the_network_moves_nothing() -> None:
    sender = Sender(clock_error=None)
    sender.speak(1, 3)
    for at in range(50):  # a second's frames, all at once at its end
        sender.delay = 0.05 + 1 - at * 0.02
        sender.speak(4 + at * 0.02, 0.02)
    sender.delay = 0.05
    sender.speak(5, 3)
    errors = sender.errors(sender.arrive())
    assert max(errors) - min(errors) < 0.011


@pytest.mark.parametrize("clock_error", [-3.0, -3600.0, 0.5, 1e6])
def test_a_clock_that_cannot_be_right_is_not_believed(clock_error: float) -> None:
    sender = Sender(clock_error=clock_error)
    sender.speak(2, 5)
    sender.speak(9, 5)
    placed = sender.arrive()
    assert all(0.04 <= error <= 0.06 for error in sender.errors(placed))
    assert sender.aligner.delay_s is None


def test_a_clock_set_in_the_middle_of_speech_is_followed_without_losing_a_word() -> None:
    sender = Sender()
    sender.delay = 0.2
    sender.speak(1, 5)
    sender.clock_error = -0.1
    sender.speak(6, 10)
    errors = sender.errors(sender.arrive())
    assert errors[-1] == pytest.approx(-0.1, abs=0.015)
    assert 1 <= sender.aligner.refused.skipped <= 6


def test_what_was_said_before_the_recording_began_is_not_in_it() -> None:
    sender = Sender()
    sender.speak(-0.5, 3)
    placed = sender.arrive()
    assert placed[0].slot == 0 and max(map(abs, sender.errors(placed))) < 0.011


def test_order_of_arrival_does_not_matter_and_copies_are_dropped() -> None:
    aligner = Aligner()
    for counter in (3, 1, 2, 1, 5, 4, 5):
        aligner.push(counter, PACKET, at=1.0 + counter * 0.02)
    placed = aligner.take(until=9)
    assert [packet.lost for packet in placed] == [0] * 5 and [p.slot for p in placed] == list(range(100, 110, 2))
    aligner.push(4, PACKET, at=1.3)
    assert aligner.take(until=9) == [] and aligner.refused.late == 3


@pytest.mark.parametrize("frame_ms", FRAME_LENGTHS_MS)
def test_a_sender_keeps_to_the_frame_length_it_began_with(frame_ms: int) -> None:
    packets = {10: b"\x00abc", 20: b"\x08abc", 40: b"\x10abc", 60: b"\x18abc"}
    aligner = Aligner()
    aligner.push(0, packets.pop(frame_ms), at=0.1)
    for counter, other in enumerate((*packets.values(), b"", b"\xe0ab", b"\x03"), 1):
        aligner.push(counter, other, at=0.2)
    assert [placed.slots for placed in aligner.take(until=1)] == [frame_ms // 10]
    assert aligner.refused.malformed == 6


steps = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1) | st.integers(0, 400),
        st.floats(0, 0.3),
        st.sampled_from([PACKET, b"", b"\x00abc", b"\x03\x00"]),
        st.none() | st.floats(-10, 100) | st.floats(allow_nan=True),
    ),
    max_size=120,
)


@given(steps)
def test_whatever_a_member_sends_its_frames_neither_overlap_nor_lie_in_the_future(
    sent: list[tuple[int, float, bytes, float | None]],
) -> None:
    aligner, now, placed = Aligner(), 0.0, []
    for counter, later, packet, captured in sent:
        now += later
        if captured is not None:
            aligner.told(counter, captured, at=now)
        aligner.push(counter, packet, at=now)
        placed += aligner.take(until=now - HOLD_S)
    placed += aligner.take(until=1e9)
    assert in_order(placed)
    assert all(0 <= packet.slot / 100 <= now + MAX_AHEAD_S for packet in placed)


def test_frames_faster_than_time_are_refused_and_few_are_held() -> None:
    aligner, placed = Aligner(), []
    for counter in range(10_000):
        aligner.push(counter, PACKET, at=100 + counter / 1000)
        if counter % 1000 == 999:
            placed += aligner.take(until=1e9)
    assert aligner.refused.crowded == 10 * (1000 - MAX_HELD) and aligner.refused.fast > 0
    assert placed[-1].slot <= (110 + MAX_AHEAD_S) * 100
