"""A bot's sound: connections to the engine's socket, each read or written by a thread, whatever the bot's loop does."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.bot.samples import FRAME_BYTES, Frame, Samples, blocks_of, check, from_s16le
from tuiconf.bot.threads import on_thread
from tuiconf.control import rpc
from tuiconf.control.client import EngineGone
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import AnyRequest, SoundIn, SoundOut

_NUMBER: Final = struct.Struct(">I")
_NUMBERS: Final = 1 << 32

# Frames that were heard and not taken: 20 s, 2 MB. Whoever is further behind loses the oldest.
MAX_HEARD: Final = 1000

# Blocks that an iterator is ahead of what was sent, beside the half second that the engine holds. More would be
# heard after the iterator was told to stop.
MAX_AHEAD: Final = 5

# What the kernel holds of what is sent: as little as it allows, for the same reason.
SEND_BUFFER_BYTES: Final = 4 * FRAME_BYTES

CONNECT_S: Final = 5.0


class Connections:
    """All that carry sound between this program and one engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: set[socket.socket] = set()
        self._closed = False

    async def open(self, request: SoundIn | SoundOut) -> socket.socket:
        """A connection that has become a stream.

        Raises:
            ControlError: the engine refuses it.
            EngineGone: nobody answers, or the call is over.
        """
        connection = await on_thread(lambda: _stream(self.path, request), unwanted=_hang_up)
        if self._closed:
            _hang_up(connection)
            raise EngineGone("the call is over")
        self._open.add(connection)
        return connection

    def hang_up(self, connection: socket.socket) -> None:
        """End one."""
        self._open.discard(connection)
        _hang_up(connection)

    def close(self) -> None:
        """End all: those who listen have heard the end, those who send learn that the call is over."""
        self._closed = True
        for connection in list(self._open):
            self.hang_up(connection)

    async def send(self, sound: Samples | AsyncIterable[Samples]) -> None:
        """Send this to the call, and return when the last of it was sent.

        Raises:
            NotSamples: it cannot be played.
            ControlError: too many are sending.
            EngineGone: nobody answers, or the call is over.
        """
        if isinstance(sound, AsyncIterable):
            await self._send_iterator(sound)
            return
        check(sound)
        await self._send_blocks(blocks_of(sound))

    async def _send_blocks(self, blocks: Iterable[bytes]) -> None:
        connection = await self.open(SoundOut())
        try:
            await on_thread(lambda: _send_all(connection, blocks))
        finally:
            self.hang_up(connection)

    async def _send_iterator(self, sound: AsyncIterable[Samples]) -> None:
        """An iterator that fails, or a call that ends, ends both."""
        loop = asyncio.get_running_loop()
        pipe = _Pipe(loop)
        feeding = loop.create_task(_feed(sound, pipe))
        sending = loop.create_task(self._send_blocks(pipe))
        try:
            await asyncio.wait((feeding, sending), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
            await sending
        finally:
            for task in (feeding, sending):
                task.cancel()
            pipe.end()
            await asyncio.gather(feeding, sending, return_exceptions=True)


class AudioIn:
    """What is heard: `async for frame in` it, 20 ms each, also of silence, until they leave or the call is over.

    Raises, when iterated:
        ControlError: there is no such participant, or too many listen.
        EngineGone: nobody answers, or the call is over.
    """

    def __init__(self, connections: Connections, participant: int | str | None) -> None:
        self._connections = connections
        self._participant = participant
        self.lost = 0
        """How many frames before the last one were lost, because this program did not take them in time."""

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Listen from now on."""
        connection = await self._connections.open(SoundIn(participant=self._participant))
        try:
            ear = _Ear(connection)
            while (heard := await ear.take()) is not None:
                frame, lost = heard
                self.lost += lost
                yield frame
        finally:
            self._connections.hang_up(connection)


class _Ear:
    """Reads frames on a thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._frames: deque[bytes] = deque(maxlen=MAX_HEARD)
        self._ready = asyncio.Event()
        self._waking = self._ended = False
        self._next: int | None = None
        threading.Thread(target=self._run, name="tuiconf.bot ear", daemon=True).start()

    async def take(self) -> tuple[Frame, int] | None:
        """The next frame, and how many were lost before it; None at the end."""
        while not self._frames:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        data = self._frames.popleft()
        number: int = _NUMBER.unpack_from(data)[0]
        lost = (number - self._next) % _NUMBERS if self._next is not None else 0
        self._next = (number + 1) % _NUMBERS
        return from_s16le(data[_NUMBER.size :]), lost

    def _run(self) -> None:
        size = _NUMBER.size + FRAME_BYTES
        with contextlib.suppress(OSError, ValueError), self._connection.makefile("rb") as file:
            while len(data := file.read(size)) == size:  # hung up, on one side or the other, it is less
                self._frames.append(data)
                self._wake()
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        """Once, however much the loop finds when it comes to it."""
        if self._waking and not self._ended:
            return
        self._waking = True
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self._ready.set()


class _Pipe:
    """What an async iterator gives, for a thread to send."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._blocks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MAX_AHEAD)

    async def put(self, block: bytes) -> None:
        """Add a block, once there is room for it."""
        await self._room.acquire()
        self._blocks.put(block)

    def end(self) -> None:
        """No more will come."""
        self._blocks.put(None)

    def __iter__(self) -> Iterator[bytes]:
        """Taken on the thread that sends."""
        while (block := self._blocks.get()) is not None:
            yield block
            self._loop.call_soon_threadsafe(self._room.release)


async def _feed(sound: AsyncIterable[Samples], pipe: _Pipe) -> None:
    iterator = aiter(sound)
    try:
        async for samples in iterator:
            check(samples)
            for block in blocks_of(samples):
                await pipe.put(block)
        pipe.end()
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()


def _stream(path: Path, request: AnyRequest) -> socket.socket:
    """A connection that has become a stream. Blocking."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        connection.settimeout(CONNECT_S)
        connection.connect(str(path))
        connection.sendall(rpc.call(1, request.method, request))
        _check_answer(_read_line(connection))
        connection.settimeout(None)
    except OSError as error:
        connection.close()
        raise EngineGone("the engine does not answer") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _read_line(connection: socket.socket) -> bytes:
    """The answer, and not a byte more: what follows is sound."""
    line = b""
    while not line.endswith(b"\n") and len(line) < rpc.MAX_LINE_BYTES:
        if not (byte := connection.recv(1)):
            raise EngineGone("the engine is gone")
        line += byte
    return line


def _check_answer(line: bytes) -> None:
    answer = rpc.parse_answer(line)
    if not isinstance(answer.error, msgspec.UnsetType):
        raise ControlError(ErrorNumber.REFUSED, answer.error.message, code=answer.error.data.code)


def _send_all(connection: socket.socket, blocks: Iterable[bytes]) -> None:
    """The engine takes it at the pace of the call, and closes when the last of it was sent."""
    try:
        for block in blocks:
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1):
            raise EngineGone("the engine answered with something else than an end")
    except OSError as error:
        raise EngineGone("the call is over") from error


def _hang_up(connection: socket.socket) -> None:
    """Also wakes a thread that reads or writes."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
