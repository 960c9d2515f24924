"""What the transport tests share: the four pairings, a handler that records, and a UDP proxy that misbehaves."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from relay_quic import certs
from relay_quic.endpoint import Endpoint, Peer
from relay_quic.quic import Client, Event, Library

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
async def a_relay(library: Library, handler: Recorder, **options: object) -> AsyncIterator[Endpoint]:
    options.setdefault("certificate", a_certificate())
    endpoint = await Endpoint.listen("127.0.0.1", 0, library=library, handler=handler, **options)  # type: ignore[arg-type]
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
