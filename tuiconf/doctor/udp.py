"""Does something that speaks QUIC answer there, over UDP? Asked below the QUIC library, which only says that it failed.

The question is a packet of a version that does not exist: every QUIC server answers it with the versions it knows
(RFC 9000 §6), at once, and keeps nothing. So it also measures the round trip and the loss of the bare path.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from dataclasses import dataclass, field
from typing import Final

PINGS: Final = 8
PING_EVERY_S: Final = 0.06
# What a satellite needs twice. A path that takes longer carries no conversation.
ANSWER_S: Final = 1.5
TCP_S: Final = 2.0

# A name with more addresses than that is a large service's, not a relay's.
MAX_ADDRESSES: Final = 4
RESOLVE_S: Final = 5.0

# Reserved for this purpose (RFC 9000 §15); and the least that is answered (§14.1).
_NO_VERSION: Final = 0x1A2A3A4A
_PACKET_BYTES: Final = 1200
_ID_BYTES: Final = 8

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Address:
    """One address of the relay's host."""

    family: socket.AddressFamily
    socket_address: SocketAddress

    @property
    def kind(self) -> str:
        """Which Internet it belongs to."""
        return "IPv6" if self.family == socket.AF_INET6 else "IPv4"


@dataclass(slots=True, kw_only=True)
class Heard:
    """What came back from one address."""

    asked: int = 0
    round_trips_ms: list[float] = field(default_factory=list)  # of the QUIC answers
    other_answers: int = 0  # datagrams that are no answer to our question
    refused: bool = False  # ICMP: nobody listens at that port
    error: int | None = None  # errno of what this machine says: no route, not permitted

    @property
    def quic(self) -> bool:
        """Does something there speak QUIC?"""
        return bool(self.round_trips_ms)


async def resolve(host: str, port: int) -> list[Address]:
    """The host's addresses, best first; empty when the name means nothing here."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError):  # a TimeoutError is an OSError
        return []
    addresses: dict[tuple[socket.AddressFamily, object], Address] = {}
    for family, _, _, _, where in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            # An INET family's address, which the type stubs do not know.
            addresses[family, where] = Address(family=family, socket_address=where)  # type: ignore[arg-type]
    return list(addresses.values())[:MAX_ADDRESSES]


async def ask(address: Address, *, pings: int = PINGS) -> Heard:
    """Ask some times, and listen."""
    heard = Heard()
    asking: dict[bytes, float] = {}
    opened = socket.socket(address.family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.connect(address.socket_address)
        for _ in range(pings):
            my_id = os.urandom(_ID_BYTES)
            asking[my_id] = time.monotonic()
            heard.asked += 1
            opened.send(_question(my_id))
            await _listen(opened, PING_EVERY_S, asking, heard)
            if heard.refused:
                break
        if not heard.refused:
            await _listen(opened, ANSWER_S, asking, heard)
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            heard.refused = True
        else:
            heard.error = error.errno
    finally:
        opened.close()
    return heard


async def answers_tcp(address: Address) -> bool:
    """Whether the machine says anything to a TCP connection to the same port, if only no."""
    loop = asyncio.get_running_loop()
    with socket.socket(address.family, socket.SOCK_STREAM) as opened:
        opened.setblocking(False)
        try:
            async with asyncio.timeout(TCP_S):
                await loop.sock_connect(opened, address.socket_address)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True


async def _listen(opened: socket.socket, patience_s: float, asking: dict[bytes, float], heard: Heard) -> None:
    """Sort what comes until nothing more is expected, or for so long."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            while asking:
                packet = await loop.sock_recv(opened, 2048)
                asked_at = asking.pop(_answered(packet), None)
                if asked_at is None:
                    heard.other_answers += 1
                else:
                    heard.round_trips_ms.append(1000 * (time.monotonic() - asked_at))
            if patience_s < ANSWER_S:
                await asyncio.sleep(patience_s)  # the next question waits for its turn


def _question(my_id: bytes) -> bytes:
    """A long header (RFC 8999 §5.1) of the version that nobody knows, and nothing behind it."""
    ids = bytes((_ID_BYTES,)) + os.urandom(_ID_BYTES) + bytes((_ID_BYTES,)) + my_id
    return (b"\xc0" + _NO_VERSION.to_bytes(4, "big") + ids).ljust(_PACKET_BYTES, b"\0")


def _answered(packet: bytes) -> bytes:
    """Which of our questions this Version Negotiation packet (RFC 8999 §6) answers; empty for anything else."""
    if len(packet) < 7 + 2 * _ID_BYTES or not packet[0] & 0x80 or packet[1:5] != bytes(4) or packet[5] != _ID_BYTES:
        return b""
    return packet[6 : 6 + _ID_BYTES]
