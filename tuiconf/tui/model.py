"""What the engine has said of the call, and nothing else: two interfaces on one call show the same. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tuiconf.control import schema
from tuiconf.control.events import (
    AudioChanged,
    AudioStats,
    Caller,
    ChatReceived,
    ChatSent,
    EpochChanged,
    EventsMissed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    Levels,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Played,
    PolicyChanged,
    Ready,
    Reconnected,
    Reconnecting,
    RecordingChanged,
    StatusChanged,
    TrustChanged,
    Undecryptable,
    Waiting,
)
from tuiconf.control.events import Envelope as Envelope

# As many as the engine keeps for a front end that comes later: older ones would be shown in one and not in the other.
MAX_CHAT: Final = 200


class Part(enum.Enum):
    """What of the call has changed."""

    PHASE = enum.auto()
    ROSTER = enum.auto()  # people, their states, their trust, their volume
    CALLERS = enum.auto()
    POLICY = enum.auto()
    AUDIO = enum.auto()
    CHAT = enum.auto()
    RECORDING = enum.auto()
    CODE = enum.auto()  # epoch, security code
    PROTECTION = enum.auto()  # whether all that comes can be opened
    LEVELS = enum.auto()
    STATS = enum.auto()


Parts = frozenset[Part]

ALL: Final[Parts] = frozenset(Part)
_NOTHING: Final[Parts] = frozenset()


class CallModel:
    """The call as the engine's state and the events after it have it."""

    def __init__(self) -> None:
        self.state: schema.State | None = None
        self.levels: Levels | None = None
        self.stats: AudioStats | None = None
        self.code: schema.RoomCode | None = None
        """The room code in both notations, once it was asked for in this epoch."""
        self.undecryptable = False
        """Whether sound arrives that cannot be opened."""
        self.stale = True
        """Whether something was missed: the state is to be asked for anew."""

    def begin(self, state: schema.State) -> None:
        """This is how it is. Events that `state` already contains change nothing afterwards."""
        self.state = state
        self.undecryptable = state.undecryptable
        self.stale = False
        if self.code is not None and self.code.epoch != state.epoch:
            self.code = None

    def know_code(self, code: schema.RoomCode) -> Parts:
        """The answer to `code.get`; of an epoch that is over by now, it is not kept."""
        if self.state is None or self.state.epoch != code.epoch:
            return _NOTHING
        self.code = code
        return frozenset({Part.CODE})

    def apply(self, envelope: Envelope) -> Parts:
        """Something happened: what of the model it changed."""
        event = envelope.data
        if isinstance(event, EventsMissed):
            self.stale |= event.events > 0
            return _NOTHING
        if self.state is None or envelope.seq <= self.state.seq:
            return _NOTHING
        self.state = msgspec.structs.replace(self.state, seq=envelope.seq)
        if isinstance(event, AudioStats):
            self.stats = event
            return frozenset({Part.STATS})
        if isinstance(event, Levels):
            changed, self.levels = event != self.levels, event
            return frozenset({Part.LEVELS}) if changed else _NOTHING
        if isinstance(event, Undecryptable):
            self.undecryptable = event.active
            return frozenset({Part.PROTECTION})
        follow = _FOLLOW.get(type(event))
        return follow(self, self.state, envelope.ts, event) if follow is not None else _NOTHING

    # --- what is asked of it often

    @property
    def me(self) -> Person | None:
        """This participant."""
        return self.state.me if self.state is not None else None

    @property
    def people(self) -> tuple[Person, ...]:
        """Who is in the group, by leaf."""
        return self.state.participants if self.state is not None else ()

    @property
    def callers(self) -> tuple[Caller, ...]:
        """Who waits at the door."""
        return self.state.callers if self.state is not None else ()

    def person(self, leaf: int) -> Person | None:
        """Who sits at this leaf."""
        return next((who for who in self.people if who.leaf == leaf), None)

    @property
    def may_admit(self) -> bool:
        """Whether the room lets this participant decide who comes in."""
        me, policy = self.me, self.state.policy if self.state is not None else None
        return me is not None and policy is not None and (me.host or policy.admit == "members")

    # --- changes

    def _put(self, state: schema.State, *parts: Part, **fields: object) -> Parts:
        changed: dict[str, Any] = dict(fields)
        self.state = msgspec.structs.replace(state, **changed)
        return frozenset(parts)

    def _joined(self, state: schema.State, ts: float, event: Joined) -> Parts:
        self.code = None
        self.stale = True  # of the room's policy and who knocks, this event says nothing
        now = {"phase": "joined", "since": ts, "epoch": event.epoch, "security_code": event.security_code}
        parts = (Part.PHASE, Part.ROSTER, Part.CALLERS, Part.CODE)
        return self._put(state, *parts, me=event.me, participants=event.participants, callers=(), **now)

    def _epoch(self, state: schema.State, _: float, event: EpochChanged) -> Parts:
        self.code = None
        return self._put(state, Part.CODE, epoch=event.epoch, security_code=event.security_code)

    def _phase(self, state: schema.State, _: float, event: Ready | Waiting | Reconnecting | Left) -> Parts:
        return self._put(state, Part.PHASE, phase=_PHASES[type(event)])

    def _reconnected(self, state: schema.State, _: float, event: Reconnected) -> Parts:
        self.stale = True  # what went on meanwhile, nobody told us
        return self._put(state, Part.PHASE, phase="joined")

    def _added(self, state: schema.State, _: float, event: ParticipantJoined) -> Parts:
        others = [who for who in state.participants if who.leaf != event.participant.leaf]
        together = sorted([*others, event.participant], key=lambda who: who.leaf)
        return self._put(state, Part.ROSTER, participants=tuple(together))

    def _gone(self, state: schema.State, _: float, event: ParticipantLeft) -> Parts:
        leaf = event.participant.leaf
        volumes = tuple(volume for volume in state.volumes if volume.leaf != leaf)
        people = tuple(who for who in state.participants if who.leaf != leaf)
        return self._put(state, Part.ROSTER, participants=people, volumes=volumes)

    def _status(self, state: schema.State, _: float, event: StatusChanged | TrustChanged) -> Parts:
        now = event.participant
        people = tuple(now if who.leaf == now.leaf else who for who in state.participants)
        me = now if state.me is not None and state.me.leaf == now.leaf else state.me
        return self._put(state, Part.ROSTER, participants=people, me=me)

    def _policy(self, state: schema.State, _: float, event: PolicyChanged) -> Parts:
        hosts = {who.leaf for who in event.hosts}
        people = tuple(_as_host(who, hosts) for who in state.participants)
        me = _as_host(state.me, hosts) if state.me is not None else None
        return self._put(state, Part.POLICY, Part.ROSTER, policy=event, participants=people, me=me)

    def _knocked(self, state: schema.State, _: float, event: Knocked) -> Parts:
        others = tuple(caller for caller in state.callers if caller.ref != event.caller.ref)
        return self._put(state, Part.CALLERS, callers=(*others, event.caller))

    def _knock_ended(self, state: schema.State, _: float, event: KnockEnded) -> Parts:
        left = tuple(caller for caller in state.callers if caller.ref != event.caller.ref)
        return self._put(state, Part.CALLERS, callers=left)

    def _audio(self, state: schema.State, _: float, event: AudioChanged) -> Parts:
        # The engine says so after every change; where none of these fields did, it was how someone is heard here.
        self.stale |= event == state.audio
        return self._put(state, Part.AUDIO, audio=event)

    def _recording(self, state: schema.State, _: float, event: RecordingChanged) -> Parts:
        return self._put(state, Part.RECORDING, recording=event)

    def _played(self, state: schema.State, _: float, event: Played) -> Parts:
        return self._put(state, Part.AUDIO, playing=None) if state.playing == event.number else _NOTHING

    def _chat(self, state: schema.State, ts: float, event: ChatReceived | ChatSent) -> Parts:
        who, own = event.participant, isinstance(event, ChatSent)
        line = schema.ChatLine(
            ts=ts, leaf=who.leaf, name=who.name, fingerprint=who.fingerprint, own=own, text=event.text
        )
        return self._put(state, Part.CHAT, chat=(*state.chat, line)[-MAX_CHAT:])


def _as_host(who: Person, hosts: set[int]) -> Person:
    return who if who.host == (who.leaf in hosts) else msgspec.structs.replace(who, host=not who.host)


_PHASES: Final[Mapping[type, str]] = {
    Ready: "ready",
    Waiting: "waiting",
    Reconnecting: "reconnecting",
    Left: "left",
}

_FOLLOW: Final[Mapping[type, Callable[[CallModel, schema.State, float, Any], Parts]]] = {
    Joined: CallModel._joined,
    EpochChanged: CallModel._epoch,
    **dict.fromkeys(_PHASES, CallModel._phase),
    Reconnected: CallModel._reconnected,
    ParticipantJoined: CallModel._added,
    ParticipantLeft: CallModel._gone,
    StatusChanged: CallModel._status,
    TrustChanged: CallModel._status,
    PolicyChanged: CallModel._policy,
    Knocked: CallModel._knocked,
    KnockEnded: CallModel._knock_ended,
    AudioChanged: CallModel._audio,
    RecordingChanged: CallModel._recording,
    Played: CallModel._played,
    ChatReceived: CallModel._chat,
    ChatSent: CallModel._chat,
}
