"""Who may start a handshake."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import door
from relay_quic.certs import RetryTokens
from relay_quic.door import Door
from relay_quic.quic import packets
from tests.relay.quicsupport import a_certificate, a_long_chain

HOST, PORT = "192.0.2.7", 4444


def _door(**changes: object) -> Door:
    options: dict[str, object] = {"certificate": a_certificate(), "max_connections": 1000, "tokens": RetryTokens()}
    return Door(**(options | changes))  # type: ignore[arg-type]


def _initial(*, destination: bytes = b"destinat", token: bytes = b"", version: int = 1, size: int = 1200) -> bytes:
    length = (0x4000 | len(token)).to_bytes(2, "big")
    head = b"\xc3" + version.to_bytes(4, "big") + b"\x08" + destination + b"\x06source" + length + token
    return head.ljust(size, b"\0")


def _knock(at: Door, packet: bytes, *, host: str = HOST, now: float = 1.0) -> door.Decision:
    return at.knock(packet, host, PORT, now=now, random=random.Random(1).randbytes)


def test_a_first_packet_is_let_in_without_further_ado() -> None:
    decision = _knock(_door(), _initial())
    assert decision.original_id == b"destinat"
    assert decision.retry_id is None
    assert not decision.answer


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        _initial(size=1199),
        b"\x43" + bytes(1300),
        _initial(version=0),
        _initial(destination=b"sixbyt").ljust(1200),
        b"\xf3" + _initial()[1:],
        b"\xc3\x00\x00\x00\x01\xff" + bytes(1300),
    ],
    ids=["empty", "small", "short header", "version negotiation", "malformed", "retry", "long id"],
)
def test_what_is_no_first_packet_gets_no_answer_at_all(packet: bytes) -> None:
    decision = _knock(_door(), packet)
    assert decision == door.Decision()


def test_another_version_is_told_ours_in_fewer_bytes_than_it_sent() -> None:
    decision = _knock(_door(), _initial(version=0x6B3343CF))
    assert decision.original_id is None
    assert decision.answer[1:5] == bytes(4)
    assert decision.answer.endswith(b"\x00\x00\x00\x01")
    assert len(decision.answer) < 100


def test_when_many_are_half_open_an_address_must_be_proved_first() -> None:
    at = _door()
    for number in range(door.RETRY_FROM_HALF_OPEN):
        at.admitted(number, f"203.0.113.{number}")
    asked = _knock(at, _initial())
    assert asked.retry and asked.original_id is None
    retry_id, token = asked.answer[13:21], asked.answer[21:-16]
    proved = _knock(at, _initial(destination=retry_id, token=token))
    assert proved.original_id == b"destinat"
    assert proved.retry_id == retry_id
    elsewhere = _knock(at, _initial(destination=retry_id, token=token), host="192.0.2.99")
    assert elsewhere.retry and elsewhere.original_id is None
    late = _knock(at, _initial(destination=retry_id, token=token), now=60.0)
    assert late.retry
    for number in range(door.RETRY_FROM_HALF_OPEN):
        at.entered(number)
    assert _knock(at, _initial()).original_id == b"destinat"


def test_a_chain_too_long_for_an_unproved_address_always_asks_for_proof() -> None:
    assert a_long_chain().chain_bytes > 3000
    assert _knock(_door(certificate=a_long_chain()), _initial()).retry


def test_there_are_limits_to_all_connections_and_to_half_open_ones_of_one_customer() -> None:
    full = _door(max_connections=3)
    for number in range(3):
        full.admitted(number, HOST)
        full.entered(number)
    assert _knock(full, _initial()).refused
    full.left(0)
    assert not _knock(full, _initial()).refused

    busy = _door()
    for number in range(door.MAX_HALF_OPEN_PER_HOST):
        busy.admitted(number, f"2001:db8::{number:x}")
    asked = _knock(busy, _initial(), host="2001:db8::ffff")
    proof = _initial(destination=asked.answer[13:21], token=asked.answer[21:-16])
    assert _knock(busy, proof, host="2001:db8::ffff").refused
    asked = _knock(busy, _initial(), host="2001:db8:1::1")
    proof = _initial(destination=asked.answer[13:21], token=asked.answer[21:-16])
    assert _knock(busy, proof, host="2001:db8:1::1").original_id == b"destinat"


def test_a_door_that_is_shut_lets_nobody_in() -> None:
    at = _door()
    at.shut = True
    assert _knock(at, _initial()) == door.Decision()


@given(packet=st.one_of(st.binary(max_size=1400), st.binary(max_size=60).map(lambda b: (b"\xc0" + b).ljust(1200))))
def test_any_bytes_are_a_long_header_or_a_packet_error(packet: bytes) -> None:
    assert isinstance(packets.destination_of(packet), bytes)
    try:
        header = packets.parse_long(packet)
    except packets.PacketError:
        return
    assert len(header.destination) <= 20 and len(header.source) <= 20
    _knock(_door(), packet)
