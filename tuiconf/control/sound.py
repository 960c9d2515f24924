"""What the control API changes about a call's sound: what is sent and heard, what is played, and streams of scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tuiconf.adapters.audio import (
    FRAME_SAMPLES,
    AudioSpecError,
    Kind,
    open_sink,
    open_source,
    parse_input,
    parse_output,
)
from tuiconf.control import schema
from tuiconf.control.device_check import AlreadyBegun, DeviceCheck
from tuiconf.control.events import AudioChanged, Event, Played
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import AnyRequest, Done
from tuiconf.control.streams import read_sent, write_heard
from tuiconf.engine import Engine
from tuiconf.media.chime import chime


class CallSound:
    """A desk for all requests about sound. `check` is of a call that is only prepared."""

    def __init__(
        self,
        engine: Engine,
        check: DeviceCheck | None,
        *,
        leaf: Callable[[schema.Participant], int],
        on_event: Callable[[Event], None],
    ) -> None:
        self._engine, self._check = engine, check
        self._leaf, self._on_event = leaf, on_event
        self._play_number = 0  # of what was played last: one thing at a time is
        self._is_playing = False

    @property
    def state(self) -> AudioChanged:
        """What is sent and heard now."""
        outgoing, incoming = self._engine.outgoing, self._engine.incoming
        return AudioChanged(
            live=outgoing.live and not self._is_prepared,
            muted=outgoing.muted,
            push_to_talk=outgoing.push_to_talk,
            deafened=outgoing.deafened,
            input=readable(outgoing.input_name),
            output=readable(incoming.output_name),
            gain_db=outgoing.gain_db,
            voice_activation=outgoing.voice_activation,
        )

    @property
    def _is_prepared(self) -> bool:
        return self._check is not None and not self._check.over

    @property
    def playing(self) -> int | None:
        """The number of what is being played."""
        return self._play_number if self._is_playing else None

    async def begin(self) -> None:
        """Begin a call that is only prepared.

        Raises:
            AlreadyBegun: it is not.
            AudioError: the output cannot be opened.
        """
        if self._check is None:
            raise AlreadyBegun("the call has begun already")
        await self._check.begin(self._engine)
        self._changed()

    async def do(self, request: AnyRequest) -> msgspec.Struct | None:
        """Do it; None when it is not about sound.

        Raises:
            TuiconfError: it cannot be done.
        """
        match request:
            case schema.Mute() | schema.Unmute():
                self.mute(isinstance(request, schema.Mute))
            case schema.Deafen() | schema.Undeafen():
                self._deafen(isinstance(request, schema.Deafen))
            case schema.AudioSet():
                return await self._set(request)
            case schema.TryOutput():
                await self._try_output()
            case schema.Play(path=path):
                return await self._play(path)
            case schema.PlayStop():
                self._engine.outgoing.stop_playing()
            case schema.SoundIn() | schema.SoundOut():
                self._check_stream(request)
            case _:
                return None
        return Done()

    # --- what is sent

    def mute(self, muted: bool) -> None:
        """Send nothing, and tell everyone so; or again what there is."""
        self._engine.outgoing.muted = muted
        self._changed()
        self._show_muted()

    def hold_back(self, held: bool) -> None:
        """Send nothing, whatever else is said, until whoever is to decide about it is there."""
        if self._engine.outgoing.held_back is not held:
            self._engine.outgoing.held_back = held
            self._changed()

    def talk(self, down: bool) -> None:
        """A talk key is down, or all are up."""
        outgoing = self._engine.outgoing
        if outgoing.push_to_talk is not down:
            outgoing.push_to_talk = down
            self._changed()

    def _deafen(self, deafened: bool) -> None:
        self._engine.outgoing.deafened = self._engine.incoming.deafened = deafened
        self._changed()
        self._show_muted()

    def _show_muted(self) -> None:
        """To the others, too. A talk key that goes up and down is not worth a message each time."""
        outgoing = self._engine.outgoing
        self._engine.ask(lambda session, at: session.set_status(at, muted=outgoing.muted or outgoing.deafened))

    def _changed(self) -> None:
        self._on_event(self.state)

    # --- where it comes from and goes to

    async def _set(self, request: schema.AudioSet) -> AudioChanged:
        """All of it or, where something cannot be, nothing after that."""
        if request.participant is not None:
            self._engine.set_volume(self._leaf(request.participant), volume_db=request.volume_db, muted=request.muted)
        elif request.volume_db is not None or request.muted is not None:
            raise AudioSpecError("volume_db and muted are of a participant: name one")
        if request.input is not None:
            await self._set_input(request.input)
        if request.output is not None:
            await self._set_output(request.output)
        if request.gain_db is not None:
            self._engine.outgoing.gain_db = request.gain_db
        if request.voice_activation is not None:
            self._engine.outgoing.voice_activation = request.voice_activation
        self._changed()
        return self.state

    async def _set_input(self, name: str) -> None:
        spec = parse_input(name)
        if spec.kind is Kind.STANDARD:
            raise AudioSpecError("standard input is given when the call begins, or not at all")
        if self._check is None or not await self._check.choose_input(name):
            await self._engine.outgoing.set_input(open_source(spec), name)

    async def _set_output(self, name: str) -> None:
        spec = parse_output(name)
        if spec.kind is Kind.STANDARD:
            raise AudioSpecError("standard output is given when the call begins, or not at all")
        if self._check is None or not await self._check.choose_output(name):
            await self._engine.incoming.set_output(open_sink(spec), name)

    async def _try_output(self) -> None:
        if self._check is None or not await self._check.try_output():
            self._engine.incoming.try_out(chime(FRAME_SAMPLES))

    # --- what is played

    async def _play(self, path: str) -> schema.Playing:
        spec = parse_input(path)
        if spec.kind is Kind.STANDARD:
            raise AudioSpecError("standard input is not the engine's to play: name a file or a command")
        await self._engine.outgoing.play(open_source(spec), path)  # tells the end of what was played before
        self._play_number, self._is_playing = self._play_number + 1, True
        return schema.Playing(number=self._play_number)

    def played(self, path: str, finished: bool) -> None:
        """What was played is over."""
        self._is_playing = False
        self._on_event(Played(number=self._play_number, path=path, finished=finished))

    # --- streams of scripts

    def _check_stream(self, request: schema.SoundIn | schema.SoundOut) -> None:
        if isinstance(request, schema.SoundIn) and request.participant is not None:
            self._leaf(request.participant)
        self._check_free(request)

    def _check_free(self, request: schema.SoundIn | schema.SoundOut) -> None:
        taps = isinstance(request, schema.SoundIn)
        if not (self._engine.incoming.taps_free if taps else self._engine.outgoing.streams_free):
            raise ControlError(ErrorNumber.REFUSED, "too many streams of sound are open", code="too_many_streams")

    async def stream_in(self, request: schema.SoundIn, writer: asyncio.StreamWriter) -> None:
        """Write what is heard until the client is gone, or the participant is."""
        leaf = self._leaf(request.participant) if request.participant is not None else None
        self._check_free(request)  # others may have come since it was answered
        incoming = self._engine.incoming
        tap = incoming.listen(leaf)
        try:
            await write_heard(tap, writer)
        finally:
            incoming.unlisten(tap)

    async def stream_out(self, request: schema.SoundOut, first: bytes, reader: asyncio.StreamReader) -> None:
        """Send what the client writes, `first` first, until it ends."""
        self._check_free(request)
        outgoing = self._engine.outgoing
        stream = outgoing.open_stream()
        try:
            await read_sent(stream, first, reader)
        finally:
            outgoing.close_stream(stream)


def readable(name: str) -> str:
    """A name of the file system as text: not each is, and what is no text is in no line of JSON."""
    return name.encode("utf-8", "replace").decode()
