"""The client on real sockets, against real endpoints."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from relay_quic.errors import TransportError
from relay_quic.quic import Client, Closed, DatagramReceived, Event, Library, StreamData
from relay_quic.quic import client as quic_client
from tests.relay.quicsupport import (
    Hole,
    Recorder,
    a_certificate,
    a_client,
    a_relay,
    every_library,
    every_pairing,
    until,
)


def _said(events: list[Event]) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, StreamData))


@every_pairing
async def test_what_is_sent_comes_back(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    async with (
        a_relay(relay_library, Recorder(echo=True)) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        assert client.certificate.pin == a_certificate().pin
        before = client.heard_at
        client.send_stream(b"hello" * 1000)
        assert client.send_datagram(b"voice")
        assert not client.send_datagram(bytes(1101))
        client.flush(now=time.monotonic())
        await until(lambda: len(_said(events)) == 5000 and DatagramReceived(data=b"voice") in events)
        assert client.heard_at > before
        assert client.rtt_s is not None
        await until(lambda: client.stream_backlog_bytes == 0)


@every_pairing
async def test_what_is_sent_leaves_without_a_flush(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    async with (
        a_relay(relay_library, Recorder(echo=True)) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        client.send_stream(b"no tick")
        await until(lambda: _said(events) == b"no tick")


@every_pairing
async def test_a_relay_that_closes_says_its_goodbye_first(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    handler = Recorder()
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        client.send_stream(b"x")
        await until(lambda: handler.stream == b"x")
        handler.peers[0].close(goodbye=b"shutting down")
        await until(lambda: events and isinstance(events[-1], Closed))
        assert events == [StreamData(data=b"shutting down", ended=False), Closed(reason="closed_by_peer")]
        await until(lambda: endpoint.connections == 0)
        assert handler.log == ["connected", "disconnected"]
        assert not client.send_datagram(b"late")
        client.send_stream(b"late")
        client.flush(now=time.monotonic())
        client.rebind()


@every_pairing
async def test_a_client_that_closes_is_gone_at_once(client_library: Library, relay_library: Library) -> None:
    handler = Recorder()
    events: list[Event] = []
    async with a_relay(relay_library, handler) as endpoint:
        async with a_client(client_library, endpoint.address, events) as client:
            client.send_stream(b"leave")
            await client.close()
            await client.close()
        await until(lambda: handler.log == ["connected", "disconnected"], timeout_s=5.0)
        assert handler.stream == b"leave"
        assert events == []


@every_library
async def test_a_port_nobody_listens_at_is_a_transport_error_long_before_the_timeout(library: Library) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as placeholder:
        placeholder.bind(("127.0.0.1", 0))
        port = placeholder.getsockname()[1]
    with pytest.raises(TransportError, match="nothing answers"):
        await Client.connect("127.0.0.1", port, library=library, on_event=print, timeout_s=60.0)


@every_library
async def test_a_relay_that_never_answers_is_a_transport_error_after_the_timeout(library: Library) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        with pytest.raises(TransportError, match="does not answer"):
            await Client.connect("127.0.0.1", mute.getsockname()[1], library=library, on_event=print, timeout_s=0.3)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example", "nul\0byte", ""])
async def test_a_host_that_cannot_be_found_is_a_transport_error(host: str) -> None:
    with pytest.raises(TransportError):
        await Client.connect(host, 1, library=Library.QH3, on_event=print, timeout_s=5.0)


@pytest.mark.parametrize("port", [-1, 0, 65536])
async def test_a_port_that_cannot_be_is_a_transport_error(port: int) -> None:
    with pytest.raises(TransportError, match="port"):
        await Client.connect("127.0.0.1", port, library=Library.QH3, on_event=print)


@every_pairing
async def test_the_addresses_of_a_name_are_tried_in_turn(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_relay(relay_library, Recorder()) as endpoint:
        port = endpoint.address[1]

        async def two_addresses(host: str, port: int, timeout_s: float) -> list[tuple[int, tuple[str, int]]]:
            return [(socket.AF_INET, ("127.0.0.2", port)), (socket.AF_INET, ("127.0.0.1", port))]

        monkeypatch.setattr(quic_client, "_resolve", two_addresses)
        client = await Client.connect("localhost", port, library=client_library, on_event=print)
        await client.close()


@every_pairing
async def test_a_muted_client_stays_connected(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic_client, "KEEP_ALIVE_S", 0.2)
    handler = Recorder()
    events: list[Event] = []
    async with (
        a_relay(relay_library, handler, idle_timeout_s=0.7) as endpoint,
        a_client(client_library, endpoint.address, events),
    ):
        await asyncio.sleep(1.5)
        assert handler.log == ["connected"]
        assert events == []
        assert endpoint.counters.packets_in < 60  # cheaply


@every_pairing
async def test_a_client_whose_path_died_moves_to_a_new_port_by_itself(
    client_library: Library, relay_library: Library
) -> None:
    handler = Recorder(echo=True)
    events: list[Event] = []
    async with (
        a_relay(relay_library, handler) as endpoint,
        Hole.to(endpoint.address) as hole,
        a_client(client_library, hole.address, events) as client,
    ):
        client.send_stream(b"before")
        await until(lambda: _said(events) == b"before")
        hole.swallow_known_clients()
        client.send_stream(b"after")
        await until(lambda: _said(events) == b"beforeafter")
        assert client.rebinds >= 1
        assert handler.log == ["connected"]


@every_pairing
async def test_a_relay_that_was_killed_and_came_back_is_noticed_and_can_be_joined_again(
    client_library: Library, relay_library: Library
) -> None:
    events: list[Event] = []
    handler = Recorder()
    async with a_relay(relay_library, handler) as first:
        client = await Client.connect("127.0.0.1", first.address[1], library=client_library, on_event=events.append)
        port = first.address[1]
        assert first._socket is not None
        asyncio.get_running_loop().remove_reader(first._socket.fileno())
        first._socket.close()  # as kill -9 does: no goodbye
        first._socket = None
        heard_at = client.heard_at
        client.ping()
        client.flush(now=time.monotonic())
        await until(lambda: client.refused_at is not None)
        assert client.heard_at == heard_at
        async with a_relay(relay_library, Recorder(), port=port):
            again = await Client.connect("127.0.0.1", port, library=client_library, on_event=print)
            assert client.heard_at == heard_at
            await again.close()
        await client.close()


@every_pairing
async def test_a_listener_sends_far_fewer_packets_than_it_receives(
    client_library: Library, relay_library: Library
) -> None:
    handler = Recorder()
    events: list[Event] = []
    async with a_relay(relay_library, handler) as endpoint, a_client(client_library, endpoint.address, events):
        await until(lambda: handler.peers)
        before, started = endpoint.counters.packets_in, time.monotonic()
        for _ in range(300):
            handler.peers[0].send_datagram(b"voice")
            await asyncio.sleep(0.002)
        await until(lambda: len(events) == 300)
        ticks = (time.monotonic() - started) / 0.02
        assert endpoint.counters.packets_in - before <= 1.1 * ticks + 5


@every_pairing
async def test_a_callback_that_fails_costs_one_event(client_library: Library, relay_library: Library) -> None:
    seen: list[Event] = []
    complaints: list[object] = []

    def failing(event: Event) -> None:
        seen.append(event)
        raise LookupError

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with a_relay(relay_library, Recorder(echo=True)) as endpoint:
        client = await Client.connect("127.0.0.1", endpoint.address[1], library=client_library, on_event=failing)
        for _ in range(3):
            client.send_datagram(b"x")
        client.flush(now=time.monotonic())
        await until(lambda: len(seen) >= 2)
        client.ping()
        await until(lambda: len(seen) == 3)
        assert len(complaints) == 3
        await client.close()


async def test_a_connection_attempt_that_is_cancelled_leaves_nothing_behind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        attempt = asyncio.create_task(
            Client.connect("127.0.0.1", mute.getsockname()[1], library=Library.QH3, on_event=print)
        )
        await asyncio.sleep(0.05)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


@every_pairing
def test_it_runs_on_uvloop(client_library: Library, relay_library: Library) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def call() -> bytes:
        events: list[Event] = []
        async with (
            a_relay(relay_library, Recorder(echo=True)) as endpoint,
            a_client(client_library, endpoint.address, events) as client,
        ):
            client.send_stream(b"quick")
            client.rebind()
            await until(lambda: _said(events) == b"quick")
        return _said(events)

    assert uvloop.run(call()) == b"quick"
