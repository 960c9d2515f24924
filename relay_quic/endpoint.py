"""The relay's socket: finds the connection each packet is for, makes new ones, and calls a `Handler`.

A turn is a batch of packets or of timers: events are told to the handler, the handler answers through its peers,
and at the end each peer with something to send is flushed once. Names no QUIC library.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from relay_quic.certs import Certificate
from relay_quic.door import Door
from relay_quic.errors import TransportError
from relay_quic.faults import Faults
from relay_quic.quic import packets
from relay_quic.quic.connection import DEFAULT_IDLE_TIMEOUT_S, Address, Connection
from relay_quic.quic.events import Closed, DatagramReceived, Established, StreamData
from relay_quic.quic.libraries import Library, Listener

_log = logging.getLogger(__name__)

# A thousand participants and as many again while they reconnect. Each costs 50 kB (qh3) to 105 kB (aioquic).
MAX_CONNECTIONS: Final = 2000

# A client on a satellite link needs two seconds; whoever takes longer only holds memory.
HANDSHAKE_TIMEOUT_S: Final = 5.0

# Timers of all connections share ticks of this length. An acknowledgement waits for one to two of them, less than
# the 25 ms both libraries announce, and mostly long enough to travel with forwarded audio. Longer ticks would delay
# bulk sending, which aioquic paces by timers.
TICK_S: Final = 0.01

# So that timers and the rest of the loop run between batches: 64 packets are 1 ms of qh3, 7 of aioquic.
MAX_PACKETS_PER_TURN: Final = 64
RECEIVE_BYTES: Final = 2048

# The kernel's default (208 kB) holds 100 ms of a full room while Python collects garbage.
SOCKET_BUFFER_BYTES: Final = 4 << 20

# How long the last bytes of the stream may take to be acknowledged before CONNECTION_CLOSE follows regardless.
GOODBYE_WAIT_S: Final = 0.25
# With more than this unread there is no waiting: it would not arrive in time, and is memory to be free of.
GOODBYE_BEHIND_BYTES: Final = 1 << 18
CLOSE_WAIT_S: Final = 0.8


class Handler(Protocol):
    """What an `Endpoint` serves. Called from the loop, one call at a time."""

    def connected(self, peer: Peer, *, now: float) -> None:
        """A client's handshake is done."""

    def stream_data(self, peer: Peer, data: bytes, *, now: float) -> None:
        """The next bytes of its control stream, to be consumed at once."""

    def datagram(self, peer: Peer, data: bytes, *, now: float) -> None:
        """A DATAGRAM."""

    def disconnected(self, peer: Peer, *, now: float) -> None:
        """Once, after `connected`, whoever closed."""

    def turn_ended(self, *, now: float) -> None:
        """After each batch, before the peers are flushed."""


@dataclass(slots=True, kw_only=True)
class Counters:
    """What an operator may want to see. Only goes up."""

    packets_in: int = 0
    packets_out: int = 0
    packets_not_sent: int = 0  # the socket's buffer was full, or there was no route
    packets_unknown: int = 0  # for no connection
    refused: int = 0  # new clients beyond a limit
    retries: int = 0
    handshakes: int = 0
    handshakes_failed: int = 0
    library_faults: int = 0
    handler_faults: int = 0


class Peer:
    """One client of the relay."""

    __slots__ = ("_bucket", "_closing_at", "_connection", "_endpoint", "_host", "_ids", "_known", "_started_at", "id")

    def __init__(self, *, peer_id: int, connection: Connection, endpoint: Endpoint, host: str, now: float) -> None:
        self.id = peer_id
        self._connection = connection
        self._endpoint = endpoint
        self._host = host
        self._ids: set[bytes] = set()
        self._started_at = now
        self._closing_at: float | None = None
        self._known = False  # the handler was told `connected` and not yet `disconnected`
        self._bucket = 0

    def __repr__(self) -> str:
        return f"<Peer {self.id}>"

    @property
    def host(self) -> str:
        """Its IP address at present, for limits only."""
        address = self._connection.peer_address
        return self._host if address is None else plain_host(address[0])

    @property
    def stream_backlog_bytes(self) -> int:
        """Bytes given to `send_stream` that QUIC still holds."""
        return self._connection.stream_backlog_bytes

    @property
    def rtt_s(self) -> float | None:
        """The smoothed round-trip time."""
        return self._connection.rtt_s

    def send_stream(self, data: bytes) -> None:
        """Put bytes on the control stream. The caller bounds the backlog."""
        if self._closing_at is None:
            self._connection.send_stream(data)
            self._endpoint.mark(self)

    def send_datagram(self, data: bytes) -> bool:
        """Send at the end of the turn. False: too large, over, or the peer has answered nothing for a second."""
        if self._closing_at is not None or not self._connection.send_datagram(data):
            return False
        self._endpoint.mark(self)
        return True

    def close(self, *, goodbye: bytes = b"") -> None:
        """Send `goodbye` on the stream and, when it has arrived (or 250 ms later), close. With much unread, at once."""
        if self._closing_at is not None:
            return
        behind = self._connection.stream_backlog_bytes > GOODBYE_BEHIND_BYTES
        if goodbye:
            self._connection.send_stream(goodbye)
        self._closing_at = time.monotonic() + (0.0 if behind else GOODBYE_WAIT_S)
        self._endpoint.mark(self)

    def unanswered_s(self, now: float) -> float:
        """For how long it has owed an answer to something sent; 0 when it owes none."""
        return self._connection.unanswered_s(now)

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._closing_at is None:
            self._connection.ping()
            self._endpoint.mark(self)


class Endpoint:
    """All QUIC connections of a relay, on one UDP socket and the running event loop."""

    @classmethod
    async def listen(
        cls,
        host: str,
        port: int,
        *,
        certificate: Certificate,
        library: Library,
        handler: Handler,
        max_connections: int = MAX_CONNECTIONS,
        idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S,
    ) -> Endpoint:
        """Bind and serve. Port 0 takes a free one, found in `address`; host `::` serves IPv4 as well.

        Raises:
            TransportError: the address cannot be bound.
        """
        bound = await _bind(host, port)
        try:
            listener = Listener(library, certificate, idle_timeout_s=idle_timeout_s)
        except BaseException:
            bound.close()
            raise
        door = Door(certificate=certificate, max_connections=max_connections)
        return cls(bound, listener=listener, handler=handler, door=door)

    def __init__(self, bound: socket.socket, *, listener: Listener, handler: Handler, door: Door) -> None:
        """Use `listen`."""
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = bound
        self._listener = listener
        self._handler = handler
        self._door = door
        self._peers: dict[bytes, Peer] = {}  # by each of its connection ids
        self._all: dict[int, Peer] = {}
        self._next_id = 1
        self._dirty: dict[Peer, None] = {}
        self._in_turn = False
        self._woken = False
        self._buckets: dict[int, list[Peer]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_bucket = 0
        self._empty: asyncio.Future[None] | None = None
        self.counters = Counters()
        self._faults = Faults()
        name = bound.getsockname()
        self.address: tuple[str, int] = (name[0], name[1])
        self._loop.add_reader(bound.fileno(), self._readable)

    # --- for the handler

    def wake(self) -> None:
        """Run `turn_ended` and flush soon: for the handler's own timers."""
        if not self._woken and not self._in_turn and self._socket is not None:
            self._woken = True
            self._loop.call_soon(self._woken_turn)

    def mark(self, peer: Peer) -> None:
        """`peer` has something to send: flush it at the end of this turn, or of one made for it."""
        self._dirty[peer] = None
        if not self._in_turn:
            self.wake()

    @property
    def connections(self) -> int:
        """Connections, those in their handshake included."""
        return len(self._all)

    async def close(self, *, goodbye: bytes = b"") -> None:
        """Close every peer as `Peer.close` does, in under a second, then the socket. Idempotent."""
        if self._socket is None:
            return
        self._door.shut = True
        for peer in list(self._all.values()):
            peer.close(goodbye=goodbye if peer._known else b"")
        if self._all:
            self._empty = self._loop.create_future()
            try:
                async with asyncio.timeout(CLOSE_WAIT_S):
                    await self._empty
            except TimeoutError:
                _log.debug("some peers did not acknowledge the goodbye")
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    # --- turns

    def _readable(self) -> None:
        now = time.monotonic()
        touched: dict[Peer, None] = {}
        peers = self._peers
        read = 0
        while read < MAX_PACKETS_PER_TURN and self._socket is not None:
            try:
                packet, address = self._socket.recvfrom(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                read += 1  # a complaint about something sent: QUIC repeats what matters
                continue
            read += 1
            address = _plain(address)
            short = packet[0:1] < b"\x80"
            peer = peers.get(packet[1:9] if short else packets.destination_of(packet))
            if peer is None:
                peer = None if short else self._first_packet(packet, address, now)
                if peer is None:
                    self.counters.packets_unknown += 1
                    continue
            peer._connection.receive(packet, address, now)
            touched[peer] = None
        self.counters.packets_in += read
        for peer in touched:
            # Its acknowledgement is due: in the tick after next, if nothing that is forwarded takes it along.
            self._schedule(peer, now + TICK_S)
        self._turn(touched, now)

    def _woken_turn(self) -> None:
        self._woken = False
        self._turn((), time.monotonic())

    def _timers_due(self) -> None:
        self._timer = None
        now = time.monotonic()
        current = int(now / TICK_S)
        due: dict[Peer, None] = {}
        for bucket in sorted(b for b in self._buckets if b <= current):
            for peer in self._buckets.pop(bucket):
                if peer._bucket == bucket:
                    peer._bucket = 0
                    due[peer] = None
        for peer in due:
            peer._connection.handle_timer(now)
            if not peer._connection.established and now - peer._started_at >= HANDSHAKE_TIMEOUT_S:
                peer._connection.close()
            self._dirty[peer] = None
        self._turn(due, now)
        self._arm()

    def _turn(self, touched: Iterable[Peer], now: float) -> None:
        """Tell the handler, let it answer, flush. Never raises."""
        self._in_turn = True
        try:
            for peer in touched:
                self._tell(peer, now)
            self._contained(None, partial(self._handler.turn_ended, now=now))
            # A flush can end a connection and so tell the handler, who may answer to others: until all is said.
            while self._dirty:
                dirty, self._dirty = self._dirty, {}
                for peer in dirty:
                    self._flush(peer, now)
        finally:
            self._in_turn = False

    def _tell(self, peer: Peer, now: float) -> None:
        connection = peer._connection
        if connection.new_ids or connection.old_ids:
            self._note_ids(peer)
        for event in connection.take_events():
            match event:
                case DatagramReceived() if peer._known:
                    self._contained(peer, partial(self._handler.datagram, peer, event.data, now=now))
                case StreamData() if peer._known:
                    self._contained(peer, partial(self._handler.stream_data, peer, event.data, now=now))
                    if event.ended:
                        peer.close()
                case Established():
                    self._door.entered(peer.id)
                    self.counters.handshakes += 1
                    peer._known = True
                    self._contained(peer, partial(self._handler.connected, peer, now=now))
                case Closed():
                    self._dirty[peer] = None  # it may have a CONNECTION_CLOSE to send; the flush forgets it
                case _:
                    pass
        if not connection.established:
            self._dirty[peer] = None  # a handshake does not wait for ticks

    def _contained(self, peer: Peer | None, call: Callable[[], None]) -> None:
        """A fault of the handler costs the peer it was about, and nobody else."""
        try:
            call()
        except Exception as fault:  # noqa: BLE001 - the one place that contains the handler's faults
            self.counters.handler_faults += 1
            self._faults.tell(fault, "answering a client")
            if peer is not None:
                peer.close()

    # --- sending

    def _flush(self, peer: Peer, now: float) -> None:
        connection = peer._connection
        if connection.closed:
            self._write(connection.send(now))
            self._forget(peer, now)
            return
        self._write(connection.send(now))
        if connection.new_ids:
            self._note_ids(peer)
        if peer._closing_at is not None:
            self._say_disconnected(peer, now)
            if connection.stream_settled or now >= peer._closing_at:
                connection.close()
                self._dirty[peer] = None
                return
            self._schedule(peer, now)
            return
        # Asking for the timer costs as much as a packet does: an early tick that is already set asks again.
        if not 0 < peer._bucket <= int(now / TICK_S) + 5 and (due := connection.timer()) is not None:
            if not connection.established:
                due = min(due, peer._started_at + HANDSHAKE_TIMEOUT_S)
            self._schedule(peer, max(due, now))
        if connection.faults:  # the library failed just now
            self._dirty[peer] = None

    def _write(self, outgoing: list[tuple[bytes, Address]]) -> None:
        if self._socket is None:
            return
        counters = self.counters
        for packet, address in outgoing:
            try:
                self._socket.sendto(packet, address)
            except OSError:  # a full buffer or no route: a lost packet, which QUIC knows how to handle
                counters.packets_not_sent += 1
            else:
                counters.packets_out += 1

    # --- coming and going

    def _first_packet(self, packet: bytes, address: Address, now: float) -> Peer | None:
        """A packet of no connection: a new client, or nothing. Answers statelessly where that is enough."""
        decision = self._door.knock(packet, address[0], address[1], now=now, random=os.urandom)
        if decision.answer:
            self.counters.retries += decision.retry
            self._write([(decision.answer, address)])
        self.counters.refused += decision.refused
        if decision.original_id is None:
            return None
        connection = self._listener.accept(original_id=decision.original_id, retry_id=decision.retry_id, now=now)
        peer = Peer(peer_id=self._next_id, connection=connection, endpoint=self, host=plain_host(address[0]), now=now)
        self._next_id += 1
        self._all[peer.id] = peer
        self._door.admitted(peer.id, address[0])
        connection.new_ids.append(decision.destination)
        self._note_ids(peer)
        return peer

    def _note_ids(self, peer: Peer) -> None:
        connection = peer._connection
        for connection_id in connection.new_ids:
            self._peers[connection_id] = peer
            peer._ids.add(connection_id)
        for connection_id in connection.old_ids:
            if connection_id in peer._ids:
                peer._ids.discard(connection_id)
                self._peers.pop(connection_id, None)
        connection.new_ids.clear()
        connection.old_ids.clear()

    def _forget(self, peer: Peer, now: float) -> None:
        if self._all.pop(peer.id, None) is None:
            return
        self._door.left(peer.id)
        for connection_id in peer._ids:
            self._peers.pop(connection_id, None)
        self.counters.library_faults += peer._connection.faults
        self.counters.handshakes_failed += not peer._connection.established
        self._say_disconnected(peer, now)
        peer._bucket = -1
        if self._empty is not None and not self._all and not self._empty.done():
            self._empty.set_result(None)

    def _say_disconnected(self, peer: Peer, now: float) -> None:
        if peer._known:
            peer._known = False
            self._contained(None, partial(self._handler.disconnected, peer, now=now))

    # --- time

    def _schedule(self, peer: Peer, at: float) -> None:
        """See to `peer` in the first tick after `at`, or in an earlier one that is already set."""
        bucket = int(at / TICK_S) + 1
        if peer._bucket == -1 or 0 < peer._bucket <= bucket:
            return
        peer._bucket = bucket
        self._buckets.setdefault(bucket, []).append(peer)
        if self._timer is None or bucket < self._timer_bucket:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._buckets and self._socket is not None:
            self._timer_bucket = min(self._buckets)
            delay_s = max(0.0, self._timer_bucket * TICK_S - time.monotonic())
            self._timer = self._loop.call_later(delay_s, self._timers_due)


def plain_host(host: str) -> str:
    """An IPv4 address that came in on an IPv6 socket, as IPv4."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def _plain(address: Address) -> Address:
    """Without the name of the interface, which is in the scope number as well and which qh3 cannot read."""
    if len(address) == 4 and "%" in address[0]:
        return (address[0].partition("%")[0], *address[1:])
    return address


async def _bind(host: str, port: int) -> socket.socket:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        bound = socket.socket(family, socket.SOCK_DGRAM)
        try:
            bound.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such address"
        raise TransportError(f"the relay cannot listen at this address and port: {reason}") from error
    return bound
