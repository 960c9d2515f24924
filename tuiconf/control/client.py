"""A client of the control API: typed requests out, typed results and events in, over whatever carries lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from tuiconf.control import rpc
from tuiconf.control.events import Envelope
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import Request
from tuiconf.errors import TuiconfError

R = TypeVar("R", bound=msgspec.Struct)

# The longest line of an engine: the state of a room of 1,000 with 200 lines of chat.
MAX_ANSWER_BYTES: Final = 1 << 23

# Events that were not taken yet. Whoever takes them more slowly than they come loses the oldest; the engine has
# bounds of its own, so this is what a program that stands still for some minutes may find.
MAX_EVENTS: Final = 4096

# As front ends say it when nothing more happens: whoever asks at that moment is told the same.
_GONE: Final = "the engine has ended without a word: the call is over"


class EngineGone(TuiconfError):
    """The engine ended, or never was there."""

    code = "engine_gone"


class ControlClient:
    """Made by `connect` or `over`; `close` it in the end. One request after the other, or many at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._number = 0
        self._events: asyncio.Queue[Envelope | None] = asyncio.Queue()
        self.events_lost = 0
        """How many events were dropped here because nobody took them."""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: Path) -> ControlClient:
        """To the engine that listens there.

        Raises:
            EngineGone: nobody does.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_ANSWER_BYTES)
        except OSError as error:
            raise EngineGone("the engine does not answer") from error
        return cls(reader, writer)

    async def call(self, request: Request[R]) -> R:
        """Ask, and wait for the answer.

        Raises:
            ControlError: the engine did not do it; `code` says why.
            EngineGone: it is gone.
        """
        if self._reading.done():
            raise EngineGone(_GONE)
        number = self._number = self._number + 1
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(rpc.call(number, request.method, request))
            await self._writer.drain()
            raw = await answer
        except OSError as error:
            raise EngineGone(_GONE) from error
        finally:
            self._waiting.pop(number, None)
        return decode_result(request, raw)

    async def events(self) -> AsyncIterator[Envelope]:
        """What happens, once `Subscribe` was called, until the engine is gone. For one reader."""
        while (envelope := await self._events.get()) is not None:
            yield envelope
        self._events.put_nowait(None)

    async def close(self) -> None:
        """Hang up."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(line)
        except (OSError, ValueError, ControlError):
            pass  # it is gone, or not an engine of ours: the same to whoever waits
        finally:
            self._refuse_all(EngineGone(_GONE))
            self._events.put_nowait(None)

    def _refuse_all(self, error: TuiconfError) -> None:
        """Nobody is answered any more; or one is not, and cannot be told apart."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _take(self, line: bytes) -> None:
        answer = rpc.parse_answer(line)
        if answer.id is None and not isinstance(answer.error, msgspec.UnsetType):
            self._refuse_all(_refusal(answer.error))
            return
        if answer.method == "event" and not isinstance(answer.params, msgspec.UnsetType):
            self._keep(answer.params)
            return
        waiting = self._waiting.get(answer.id) if isinstance(answer.id, int) else None
        if waiting is None or waiting.done():
            return
        if not isinstance(answer.error, msgspec.UnsetType):
            waiting.set_exception(_refusal(answer.error))
        elif not isinstance(answer.result, msgspec.UnsetType):
            waiting.set_result(answer.result)

    def _keep(self, params: msgspec.Raw) -> None:
        try:
            envelope = msgspec.json.decode(params, type=Envelope)
        except msgspec.ValidationError:
            return  # of a newer engine: this program does not know what it means
        if self._events.qsize() >= MAX_EVENTS:
            self._events.get_nowait()
            self.events_lost += 1
        self._events.put_nowait(envelope)


def decode_result(request: Request[R], raw: msgspec.Raw) -> R:
    """The typed result of a request.

    Raises:
        ControlError: it is not what the schema says.
    """
    try:
        result: R = msgspec.json.decode(raw, type=request.result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(ErrorNumber.INTERNAL, "the engine's answer could not be read") from error
    return result


def _refusal(fault: rpc.Fault) -> ControlError:
    try:
        number = ErrorNumber(fault.code)
    except ValueError:
        number = ErrorNumber.REFUSED
    return ControlError(number, fault.message, code=fault.data.code)
