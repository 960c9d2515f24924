"""What a QUIC connection tells its user."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Established:
    """The handshake is done: the other side has the key of its certificate and speaks our protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamData:
    """The next bytes of the control stream; `ended` when there will be no more."""

    data: bytes
    ended: bool


class DatagramReceived(msgspec.Struct, frozen=True, kw_only=True):
    """One DATAGRAM frame. (A Struct, because they are so many, and a frozen dataclass takes five times as long.)"""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The connection is over, and nothing follows.

    `reason` is one of `closed` (by us), `closed_by_peer`, `idle`, `handshake_failed`, `protocol` (one side broke
    QUIC's or our rules), `fault` (the QUIC library failed).
    """

    reason: str


Event = StreamData | DatagramReceived | Closed
"""What `Client` tells its user."""

ConnectionEvent = Established | Event
