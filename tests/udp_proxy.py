"""A UDP proxy that makes a network bad on purpose: loss, delay, jitter, reordering, blackouts; and keeps the bytes.

In a test:

    async with UdpProxy(("127.0.0.1", relay_port), Link(loss=0.1), seed=1) as proxy:
        ... connect to proxy.address ...
        proxy.link = Link()             # from now on a good network
        proxy.blackout = True           # and now none at all

By hand: `python -m tests.udp_proxy 127.0.0.1:4433 --listen 127.0.0.1:5000 --loss 0.1 --delay-ms 40 --jitter-ms 10`.
What is random comes from `seed`; what is decided for packet n of one client in one direction depends on nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import zlib
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal

# A packet with no delay is sent on at once, without a timer.
IMMEDIATE_S: Final = 0.0002

Address = tuple[str, int]
Direction = Literal["up", "down"]

# A test that captures keeps at most this much, and says so in `capture_dropped`: 64 MB is an hour of a call.
MAX_CAPTURE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is done to a packet, in either direction. Probabilities from 0 to 1, times in seconds."""

    loss: float = 0.0
    loss_burst: int = 1  # how many packets in a row a loss takes; `loss` stays the overall rate
    delay_s: float = 0.0
    jitter_s: float = 0.0  # added to the delay, evenly distributed; packets keep their order
    reorder: float = 0.0  # this share arrives `reorder_s` after its time, behind packets sent later
    reorder_s: float = 0.03
    duplicate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """A packet as it came to the proxy, lost or not."""

    direction: Direction
    client: Address
    data: bytes
    lost: bool


@dataclass(slots=True)
class Counters:
    """What happened in one direction."""

    received: int = 0
    lost: int = 0
    blacked_out: int = 0
    sent: int = 0
    bytes_received: int = 0


@dataclass(slots=True)
class Fate:
    """One direction of one client: decides about each packet, in turn. Pure but for its own random source."""

    rng: random.Random
    burst_left: int = 0
    last_arrival: float = 0.0

    def arrivals(self, link: Link, *, now: float) -> list[float]:
        """When the packet sent `now` arrives: never, once, or twice."""
        # Always the same number of draws, so that the fate of packet n does not depend on the link before it.
        lose, jitter, reorder, duplicate = (self.rng.random() for _ in range(4))
        if self.burst_left > 0:
            self.burst_left -= 1
            return []
        if lose < burst_start(link.loss, link.loss_burst):
            self.burst_left = link.loss_burst - 1
            return []
        at = now + link.delay_s + jitter * link.jitter_s
        if reorder < link.reorder:
            at += link.reorder_s
        else:
            # Never at the very same time: timers that fall together run in no particular order.
            at = self.last_arrival = max(at, self.last_arrival + 1e-6)
        return [at, at + 1e-6] if duplicate < link.duplicate else [at]


def burst_start(loss: float, burst: int) -> float:
    """With what probability a burst begins at a packet outside one, so that `loss` of all packets are lost."""
    return loss / (burst - (burst - 1) * loss) if loss else 0.0


class UdpProxy:
    """Listens on one port, and gives every client a port of its own towards the relay."""

    def __init__(
        self,
        upstream: Address,
        link: Link | None = None,
        *,
        listen: Address = ("127.0.0.1", 0),
        seed: int = 0,
        capture: bool = False,
    ) -> None:
        self.link = link or Link()
        self.up_link: Link | None = None  # instead of `link`, from client to relay
        self.down_link: Link | None = None
        self.blackout = False
        self.source: str | None = None  # the address that packets come from, as the relay sees it
        self.counters: dict[Direction, Counters] = {"up": Counters(), "down": Counters()}
        self.captured: deque[Captured] = deque()
        self.capture_dropped = 0
        self._capture = capture
        self._captured_bytes = 0
        self._upstream = upstream
        self._listen = listen
        self._seed = seed
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[Address, _Client] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    @property
    def address(self) -> Address:
        """Where clients connect to."""
        if self._transport is None:
            raise RuntimeError("the proxy is not running")
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    @property
    def clients(self) -> list[Address]:
        """The addresses that packets have come from, in order of their first."""
        return list(self._clients)

    async def __aenter__(self) -> UdpProxy:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def start(self) -> None:
        """Open the port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Down(self), local_addr=self._listen)

    def close(self) -> None:
        """Close all ports; packets on their way are lost."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def rebind(self, host: str | None = None) -> None:
        """Give every client a new port towards the relay: what a NAT does that forgot them.

        With `host`, from another address of this machine (127.0.0.2, say): what happens on a change of network.
        """
        self.source = host or self.source
        for client in self._clients.values():
            client.rebind()

    def move(self, upstream: Address) -> None:
        """From now on the relay is elsewhere: every client reaches it there, from a new port."""
        self._upstream = upstream
        self.rebind()

    def from_client(self, address: Address, data: bytes) -> None:
        """A packet from a client."""
        client = self._clients.get(address)
        if client is None:
            number = len(self._clients)
            client = self._clients[address] = _Client(self, address, seed=self._seed * 1000 + number)
        self._forward("up", client, data)

    def from_upstream(self, client: _Client, data: bytes) -> None:
        """A packet from the relay for that client."""
        self._forward("down", client, data)

    def _forward(self, direction: Direction, client: _Client, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        link = (self.up_link if direction == "up" else self.down_link) or self.link
        arrivals = client.fates[direction].arrivals(link, now=now)
        counters = self.counters[direction]
        counters.received += 1
        counters.bytes_received += len(data)
        if self.blackout:
            arrivals = []
            counters.blacked_out += 1
        elif not arrivals:
            counters.lost += 1
        self._keep(Captured(direction=direction, client=client.address, data=data, lost=not arrivals))
        for at in arrivals:
            if at - now < IMMEDIATE_S:
                self._deliver(direction, client, data)
            else:
                self._deliver_at(at, direction, client, data)

    def _deliver_at(self, at: float, direction: Direction, client: _Client, data: bytes) -> None:
        def deliver() -> None:
            self._timers.discard(timer)
            self._deliver(direction, client, data)

        timer = asyncio.get_running_loop().call_at(at, deliver)
        self._timers.add(timer)

    def _deliver(self, direction: Direction, client: _Client, data: bytes) -> None:
        if self.blackout:  # it began while the packet was on its way
            self.counters[direction].blacked_out += 1
            return
        self.counters[direction].sent += 1
        if direction == "up":
            client.send(data)
        elif self._transport is not None:
            self._transport.sendto(data, client.address)

    def _keep(self, packet: Captured) -> None:
        if not self._capture:
            return
        if self._captured_bytes + len(packet.data) > MAX_CAPTURE_BYTES:
            self.capture_dropped += 1
            return
        self._captured_bytes += len(packet.data)
        self.captured.append(packet)

    @property
    def upstream(self) -> Address:
        """Where the relay is."""
        return self._upstream


class _Down(asyncio.DatagramProtocol):
    """The port that clients send to."""

    def __init__(self, proxy: UdpProxy) -> None:
        self._proxy = proxy

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._proxy.from_client((addr[0], addr[1]), data)

    def error_received(self, exc: Exception) -> None:
        """A client has closed its port: it says so itself, or its peer notices."""


@dataclass(slots=True)
class _Client:
    """One client, and its own port towards the relay."""

    proxy: UdpProxy
    address: Address
    seed: int
    fates: dict[Direction, Fate] = field(init=False)
    _transport: asyncio.DatagramTransport | None = field(init=False, default=None)
    _waiting: list[bytes] = field(init=False, default_factory=list)
    _opening: asyncio.Task[None] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        directions: tuple[Direction, Direction] = ("up", "down")
        self.fates = {d: Fate(random.Random(zlib.crc32(f"{self.seed} {d}".encode()))) for d in directions}

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data)
            return
        self._waiting.append(data)
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Up(self.proxy, self),
            local_addr=(self.proxy.source, 0) if self.proxy.source is not None else None,
            remote_addr=self.proxy.upstream,
        )
        for data in self._waiting:
            self._transport.sendto(data)
        self._waiting.clear()
        self._opening = None

    def rebind(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        self.rebind()


class _Up(asyncio.DatagramProtocol):
    """One client's port towards the relay."""

    def __init__(self, proxy: UdpProxy, client: _Client) -> None:
        self._proxy = proxy
        self._client = client

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._proxy.from_upstream(self._client, data)

    def error_received(self, exc: Exception) -> None:
        """The relay's port is closed (it may be restarting): to a client that is a loss, as through a real NAT."""


# --- by hand


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.udp_proxy", description="A bad network in front of a relay.")
    parser.add_argument("upstream", metavar="HOST:PORT", type=_address)
    parser.add_argument("--listen", metavar="HOST:PORT", type=_address, default=("127.0.0.1", 0))
    parser.add_argument("--loss", type=float, default=0.0, help="from 0 to 1")
    parser.add_argument("--loss-burst", type=int, default=1, help="packets in a row")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    parser.add_argument("--reorder", type=float, default=0.0, help="from 0 to 1")
    parser.add_argument("--duplicate", type=float, default=0.0, help="from 0 to 1")
    parser.add_argument("--blackout", metavar="AT,FOR", type=_span, action="append", default=[], help="in seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--for", dest="seconds", type=float, help="end after so many seconds")
    args = parser.parse_args(argv)
    link = Link(
        loss=args.loss,
        loss_burst=args.loss_burst,
        delay_s=args.delay_ms / 1000,
        jitter_s=args.jitter_ms / 1000,
        reorder=args.reorder,
        duplicate=args.duplicate,
    )
    proxy = UdpProxy(args.upstream, link, listen=args.listen, seed=args.seed)
    try:
        asyncio.run(_run(proxy, args.blackout, args.seconds))
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(proxy: UdpProxy, blackouts: list[tuple[float, float]], seconds: float | None) -> None:
    loop = asyncio.get_running_loop()
    async with proxy:
        print(f"ready {proxy.address[0]}:{proxy.address[1]}", flush=True)
        for at, length in blackouts:
            loop.call_later(at, setattr, proxy, "blackout", True)
            loop.call_later(at + length, setattr, proxy, "blackout", False)
        try:
            await asyncio.sleep(seconds if seconds is not None else 1e9)
        finally:
            figures = {d: {n: getattr(c, n) for n in Counters.__slots__} for d, c in proxy.counters.items()}
            print(json.dumps(figures), flush=True)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


def _span(text: str) -> tuple[float, float]:
    at, _, length = text.partition(",")
    return float(at), float(length)


if __name__ == "__main__":
    sys.exit(main())
