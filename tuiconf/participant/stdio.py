"""The control API on standard input and output: for a program that starts the engine itself."""

from __future__ import annotations

import asyncio
from typing import Final

from tuiconf.adapters.standard_streams import LAST_LINES_S, LineWriter, read_some
from tuiconf.control.client_session import ClientSession
from tuiconf.control.framing import LineCutter
from tuiconf.control.rpc import ControlError
from tuiconf.control.service import CallService

# Lines on their way to whoever reads: what waits behind them can still be left out, these cannot.
MAX_UNDER_WAY: Final = 16

# How often a reader that does not read is looked at again.
LOOK_AGAIN_S: Final = 0.05


class StandardClient:
    """The one client on standard input and output. `run` returns when it ends its side: it is still told the end."""

    def __init__(self, service: CallService, writer: LineWriter) -> None:
        self._writer = writer
        self._waiting = asyncio.Event()
        self._room = asyncio.Event()  # answers were handed over
        self._session = ClientSession(service, self._waiting.set)

    async def run(self) -> None:
        """Do what the lines say until they end."""
        cutter = LineCutter()
        while data := await read_some(0):
            cutter.feed(data)
            await self._lines(cutter)

    async def _lines(self, cutter: LineCutter) -> None:
        while True:
            try:
                line = cutter.take()
                if line is None:
                    return
                if line.strip():
                    await self._session.line(line, streams=False)
            except ControlError as error:
                self._session.refuse(error)
            while self._session.outbox.full:  # nothing more is done for a client that does not read
                self._room.clear()
                await self._room.wait()

    async def write(self) -> None:
        """Write answers and events, for ever."""
        while True:
            self._waiting.clear()
            if self._some_wait():
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                await self._waiting.wait()

    async def close(self) -> None:
        """Write what still waits, for a moment: the call is over."""
        self._session.close()
        for _ in range(round(LAST_LINES_S / LOOK_AGAIN_S)):
            if not self._some_wait():
                break
            await asyncio.sleep(LOOK_AGAIN_S)

    def _some_wait(self) -> bool:
        """Hand over what there is room for; whether there was more."""
        outbox = self._session.outbox
        while self._writer.waiting < MAX_UNDER_WAY and (line := outbox.take()) is not None:
            self._writer.write(line.decode().rstrip("\n"))
            self._room.set()
        return len(outbox) > 0
