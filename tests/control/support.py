"""A service that does nothing, a socket for it, and clients that behave as badly as clients can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, settings

from tuiconf.control.events import AudioStats, Levels, Notice
from tuiconf.control.front_ends import FrontEnds
from tuiconf.control.history import History
from tuiconf.control.schema import AnyRequest, Done, GetLink, Link, SayHello, SoundIn, SoundOut
from tuiconf.control.server import ControlServer
from tuiconf.control.streams import read_sent, write_heard
from tuiconf.engine.incoming import Tap
from tuiconf.engine.outgoing import Stream
from tuiconf.errors import LocalProtocolError

# Only bounds how long a test that fails takes.
PATIENCE_S: Final = 20.0

# A machine under load needs seconds for what takes milliseconds, and that is not what property tests look for.
patient: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

STATS: Final = AudioStats(
    frames_sent=1, muted=False, level_dbfs=None, rtt_ms=None, repeats=(), undecryptable={}, ticks_skipped=0, streams=()
)


class Nobody:
    """The side of a call at which nobody sits: bots are no people."""

    over = False
    prepared = False

    def mute(self, muted: bool) -> None:
        """Nobody is muted."""

    def hold_back(self, held: bool) -> None:
        """Nothing is held back."""

    def talk(self, down: bool) -> None:
        """Nobody talks."""

    def leave(self) -> None:
        """Nobody leaves."""

    def notice(self, message: str) -> None:
        """Nobody is told."""


class NothingService:
    """Answers everything with `Done`, but `link.get` with a long text, and `hello` with a fault of its own."""

    def __init__(self) -> None:
        self.history = History()
        self.done: list[AnyRequest] = []
        self.contained: list[Exception] = []
        self.front_ends = FrontEnds(self, stay_s=0.05)
        self.told: list[str] = []
        self.talking = self.held_back = False
        self.tap = Tap(None)
        self.stream = Stream()
        self.link = "x" * 10_000

    async def do(self, request: AnyRequest) -> msgspec.Struct:
        self.done.append(request)
        if isinstance(request, SayHello):
            raise RuntimeError("a bug, with a name in it")
        if isinstance(request, GetLink):
            return Link(link=self.link)
        if request.method == "lock":
            raise LocalProtocolError("not in the call")
        return Done()

    # --- what depends on who sits there

    over = False
    prepared = False

    def mute(self, muted: bool) -> None:
        self.told.append(f"mute {muted}")

    def hold_back(self, held: bool) -> None:
        if held is not self.held_back:
            self.held_back = held
            self.told.append(f"hold back {held}")

    def talk(self, down: bool) -> None:
        self.talking = down

    def leave(self) -> None:
        self.told.append("leave")

    def notice(self, message: str) -> None:
        self.told.append("notice")

    def contain(self, fault: Exception) -> None:
        self.contained.append(fault)

    async def stream_in(self, request: SoundIn, writer: asyncio.StreamWriter) -> None:
        await write_heard(self.tap, writer)

    async def stream_out(self, request: SoundOut, first: bytes, reader: asyncio.StreamReader) -> None:
        await read_sent(self.stream, first, reader)

    def tell(self, text: str = "something happened") -> None:
        """An event that matters."""
        self.history.add(Notice(message=text), ts=1.0, epoch=3)

    def tell_levels(self, padding: int = 0) -> None:
        """An event that does not."""
        event = STATS if not padding else msgspec.structs.replace(STATS, undecryptable={"x" * padding: 1})
        self.history.add(event, ts=1.0, epoch=3)

    def tell_loudness(self) -> None:
        """Levels in the narrow sense."""
        self.history.add(Levels(own=None, others=()), ts=1.0, epoch=3)


class Talker:
    """A raw connection to the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path) -> Talker:
        return cls(*await asyncio.open_unix_connection(str(path), limit=1 << 24))

    def send(self, data: bytes) -> None:
        """Any bytes."""
        self.writer.write(data)

    def ask(self, method: str, request_id: int | str | None = 1, **params: object) -> None:
        """A proper request."""
        line = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.send(json.dumps(line).encode() + b"\n")

    async def line(self) -> dict[str, Any]:
        """The next line."""
        async with asyncio.timeout(PATIENCE_S):
            line = await self.reader.readline()
        assert line.endswith(b"\n"), line
        value: dict[str, Any] = json.loads(line)
        return value

    async def answer(self, method: str, **params: object) -> dict[str, Any]:
        """Ask, and skip events until the answer."""
        self.ask(method, "the one", **params)
        while (line := await self.line()).get("id") != "the one":
            pass
        return line

    async def ended(self) -> bytes:
        """Everything until the engine closes the connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def never_reading(path: Path, data: bytes = b"") -> socket.socket:
    """A client that says something and never reads: what it is sent fills the kernel's buffer, and stays there."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(str(path))
    client.setblocking(False)
    if data:
        client.send(data)
    return client


@contextlib.asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[NothingService, Path]]:
    """A service on a socket in `folder`."""
    service, path = NothingService(), folder / "abcd.sock"
    server = ControlServer(service, path)
    await server.start()
    try:
        yield service, path
    finally:
        await server.close()


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - what is waited for are effects at the other end of a socket
            await asyncio.sleep(0.005)


def open_descriptors() -> int:
    """Of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
