"""The few parts of QUIC packets that a relay reads before it has a connection for them (RFC 8999, RFC 9000 §17).

Pure. The Retry packet's tag is computed by the caller (certs.py): there is no cipher here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from relay_quic.errors import WireError

VERSION_1: Final = 1

# Length of the connection ids we choose, which is how one is found in a short header.
ID_BYTES: Final = 8

# A client's first packet is padded to this (RFC 9000 §14.1); nothing smaller is answered.
MIN_INITIAL_BYTES: Final = 1200

_LONG: Final = 0x80
_MAX_ID_BYTES: Final = 20
_TYPE_MASK: Final = 0x30
_INITIAL: Final = 0x00
_RETRY_FIRST_BYTE: Final = 0xF0


class PacketError(WireError):
    """Not a QUIC packet."""

    code = "packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongHeader:
    """What a packet with a long header says in the open. `token` is an Initial's; other kinds have none."""

    version: int
    initial: bool
    destination: bytes
    source: bytes
    token: bytes


def destination_of(packet: bytes) -> bytes:
    """The connection id a packet is for; empty when it is no packet."""
    if len(packet) < 1 + ID_BYTES:
        return b""
    if not packet[0] & _LONG:
        return packet[1 : 1 + ID_BYTES]
    length = packet[5]
    return packet[6 : 6 + length] if length <= _MAX_ID_BYTES and len(packet) > 6 + length else b""


def parse_long(packet: bytes) -> LongHeader:
    """The long header of `packet`.

    Raises:
        PacketError: it has none, or is cut short.
    """
    if len(packet) < 7 or not packet[0] & _LONG:
        raise PacketError("not a packet with a long header")
    version = int.from_bytes(packet[1:5], "big")
    destination, at = _pull_id(packet, 5)
    source, at = _pull_id(packet, at)
    initial = version == VERSION_1 and packet[0] & _TYPE_MASK == _INITIAL
    token = b""
    if initial:
        length, at = _pull_varint(packet, at)
        token = packet[at : at + length]
        if len(token) != length:
            raise PacketError("the packet is cut short")
    return LongHeader(version=version, initial=initial, destination=destination, source=source, token=token)


def version_negotiation(header: LongHeader, *, first_byte: int) -> bytes:
    """The answer to a packet of another version: that version 1 is spoken here. `first_byte` is random."""
    return b"".join(
        (
            bytes((_LONG | first_byte & 0x7F,)),
            bytes(4),
            _id(header.source),
            _id(header.destination),
            VERSION_1.to_bytes(4, "big"),
        )
    )


def retry(header: LongHeader, *, retry_id: bytes, token: bytes) -> tuple[bytes, bytes]:
    """A Retry packet without its tag, and the pseudo-packet the tag is computed over (RFC 9001 §5.8)."""
    packet = b"".join(
        (
            bytes((_RETRY_FIRST_BYTE,)),
            header.version.to_bytes(4, "big"),
            _id(header.source),
            _id(retry_id),
            token,
        )
    )
    return packet, _id(header.destination) + packet


def _id(connection_id: bytes) -> bytes:
    return bytes((len(connection_id),)) + connection_id


def _pull_id(packet: bytes, at: int) -> tuple[bytes, int]:
    if at >= len(packet):
        raise PacketError("the packet is cut short")
    end = at + 1 + packet[at]
    if packet[at] > _MAX_ID_BYTES or end > len(packet):
        raise PacketError("a connection id is too long")
    return packet[at + 1 : end], end


def _pull_varint(packet: bytes, at: int) -> tuple[int, int]:
    if at >= len(packet):
        raise PacketError("the packet is cut short")
    size = 1 << (packet[at] >> 6)
    if at + size > len(packet):
        raise PacketError("the packet is cut short")
    value = int.from_bytes(packet[at : at + size], "big") & ((1 << (8 * size - 2)) - 1)
    return value, at + size
