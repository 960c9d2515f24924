"""What forwarding one datagram costs a relay, with either library, against bare UDP in the same run.

`echo` is a datagram received and one sent within a process. `bare_udp_forwarding` is the same rooms without QUIC:
most of it is the kernel waking the other process, which no transport can avoid.

Two rooms of ten with three speakers each, 50 datagrams of 120 bytes a second from each speaker: the relay's endpoint
in this process, the participants in another. CPU time of this process only, acknowledgements and timers included.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import sys
import time
from collections.abc import Coroutine
from typing import Final, TypeVar

from relay_quic import certs
from relay_quic.endpoint import Endpoint, Peer
from relay_quic.quic import Client, Library

Figure = TypeVar("Figure")

ROOMS: Final = 2
MEMBERS: Final = 10
SPEAKERS: Final = 3
TICK_S: Final = 0.02
SECONDS: Final = 4.0
PAYLOAD_BYTES: Final = 120
ECHOES: Final = 20_000


class _Rooms:
    """Forwards each datagram to the rest of the sender's room, which is where the connection number falls."""

    def __init__(self) -> None:
        self.rooms: list[list[Peer]] = [[] for _ in range(ROOMS)]
        self.room_of: dict[Peer, list[Peer]] = {}
        self.forwarded = 0
        self.full = asyncio.Event()

    def connected(self, peer: Peer, *, now: float) -> None:
        room = min(self.rooms, key=len)
        room.append(peer)
        self.room_of[peer] = room
        if len(self.room_of) == ROOMS * MEMBERS:
            self.full.set()

    def stream_data(self, peer: Peer, data: bytes, *, now: float) -> None:
        pass

    def datagram(self, peer: Peer, data: bytes, *, now: float) -> None:
        for other in self.room_of[peer]:
            if other is not peer and other.send_datagram(data):
                self.forwarded += 1

    def disconnected(self, peer: Peer, *, now: float) -> None:
        self.room_of.pop(peer).remove(peer)

    def turn_ended(self, *, now: float) -> None:
        pass


def run() -> dict[str, object]:
    echo_us = _bare_echo_us()
    bare_us = _run(_bare_forwarding_us())
    figures: dict[str, object] = {
        "bare_udp_echo_us": round(echo_us, 2),
        "bare_udp_us_per_forwarded_datagram": round(bare_us, 1),
    }
    for library in Library:
        us, packets_in_per_forwarded = _run(_forwarding_us(library))
        figures[f"{library}_us_per_forwarded_datagram"] = round(us, 1)
        figures[f"{library}_ratio_to_bare_echo"] = round(us / echo_us, 2)
        figures[f"{library}_ratio_to_bare_forwarding"] = round(us / bare_us, 2)
        figures[f"{library}_packets_received_per_forwarded_datagram"] = round(packets_in_per_forwarded, 2)
    return figures


def _run(measurement: Coroutine[None, None, Figure]) -> Figure:
    """On uvloop when it is installed, as the relay is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(measurement)
    result: Figure = uvloop.run(measurement)
    return result


def _bare_echo_us() -> float:
    """CPU of receiving a datagram and sending one, on non-blocking sockets, without anything else."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        for opened in (near, far):
            opened.bind(("127.0.0.1", 0))
            opened.setblocking(False)
        data = bytes(PAYLOAD_BYTES)
        here = far.getsockname()
        started = time.process_time()
        for _ in range(ECHOES):
            near.sendto(data, here)
            got, back = far.recvfrom(2048)
            far.sendto(got, back)
            near.recvfrom(2048)
        return (time.process_time() - started) / ECHOES / 2 * 1e6


async def _forwarding_us(library: Library) -> tuple[float, float]:
    handler = _Rooms()
    certificate = certs.make_self_signed(now=dt.datetime.now(dt.UTC), names=["localhost"])
    endpoint = await Endpoint.listen("127.0.0.1", 0, certificate=certificate, library=library, handler=handler)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.transport", str(endpoint.address[1])
    )
    try:
        await handler.full.wait()
        forwarded, packets_in, started = handler.forwarded, endpoint.counters.packets_in, time.process_time()
        await asyncio.sleep(SECONDS)
        count = handler.forwarded - forwarded
        us = (time.process_time() - started) / count * 1e6
        return us, (endpoint.counters.packets_in - packets_in) / count
    finally:
        child.terminate()
        await child.wait()
        await endpoint.close()


async def _bare_forwarding_us() -> float:
    loop = asyncio.get_running_loop()
    rooms: dict[tuple[str, int], list[tuple[str, int]]] = {}
    full = asyncio.Event()
    forwarded = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind(("127.0.0.1", 0))
        relay.setblocking(False)

        def readable() -> None:
            nonlocal forwarded
            while True:
                try:
                    data, sender = relay.recvfrom(2048)
                except BlockingIOError:
                    return
                if sender not in rooms:
                    rooms[sender] = next((r for r in rooms.values() if len(r) < MEMBERS), [])
                    rooms[sender].append(sender)
                if len(rooms) == ROOMS * MEMBERS:
                    full.set()
                for other in rooms[sender]:
                    if other != sender and len(data) == PAYLOAD_BYTES:
                        relay.sendto(data, other)
                        forwarded += 1

        loop.add_reader(relay, readable)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.transport", str(relay.getsockname()[1]), "bare"
        )
        try:
            await full.wait()
            before, started = forwarded, time.process_time()
            await asyncio.sleep(SECONDS)
            return (time.process_time() - started) / (forwarded - before) * 1e6
        finally:
            child.terminate()
            await child.wait()
            loop.remove_reader(relay)


async def _bare_participants(port: int) -> None:
    loop = asyncio.get_running_loop()
    opened = []
    for _ in range(ROOMS * MEMBERS):
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        near.setblocking(False)
        near.connect(("127.0.0.1", port))
        near.send(b"hello")
        loop.add_reader(near, near.recv, 2048)
        opened.append(near)
    data = bytes(PAYLOAD_BYTES)
    tick_at = time.monotonic()
    while True:
        for number, near in enumerate(opened):
            if number < ROOMS * SPEAKERS:
                near.send(data)
            tick_at += TICK_S / len(opened)
            await asyncio.sleep(max(0.0, tick_at - time.monotonic()))


async def _participants(port: int) -> None:
    library = Library.QH3
    clients = [
        await Client.connect("127.0.0.1", port, library=library, on_event=lambda event: None)
        for _ in range(ROOMS * MEMBERS)
    ]
    data = bytes(PAYLOAD_BYTES)
    tick_at = time.monotonic()
    while True:
        # Each participant has a tick of its own, spread over the 20 ms, as participants have.
        for number, client in enumerate(clients):
            if number < ROOMS * SPEAKERS:
                client.send_datagram(data)
            client.flush(now=time.monotonic())
            tick_at += TICK_S / len(clients)
            await asyncio.sleep(max(0.0, tick_at - time.monotonic()))


if __name__ == "__main__":
    asyncio.run((_bare_participants if sys.argv[2:] == ["bare"] else _participants)(int(sys.argv[1])))
