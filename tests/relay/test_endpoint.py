"""The relay's endpoint on real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from relay_quic import endpoint as endpoint_module
from relay_quic.door import RETRY_FROM_HALF_OPEN
from relay_quic.endpoint import Endpoint, Peer
from relay_quic.errors import TransportError
from relay_quic.quic import Client, Closed, DatagramReceived, Event, Library, StreamData
from relay_quic.quic.libraries import Connector
from tests.relay.quicsupport import (
    Recorder,
    a_certificate,
    a_client,
    a_long_chain,
    a_relay,
    every_library,
    every_pairing,
    until,
)


def _start_of_a_handshake(library: Library, endpoint: Endpoint, sender: socket.socket) -> None:
    connection = Connector(library).connect(host="localhost", address=endpoint.address, now=time.monotonic())
    for packet, _ in connection.send(time.monotonic()):
        sender.sendto(packet, endpoint.address)


@every_pairing
async def test_a_handler_is_told_of_each_client_once(client_library: Library, relay_library: Library) -> None:
    handler = Recorder(echo=True)
    seen: list[list[Event]] = [[], []]
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, seen[0]) as first,
        a_client(client_library, endpoint.address, seen[1]) as second,
    ):
        first.send_stream(b"one")
        second.send_stream(b"two")
        await until(lambda: seen[0] and seen[1])
        assert seen == [[StreamData(data=b"one", ended=False)], [StreamData(data=b"two", ended=False)]]
        assert [p.host for p in handler.peers] == ["127.0.0.1", "127.0.0.1"]
        assert len({p.id for p in handler.peers}) == 2
        assert all("127" not in repr(p) for p in handler.peers)
        assert handler.turns > 0
        assert endpoint.connections == 2
    await until(lambda: handler.log.count("disconnected") == 2)
    assert handler.log.count("connected") == 2


@every_pairing
async def test_who_never_opened_the_stream_is_closed_like_the_others(
    client_library: Library, relay_library: Library
) -> None:
    handler = Recorder()
    events: list[Event] = []
    endpoint = await Endpoint.listen(
        "127.0.0.1", 0, certificate=a_certificate(), library=relay_library, handler=handler
    )
    async with a_client(client_library, endpoint.address, events):
        await until(lambda: handler.log == ["connected"])
        await endpoint.close(goodbye=b"see you")
        await until(lambda: events == [Closed(reason="closed_by_peer")])
    assert endpoint.counters.library_faults == 0


@every_pairing
async def test_who_is_closed_with_much_unread_is_let_go_at_once(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "GOODBYE_WAIT_S", 1e6)
    handler = Recorder()
    async with a_relay(relay_library, handler) as endpoint, a_client(client_library, endpoint.address) as client:
        client.send_stream(b"x")
        await until(lambda: handler.stream == b"x")
        client._drop_socket()
        handler.peers[0].send_stream(bytes(2_000_000))
        handler.peers[0].close(goodbye=b"too slow")
        await until(lambda: endpoint.connections == 0)


@every_library
async def test_closing_the_endpoint_says_goodbye_to_everyone_in_under_a_second(library: Library) -> None:
    handler = Recorder()
    seen: list[list[Event]] = [[], [], []]
    endpoint = await Endpoint.listen("127.0.0.1", 0, certificate=a_certificate(), library=library, handler=handler)
    async with (
        a_client(Library.QH3, endpoint.address, seen[0]) as first,
        a_client(Library.AIOQUIC, endpoint.address, seen[1]) as second,
        a_client(Library.QH3, endpoint.address, seen[2]) as vanished,
    ):
        for client in (first, second, vanished):
            client.send_stream(b"x")
        await until(lambda: handler.stream == b"xxx")
        vanished._drop_socket()
        async with asyncio.timeout(5.0):
            await endpoint.close(goodbye=b"see you")
            await endpoint.close()
        goodbye: list[Event] = [StreamData(data=b"see you", ended=False), Closed(reason="closed_by_peer")]
        await until(lambda: seen[0] == goodbye and seen[1] == goodbye)
        assert handler.log.count("disconnected") == 3


@every_pairing
async def test_a_handshake_that_is_not_finished_in_time_is_dropped(
    client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "HANDSHAKE_TIMEOUT_S", 0.3)
    handler = Recorder()
    async with a_relay(relay_library, handler) as endpoint:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            _start_of_a_handshake(client_library, endpoint, sender)
            await until(lambda: endpoint.connections == 1)
            await until(lambda: endpoint.connections == 0)
        assert handler.log == []
        assert endpoint.counters.handshakes_failed == 1


@every_pairing
async def test_a_client_still_gets_in_during_a_flood_of_half_open_handshakes(
    client_library: Library, relay_library: Library
) -> None:
    async with a_relay(relay_library, Recorder()) as endpoint:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3 * RETRY_FROM_HALF_OPEN):
                _start_of_a_handshake(client_library, endpoint, sender)
                await asyncio.sleep(0)
            await until(lambda: endpoint.connections >= RETRY_FROM_HALF_OPEN)
            async with a_client(client_library, endpoint.address):
                assert endpoint.counters.retries > 0
                assert endpoint.connections == RETRY_FROM_HALF_OPEN + 1


@every_pairing
async def test_a_certificate_chain_of_3_kb_is_no_hindrance(client_library: Library, relay_library: Library) -> None:
    async with (
        a_relay(relay_library, Recorder(), certificate=a_long_chain()) as endpoint,
        a_client(client_library, endpoint.address) as client,
    ):
        assert client.certificate.pin == a_long_chain().pin
        assert len(client.certificate.others_der) == 2
        assert endpoint.counters.retries >= 1


@every_pairing
async def test_noise_on_the_port_disturbs_nobody(client_library: Library, relay_library: Library) -> None:
    events: list[Event] = []
    async with (
        a_relay(relay_library, Recorder(echo=True)) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for size in range(0, 1450, 7):
                sender.sendto(os.urandom(size), endpoint.address)
                sender.sendto((b"\xc3\x00\x00\x00\x01\x08" + os.urandom(size)).ljust(1200), endpoint.address)
                await asyncio.sleep(0)
        client.send_datagram(b"still here")
        client.flush(now=time.monotonic())
        await until(lambda: DatagramReceived(data=b"still here") in events)
        assert endpoint.counters.packets_unknown > 0
        assert endpoint.counters.handler_faults == 0


@every_library
async def test_another_version_of_quic_is_told_which_one_is_spoken(library: Library) -> None:
    async with a_relay(library, Recorder()) as endpoint:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto((b"\xc3\xba\xba\xba\xba\x08" + b"d" * 8 + b"\x03src").ljust(1200, b"\0"), endpoint.address)
            answer = await asyncio.get_running_loop().sock_recv(sender, 2048)
        assert answer[1:] == bytes(4) + b"\x03src" + b"\x08" + b"d" * 8 + b"\x00\x00\x00\x01"
        assert endpoint.connections == 0


class _Faulty(Recorder):
    def datagram(self, peer: Peer, data: bytes, *, now: float) -> None:
        if data == b"bad":
            raise KeyError(b"the name of a room")
        super().datagram(peer, data, now=now)


@every_pairing
async def test_a_fault_of_the_handler_costs_the_peer_it_was_about_and_tells_the_log_only_where(
    client_library: Library, relay_library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    handler = _Faulty(echo=True)
    seen: list[list[Event]] = [[], []]
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, seen[0]) as bad,
        a_client(client_library, endpoint.address, seen[1]) as good,
    ):
        bad.send_datagram(b"bad")
        await until(lambda: seen[0] == [Closed(reason="closed_by_peer")])
        good.send_datagram(b"good")
        await until(lambda: seen[1] == [DatagramReceived(data=b"good")])
        assert endpoint.counters.handler_faults == 1
        assert handler.log.count("disconnected") == 1
        assert "KeyError, test_endpoint.py" in caplog.text and "room" not in caplog.text


@every_pairing
async def test_a_handler_can_send_between_turns_and_ask_for_one(
    client_library: Library, relay_library: Library
) -> None:
    handler = Recorder()
    events: list[Event] = []
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, events) as client,
    ):
        client.send_stream(b"x")
        await until(lambda: handler.stream == b"x")
        await asyncio.sleep(0.05)
        handler.peers[0].send_stream(b"by the way")
        assert handler.peers[0].send_datagram(b"voice")
        handler.peers[0].ping()
        await until(lambda: len(events) == 2)
        await until(lambda: handler.peers[0].unanswered_s(time.monotonic()) == 0.0)
        turns = handler.turns
        endpoint.wake()
        await until(lambda: handler.turns > turns)


@every_pairing
async def test_beyond_the_limit_of_connections_nobody_is_let_in(
    client_library: Library, relay_library: Library
) -> None:
    async with (
        a_relay(relay_library, Recorder(), max_connections=1) as endpoint,
        a_client(client_library, endpoint.address),
    ):
        with pytest.raises(TransportError):
            await Client.connect(*endpoint.address, library=client_library, on_event=print, timeout_s=0.3)
        assert endpoint.counters.refused >= 1


async def test_an_address_that_cannot_be_bound_is_a_transport_error_in_one_sentence() -> None:
    async with a_relay(Library.QH3, Recorder()) as endpoint:
        for host, port in (("127.0.0.1", endpoint.address[1]), ("192.0.2.1", 0), ("no such host", 0)):
            with pytest.raises(TransportError) as caught:
                await Endpoint.listen(host, port, certificate=a_certificate(), library=Library.QH3, handler=Recorder())
            assert "\n" not in str(caught.value)


@every_pairing
async def test_a_wildcard_address_serves_both_families(client_library: Library, relay_library: Library) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    handler = Recorder()
    endpoint = await Endpoint.listen("::", 0, certificate=a_certificate(), library=relay_library, handler=handler)
    try:
        async with a_client(client_library, endpoint.address):
            await until(lambda: handler.peers)
            assert handler.peers[0].host == "127.0.0.1"
    finally:
        await endpoint.close()


@every_pairing
async def test_a_client_that_vanished_is_disconnected_after_the_idle_timeout(
    client_library: Library, relay_library: Library
) -> None:
    handler = Recorder()
    async with (
        a_relay(relay_library, handler, idle_timeout_s=0.4) as endpoint,
        a_client(client_library, endpoint.address) as client,
    ):
        await until(lambda: handler.log == ["connected"])
        client._drop_socket()
        await until(lambda: handler.log == ["connected", "disconnected"])
        assert endpoint.connections == 0
        assert not handler.peers[0].send_datagram(b"to nobody")
        handler.peers[0].send_stream(b"to nobody")
        handler.peers[0].close(goodbye=b"to nobody")
        await asyncio.sleep(0.05)
        assert handler.log == ["connected", "disconnected"]
        assert endpoint.counters.handler_faults == 0


@every_pairing
async def test_quiet_clients_do_not_keep_the_relay_awake(client_library: Library, relay_library: Library) -> None:
    handler = Recorder()
    async with (
        a_relay(relay_library, handler) as endpoint,
        a_client(client_library, endpoint.address, []) as first,
        a_client(client_library, endpoint.address, []) as second,
    ):
        for client in (first, second):
            client.send_stream(b"x")
            client.flush(now=time.monotonic())
        await until(lambda: len(handler.stream) == 2)
        await asyncio.sleep(0.5)  # the last acknowledgements
        before = handler.turns
        await asyncio.sleep(0.75)
        assert handler.turns - before < 10
