"""Does what the control API asks of one call, and keeps what its clients have to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, cast

import msgspec

from tuiconf.conference.events import (
    Caller,
    Eavesdropped,
    Event,
    Joined,
    Left,
    MuteRequested,
    ParticipantLeft,
    Person,
    Reconnected,
    Reconnecting,
    Undecryptable,
    Waiting,
)
from tuiconf.config import Call
from tuiconf.control import schema
from tuiconf.control.device_check import DeviceCheck
from tuiconf.control.events import CallEvent, ChatSent, Connecting, Level, Levels, Notice
from tuiconf.control.front_ends import FrontEnds
from tuiconf.control.history import History
from tuiconf.control.people import leaf_of, ref_of
from tuiconf.control.recorder import CallRecorder
from tuiconf.control.schema import AnyRequest, Done
from tuiconf.control.sound import CallSound
from tuiconf.control.statistics import Statistics
from tuiconf.engine import Engine
from tuiconf.engine.faults import Faults
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.invite import format_invite
from tuiconf.identity.link import parse_link

# Levels are for eyes: 4 a second look alive, and cost an SSH session 25 kbit/s (FACTS.md).
LEVELS_S: Final = 0.25

_Phase = Literal["ready", "connecting", "waiting", "joined", "reconnecting", "left"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class About:
    """Which call this is."""

    call: str
    room: str
    socket: str
    version: str
    pid: int
    link: Callable[[], str]
    # A person whose terminal is gone may come back by another; nobody else can know that they are not there.
    stay_s: float = Call().stay_s


class Desk(Protocol):
    """Does some of the requests: those that have a subject of their own."""

    async def do(self, request: AnyRequest) -> msgspec.Struct | None:
        """Do it; None when it is not one of this desk's.

        Raises:
            TuiconfError: it cannot be done.
        """
        ...


class CallService:
    """One call, as the control API sees it. `on_event` takes all that the engine tells."""

    def __init__(self, about: About, front_end: Callable[[Event], None]) -> None:
        """`front_end` is told every event as well, first: a front end in this process needs no socket."""
        self.watched = asyncio.Event()
        """Somebody is told what happens."""
        self.history = History(on_subscribers=self._subscribers_changed)
        self.allowed: frozenset[str] = frozenset()
        """Fingerprints of those whom clients say this participant knows."""
        self._about = about
        self._front_end = front_end
        self._engine: Engine | None = None
        self._recorder: CallRecorder | None = None
        self._sound: CallSound | None = None
        self._check: DeviceCheck | None = None
        self._desks: tuple[Desk, ...] = ()
        self._phase: _Phase = "connecting"
        self._since: float | None = None
        self._undecryptable = False
        self._statistics = Statistics()
        self.front_ends = FrontEnds(self, stay_s=about.stay_s)
        self._faults = Faults(self.on_event)
        self._levels: asyncio.TimerHandle | None = None

    def serve(self, engine: Engine, recorder: CallRecorder, *desks: Desk, check: DeviceCheck | None = None) -> None:
        """From now on there is a call to do things with. `check`: it is only prepared, and begins with `join`."""
        self._engine, self._recorder, self._check = engine, recorder, check
        self._sound = CallSound(engine, check, leaf=self._leaf, on_event=self.on_event)
        self._desks = (self._sound, *desks)
        if check is not None:
            self._phase = "ready"

    # --- what happens

    def on_event(self, event: Event) -> None:
        """Something happened in the call. After its end nothing does: a talk key that is let go then is nobody's news.

        But for one who was told to try what can be opened after being removed.
        """
        if self.over and not isinstance(event, Eavesdropped | Left):
            return
        self._follow(event)
        if self._recorder is not None:
            self._recorder.happened(event)
        self._front_end(event)
        epoch = self._engine.membership.epoch if self._engine and self._engine.membership else None
        # Every event there is belongs to the union: `tests/control/test_schema.py` holds that.
        self.history.add(cast(CallEvent, event), ts=time.time(), epoch=epoch)
        self._see_to_levels()

    def notice(self, message: str) -> None:
        """Tell people something that is normal."""
        self.on_event(Notice(message=message))

    def played(self, path: str, finished: bool) -> None:
        """What was played is over."""
        self._call_sound.played(path, finished)

    def _follow(self, event: Event) -> None:
        self._statistics.happened(event)
        match event:
            case Connecting():
                self._phase = "connecting"
            case Waiting():
                self._phase = "waiting"
            case Joined():
                self._phase, self._since = "joined", time.time()
            case Reconnecting():
                self._phase = "reconnecting"
            case Reconnected():
                self._phase = "joined"
            case Left():
                self._phase = "left"
            case Undecryptable(active=active):
                self._undecryptable = active
            case MuteRequested():
                self.mute(True)
            case ParticipantLeft(participant=who) if self._engine is not None:
                self._engine.incoming.forget(who.leaf)

    def say(self, text: str) -> None:
        """Say a line of chat; all front ends show it.

        Raises:
            LocalProtocolError: it cannot be sent.
        """
        self._call.say(text)
        if (me := self._me) is not None:
            self.on_event(ChatSent(participant=me, text=text))

    # --- what depends on who sits at the front ends

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self._phase == "left"

    @property
    def prepared(self) -> bool:
        """Whether the call has not begun: nobody is in it."""
        return self._phase == "ready"

    def mute(self, muted: bool) -> None:
        """Send nothing, and tell everyone so; or again what there is."""
        self._call_sound.mute(muted)

    def hold_back(self, held: bool) -> None:
        """Send nothing, whatever else is said, until somebody is there to decide about it."""
        self._call_sound.hold_back(held)

    def talk(self, down: bool) -> None:
        """A talk key is down, or all are up."""
        self._call_sound.talk(down)

    def leave(self) -> None:
        """Leave the call."""
        self._call.leave()

    def contain(self, fault: Exception) -> None:
        """A request ran into a bug of ours."""
        self._faults.contain(fault)

    # --- requests

    @property
    def _call(self) -> Engine:
        if self._engine is None:
            raise LocalProtocolError("the call has not begun")
        return self._engine

    @property
    def _call_sound(self) -> CallSound:
        if self._sound is None:
            raise LocalProtocolError("the call has not begun")
        return self._sound

    async def do(self, request: AnyRequest) -> msgspec.Struct:
        """Do what a request says.

        Raises:
            TuiconfError: it cannot be done; `code` says why.
        """
        for do in (self._tell, self._statistics.do, self._talk, self._decide):
            if (result := do(request)) is not None:
                return result
        for desk in self._desks:
            if (result := await desk.do(request)) is not None:
                return result
        return await self._do_slowly(request)

    def _tell(self, request: AnyRequest) -> msgspec.Struct | None:
        match request:
            case schema.SayHello():
                return self._hello()
            case schema.GetState():
                return self._state()
            case schema.GetLink():
                link = self._about.link()
                return schema.Link(link=link, code=format_invite(parse_link(link)))
            case schema.GetRoster():
                return schema.Roster(epoch=self._epoch, participants=self._people, callers=self._callers)
            case _:
                return None

    def _talk(self, request: AnyRequest) -> msgspec.Struct | None:
        engine = self._call
        match request:
            case schema.Leave(now=now):
                engine.hang_up() if now else engine.leave()
            case schema.ChatSend(text=text):
                self.say(text)
            case schema.HandRaise():
                engine.ask(lambda session, at: session.set_status(at, hand=True))
            case schema.HandLower():
                engine.ask(lambda session, at: session.set_status(at, hand=False))
            case _:
                return None
        return Done()

    def _decide(self, request: AnyRequest) -> msgspec.Struct | None:
        """What hosts do. Whether they may, the session knows."""
        engine = self._call
        match request:
            case schema.Admit(caller=caller):
                engine.ask(lambda session, at: session.admit(ref_of(session.callers, caller), at))
            case schema.Deny(caller=caller):
                engine.ask(lambda session, at: session.deny(ref_of(session.callers, caller), at))
            case schema.Remove(participant=who):
                engine.ask(lambda session, at: session.remove(self._leaf(who), at))
            case schema.Lock():
                engine.ask(lambda session, at: session.lock(True, at))
            case schema.Unlock():
                engine.ask(lambda session, at: session.lock(False, at))
            case schema.LobbySet(lobby=lobby):
                engine.ask(lambda session, at: session.set_lobby(lobby, at))
            case schema.AllowSet(fingerprints=fingerprints):
                self.allowed = frozenset(fingerprints)
            case schema.HandOver(participant=who):
                engine.ask(lambda session, at: session.hand_over(self._leaf(who), at))
            case schema.MuteRequest(participant=who):
                engine.ask(lambda session, at: session.request_mute(self._leaf(who), at))
            case _:
                return None
        return Done()

    async def _do_slowly(self, request: AnyRequest) -> msgspec.Struct:
        match request:
            case schema.Join(muted=muted):
                await self._join(muted=muted)
            case schema.RecordStart():
                return await self._recording.start(request)
            case schema.RecordStop():
                return await self._recording.stop("stopped")
            case _:
                raise LocalProtocolError(f"{request.method} belongs to a connection")
        return Done()

    @property
    def _recording(self) -> CallRecorder:
        if self._recorder is None:
            raise LocalProtocolError("the call has not begun")
        return self._recorder

    async def _join(self, *, muted: bool) -> None:
        """Whoever joins muted stays so, whatever becomes of it."""
        if muted:
            self.mute(True)
        await self._call_sound.begin()
        self.on_event(Connecting())

    # --- sound

    async def stream_in(self, request: schema.SoundIn, writer: asyncio.StreamWriter) -> None:
        """Write what is heard until the client is gone, or the participant is."""
        await self._call_sound.stream_in(request, writer)

    async def stream_out(self, request: schema.SoundOut, first: bytes, reader: asyncio.StreamReader) -> None:
        """Send what the client writes, `first` first, until it ends."""
        await self._call_sound.stream_out(request, first, reader)

    def _subscribers_changed(self) -> None:
        if self.history.watched:
            self.watched.set()
        if self._check is not None:
            self._check.look(self.history.levels_wanted)
        self._see_to_levels()

    def _see_to_levels(self) -> None:
        """Measured and told only while somebody looks."""
        if self._levels is None and self.history.levels_wanted and self._phase != "left":
            self._levels = asyncio.get_running_loop().call_later(LEVELS_S, self._tell_levels)

    def _tell_levels(self) -> None:
        self._levels = None
        if self._engine is None or self._phase == "left":
            return
        own, others = self._engine.levels()
        event = Levels(
            own=Level(leaf=own[0], dbfs=round(own[1], 1), speaking=own[2]) if own is not None else None,
            others=tuple(Level(leaf=leaf, dbfs=round(dbfs, 1), speaking=speaking) for leaf, dbfs, speaking in others),
        )
        self.on_event(event)

    # --- what is so

    @property
    def _epoch(self) -> int | None:
        membership = self._call.membership
        return membership.epoch if membership is not None else None

    @property
    def _people(self) -> tuple[Person, ...]:
        membership = self._call.membership
        return membership.people() if membership is not None else ()

    @property
    def _callers(self) -> tuple[Caller, ...]:
        return self._call.session.callers

    @property
    def _me(self) -> Person | None:
        membership = self._call.membership
        return next((who for who in self._people if membership and who.leaf == membership.own_leaf), None)

    def _leaf(self, who: schema.Participant) -> int:
        return leaf_of(self._people, who)

    def _hello(self) -> schema.Hello:
        about = self._about
        return schema.Hello(
            protocol=schema.PROTOCOL_VERSION,
            version=about.version,
            call=about.call,
            pid=about.pid,
            socket=about.socket,
            methods=tuple(schema.METHODS),
        )

    def _state(self) -> schema.State:
        membership = self._call.membership
        return schema.State(
            seq=self.history.seq,
            call=self._about.call,
            room=self._about.room,
            phase=self._phase,
            since=self._since,
            epoch=self._epoch,
            security_code=membership.security_code if membership is not None else None,
            me=self._me,
            participants=self._people,
            policy=membership.policy_event() if membership is not None else None,
            callers=self._callers,
            audio=self._call_sound.state,
            volumes=tuple(
                schema.Volume(leaf=leaf, volume_db=volume.db, muted=volume.muted)
                for leaf, volume in self._call.sound.volumes.items()
            ),
            playing=self._call_sound.playing,
            recording=self._recording.state,
            chat=self.history.chat,
            attached=len(self.front_ends),
            undecryptable=self._undecryptable,
        )
