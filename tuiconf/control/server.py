"""The engine's socket: a Unix socket that only its owner can open, and the clients that are connected to it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import Final, Protocol

from tuiconf.adapters import private_files
from tuiconf.control import rpc
from tuiconf.control.calls import answers
from tuiconf.control.client_session import ClientSession, Service
from tuiconf.control.framing import LineCutter
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import SoundIn, SoundOut
from tuiconf.errors import TuiconfError

# Front ends, scripts and streams of one call at once; a bot that listens to each of 30 people has 31. About 100 kB
# and a descriptor each.
MAX_CLIENTS: Final = 64

READ_BYTES: Final = 1 << 14

# How long the last answers may take to be read, once a connection ends. It is cut off then.
LAST_LINES_S: Final = 0.8

# sockaddr_un takes 108 bytes on Linux and 104 on other systems, a zero byte among them.
MAX_PATH_BYTES: Final = 103


class SocketError(TuiconfError):
    """The engine's socket cannot be made."""

    code = "control_socket"


class Streams(Service, Protocol):
    """A service that can also carry sound."""

    async def stream_in(self, request: SoundIn, writer: asyncio.StreamWriter) -> None:
        """Write what is heard until the client is gone."""
        ...

    async def stream_out(self, request: SoundOut, first: bytes, reader: asyncio.StreamReader) -> None:
        """Send what the client writes, `first` first, until it ends."""
        ...


class ControlServer:
    """Listens on one socket."""

    def __init__(self, service: Streams, path: Path) -> None:
        self._service = service
        self._path = path
        self._server: asyncio.AbstractServer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            SocketError, FileError: the socket cannot be made.
        """
        private_files.make_folder(self._path.parent)
        # Under another name until it answers, so that nobody takes it for one that was left behind.
        unready = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        if len(os.fsencode(unready)) > MAX_PATH_BYTES:
            raise SocketError(
                f"{self._path.parent}: the control socket cannot be made, the name of this folder is too long for it: "
                "set XDG_RUNTIME_DIR to a shorter one"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(unready))
            unready.chmod(private_files.FILE_MODE)
            listener.listen()
            if answers(self._path):  # another call has drawn the same name, and would be out of reach
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            unready.rename(self._path)
            # Little is read ahead of what is done: a stream of sound that a client ends is not heard for seconds more.
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=READ_BYTES)
        except OSError as error:
            listener.close()
            unready.unlink(missing_ok=True)
            why = (error.strerror or str(error)).lower()
            raise SocketError(f"{self._path}: the control socket cannot be made: {why}") from error

    async def close(self) -> None:
        """Let the clients read what is written, for a moment, and go."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= MAX_CLIENTS:
            writer.write(rpc.error(None, _TOO_MANY_CLIENTS))
            writer.close()
            return
        self._tasks.add(task)
        try:
            # The client is gone, or whoever it wanted to listen to went while it was answered. Or `close` cancels this:
            # a task that ends cancelled makes asyncio (3.11) print a traceback.
            with contextlib.suppress(OSError, TuiconfError, asyncio.CancelledError):
                await _Connection(self._service, reader, writer).run()
        finally:
            await _hang_up(writer)
            self._tasks.discard(task)


_TOO_MANY_CLIENTS: Final = ControlError(
    ErrorNumber.REFUSED, f"this call has {MAX_CLIENTS} clients already", code="too_many_clients"
)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close; a client that does not read the last lines would otherwise keep them, and the descriptor, for ever."""
    writer.close()
    try:
        async with asyncio.timeout(LAST_LINES_S):
            await writer.wait_closed()
    except (OSError, asyncio.CancelledError):  # TimeoutError is an OSError
        writer.transport.abort()


class _Connection:
    """One client on the socket."""

    def __init__(self, service: Streams, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader, self._writer = reader, writer
        self._waiting = asyncio.Event()
        self._read = asyncio.Event()  # the client has read what was waiting
        self._session = ClientSession(service, self._waiting.set)
        self._cutter = LineCutter()

    async def run(self) -> None:
        writing = asyncio.create_task(self._write(asyncio.current_task()))
        try:
            stream = await self._until_stream()
        finally:
            self._session.close()
            await self._finish(writing)
        if len(self._session.outbox):
            return  # sound would follow upon half of an answer
        match stream:
            case SoundIn():
                await self._service.stream_in(stream, self._writer)
            case SoundOut():
                await self._service.stream_out(stream, self._cutter.rest(), self._reader)

    async def _until_stream(self) -> SoundIn | SoundOut | None:
        """Do what the lines ask until the client ends, or asks for a stream."""
        while data := await self._reader.read(READ_BYTES):
            self._cutter.feed(data)
            stream = await self._lines()
            if stream is not None:
                return stream
        return None

    async def _lines(self) -> SoundIn | SoundOut | None:
        while True:
            try:
                line = self._cutter.take()
                if line is None:
                    return None
                if line.strip() and (stream := await self._session.line(line, streams=True)) is not None:
                    return stream
            except ControlError as error:
                self._session.refuse(error)
            while self._session.outbox.full:  # nothing more is done for a client that does not read
                self._read.clear()
                await self._read.wait()

    async def _write(self, reading: asyncio.Task[None] | None) -> None:
        outbox = self._session.outbox
        try:
            while True:
                while (line := outbox.take()) is not None:
                    self._writer.write(line)
                    await self._writer.drain()
                    self._read.set()
                self._waiting.clear()
                await self._waiting.wait()
        except OSError:  # the client is gone: nothing more is read either
            if reading is not None:
                reading.cancel()

    async def _finish(self, writing: asyncio.Task[None]) -> None:
        """The answers that wait are written, if the client reads them."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(LAST_LINES_S):
                while not writing.done() and len(self._session.outbox):
                    self._read.clear()
                    await self._read.wait()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
