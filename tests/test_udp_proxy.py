"""The bad network must itself be right: its rates, its order, its repeatability."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from typing import cast

import pytest

from tests.udp_proxy import Address, Fate, Link, UdpProxy


class Echo(asyncio.DatagramProtocol):
    """A relay that says everything back, and who it heard it from."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self.peers: list[Address] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # which asyncio's own is not a subclass of

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peers.append(addr)
        assert self.transport is not None
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    """Keeps what comes back, and when."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.times: list[float] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.got.append(data)
        self.times.append(asyncio.get_running_loop().time())


class Net:
    """An echo, a proxy in front of it, and clients of it."""

    def __init__(self, link: Link, *, seed: int = 0, capture: bool = False) -> None:
        self._link, self._seed, self._capture = link, seed, capture
        self.echo = Echo()
        self._transports: list[asyncio.DatagramTransport] = []

    async def __aenter__(self) -> Net:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self.echo, local_addr=("127.0.0.1", 0))
        self._transports.append(transport)
        self.proxy = UdpProxy(transport.get_extra_info("sockname"), self._link, seed=self._seed, capture=self._capture)
        await self.proxy.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.proxy.close()
        for transport in self._transports:
            transport.close()
        await asyncio.sleep(0)

    async def client(self) -> tuple[Client, asyncio.DatagramTransport]:
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=self.proxy.address)
        self._transports.append(transport)
        return client, transport


async def until_quiet(client: Client, *, quiet_s: float = 0.15) -> None:
    seen = -1
    while seen != len(client.got):
        seen = len(client.got)
        await asyncio.sleep(quiet_s)


async def exchange(net: Net, count: int) -> Client:
    client, transport = await net.client()
    for n in range(count):
        transport.sendto(n.to_bytes(4, "big"))
        await asyncio.sleep(0)
    await until_quiet(client)
    return client


async def test_a_good_network_brings_everything_in_order_and_keeps_clients_apart() -> None:
    async with Net(Link()) as net:
        for _ in range(2):
            client = await exchange(net, 100)
            assert client.got == [n.to_bytes(4, "big") for n in range(100)]
        assert len(set(net.echo.peers)) == 2 == len(net.proxy.clients)
        assert net.proxy.counters["up"].sent == net.proxy.counters["down"].sent == 200


async def test_a_constant_delay_keeps_the_order_and_is_kept() -> None:
    async with Net(Link(delay_s=0.03, jitter_s=0.03)) as net:
        started = asyncio.get_running_loop().time()
        client = await exchange(net, 100)
        assert client.got == [n.to_bytes(4, "big") for n in range(100)]
        assert client.times[0] - started >= 0.06


async def test_reordered_packets_all_arrive_but_not_in_order() -> None:
    async with Net(Link(reorder=0.2), seed=3) as net:
        client = await exchange(net, 100)
        assert client.got != sorted(client.got)
        assert sorted(client.got) == [n.to_bytes(4, "big") for n in range(100)]


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 1), (0.1, 3), (0.3, 5), (0.0, 4), (1.0, 1)])
def test_the_rate_of_loss_is_what_was_asked_for_also_in_bursts(loss: float, burst: int) -> None:
    fate, link = Fate(random.Random(5)), Link(loss=loss, loss_burst=burst)
    lost = [not fate.arrivals(link, now=float(n)) for n in range(50_000)]
    assert sum(lost) / len(lost) == pytest.approx(loss, abs=0.01)
    if burst > 1 and loss:
        runs = "".join("x" if x else "." for x in lost).strip("x").split(".")
        assert min(len(run) for run in runs if run) >= burst


def test_the_same_seed_gives_the_same_fate_and_another_another() -> None:
    def fates(seed: int) -> list[list[float]]:
        fate = Fate(random.Random(seed))
        return [fate.arrivals(Link(loss=0.2, jitter_s=0.01, duplicate=0.1), now=float(n)) for n in range(200)]

    assert fates(1) == fates(1) != fates(2)


async def test_a_blackout_loses_everything_also_what_is_under_way_and_ends() -> None:
    async with Net(Link(delay_s=0.05), capture=True) as net:
        client, transport = await net.client()
        transport.sendto(b"under way")
        await asyncio.sleep(0.01)
        net.proxy.blackout = True
        transport.sendto(b"lost")
        await asyncio.sleep(0.1)
        net.proxy.blackout = False
        transport.sendto(b"through")
        await until_quiet(client)
        assert client.got == [b"through"]
        assert net.proxy.counters["up"].blacked_out == 2
        assert [(p.direction, p.data, p.lost) for p in net.proxy.captured] == [
            ("up", b"under way", False),
            ("up", b"lost", True),
            ("up", b"through", False),
            ("down", b"through", False),
        ]


async def test_rebinding_changes_the_port_that_the_relay_sees() -> None:
    async with Net(Link()) as net:
        client, transport = await net.client()
        for _ in range(2):
            transport.sendto(b"x")
            await until_quiet(client, quiet_s=0.05)
            net.proxy.rebind()
        assert len(client.got) == 2
        assert len(set(net.echo.peers)) == 2


async def test_a_relay_that_moves_is_reached_at_its_new_place_from_a_new_port() -> None:
    async with Net(Link()) as old, Net(Link()) as new:
        client, transport = await old.client()
        transport.sendto(b"there")
        await until_quiet(client, quiet_s=0.05)
        old.proxy.move(new.proxy.upstream)
        transport.sendto(b"and here")
        await until_quiet(client, quiet_s=0.05)
        assert client.got == [b"there", b"and here"]
        assert len(old.echo.peers) == len(new.echo.peers) == 1
        assert old.echo.peers != new.echo.peers


async def test_a_relay_that_is_away_for_a_while_is_only_loss() -> None:
    echo = Echo()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: echo, local_addr=("127.0.0.1", 0))
    address = transport.get_extra_info("sockname")
    transport.close()
    await asyncio.sleep(0)
    async with UdpProxy(address) as proxy:
        to_proxy, client = await loop.create_datagram_endpoint(Client, remote_addr=proxy.address)
        for _ in range(3):
            to_proxy.sendto(b"nobody there")
            await asyncio.sleep(0.02)
        transport, _ = await loop.create_datagram_endpoint(lambda: echo, local_addr=address)
        to_proxy.sendto(b"back")
        await until_quiet(client, quiet_s=0.05)
        assert client.got == [b"back"]
        to_proxy.close()
        transport.close()
    await asyncio.sleep(0)


def test_it_runs_by_hand_and_counts() -> None:
    command = [sys.executable, "-m", "tests.udp_proxy", "127.0.0.1:9", "--loss", "0.1"]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    with proxy.stdout:
        assert proxy.stdout.readline().startswith("ready 127.0.0.1:")
        proxy.send_signal(signal.SIGINT)
        figures = json.loads(proxy.stdout.readline())
    assert proxy.wait() == 130
    assert figures["up"]["received"] == 0
