"""A real relay on loopback and real clients of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from relay_quic.config import Caps, Listen, RelayConfig
from relay_quic.limits import Rates
from relay_quic.quic import Client, Closed, DatagramReceived, Event, Library, StreamData
from relay_quic.server import Running, serve
from relay_quic.wire import (
    MAX_MESSAGE_BYTES,
    ClientMessage,
    DatagramKind,
    Deframer,
    Entered,
    Goodbye,
    GoodbyeCode,
    RelayMessage,
    Resume,
    datagram_prefix,
    decode_relay,
    encode,
)
from tests.relay.quicsupport import until
from tests.relay.relaysupport import GENEROUS, PROOF, enter

T = TypeVar("T")


@asynccontextmanager
async def a_live_relay(
    folder: Path, library: Library, *, rates: Rates = GENEROUS, caps: Caps | None = None
) -> AsyncIterator[Running]:
    """A relay on a free port of loopback, with its certificate in `folder`."""
    config = RelayConfig(
        listen=Listen(host="127.0.0.1", port=0),
        quic=library.value,
        state_dir=folder,
        rates=rates,
        caps=caps or Caps(),
    )
    async with serve(config) as running:
        yield running


class LiveClient:
    """One real connection and all that came over it."""

    def __init__(self) -> None:
        self.received: list[RelayMessage] = []
        self.datagrams: list[bytes] = []
        self.closed: str | None = None
        self.on_datagram: Callable[[bytes], None] = self.datagrams.append
        self._quic: Client | None = None
        self._deframer = Deframer(MAX_MESSAGE_BYTES)

    @property
    def quic(self) -> Client:
        """The connection itself."""
        assert self._quic is not None
        return self._quic

    async def open(self, relay: Running, library: Library) -> None:
        """Connect, and nothing more."""
        await self.open_at(*relay.address, library)

    async def open_at(self, host: str, port: int, library: Library) -> None:
        """Connect to a relay in another process."""
        self._quic = await Client.connect(host, port, library=library, on_event=self._happened)

    async def enter(self, *, proof: bytes = PROOF, resume: Resume | None = None) -> Entered:
        """Enter a room and wait for the answer."""
        self.say(enter(proof, resume=resume))
        return await self.first(Entered)

    def say(self, *messages: ClientMessage) -> None:
        """Send messages now."""
        self.say_bytes(b"".join(encode(message) for message in messages))

    def say_bytes(self, data: bytes) -> None:
        """Send these bytes on the stream now."""
        self.quic.send_stream(data)
        self.quic.flush(now=time.monotonic())

    def speak(self, payload: bytes, *, kind: DatagramKind = DatagramKind.AUDIO, loudness: int = 0) -> bytes:
        """Send a datagram now, and what it was."""
        datagram = datagram_prefix(kind, loudness=loudness) + payload
        assert self.quic.send_datagram(datagram)
        self.quic.flush(now=time.monotonic())
        return datagram

    def all(self, kind: type[T]) -> list[T]:
        """What has come of one kind of message."""
        return [message for message in self.received if isinstance(message, kind)]

    async def first(self, kind: type[T]) -> T:
        """The first message of this kind, waited for."""
        await until(lambda: self.all(kind))
        return self.all(kind)[0]

    async def goodbye(self) -> GoodbyeCode:
        """Why the relay closed, waited for."""
        return (await self.first(Goodbye)).reason

    def _happened(self, event: Event) -> None:
        match event:
            case StreamData():
                self.received += [decode_relay(body) for body in self._deframer.feed(event.data)]
            case DatagramReceived():
                self.on_datagram(event.data)
            case Closed():
                self.closed = event.reason


class Line:
    """A way to the relay for one client that can be cut, in both directions, and mended."""

    def __init__(self) -> None:
        self.whole = True
        self.address = ("", 0)
        self._here: asyncio.DatagramTransport | None = None
        self._there: asyncio.DatagramTransport | None = None
        self._client: tuple[str, int] | None = None

    async def lay(self, relay: Running) -> None:
        """Connect it to the relay; `address` is then where the client finds it."""
        loop = asyncio.get_running_loop()
        self._here, _ = await loop.create_datagram_endpoint(
            lambda: _End(self._from_client), local_addr=("127.0.0.1", 0)
        )
        self._there, _ = await loop.create_datagram_endpoint(lambda: _End(self._from_relay), remote_addr=relay.address)
        self.address = self._here.get_extra_info("sockname")

    def close(self) -> None:
        """Take it away."""
        for transport in (self._here, self._there):
            if transport is not None:
                transport.close()

    def _from_client(self, packet: bytes, address: tuple[str, int]) -> None:
        self._client = address
        if self.whole and self._there is not None:
            self._there.sendto(packet)

    def _from_relay(self, packet: bytes, _address: tuple[str, int]) -> None:
        if self.whole and self._here is not None and self._client is not None:
            self._here.sendto(packet, self._client)


class _End(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data, addr)


async def entered(relay: Running, library: Library, *, proof: bytes = PROOF) -> LiveClient:
    """A client in the room of `proof`."""
    client = LiveClient()
    await client.open(relay, library)
    await client.enter(proof=proof)
    return client


async def close_all(*clients: LiveClient) -> None:
    """Close their connections."""
    for client in clients:
        await client.quic.close()
