"""What the transport tests share: the pairings, a handler that records, a pair of connections on a virtual clock."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import heapq
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from relay_quic import certs
from relay_quic.endpoint import Endpoint, Handler, Peer
from relay_quic.quic import Client, DatagramReceived, Event, Library, StreamData
from relay_quic.quic.connection import Address, Connection
from relay_quic.quic.events import ConnectionEvent
from relay_quic.quic.libraries import Connector, Listener
from relay_quic.quic.packets import destination_of

PAIRINGS = [(client, relay) for client in Library for relay in Library]
every_pairing = pytest.mark.parametrize(
    ("client_library", "relay_library"), PAIRINGS, ids=[f"{c}-client-{r}-relay" for c, r in PAIRINGS]
)
every_library = pytest.mark.parametrize("library", list(Library), ids=str)


@functools.cache
def a_certificate() -> certs.Certificate:
    return certs.make_self_signed(now=dt.datetime.now(dt.UTC), names=["localhost", "127.0.0.1"])


class Recorder:
    """A handler that keeps what it is told, and echoes when asked to."""

    def __init__(self, *, echo: bool = False) -> None:
        self.echo = echo
        self.log: list[str] = []
        self.peers: list[Peer] = []
        self.stream = bytearray()
        self.datagrams: list[bytes] = []
        self.turns = 0

    def connected(self, peer: Peer, *, now: float) -> None:
        self.log.append("connected")
        self.peers.append(peer)

    def stream_data(self, peer: Peer, data: bytes, *, now: float) -> None:
        self.stream += data
        if self.echo:
            peer.send_stream(data)

    def datagram(self, peer: Peer, data: bytes, *, now: float) -> None:
        self.datagrams.append(data)
        if self.echo:
            peer.send_datagram(data)

    def disconnected(self, peer: Peer, *, now: float) -> None:
        self.log.append("disconnected")

    def turn_ended(self, *, now: float) -> None:
        self.turns += 1


@asynccontextmanager
async def a_relay(library: Library, handler: Handler, *, port: int = 0, **options: object) -> AsyncIterator[Endpoint]:
    options.setdefault("certificate", a_certificate())
    endpoint = await Endpoint.listen("127.0.0.1", port, library=library, handler=handler, **options)  # type: ignore[arg-type]
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Wait for something that must come; the limit only stops a test that fails."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not happen")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def a_client(
    library: Library, address: tuple[str, int], events: list[Event] | None = None
) -> AsyncIterator[Client]:
    seen: list[Event] = [] if events is None else events
    client = await Client.connect("127.0.0.1", address[1], library=library, on_event=seen.append)
    try:
        yield client
    finally:
        await client.close()


# --- without sockets: a virtual clock and a link that is data

RELAY_ADDRESS: Address = ("192.0.2.1", 4433)
CLIENT_ADDRESS: Address = ("198.51.100.7", 50000)

TO_RELAY = "to relay"
TO_CLIENT = "to client"

Fate = Callable[[str, bytes, int], list[tuple[float, bytes]]]
"""(direction, packet, how many went this way before) -> what arrives, each after so many seconds"""


def delivered(direction: str, packet: bytes, count: int) -> list[tuple[float, bytes]]:
    return [(0.01, packet)]


class Pair:
    """A client and a relay's side of one connection, joined by `fate`, on a clock that only moves here."""

    def __init__(
        self,
        client_library: Library,
        relay_library: Library,
        *,
        fate: Fate = delivered,
        certificate: certs.Certificate | None = None,
        idle_timeout_s: float = 10.0,
    ) -> None:
        self.now = 0.0
        self.fate = fate
        self.client_address = CLIENT_ADDRESS
        connector = Connector(client_library, idle_timeout_s=idle_timeout_s)
        self.listener = Listener(relay_library, certificate or a_certificate(), idle_timeout_s=idle_timeout_s)
        self.client = connector.connect(host="localhost", address=RELAY_ADDRESS, now=0.0)
        self.relay: Connection | None = None
        self.client_events: list[ConnectionEvent] = []
        self.relay_events: list[ConnectionEvent] = []
        self.sent: list[tuple[float, str, bytes]] = []
        self._counts = {TO_RELAY: 0, TO_CLIENT: 0}
        self._air: list[tuple[float, int, str, bytes, Address]] = []
        self._serial = 0

    @property
    def server(self) -> Connection:
        assert self.relay is not None, "no packet has reached the relay"
        return self.relay

    @property
    def relay_datagrams(self) -> list[bytes]:
        return [e.data for e in self.relay_events if isinstance(e, DatagramReceived)]

    @property
    def client_datagrams(self) -> list[bytes]:
        return [e.data for e in self.client_events if isinstance(e, DatagramReceived)]

    @property
    def relay_stream(self) -> bytes:
        return b"".join(e.data for e in self.relay_events if isinstance(e, StreamData))

    @property
    def client_stream(self) -> bytes:
        return b"".join(e.data for e in self.client_events if isinstance(e, StreamData))

    def handshake(self) -> None:
        self.run(3.0, until=lambda: self.client.established and self.relay is not None and self.relay.established)
        assert self.client.established and self.server.established

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, event by event."""
        end = self.now + seconds
        while not until():
            self.flush()
            due = [t for t in (self.client.timer(), self.relay.timer() if self.relay else None) if t is not None]
            due += [self._air[0][0]] if self._air else []
            at = min(due, default=end)
            if at >= end:
                self.now = end
                return
            self.now = max(self.now + 0.000_001, at)
            self._arrivals()
            for connection in (self.client, self.relay):
                if connection is not None:
                    connection.handle_timer(self.now)
            self._hear()

    def flush(self) -> None:
        for packet, _ in self.client.send(self.now):
            self._put(TO_RELAY, packet, self.client_address)
        if self.relay is not None:
            for packet, address in self.relay.send(self.now):
                self._put(TO_CLIENT, packet, address)
        self._hear()

    def inject(self, direction: str, packet: bytes, *, source: Address = CLIENT_ADDRESS) -> None:
        """A packet from nobody in particular."""
        self._arrive(direction, packet, source)
        self._hear()

    def _put(self, direction: str, packet: bytes, address: Address) -> None:
        self.sent.append((self.now, direction, packet))
        count = self._counts[direction]
        self._counts[direction] += 1
        for delay, arriving in self.fate(direction, packet, count):
            self._serial += 1
            heapq.heappush(self._air, (self.now + delay, self._serial, direction, arriving, address))

    def _arrivals(self) -> None:
        while self._air and self._air[0][0] <= self.now:
            _, _, direction, packet, address = heapq.heappop(self._air)
            if direction == TO_RELAY or address == self.client_address:
                self._arrive(direction, packet, address)

    def _arrive(self, direction: str, packet: bytes, address: Address) -> None:
        if direction == TO_CLIENT:
            self.client.receive(packet, RELAY_ADDRESS, self.now)
            return
        if self.relay is None:
            if len(packet) < 1200 or not destination_of(packet):
                return
            self.relay = self.listener.accept(original_id=destination_of(packet), retry_id=None, now=self.now)
        self.relay.receive(packet, address, self.now)

    def _hear(self) -> None:
        self.client_events += self.client.take_events()
        if self.relay is not None:
            self.relay_events += self.relay.take_events()


@functools.cache
def a_long_chain() -> certs.Certificate:
    """Over 3 kB of certificates, as a public authority with RSA keys gives out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority")])
    others = x509.SubjectAlternativeName([x509.DNSName(f"name-{i}.example") for i in range(20)])
    chain = [
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=90))
        .add_extension(others, critical=False)
        .sign(key, hashes.SHA256())
        for number in (1, 2, 3)
    ]
    return certs._bundle(chain, key)


class Hole:
    """A UDP forwarder that can forget clients, as a router does that lost its table: their packets go nowhere."""

    def __init__(self, relay: tuple[str, int]) -> None:
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._outside = self._open()
        self._outside.bind(("127.0.0.1", 0))
        self._inside: dict[Address, socket.socket] = {}
        self._dead: set[Address] = set()
        self.address: tuple[str, int] = self._outside.getsockname()
        self._loop.add_reader(self._outside, self._from_clients)

    @classmethod
    @asynccontextmanager
    async def to(cls, relay: tuple[str, int]) -> AsyncIterator[Hole]:
        hole = cls(relay)
        try:
            yield hole
        finally:
            for opened in (hole._outside, *hole._inside.values()):
                hole._loop.remove_reader(opened)
                opened.close()

    def swallow_known_clients(self) -> None:
        self._dead |= set(self._inside)

    @staticmethod
    def _open() -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        return opened

    def _from_clients(self) -> None:
        data, client = self._outside.recvfrom(2048)
        if client in self._dead:
            return
        if client not in self._inside:
            self._inside[client] = inside = self._open()
            inside.connect(self._relay)
            self._loop.add_reader(inside, self._from_relay, inside, client)
        self._inside[client].send(data)

    def _from_relay(self, inside: socket.socket, client: Address) -> None:
        data = inside.recv(2048)
        if client not in self._dead:
            self._outside.sendto(data, client)
