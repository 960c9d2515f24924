"""What both libraries have to do, in all four pairings, on a virtual clock."""

from __future__ import annotations

import contextlib
import datetime as dt
import random

import pytest

from relay_quic import certs
from relay_quic.errors import ConfigError, TransportError
from relay_quic.quic.events import Closed, Established, StreamData
from relay_quic.quic.libraries import Connector, Library, choose
from relay_quic.wire import MAX_DATAGRAM_BYTES
from tests.relay.quicsupport import (
    RELAY_ADDRESS,
    TO_CLIENT,
    TO_RELAY,
    Pair,
    a_certificate,
    every_library,
    every_pairing,
)


@every_pairing
def test_the_client_learns_the_pin_of_the_relay_it_reached(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    assert pair.client.peer_certificate().pin == a_certificate().pin
    assert [type(e) for e in pair.client_events] == [Established]
    assert [type(e) for e in pair.relay_events] == [Established]


@every_pairing
def test_a_relay_without_the_key_of_its_certificate_is_not_believed(
    client_library: Library, relay_library: Library
) -> None:
    other = certs.make_self_signed(now=dt.datetime.now(dt.UTC), names=["localhost"])
    real = a_certificate()
    impostor = certs.Certificate(
        chain_pem=real.chain_pem, key_pem=other.key_pem, pin=real.pin, chain_bytes=real.chain_bytes
    )
    pair = Pair(client_library, relay_library, certificate=impostor)
    pair.run(5.0)
    assert pair.client_events == [Closed(reason="handshake_failed")]


@every_pairing
def test_a_client_of_another_protocol_is_refused(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(client_library, relay_library)
    monkeypatch.setattr("relay_quic.quic.libraries.ALPN", "other/1")
    other = Pair(client_library, relay_library)
    other.listener = pair.listener  # the relay speaks ours, the client was made to speak another
    other.run(5.0)
    assert other.client_events == [Closed(reason="handshake_failed")]
    assert not other.server.established


@every_pairing
def test_stream_and_datagrams_go_both_ways(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    blob = random.Random(1).randbytes(300_000)
    pair.client.send_stream(blob)
    assert pair.client.send_datagram(b"up" * 40)
    assert pair.server.send_datagram(b"down" * 40)
    pair.run(5.0, until=lambda: len(pair.relay_stream) == len(blob))
    pair.server.send_stream(blob)
    pair.run(5.0, until=lambda: len(pair.client_stream) == len(blob))
    assert pair.relay_stream == blob
    assert pair.client_stream == blob
    assert pair.relay_datagrams == [b"up" * 40]
    assert pair.client_datagrams == [b"down" * 40]
    pair.run(1.0)
    assert pair.client.stream_settled and pair.server.stream_settled
    assert pair.client.stream_backlog_bytes == pair.server.stream_backlog_bytes == 0
    assert pair.client.rtt_s is not None and pair.client.rtt_s > 0


@every_pairing
def test_the_stream_arrives_whole_over_a_link_that_loses_and_reorders(
    client_library: Library, relay_library: Library
) -> None:
    rng = random.Random(7)

    def lossy(direction: str, packet: bytes, count: int) -> list[tuple[float, bytes]]:
        return [] if rng.random() < 0.05 else [(0.01 + 0.02 * rng.random(), packet)]

    pair = Pair(client_library, relay_library, fate=lossy)
    pair.handshake()
    blob = random.Random(2).randbytes(100_000)
    pair.server.send_stream(blob)  # before the client has opened the stream
    pair.client.send_stream(blob)
    pair.run(30.0, until=lambda: len(pair.relay_stream) == len(pair.client_stream) == len(blob))
    assert pair.relay_stream == blob
    assert pair.client_stream == blob


@every_pairing
def test_a_peer_that_closes_is_noticed_at_once(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.server.close()
    pair.run(0.05)
    assert pair.relay_events[-1] == Closed(reason="closed")
    assert pair.client_events[-1] == Closed(reason="closed_by_peer")
    assert pair.client.timer() is None
    assert not pair.client.send_datagram(b"late")
    assert pair.client.send(pair.now) == []


@every_pairing
def test_a_peer_that_vanishes_ends_the_connection_after_the_idle_timeout(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library, idle_timeout_s=4.0)
    pair.handshake()
    pair.run(0.5)
    pair.fate = lambda direction, packet, count: []
    pair.run(3.0)
    assert not pair.client.closed
    pair.run(1.1)
    assert pair.client_events[-1] == Closed(reason="idle")
    assert pair.relay_events[-1] == Closed(reason="idle")


@every_pairing
def test_bytes_on_any_other_stream_close_the_connection(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.client._library().send_stream_data(0, b"first")
    with contextlib.suppress(ValueError):  # qh3's client does not even queue it when the relay allows one stream
        pair.client._library().send_stream_data(4, b"x" * 100)
    pair.run(2.0)
    # aioquic's relay announces a limit of one stream, which clients honour; qh3's relay cannot announce one.
    assert StreamData(data=b"x" * 100, ended=False) not in pair.relay_events
    assert pair.relay_stream == b"first"
    if relay_library is Library.QH3:
        assert pair.relay_events[-1] == Closed(reason="protocol")


@every_pairing
def test_only_packets_that_authenticate_count_as_heard(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(1.0)
    heard_at = pair.server.heard_at
    pair.now += 1.0
    last = next(packet for _, direction, packet in reversed(pair.sent) if direction == TO_RELAY)
    for forged in (last, last[:-1] + bytes((last[-1] ^ 1,)), last[:20], b"\x40" + bytes(60), b"", b"\xff" * 1200):
        pair.inject(TO_RELAY, forged)
        pair.inject(TO_CLIENT, forged)
    assert pair.server.heard_at == heard_at
    pair.client.ping()
    pair.run(0.1)
    assert pair.server.heard_at > heard_at + 1.0
    assert not pair.server.closed and not pair.client.closed


@every_pairing
def test_a_datagram_larger_than_allowed_is_refused_and_jams_nothing(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    for side in (pair.client, pair.server):
        assert not side.send_datagram(bytes(MAX_DATAGRAM_BYTES + 1))
        assert not side.send_datagram(b"")
        assert side.send_datagram(bytes(MAX_DATAGRAM_BYTES))
        assert side.send_datagram(b"after")
    pair.run(0.5)
    assert [len(d) for d in pair.relay_datagrams] == [MAX_DATAGRAM_BYTES, 5]
    assert [len(d) for d in pair.client_datagrams] == [MAX_DATAGRAM_BYTES, 5]


@every_pairing
def test_no_ticket_is_offered_and_no_early_data_accepted(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(1.0)
    quic = pair.client._library()
    assert quic.configuration.session_ticket is None
    assert quic._session_ticket_handler is None
    assert pair.server._library()._session_ticket_fetcher is None


def test_auto_takes_the_fast_library_when_it_is_there() -> None:
    assert choose("auto") is Library.QH3
    assert choose("aioquic") is Library.AIOQUIC


def test_an_unknown_library_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        choose("quiche")


@every_pairing
def test_no_packet_is_larger_than_every_path_must_carry(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.client.send_stream(bytes(50_000))
    pair.server.send_stream(bytes(50_000))
    pair.run(2.0)
    assert max(len(packet) for _, _, packet in pair.sent) <= 1200


@every_pairing
def test_both_sides_can_change_keys_in_the_middle(client_library: Library, relay_library: Library) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(0.5)
    for first, second in ((pair.client, pair.server), (pair.server, pair.client)):
        first._library().request_key_update()
        for side in (first, second):  # what crosses an update on the way is lost, in both libraries
            assert side.send_datagram(b"down" if side is pair.server else b"up")
            pair.run(0.5)
    assert pair.relay_datagrams == [b"up"] * 2
    assert pair.client_datagrams == [b"down"] * 2


@every_library
@pytest.mark.parametrize("host", ["b\u00fccher.example", "relay_1.example", "127.0.0.1", "::1", "localhost."])
def test_every_kind_of_host_name_can_be_connected_to(library: Library, host: str) -> None:
    connection = Connector(library).connect(host=host, address=RELAY_ADDRESS, now=0.0)
    assert connection.send(0.0)
    assert connection.faults == 0


@every_library
def test_what_is_no_host_name_is_a_transport_error(library: Library) -> None:
    with pytest.raises(TransportError):
        Connector(library).connect(host="x" * 64 + ".example", address=RELAY_ADDRESS, now=0.0)


@every_pairing
def test_an_answer_that_is_dated_before_its_question_ends_no_connection(
    client_library: Library, relay_library: Library
) -> None:
    pair = Pair(client_library, relay_library)
    pair.handshake()
    pair.run(0.5)
    sent_at = pair.now
    assert pair.client.send_datagram(b"voice")
    for packet, _ in pair.client.send(sent_at):
        pair.server.receive(packet, pair.client_address, sent_at)
    assert pair.server.send_datagram(b"answer")
    for packet, _ in pair.server.send(sent_at + 0.1):
        pair.client.receive(packet, RELAY_ADDRESS, sent_at - 0.01)
    pair.run(0.5)
    assert not pair.client.closed and not pair.server.closed
    assert pair.client_datagrams == [b"answer"]
