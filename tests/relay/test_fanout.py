"""Who hears whom, and what waits for a receiver."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay_quic.fanout import (
    DATAGRAM_OVERHEAD_BYTES,
    HOLD_S,
    MAX_SPEAKERS,
    MAX_WAITING,
    MAX_WAITING_PER_SENDER,
    SILENT_AFTER_S,
    PeerId,
    ReceiverQueue,
    SpeakerSelector,
)
from relay_quic.wire import DatagramKind

AUDIO, SIDE = DatagramKind.AUDIO, DatagramKind.SIDE


def _talk(selector: SpeakerSelector, loudness: dict[int, int], *, start: float, seconds: float) -> dict[int, int]:
    """Everybody in `loudness` sends a frame every 20 ms; how many frames of each were forwarded."""
    forwarded = dict.fromkeys(loudness, 0)
    for tick in range(round(seconds * 50)):
        for sender, level in loudness.items():
            forwarded[sender] += selector.heard(PeerId(sender), level, now=start + tick * 0.02)
    return forwarded


def test_the_first_speakers_are_heard_at_once_and_completely() -> None:
    forwarded = _talk(SpeakerSelector(), {1: 1, 2: 2, 3: 3}, start=0.0, seconds=2)
    assert forwarded == {1: 100, 2: 100, 3: 100}


def test_the_loudest_displace_the_quietest() -> None:
    selector = SpeakerSelector()
    quiet = dict.fromkeys(range(MAX_SPEAKERS), 1)
    _talk(selector, quiet, start=0.0, seconds=2)
    forwarded = _talk(selector, {**quiet, 99: 3}, start=2.0, seconds=2)
    assert forwarded[99] > 90
    assert sorted(forwarded[s] > 90 for s in quiet) == [False] + [True] * (MAX_SPEAKERS - 1)


def test_equally_loud_voices_do_not_take_turns() -> None:
    selector = SpeakerSelector()
    room = dict.fromkeys(range(20), 2)
    forwarded = _talk(selector, room, start=0.0, seconds=10)
    assert sorted(forwarded.values()) == [0] * (20 - MAX_SPEAKERS) + [500] * MAX_SPEAKERS


def test_a_speaker_keeps_its_place_for_the_hold_time() -> None:
    selector = SpeakerSelector()
    quiet = dict.fromkeys(range(MAX_SPEAKERS), 1)
    _talk(selector, quiet, start=0.0, seconds=0.02)
    forwarded = _talk(selector, {**quiet, 99: 3}, start=0.02, seconds=HOLD_S - 0.1)
    assert forwarded[99] == 0


def test_one_click_does_not_take_a_place_from_a_voice() -> None:
    selector = SpeakerSelector()
    voices = dict.fromkeys(range(MAX_SPEAKERS), 2)
    _talk(selector, {**voices, 99: 0}, start=0.0, seconds=3)
    assert not selector.heard(PeerId(99), 3, now=3.0)


def test_a_voice_that_falls_silent_leaves_its_place() -> None:
    selector = SpeakerSelector()
    _talk(selector, dict.fromkeys(range(MAX_SPEAKERS), 3), start=0.0, seconds=1)
    assert not selector.heard(PeerId(99), 1, now=1.0)
    assert selector.heard(PeerId(99), 1, now=1.0 + SILENT_AFTER_S)


def test_a_connection_that_is_gone_leaves_its_place() -> None:
    selector = SpeakerSelector()
    _talk(selector, dict.fromkeys(range(MAX_SPEAKERS), 3), start=0.0, seconds=1)
    selector.forget(PeerId(0))
    assert selector.heard(PeerId(99), 1, now=1.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.floats(0, 0.5)), max_size=300))
def test_never_more_than_the_allowed_number_of_speakers_at_once(events: list[tuple[int, int, float]]) -> None:
    selector = SpeakerSelector()
    now = 0.0
    speakers: dict[int, float] = {}
    for sender, loudness, wait_s in events:
        now += wait_s
        if selector.heard(PeerId(sender), loudness, now=now):
            speakers[sender] = now
        else:
            speakers.pop(sender, None)
        at_this_moment = [s for s, at in speakers.items() if at == now]
        # Within one moment each place can change hands once at most: its new holder keeps it for a while.
        assert len(at_this_moment) <= 2 * MAX_SPEAKERS


# --- the queue of one receiver


def _queue(bytes_per_s: float = 1e9) -> ReceiverQueue:
    return ReceiverQueue(bytes_per_s=bytes_per_s, now=0.0)


def test_datagrams_leave_in_the_order_and_as_the_bytes_they_came_in() -> None:
    queue = _queue()
    sent = [bytes([1, number]) for number in range(4)]
    for number, data in enumerate(sent):
        queue.push(PeerId(number), AUDIO, data)
    assert queue.drain(now=0.0) == sent
    assert queue.drain(now=0.0) == []


def test_a_senders_oldest_audio_is_dropped_first_and_only_its_own() -> None:
    queue = _queue()
    queue.push(PeerId(2), AUDIO, b"other")
    for number in range(MAX_WAITING_PER_SENDER + 2):
        queue.push(PeerId(1), AUDIO, bytes([number]))
    assert queue.drain(now=0.0) == [b"other", *(bytes([n]) for n in range(2, MAX_WAITING_PER_SENDER + 2))]
    assert queue.dropped == 2


def test_reports_are_dropped_before_audio() -> None:
    queue = _queue()
    queue.push(PeerId(1), AUDIO, b"audio 0")
    queue.push(PeerId(1), SIDE, b"report")
    for number in range(1, MAX_WAITING_PER_SENDER):
        queue.push(PeerId(1), AUDIO, b"audio %d" % number)
    assert queue.drain(now=0.0) == [b"audio %d" % number for number in range(MAX_WAITING_PER_SENDER)]


def test_over_a_receivers_rate_the_oldest_are_lost() -> None:
    queue = _queue(bytes_per_s=4 * 2 * (50 + DATAGRAM_OVERHEAD_BYTES))  # a burst of two
    for sender in range(4):
        queue.push(PeerId(sender), AUDIO, bytes([sender]) * 50)
    assert queue.drain(now=0.0) == [b"\x02" * 50, b"\x03" * 50]
    assert queue.dropped == 2


def test_tiny_datagrams_are_not_free() -> None:
    queue = _queue(bytes_per_s=4 * 10 * DATAGRAM_OVERHEAD_BYTES)
    for sender in range(MAX_WAITING):
        queue.push(PeerId(sender), AUDIO, b"\x01x")
    assert len(queue.drain(now=0.0)) < 10


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([AUDIO, SIDE])), max_size=400))
def test_a_queue_is_bounded_whoever_sends_what(pushed: list[tuple[int, DatagramKind]]) -> None:
    queue = _queue()
    for sender, kind in pushed:
        queue.push(PeerId(sender), kind, bytes([kind, sender]))
        assert len(queue) <= MAX_WAITING
    drained = queue.drain(now=0.0)
    assert len(drained) + queue.dropped == len(pushed)
    for sender in {data[1] for data in drained}:
        assert sum(data[1] == sender for data in drained) <= MAX_WAITING_PER_SENDER
