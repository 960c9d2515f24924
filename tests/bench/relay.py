"""What a relay costs: CPU per forwarded datagram, memory per connection, and the delay it adds.

A relay in its own process; rooms of 10 with 3 speakers, 50 frames of 120 bytes a second each, all on this machine, so
that the clients share the CPU: the delay is an upper bound, the CPU is the relay's alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from relay_quic.quic import Library
from relay_quic.wire import DatagramKind, datagram_prefix
from tests.relay.livesupport import LiveClient

ROOMS = 2
IN_ROOM = 10
SPEAKERS = 3
FRAME_BYTES = 120
SECONDS = 4.0
TICK_S = 0.02


def run() -> dict[str, object]:
    """All figures; those that end in `_ratio` are in units of one bare UDP datagram sent and received."""
    bare_us = _bare_udp_us()
    figures: dict[str, object] = {"bare_udp_us": round(bare_us, 2)}
    for library in Library:
        measured = asyncio.run(_measure(library))
        for name, value in measured.items():
            figures[f"{library.value}_{name}"] = round(value, 2)
        figures[f"{library.value}_forwarded_ratio"] = round(measured["us_per_forwarded"] / bare_us, 1)
    return figures


def _bare_udp_us() -> float:
    """CPU time of one datagram of this size through a socket of this process."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        here.bind(("127.0.0.1", 0))
        out.connect(here.getsockname())
        rounds = 20_000
        payload = bytes(FRAME_BYTES)
        before = time.process_time()
        for _ in range(rounds):
            out.send(payload)
            here.recv(2048)
        return (time.process_time() - before) / rounds * 1e6


async def _measure(library: Library) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as state:
        relay = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay_quic", "serve", "--listen", "127.0.0.1:0", "--quic", library.value),
            env={**os.environ, "XDG_STATE_HOME": state},
            stdout=subprocess.PIPE,
        )
        try:
            return await _load(relay, library)
        finally:
            relay.terminate()
            await relay.wait()


async def _load(relay: asyncio.subprocess.Process, library: Library) -> dict[str, float]:
    assert relay.stdout is not None
    ready = (await relay.stdout.readline()).decode().split()
    host, port = ready[1].rsplit(":", 1)
    empty_kb = _resident_kb(relay.pid)
    rooms = [[LiveClient() for _ in range(IN_ROOM)] for _ in range(ROOMS)]
    for number, room in enumerate(rooms):
        for client in room:
            await client.open_at(host, int(port), library)
            await client.enter(proof=number.to_bytes(32, "big"))
    clients = [client for room in rooms for client in room]
    delays_ms: list[float] = []
    cpu_before = _cpu_s(relay.pid)
    await _talk(rooms, delays_ms)
    forwarded = len(delays_ms)
    cpu_s = _cpu_s(relay.pid) - cpu_before
    memory_kb = (_resident_kb(relay.pid) - empty_kb) / len(clients)
    for client in clients:
        await client.quic.close()
    cuts = statistics.quantiles(delays_ms, n=100)
    expected = round(SECONDS / TICK_S) * SPEAKERS * ROOMS * (IN_ROOM - 1)
    return {
        "us_per_forwarded": cpu_s / max(forwarded, 1) * 1e6,
        "kb_per_connection": memory_kb,
        "delay_p50_ms": cuts[49],
        "delay_p99_ms": cuts[98],
        "arrived": forwarded / expected,
    }


async def _talk(rooms: list[list[LiveClient]], delays_ms: list[float]) -> None:
    """Everybody ticks every 20 ms, and speakers send; notes how long each frame took."""

    def arrived(datagram: bytes) -> None:
        delays_ms.append(time.monotonic() * 1e3 - int.from_bytes(datagram[1:9], "big") / 1e3)

    prefix = datagram_prefix(DatagramKind.AUDIO)
    clients = [(number, client) for room in rooms for number, client in enumerate(room)]
    for _, client in clients:
        client.on_datagram = arrived
    start = time.monotonic()
    for tick in range(round(SECONDS / TICK_S) + 10):
        for number, client in clients:
            now = time.monotonic()
            if number < SPEAKERS and tick < SECONDS / TICK_S:
                stamp = int(now * 1e6).to_bytes(8, "big")
                client.quic.send_datagram(prefix + stamp + bytes(FRAME_BYTES - 9))
            client.quic.flush(now=now)
            # Spread over the tick, as people are.
            await asyncio.sleep(TICK_S / len(clients) / 2)
        await asyncio.sleep(max(0.0, start + (tick + 1) * TICK_S - time.monotonic()))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_kb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
