"""The devices before a call begins: chosen, and open only while somebody looks at the level or tries the output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tuiconf.adapters.audio import FRAME_SAMPLES, AudioError, Kind, Sink, Source, parse_input, parse_output
from tuiconf.adapters.audio.null import NullSink, NullSource
from tuiconf.conference.events import Failed
from tuiconf.control.events import Event
from tuiconf.engine import Devices, Engine
from tuiconf.engine.incoming import Incoming
from tuiconf.engine.outgoing import Outgoing
from tuiconf.errors import LocalProtocolError
from tuiconf.media.chime import chime

# The last of the test sound is still on its way to the loudspeaker when all of it was written.
DRAIN_S: Final = 0.3


class AlreadyBegun(LocalProtocolError):
    """A call begins once."""

    code = "already_begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Openers:
    """What a name of `--audio-in` or `--audio-out` means, not opened yet."""

    source: Callable[[str], Source]
    sink: Callable[[str], Sink]


class DeviceCheck:
    """Of a call that is prepared. Nobody hears us: what the input gives is measured, and that is all."""

    def __init__(
        self, outgoing: Outgoing, incoming: Incoming, openers: Openers, on_event: Callable[[Event], None]
    ) -> None:
        self._outgoing, self._incoming, self._openers = outgoing, incoming, openers
        self._on_event = on_event
        self._looked_at = self._listening = False
        self._over = False
        self._changing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._trying: asyncio.Task[None] | None = None

    def look(self, looked_at: bool) -> None:
        """Somebody looks at the level of the input, or nobody does any more."""
        self._looked_at = looked_at
        if looked_at is not self._listening and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Open or close the input until it is as it should be. What cannot be opened is tried again when one looks."""
        async with self._changing:
            while self._looked_at is not self._listening and not self._over:
                try:
                    await self._listen(self._outgoing.input_name if self._looked_at else None)
                except AudioError as error:
                    self._on_event(Failed(code=error.code, message=str(error), fatal=False))
                    return

    async def _listen(self, name: str | None) -> None:
        """To this input; to none, without another being chosen."""
        if name is not None:
            await self._outgoing.set_input(self._openers.source(name), name)
            self._listening = True
        elif self._listening:
            self._listening = False
            await self._outgoing.set_input(NullSource(), self._outgoing.input_name)

    async def choose_input(self, name: str) -> bool:
        """From this the sound will come; False if the call began while others were chosen, and nothing was done here.

        Raises:
            AudioError: somebody looks, and it cannot be opened; what was chosen before still is.
        """
        async with self._changing:
            if self._over:
                return False
            if self._looked_at:
                await self._listen(name)
            self._outgoing.input_name = name
        return True

    async def choose_output(self, name: str) -> bool:
        """There the sound will go; False as in `choose_input`."""
        async with self._changing:
            if self._over:
                return False
            self._incoming.output_name = name
        return True

    async def try_output(self) -> bool:
        """Play the test sound; when it is over, the output is closed. False as in `choose_input`.

        Raises:
            AudioError: the output cannot be opened.
        """
        async with self._changing:
            if self._over:
                return False
            await self._end_trying()
            name = self._incoming.output_name
            await self._incoming.set_output(self._openers.sink(name), name)
            self._incoming.try_out(chime(FRAME_SAMPLES))
            self._trying = asyncio.create_task(self._close_when_tried())
        return True

    async def _close_when_tried(self) -> None:
        await self._incoming.tried_out()
        await asyncio.sleep(DRAIN_S)
        await self._close_output()

    async def _end_trying(self) -> None:
        if self._trying is not None and not self._trying.done():
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
            await self._close_output()

    async def _close_output(self) -> None:
        try:
            await self._incoming.set_output(NullSink(), self._incoming.output_name)
        except AudioError as error:
            self._on_event(Failed(code=error.code, message=str(error), fatal=False))

    # --- the end of it

    @property
    def over(self) -> bool:
        """Whether the call has begun, or never will."""
        return self._over

    async def begin(self, engine: Engine) -> None:
        """Begin the call with what was chosen. The input is closed, and opened again when there is somebody to hear it.

        Raises:
            AlreadyBegun: it has.
            AudioError: the output cannot be opened, or a file to be sent: the call has not begun.
        """
        async with self._changing:
            if self._over:
                raise AlreadyBegun("the call has begun already")
            await self._end_trying()
            await self._listen(None)
            try:
                await engine.begin(self._devices())
            except AudioError:
                self._following = None
                self.look(self._looked_at)
                raise
            self._over = True

    def _devices(self) -> Devices:
        source, sink = self._outgoing.input_name, self._incoming.output_name
        return Devices(
            source=self._openers.source(source),
            sink=self._openers.sink(sink),
            source_name=source,
            sink_name=sink,
            sink_needed=parse_output(sink).kind is not Kind.DEVICE,
            source_when_joined=parse_input(source).kind in (Kind.DEVICE, Kind.COMMAND),
        )

    def close(self) -> None:
        """Begin nothing more."""
        self._over = True
        for task in (self._following, self._trying):
            if task is not None:
                task.cancel()
