"""A bot's sound: connections to the engine's socket, each read or written by a thread, whatever the bot's loop does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tuiconf.control import rpc
from tuiconf.control.client import EngineGone
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import AnyRequest, SoundIn, SoundOut

FRAME_SAMPLES: Final = 960
_NUMBER: Final = struct.Struct(">I")
_FRAME_BYTES: Final = 2 * FRAME_SAMPLES

# Frames that were heard and not taken: 20 s, 40 kB a second. Whoever is further behind loses the oldest.
MAX_WAITING: Final = 1000

CONNECT_S: Final = 5.0

Samples = NDArray[np.float32] | NDArray[np.int16]
"""Mono at 48 kHz, shape (n,): float32 within ±1, or int16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardFrame:
    """20 ms of sound. `number` counts the engine's ticks: a gap in it is what was lost on the way here."""

    number: int
    samples: NDArray[np.float32]  # shape (960,), within ±1


async def heard(path: Path, participant: int | str | None) -> AsyncIterator[HeardFrame]:
    """What a participant says, or the mix of all, a frame every 20 ms, until they leave or the call is over.

    Raises:
        ControlError: there is no such participant.
        EngineGone: nobody answers.
    """
    connection = await asyncio.to_thread(_stream, path, SoundIn(participant=participant))
    listening = _Listener(connection)
    try:
        while (frame := await listening.take()) is not None:
            yield frame
    finally:
        listening.close()


async def send(path: Path, samples: Samples) -> None:
    """Send this to the call, and return when the last of it was sent.

    Raises:
        ControlError: too many are sending.
        EngineGone: nobody answers, or the call is over.
    """
    connection = await asyncio.to_thread(_stream, path, SoundOut())
    try:
        await asyncio.to_thread(_send_all, connection, to_bytes(samples))
    finally:
        _hang_up(connection)


def to_bytes(samples: Samples) -> bytes:
    """As they go over the connection: 16 bit, little-endian. What is beyond ±1 is clipped, no number is silence.

    Raises:
        ValueError: they are not mono samples of one of the two kinds.
    """
    if samples.ndim != 1 or samples.dtype not in (np.dtype(np.float32), np.dtype(np.int16)):
        raise ValueError("sound is a one-dimensional array of float32 or int16, 48 kHz mono")
    if samples.dtype == np.dtype(np.int16):
        return bytes(samples.astype("<i2").tobytes())
    scaled = np.nan_to_num(samples * np.float32(32768), nan=0.0, posinf=32767.0, neginf=-32768.0)
    data: bytes = np.rint(np.clip(scaled, -32768, 32767)).astype("<i2").tobytes()
    return data


class _Listener:
    """Reads frames on a thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._frames: deque[HeardFrame] = deque(maxlen=MAX_WAITING)
        self._ready = asyncio.Event()
        self._ended = False
        threading.Thread(target=self._run, name="sound in", daemon=True).start()

    async def take(self) -> HeardFrame | None:
        """The next frame; None at the end."""
        while not self._frames:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """Listen no more."""
        _hang_up(self._connection)

    def _run(self) -> None:
        with self._connection.makefile("rb") as file:
            try:
                while len(data := file.read(_NUMBER.size + _FRAME_BYTES)) == _NUMBER.size + _FRAME_BYTES:
                    self._tell(_frame(data))
            except (OSError, ValueError):
                pass  # hung up, on one side or the other
        self._tell(None)

    def _tell(self, frame: HeardFrame | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, frame)
        except RuntimeError:
            self.close()  # the loop has ended

    def _put(self, frame: HeardFrame | None) -> None:
        if frame is None:
            self._ended = True
        else:
            self._frames.append(frame)
        self._ready.set()


def _frame(data: bytes) -> HeardFrame:
    samples = np.frombuffer(data, dtype="<i2", offset=_NUMBER.size).astype(np.float32) * np.float32(1 / 32768)
    return HeardFrame(number=_NUMBER.unpack_from(data)[0], samples=samples)


def _stream(path: Path, request: AnyRequest) -> socket.socket:
    """A connection that has become a stream. Blocking."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_S)
        connection.connect(str(path))
        connection.sendall(rpc.call(1, request.method, request))
        _check(_read_line(connection))
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


def _check(line: bytes) -> None:
    answer = rpc.parse_answer(line)
    if not isinstance(answer.error, msgspec.UnsetType):
        raise ControlError(ErrorNumber.REFUSED, answer.error.message, code=answer.error.data.code)


def _send_all(connection: socket.socket, data: bytes) -> None:
    """The engine takes it at the pace of the call, and closes when the last of it was sent."""
    try:
        connection.sendall(data)
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
