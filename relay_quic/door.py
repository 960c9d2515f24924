"""Who may start a handshake, decided before anything is held for them.

Pure. A handshake costs a relay up to 3 ms and 100 kB, a Retry a few microseconds and nothing kept: so once many
handshakes are open, a client must first show that it receives what is sent to its address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from relay_quic.certs import Certificate, RetryTokens, retry_integrity_tag
from relay_quic.limits import address_group
from relay_quic.quic import packets

# From here on everyone has to prove an address; a whole room that reconnects pays one more round trip.
RETRY_FROM_HALF_OPEN: Final = 32
# What a flood from proven addresses can hold: 25 MB of aioquic, and 400 ms of its handshakes.
MAX_HALF_OPEN: Final = 256
# Behind one address may be an office; behind one IPv6 /64 is one customer.
MAX_HALF_OPEN_PER_HOST: Final = 64
# Above this the certificates do not fit what may be sent to an unproven address (three times 1,200 bytes, less the
# rest of the handshake), and the handshake stalls or fails: the address is proved first.
MAX_CHAIN_BYTES_UNPROVED: Final = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`answer` is to be sent back as it is; with `original_id` a connection is to be made."""

    answer: bytes = b""
    retry: bool = False
    refused: bool = False
    original_id: bytes | None = None
    retry_id: bytes | None = None
    destination: bytes = b""


_NOTHING: Final = Decision()


class Door:
    """Counts handshakes and decides on first packets."""

    def __init__(self, *, certificate: Certificate, max_connections: int, tokens: RetryTokens | None = None) -> None:
        self.shut = False
        self._max_connections = max_connections
        self._always_retry = certificate.chain_bytes > MAX_CHAIN_BYTES_UNPROVED
        self._tokens = tokens or RetryTokens()
        self._connections: set[int] = set()
        self._half_open: dict[int, str] = {}
        self._half_open_by_host: Counter[str] = Counter()

    def knock(self, packet: bytes, host: str, port: int, *, now: float, random: Callable[[int], bytes]) -> Decision:
        """What to do with a packet that is for no connection."""
        # Small packets are never answered: nobody can be hit with more bytes than were sent to us in their name.
        if self.shut or len(packet) < packets.MIN_INITIAL_BYTES:
            return _NOTHING
        try:
            header = packets.parse_long(packet)
        except packets.PacketError:
            return _NOTHING
        if header.version == 0:
            return _NOTHING  # answering a Version Negotiation with another would never end between two relays
        if header.version != packets.VERSION_1:
            return Decision(answer=packets.version_negotiation(header, first_byte=random(1)[0]))
        if not header.initial or len(header.destination) < packets.ID_BYTES:
            return _NOTHING
        return self._initial(header, (host, port), now=now, random=random)

    def admitted(self, connection: int, host: str) -> None:
        """A connection was made."""
        key = address_group(host)
        self._connections.add(connection)
        self._half_open[connection] = key
        self._half_open_by_host[key] += 1

    def entered(self, connection: int) -> None:
        """Its handshake is done."""
        key = self._half_open.pop(connection, None)
        if key is not None:
            self._half_open_by_host[key] -= 1
            if not self._half_open_by_host[key]:
                del self._half_open_by_host[key]

    def left(self, connection: int) -> None:
        """It is over."""
        self.entered(connection)
        self._connections.discard(connection)

    def _initial(
        self, header: packets.LongHeader, address: tuple[str, int], *, now: float, random: Callable[[int], bytes]
    ) -> Decision:
        original_id = None
        if header.token:
            original_id = self._tokens.open(header.token, address=address, retry_id=header.destination, now=now)
        proved = original_id is not None
        if not proved and (self._always_retry or len(self._half_open) >= RETRY_FROM_HALF_OPEN):
            return self._retry(header, address, now=now, random=random)
        if (
            len(self._connections) >= self._max_connections
            or len(self._half_open) >= MAX_HALF_OPEN
            or self._half_open_by_host[address_group(address[0])] >= MAX_HALF_OPEN_PER_HOST
        ):
            return Decision(refused=True)
        return Decision(
            original_id=original_id if original_id is not None else header.destination,
            retry_id=header.destination if proved else None,
            destination=header.destination,
        )

    def _retry(
        self, header: packets.LongHeader, address: tuple[str, int], *, now: float, random: Callable[[int], bytes]
    ) -> Decision:
        retry_id = random(packets.ID_BYTES)
        token = self._tokens.create(address=address, original_id=header.destination, retry_id=retry_id, now=now)
        packet, pseudo = packets.retry(header, retry_id=retry_id, token=token)
        return Decision(answer=packet + retry_integrity_tag(pseudo), retry=True)
