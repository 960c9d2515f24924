"""What FACTS.md found wrong in the two libraries: one test for each, which fails when the mend stops working."""

from __future__ import annotations

import random

import pytest

from relay_quic.quic.connection import (
    MAX_DATA,
    MAX_DATAGRAM_AGE_S,
    MAX_PENDING_DATAGRAMS,
    MAX_STREAM_DATA,
    Address,
    Connection,
)
from relay_quic.quic.events import Closed
from relay_quic.quic.libraries import Library
from tests.relay.quicsupport import TO_CLIENT, TO_RELAY, Pair, a_long_chain, delivered, every_library, every_pairing

SECOND: Address = ("198.51.100.7", 50001)
THIRD: Address = ("198.51.100.7", 50002)


def nothing_to_the_client(direction: str, packet: bytes, count: int) -> list[tuple[float, bytes]]:
    return [] if direction == TO_CLIENT else [(0.01, packet)]


def _move(pair: Pair, address: Address) -> None:
    pair.client_address = address
    pair.client.ping()


@every_pairing
def test_a_client_whose_path_challenge_was_lost_recovers_from_a_new_port(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(0.5)
    pair.fate = nothing_to_the_client  # PATH_CHALLENGE is lost, and what a busy relay sends after it
    _move(pair, SECOND)
    heard_at = pair.client.heard_at
    _talk(pair, seconds=0.3)
    pair.fate = delivered
    _talk(pair, seconds=0.5)
    if relay_library is Library.QH3:  # it does not ask again: when that changes, this mend can go
        assert pair.client.heard_at == heard_at
        assert pair.client.unanswered_s(pair.now) > 0.45
    _move(pair, THIRD)
    _talk(pair, seconds=0.3)
    assert pair.client.heard_at > heard_at
    assert pair.client.unanswered_s(pair.now) <= 0.05
    pair.client_events.clear()
    assert pair.server.send_datagram(b"to the new port")
    pair.run(0.1)
    assert pair.client_datagrams == [b"to the new port"]


@every_pairing
def test_the_relay_knows_the_address_of_a_client_that_moved(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    _move(pair, SECOND)
    pair.run(0.5)
    assert pair.server.peer_address == SECOND


@every_pairing
def test_a_spoofed_source_address_moves_nobody(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(0.5)
    before = pair.server.peer_address
    old = next(packet for _, direction, packet in reversed(pair.sent) if direction == TO_RELAY)
    pair.inject(TO_RELAY, old, source=("203.0.113.9", 9))
    pair.inject(TO_RELAY, old[:-3] + b"abc", source=("203.0.113.9", 9))
    pair.client.ping()
    pair.run(0.5)
    assert pair.server.peer_address == before


@every_pairing
def test_a_silent_peer_is_sent_no_datagrams_but_a_probe_each_second(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(0.5)
    pair.fate = lambda direction, packet, count: []
    gone_at, sent_at = pair.now, len(pair.sent)
    accepted = _speak(pair, pair.server, seconds=5.0)
    assert max(accepted) < gone_at + 1.2
    late = [t for t, direction, _ in pair.sent[sent_at:] if direction == TO_CLIENT and t > gone_at + 1.2]
    assert 3 <= len(late) <= 20  # our probes, and the library's own, which thin out
    pair.fate = delivered
    pair.run(1.5)
    assert pair.server.send_datagram(b"back")
    pair.run(0.1)
    assert pair.client_datagrams[-1] == b"back"


@every_pairing
def test_a_peer_that_was_quiet_with_nothing_to_answer_is_sent_to_at_once(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(5.0)
    assert pair.server.unanswered_s(pair.now) == 0.0
    assert pair.server.send_datagram(b"first word")
    pair.flush()
    assert pair.server.send_datagram(b"second")
    pair.run(0.1)
    assert pair.client_datagrams == [b"first word", b"second"]


def _talk(pair: Pair, *, seconds: float) -> None:
    """Both speak, 50 times a second."""
    for _ in range(round(seconds * 50)):
        pair.client.send_datagram(b"up")
        pair.server.send_datagram(b"down")
        pair.run(0.02)


def _speak(pair: Pair, side: Connection, *, seconds: float) -> list[float]:
    """50 datagrams a second that say when they were made; the times of those that were taken."""
    accepted = []
    for _ in range(round(seconds * 50)):
        if side.send_datagram(f"{pair.now:.6f}".encode()):
            accepted.append(pair.now)
        pair.run(0.02)
    return accepted


@every_pairing
def test_datagrams_do_not_wait_behind_a_full_congestion_window(client_library: Library, relay_library: Library) -> None:
    rng = random.Random(3)
    arrivals: list[tuple[float, float]] = []

    def slow_and_lossy(direction: str, packet: bytes, count: int) -> list[tuple[float, bytes]]:
        return [] if direction == TO_CLIENT and rng.random() < 0.15 else [(0.1, packet)]

    pair = Pair(client_library, relay_library, fate=slow_and_lossy)
    pair.handshake()
    pair.server.send_stream(b"")
    for _ in range(400):
        for _ in range(6):
            pair.server.send_datagram(f"{pair.now:.6f}".encode().ljust(900, b"."))
        pair.run(0.02)
        for data in pair.client_datagrams[len(arrivals) :]:
            arrivals.append((pair.now, float(data.rstrip(b"."))))
    ages = [arrived - made for arrived, made in arrivals]
    assert len(ages) > 100
    assert max(ages) <= 0.1 + MAX_DATAGRAM_AGE_S + 0.05  # the link, the queue, and two ticks of this test


@every_library
def test_aioquics_queue_of_datagrams_is_bounded(library: Library) -> None:
    pair = Pair(library, Library.AIOQUIC)
    pair.handshake()
    for number in range(10 * MAX_PENDING_DATAGRAMS):
        assert pair.server.send_datagram(number.to_bytes(2, "big"))
    assert len(pair.server._library()._datagrams_pending) <= MAX_PENDING_DATAGRAMS
    pair.run(1.0)
    assert pair.client_datagrams[-1] == (10 * MAX_PENDING_DATAGRAMS - 1).to_bytes(2, "big")  # the oldest went
    assert pair.server.send_datagram(b"still in order")
    pair.run(0.1)
    assert pair.client_datagrams[-1] == b"still in order"


@every_pairing
def test_what_a_client_may_send_unread_stays_the_same_after_megabytes(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.client.send_stream(bytes(3_000_000))
    pair.run(60.0, until=lambda: len(pair.relay_stream) == 3_000_000)
    pair.run(0.5)
    assert len(pair.relay_stream) == 3_000_000
    if client_library is Library.QH3:  # it does not show how far it may go
        return
    client = pair.client._library()
    stream = client._streams[0]
    assert stream.max_stream_data_remote - stream.sender.highest_offset <= MAX_STREAM_DATA
    assert client._remote_max_data - client._remote_max_data_used <= MAX_DATA


@every_pairing
def test_whatever_a_library_raises_closes_the_connection_and_is_counted(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    unusable: Address = ("no address", "no port")  # type: ignore[assignment]
    for side in (pair.client, pair.server):
        side.receive(None, unusable, pair.now)  # type: ignore[arg-type]
        assert side.faults == 1
        assert list(side.take_events()) == [Closed(reason="fault")]
        assert side.send(pair.now) == []
        assert side.timer() is None
        assert not side.send_datagram(b"x")
        side.send_stream(b"x")
        side.ping()
        side.close()
        assert list(side.take_events()) == []


@every_pairing
def test_cancellation_is_not_mistaken_for_a_fault(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair.client._attempt(interrupted)


@every_pairing
def test_an_exhausted_packet_builder_loses_no_packet(client_library: Library, relay_library: Library) -> None:
    """A handshake that does not fit three times what the client sent: what is built goes out, no fault."""
    pair = Pair(client_library, relay_library, certificate=a_long_chain())
    pair.run(2.0, until=lambda: pair.client.established)
    assert pair.server.faults == 0
    assert sum(direction == TO_CLIENT for _, direction, _ in pair.sent) >= 3
