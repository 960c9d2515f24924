"""Hostile packets: from strangers, from the path, and from a peer that has the keys."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_quic.quic.events import Closed
from relay_quic.quic.libraries import Library
from tests.relay.quicsupport import TO_RELAY, Pair, every_library, every_pairing

Mutation = Callable[[bytes, random.Random], bytes]


def _flip(packet: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(packet))
    return packet[:at] + bytes((packet[at] ^ 1 << rng.randrange(8),)) + packet[at + 1 :]


def _flip_early(packet: bytes, rng: random.Random) -> bytes:
    return _flip(packet[:40], rng) + packet[40:]


def _truncate(packet: bytes, rng: random.Random) -> bytes:
    return packet[: rng.randrange(len(packet))]


def _extend(packet: bytes, rng: random.Random) -> bytes:
    return packet + rng.randbytes(rng.randrange(1, 900))


def _garbage(packet: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 1400))


def _other_version(packet: bytes, rng: random.Random) -> bytes:
    return bytes((packet[0] | 0x80,)) + rng.choice((bytes(4), rng.randbytes(4), b"\x6b\x33\x43\xcf")) + packet[5:]


def _again(packet: bytes, rng: random.Random) -> bytes:
    return packet


MUTATIONS: list[Mutation] = [_flip, _flip_early, _truncate, _extend, _garbage, _other_version, _again]


@every_pairing
@pytest.mark.parametrize("seed", range(4))
def test_forged_packets_beside_the_real_ones_change_nothing(
    client_library: Library, relay_library: Library, seed: int
) -> None:
    rng = random.Random(seed)

    def with_forgeries(direction: str, packet: bytes, count: int) -> list[tuple[float, bytes]]:
        arriving = [(0.01 + 0.005 * rng.random(), packet)]
        # The first packets are sealed with keys anyone can compute (RFC 9001 §5.2): what is forged then is noise,
        # which must not authenticate.
        for _ in range(3):
            arriving.append((0.015 + 0.01 * rng.random(), rng.choice(MUTATIONS)(packet, rng)))
        return arriving

    pair = Pair(client_library, relay_library, fate=with_forgeries)
    pair.handshake()
    blob = rng.randbytes(20_000)
    pair.client.send_stream(blob)
    pair.server.send_stream(blob)
    pair.run(10.0, until=lambda: len(pair.relay_stream) == len(pair.client_stream) == len(blob))
    assert pair.relay_stream == pair.client_stream == blob
    assert pair.client.faults == pair.server.faults == 0


@every_pairing
def test_forged_packets_instead_of_the_real_ones_end_in_nothing_worse_than_a_closed_connection(
    client_library: Library, relay_library: Library
) -> None:
    for seed in range(25):
        rng = random.Random(seed)

        def corrupting(
            direction: str, packet: bytes, count: int, rng: random.Random = rng
        ) -> list[tuple[float, bytes]]:
            return [(0.01, rng.choice(MUTATIONS)(packet, rng) if rng.random() < 0.4 else packet)]

        pair = Pair(client_library, relay_library, fate=corrupting)
        pair.client.send_stream(b"x" * 5000)
        pair.run(20.0, until=lambda pair=pair: pair.client.closed or len(pair.relay_stream) == 5000)  # type: ignore[misc]
        for events in (pair.client_events, pair.relay_events):
            closed = [e for e in events if isinstance(e, Closed)]
            assert len(closed) <= 1
            assert not closed or events[-1] is closed[0]


def _sealed(pair: Pair, frames: bytes) -> bytes:
    """A packet that authenticates, with these frames: what a client that wants to do harm can send."""
    from aioquic import tls

    quic = pair.client._library()
    number = quic._packet_number
    quic._packet_number += 1
    header = b"\x41" + quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
    sealed: bytes = quic._cryptos[tls.Epoch.ONE_RTT].encrypt_packet(header, frames.ljust(8, b"\0"), number)
    return sealed


FRAME = st.builds(
    lambda kind, rest: bytes((kind,)) + rest, st.integers(0, 0x31), st.binary(max_size=60)
)  # every frame type there is, with nonsense in it


@every_library
@settings(max_examples=60, deadline=None)
@given(frames=st.lists(FRAME, min_size=1, max_size=4))
def test_nonsense_frames_from_a_peer_with_the_keys_close_its_connection_at_most(
    library: Library, frames: list[bytes]
) -> None:
    pair = Pair(Library.AIOQUIC, library)  # the one whose keys can be borrowed to seal nonsense with
    pair.handshake()
    pair.run(0.2)
    pair.now += 0.1
    pair.inject(TO_RELAY, _sealed(pair, b"\x01"))
    assert pair.server.heard_at == pair.now  # such packets are taken for real
    pair.inject(TO_RELAY, _sealed(pair, b"".join(frames)))
    pair.run(0.2)
    for event in pair.relay_events[:-1]:
        assert not isinstance(event, Closed)
    if pair.server.closed:
        assert isinstance(pair.relay_events[-1], Closed)
        assert pair.server.timer() is None


@every_pairing
@settings(max_examples=300, deadline=None)
@given(packet=st.binary(max_size=1500))
def test_any_bytes_at_all_from_anywhere_are_survived(
    client_library: Library, relay_library: Library, packet: bytes
) -> None:
    pair = _established(client_library, relay_library)
    faults = pair.server.faults + pair.client.faults
    pair.server.receive(packet, ("203.0.113.5", 1), pair.now)
    pair.client.receive(packet, ("203.0.113.5", 1), pair.now)
    known = pair.server.new_ids[0] if pair.server.new_ids else b""
    pair.server.receive(packet[:1] + known + packet[1:], ("203.0.113.5", 1), pair.now)
    assert not pair.server.closed and not pair.client.closed
    assert pair.server.faults + pair.client.faults == faults


_pairs: dict[tuple[Library, Library], Pair] = {}


def _established(client_library: Library, relay_library: Library) -> Pair:
    both = client_library, relay_library
    if both not in _pairs:
        _pairs[both] = Pair(client_library, relay_library)
        _pairs[both].handshake()
    return _pairs[both]
