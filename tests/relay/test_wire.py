"""The relay's wire format: what is written is read again, and nothing else is read."""

from __future__ import annotations

import contextlib
import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import wire
from relay_quic.errors import WireError

u32 = st.integers(0, (1 << 32) - 1)
u53 = st.integers(0, (1 << 53) - 1)
opaque = st.binary(max_size=300)
token = st.binary(min_size=16, max_size=16)
id32 = st.binary(min_size=32, max_size=32)
connections = st.lists(u32, max_size=20)

resumes = st.builds(wire.Resume, incarnation=token, connection=u32, token=token, after=u53)
from_client = st.one_of(
    st.builds(wire.Enter, room=id32, proof=id32, resume=st.none() | resumes),
    st.builds(wire.Commit, request=u32, after=u53, data=opaque, welcome=opaque, welcome_to=connections),
    st.builds(wire.Publish, request=u32, handshake=st.booleans(), data=opaque),
    st.builds(wire.Note, request=u32, to=st.none() | u32, data=opaque),
    st.just(wire.Leave()),
)
from_relay = st.one_of(
    st.builds(
        wire.Entered,
        incarnation=token,
        connection=u32,
        token=token,
        created=st.booleans(),
        resumed=st.booleans(),
        last_seq=u53,
        last_commit=u53,
        connections=connections,
    ),
    st.builds(wire.Ordered, seq=u53, sender=u32, kind=st.sampled_from(wire.Kind), data=opaque),
    st.builds(wire.Accepted, request=u32, seq=u53),
    st.builds(wire.Refused, request=u32, reason=st.sampled_from(wire.RefusalCode)),
    st.builds(wire.Welcome, seq=u53, sender=u32, data=opaque),
    st.builds(wire.Noted, sender=u32, data=opaque),
    st.builds(wire.Came, connection=u32),
    st.builds(wire.Gone, connection=u32, left=st.booleans()),
    st.builds(wire.Goodbye, reason=st.sampled_from(wire.GoodbyeCode)),
)


@given(from_client)
def test_what_a_client_writes_the_relay_reads(message: wire.ClientMessage) -> None:
    assert wire.decode_client(wire.encode(message)[4:]) == message


@given(from_relay)
def test_what_the_relay_writes_a_client_reads(message: wire.RelayMessage) -> None:
    assert wire.decode_relay(wire.encode(message)[4:]) == message


@given(from_client | from_relay, st.data())
def test_changed_bytes_are_a_message_or_a_wire_error(
    message: wire.ClientMessage | wire.RelayMessage, data: st.DataObject
) -> None:
    body = bytearray(wire.encode(message)[4:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _only_wire_errors(bytes(body[: data.draw(st.integers(0, len(body)))]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_wire_error(body: bytes) -> None:
    _only_wire_errors(body)


def test_deep_nesting_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        wire.decode_client(b"\x91" * 100_000 + b"\xc0")


def _only_wire_errors(body: bytes) -> None:
    for decode in (wire.decode_client, wire.decode_relay):
        with contextlib.suppress(WireError):
            decode(body)


@pytest.mark.parametrize(
    "fields",
    [
        ["enter", bytes(32), bytes(32)],  # a field is missing
        ["enter", bytes(32), bytes(32), None, 1],  # one too many
        ["enter", bytes(31), bytes(32), None],  # too short
        ["publish", -1, True, b""],
        ["publish", 1 << 32, True, b""],
        ["publish", 1, 1, b""],  # not a boolean
        ["publish", 1, True, "text"],
        ["publish", 1, True, bytes(wire.MAX_PUBLISH_BYTES + 1)],
        ["commit", 1, 0, bytes(wire.MAX_COMMIT_BYTES + 1), b"", []],
        ["commit", 1, 0, b"", b"", [0] * (wire.MAX_CONNECTIONS_LISTED + 1)],
        ["note", 1, None, bytes(wire.MAX_NOTE_BYTES + 1)],
        ["leave", None],
        ["goodbye", "shutting_down"],  # a relay's message
        [],
        "leave",
        None,
    ],
)
def test_a_malformed_client_message_is_refused(fields: object) -> None:
    with pytest.raises(WireError):
        wire.decode_client(msgspec.msgpack.encode(fields))


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(WireError):
        wire.decode_client(wire.encode(wire.Leave())[4:] + b"\xc0")


@given(st.lists(from_client, max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_messages_survive_any_cutting_of_the_stream(messages: list[wire.ClientMessage], cuts: list[int]) -> None:
    stream = b"".join(wire.encode(message) for message in messages)
    deframer = wire.Deframer(wire.MAX_MESSAGE_BYTES)
    bodies: list[bytes] = []
    position = 0
    turn = 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        bodies += deframer.feed(stream[position : position + step])
        position += step
        turn += 1
    assert [wire.decode_client(body) for body in bodies] == messages


@pytest.mark.parametrize("length", [0, 11, 1 << 31])
def test_a_length_that_is_not_allowed_is_refused_before_its_bytes_come(length: int) -> None:
    with pytest.raises(WireError):
        wire.Deframer(10).feed(length.to_bytes(4, "big"))


def test_a_message_of_just_the_limit_passes() -> None:
    assert wire.Deframer(10).feed((10).to_bytes(4, "big") + bytes(10)) == [bytes(10)]


@given(st.sampled_from(wire.DatagramKind), st.integers(-5, 9), st.binary(min_size=1, max_size=1099))
def test_a_datagrams_prefix_is_read_as_written(kind: wire.DatagramKind, loudness: int, payload: bytes) -> None:
    prefix = wire.datagram_prefix(kind, loudness=loudness)
    assert len(prefix) == 1
    assert wire.parse_datagram_prefix(prefix + payload) == (kind, min(max(loudness, 0), 3))


@given(st.binary(max_size=1300))
def test_any_datagram_is_read_or_a_wire_error(datagram: bytes) -> None:
    try:
        _, loudness = wire.parse_datagram_prefix(datagram)
    except WireError:
        return
    assert 0 <= loudness <= wire.MAX_LOUDNESS


@pytest.mark.parametrize("datagram", [b"", b"\x01", bytes([1]) * 1101, b"\x00x", b"\x03x", b"\x41x", b"\x81x"])
def test_a_datagram_of_no_known_kind_or_size_is_refused(datagram: bytes) -> None:
    with pytest.raises(WireError):
        wire.parse_datagram_prefix(datagram)


def test_a_room_id_is_the_labelled_hash_of_its_proof() -> None:
    assert wire.room_id(b"p" * 32) == hashlib.sha256(b"tuiconf v1 room id" + b"p" * 32).digest()


def test_a_message_shows_none_of_its_fields() -> None:
    resume = wire.Resume(incarnation=b"I" * 16, connection=7, token=b"T" * 16, after=3)
    enter = wire.Enter(room=b"R" * 32, proof=b"P" * 32, resume=resume)
    assert repr(enter) == "<Enter>"
    assert repr([resume]) == "[<Resume>]"
