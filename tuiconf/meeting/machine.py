"""A meeting, as its script goes: what happens in the call comes in, what to do comes out. Pure.

`now` is in seconds of one clock, whichever; `start` says on it when the meeting is to be.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.conference.events import LeftReason
from tuiconf.control.events import (
    Event,
    Failed,
    Joined,
    Left,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    RecordingChanged,
)
from tuiconf.errors import LocalProtocolError
from tuiconf.meeting.announcements import Announcements
from tuiconf.meeting.attendance import is_verified
from tuiconf.meeting.hearing import Hearing
from tuiconf.meeting.people import People
from tuiconf.meeting.script import MINUTE_S, Announcement, HookEvent, Script

# A recording that could not begin or has ended is tried again: the relay may be back, or there be room on the disk.
RECORD_AGAIN_S: Final = 60.0


class Phase(enum.Enum):
    """Where the meeting is."""

    CONNECTING = "connecting"  # not in the call yet
    GATHERING = "gathering"  # in the call, and not all are there
    MEETING = "meeting"
    OVER = "over"


MOVES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.CONNECTING: frozenset({Phase.GATHERING, Phase.OVER}),
    Phase.GATHERING: frozenset({Phase.MEETING, Phase.OVER}),
    Phase.MEETING: frozenset({Phase.OVER}),
    Phase.OVER: frozenset(),
}
"""The moves there are."""


class EndReason(enum.StrEnum):
    """Why a meeting is over."""

    EVERYONE_LEFT = "everyone_left"
    NOBODY_CAME = "nobody_came"
    TOO_FEW_CAME = "too_few_came"
    SILENCE = "silence"
    MAXIMUM = "maximum"
    NEVER_JOINED = "never_joined"  # by the maximum: nobody let us in, or the relay was away
    STOPPED = "stopped"  # by whoever runs the program
    REMOVED = "removed"  # from the call, by a host
    FAILED = "failed"  # the call could not be joined, or kept
    ENGINE_GONE = "engine_gone"  # it was killed: by a lack of memory, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    """Play or say this after what is being played, and report `announced`."""

    what: Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecording:
    """Record, and report `recording_failed` where that cannot be. Otherwise an event says that it is on."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tell:
    """Tell the hooks. `about` is what the event's JSON has besides its name and time."""

    event: HookEvent
    about: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Close the recording, leave, and report `closed`."""

    reason: EndReason


Effect = Announce | StartRecording | Tell | Leave
"""What there is to do."""


_LEFT: Final = {
    LeftReason.LEFT: EndReason.STOPPED,  # somebody told the engine to: the service manager, or `tuiconf ctl leave`
    LeftReason.REMOVED: EndReason.REMOVED,
    LeftReason.FAILED: EndReason.FAILED,
}


class Machine:
    """One meeting. `happened` and `timer` give what to do, in order; `next_timer` says when `timer` is due."""

    def __init__(self, script: Script, *, start: float) -> None:
        self.phase = Phase.CONNECTING
        self.reason: EndReason | None = None
        """Why it is over, once it is."""
        self._script = script
        self._start = start
        self._joined = start
        self._people = People()
        self._somebody_came = False
        self._empty_since: float | None = None
        self._hearing = Hearing()
        self._announcements = Announcements(script.announce)
        self._record_at: float | None = None  # when to try

    # --- what happens

    def happened(self, event: Event, *, now: float) -> list[Effect]:
        """Something happened in the call."""
        self._people.happened(event)
        return [*self._follow(event, now), *self.timer(now=now)]

    def announced(self, *, now: float) -> None:
        """An announcement is over."""
        self._hearing.announced(now)

    def recording_failed(self, why: str, *, now: float) -> list[Effect]:
        """It could not begin. `why` is one sentence."""
        self._record_at = now + RECORD_AGAIN_S
        return [Tell(event="failed", about={"what": "recording", "why": why})]

    def stop(self, reason: EndReason) -> list[Effect]:
        """Whoever runs the program wants it to end, or the call is lost."""
        return self._leave(reason)

    def closed(self) -> list[Tell]:
        """This participant has left, and everything is written."""
        return [Tell(event="ended", about={"reason": str(self.reason or EndReason.FAILED)})]

    def _follow(self, event: Event, now: float) -> list[Effect]:
        match event:
            case Joined():
                return self._enter(now)
            case ParticipantJoined(participant=who) if not self._people.is_own(who):
                self._count(now)
                return [Tell(event="participant_joined", about=_about(who))]
            case ParticipantLeft(participant=who, reason=reason):
                self._count(now)
                return [Tell(event="participant_left", about=_about(who) | {"reason": reason})]
            case RecordingChanged():
                return self._recording(event, now)
            case Failed(message=why, fatal=True):
                return [Tell(event="failed", about={"what": "call", "why": why})]
            case Left(reason=reason):
                return self._leave(_LEFT[reason])
            case _:
                self._hearing.happened(event, now)
                return []

    def _enter(self, now: float) -> list[Effect]:
        if self.phase is not Phase.CONNECTING:
            return []
        self._move(Phase.GATHERING)
        self._joined = max(now, self._start)
        self._count(now)
        if self._script.record is not None and self._script.record.begin == "joined":
            self._record_at = now
        return [Tell(event="joined", about=self._who_is_here()), *self._announce(self._announcements.at("joined"))]

    def _begin(self, now: float) -> list[Effect]:
        self._move(Phase.MEETING)
        self._hearing.heard(now)
        self._announcements.begin(now=now, end=self._maximum())
        if self._script.record is not None and self._script.record.begin == "start":
            self._record_at = now
        return [Tell(event="started", about=self._who_is_here()), *self._announce(self._announcements.at("start"))]

    def _count(self, now: float) -> None:
        """Somebody came or went."""
        if self._people.others:
            self._somebody_came = True
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now

    def _recording(self, changed: RecordingChanged, now: float) -> list[Effect]:
        if changed.active:
            return [Tell(event="recording_started", about={"folder": changed.folder})]
        if self._script.record is not None:
            self._record_at = now + RECORD_AGAIN_S
        return [Tell(event="recording_stopped", about={"folder": changed.folder, "why": changed.reason})]

    # --- what is due

    def timer(self, *, now: float) -> list[Effect]:
        """Whatever is due. To be called at `next_timer`; earlier does no harm."""
        if self.phase is Phase.OVER:
            return []
        effects: list[Effect] = []
        if self.phase is Phase.GATHERING:
            effects += self._gather(now)
        if self.phase is Phase.MEETING:
            effects += self._announce(self._announcements.timed(now))
        if self._record_at is not None and now >= self._record_at:
            self._record_at = None
            effects.append(StartRecording())
        return effects + self._end(now)

    def next_timer(self) -> float | None:
        """When `timer` is due; None: never, as it is over."""
        due: list[float | None] = [self._maximum(), self._record_at]
        match self.phase:
            case Phase.OVER:
                return None
            case Phase.GATHERING:
                due += [self._wait_until(), self._start if self._enough() else None]
            case Phase.MEETING:
                due += [self._empty_until(), self._silent_until(), self._announcements.next_time()]
        return min(at for at in due if at is not None)

    def _gather(self, now: float) -> list[Effect]:
        effects = self._announce(self._announcements.present(len(self._people.others)))
        if self._enough():
            return effects + (self._begin(now) if now >= self._start else [])
        wait_until = self._wait_until()
        if wait_until is None or now < wait_until:
            return effects
        if not self._people.others:
            return effects + self._leave(EndReason.EVERYONE_LEFT if self._somebody_came else EndReason.NOBODY_CAME)
        if self._script.wait.too_few == "leave":
            return effects + self._leave(EndReason.TOO_FEW_CAME)
        return effects + self._begin(now)

    def _enough(self) -> bool:
        return len(self._people.others) >= self._script.wait.participants

    def _end(self, now: float) -> list[Effect]:
        if now >= self._maximum():
            return self._leave(EndReason.NEVER_JOINED if self.phase is Phase.CONNECTING else EndReason.MAXIMUM)
        if self.phase is not Phase.MEETING:
            return []
        if (at := self._empty_until()) is not None and now >= at:
            return self._leave(EndReason.EVERYONE_LEFT)
        if (at := self._silent_until()) is not None and now >= at:
            return self._leave(EndReason.SILENCE)
        return []

    def _maximum(self) -> float:
        return self._start + self._script.end.maximum_minutes * MINUTE_S

    def _wait_until(self) -> float | None:
        minutes = self._script.wait.minutes
        return None if minutes is None else self._joined + minutes * MINUTE_S

    def _empty_until(self) -> float | None:
        since = self._empty_since
        return None if since is None else since + self._script.end.everyone_left_minutes * MINUTE_S

    def _silent_until(self) -> float | None:
        minutes, since = self._script.end.silence_minutes, self._hearing.silent_since
        return None if minutes is None or since is None else since + minutes * MINUTE_S

    # --- parts of effects

    def _announce(self, due: Sequence[Announcement]) -> list[Effect]:
        self._hearing.announcing(len(due))
        return [Announce(what=what) for what in due]

    def _leave(self, reason: EndReason) -> list[Effect]:
        if self.phase is Phase.OVER:
            return []
        self._move(Phase.OVER)
        self.reason = reason
        return [Leave(reason=reason)]

    def _who_is_here(self) -> Mapping[str, object]:
        return {"participants": [_about(who) for who in self._people.others]}

    def _move(self, phase: Phase) -> None:
        if phase not in MOVES[self.phase]:
            raise LocalProtocolError(f"a meeting does not go from {self.phase.value} to {phase.value}")
        self.phase = phase


def _about(who: Person) -> dict[str, object]:
    return {"name": who.name, "fingerprint": who.fingerprint, "verified": is_verified(who)}
