"""A client that is driven by its user's ticks, and by nothing else."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay_quic.quic import Client, Closed, DatagramReceived, Event, Library
from relay_quic.quic import client as quic_client
from tests.relay.quicsupport import Hole, Recorder, a_client, a_relay, every_pairing, until

TICK_S = 0.02

# Elsewhere the system does not say when a packet came, and packets are taken in as they come.
stamped = pytest.mark.skipif(sys.platform != "linux", reason="the system does not stamp packets")


@asynccontextmanager
async def ticks(client: Client) -> AsyncIterator[None]:
    """As in a call: every 20 ms what came is taken in, and then what there is to say is written."""

    async def run() -> None:
        while True:
            now = time.monotonic()
            client.tick(now=now)
            client.flush(now=now)
            await asyncio.sleep(TICK_S)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()


@every_pairing
async def test_what_is_sent_comes_back_with_ticks(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    async with (
        a_relay(relay_library, Recorder(echo=True)) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
        ticks(client),
    ):
        client.send_datagram(b"voice")
        await until(lambda: DatagramReceived(data=b"voice") in events)


@stamped
@every_pairing
async def test_nothing_is_told_between_ticks_and_then_it_is_dated_when_it_came(
    client_library: Library, relay_library: Library
) -> None:
    came_at: dict[Event, float] = {}
    handler = Recorder()
    async with a_relay(relay_library, handler) as endpoint:

        def note(event: Event) -> None:
            came_at[event] = client.arrived_at

        client = await Client.connect(*endpoint.address, library=client_library, on_event=note)
        try:
            await until(lambda: handler.peers)
            client.tick(now=time.monotonic())
            handler.peers[0].send_datagram(b"voice")
            endpoint.wake()
            sent_at = time.monotonic()
            await asyncio.sleep(0.4)
            assert not came_at
            client.tick(now=time.monotonic())
            assert sent_at <= came_at[DatagramReceived(data=b"voice")] < sent_at + 0.2
        finally:
            await client.close()


@stamped
@every_pairing
async def test_a_wall_clock_that_jumps_dates_nothing_before_the_last_tick_or_after_this_one(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Recorder()
    unix = time.time
    async with a_relay(relay_library, handler) as endpoint, a_client(client_library, endpoint.address, []) as client:
        await until(lambda: handler.peers)
        for jump_s in (-3600.0, 3600.0):
            before = time.monotonic()
            client.tick(now=before)
            handler.peers[0].send_datagram(b"voice")
            endpoint.wake()
            await asyncio.sleep(0.05)
            monkeypatch.setattr(time, "time", lambda jump_s=jump_s: unix() + jump_s)
            now = time.monotonic()
            client.tick(now=now)
            assert before <= client.arrived_at <= now
            monkeypatch.undo()


@every_pairing
async def test_a_client_with_ticks_moves_to_a_new_port_when_its_path_died(
    client_library: Library, relay_library: Library
) -> None:
    events: list[Event] = []
    async with (
        a_relay(relay_library, Recorder(echo=True)) as endpoint,
        Hole.to(endpoint.address) as hole,
        a_client(client_library, hole.address, events) as client,
        ticks(client),
    ):
        client.send_datagram(b"before")
        await until(lambda: DatagramReceived(data=b"before") in events)
        hole.swallow_known_clients()
        client.send_datagram(b"lost")
        await until(lambda: client.rebinds)
        await asyncio.sleep(0.1)
        client.send_datagram(b"after")
        await until(lambda: DatagramReceived(data=b"after") in events)


@every_pairing
async def test_a_client_with_ticks_hears_that_the_relay_closed(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    handler = Recorder()
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
        ticks(client),
    ):
        await until(lambda: handler.peers)
        handler.peers[0].close(goodbye=b"")
        await until(lambda: events and isinstance(events[-1], Closed))
        await until(lambda: endpoint.connections == 0)


@every_pairing
async def test_without_stamps_packets_are_taken_in_as_they_come(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic_client, "_ask_for_stamps", lambda _: False)
    events: list[Event] = []
    handler = Recorder()
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        await until(lambda: handler.peers)
        client.tick(now=time.monotonic())
        handler.peers[0].send_datagram(b"voice")
        endpoint.wake()
        await until(lambda: events == [DatagramReceived(data=b"voice")])
