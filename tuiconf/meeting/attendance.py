"""Who was there, from when to when, and how long they spoke. Pure: events with their time in, lines out.

A line is one JSON object. There is one when someone comes, with `left` null, and one when they go; the last line with
the same `fingerprint` and `joined` is what is known, and one that stayed null was written by a program that was
killed. Who comes again has another interval. Names are what people call themselves: only the fingerprint is proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from tuiconf.control.events import AudioStats, Event, Joined, ParticipantJoined, ParticipantLeft, Person, TrustChanged
from tuiconf.meeting.people import People

Reason = Literal["left", "removed", "vanished", "meeting_over"]
"""Why someone is no longer counted: by their own wish, by a host's, gone without a word, or we have left."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One participant, one interval. Times are UTC, to the millisecond, by this participant's clock."""

    name: str
    fingerprint: str
    verified: bool  # so that the name can be believed
    joined: str
    left: str | None
    spoke_s: float
    # They were in the call before this participant was: since when, nobody here knows.
    was_here: bool
    reason: Reason | None

    def __repr__(self) -> str:
        return "<Line>"


@dataclass(slots=True, kw_only=True)
class _Interval:
    who: Person
    joined: float
    was_here: bool
    spoke_s: float = 0.0

    def line(self, *, left: float | None = None, reason: Reason | None = None) -> Line:
        return Line(
            name=self.who.name,
            fingerprint=self.who.fingerprint,
            verified=is_verified(self.who),
            joined=timestamp(self.joined),
            left=None if left is None else timestamp(left),
            spoke_s=round(self.spoke_s, 2),
            was_here=self.was_here,
            reason=reason,
        )


class Attendance:
    """Of one meeting. `at` is in seconds since 1970, as events carry it."""

    def __init__(self) -> None:
        self.people = People()
        self._here: dict[int, _Interval] = {}  # by leaf
        self._heard: dict[tuple[int, str], float] = {}  # what the statistics said last: leaf and fingerprint

    def happened(self, event: Event, *, at: float) -> list[Line]:
        """What there is to write because of that."""
        self.people.happened(event)
        match event:
            case Joined():
                return self._begin(at)
            case ParticipantJoined(participant=who) if not self.people.is_own(who):
                return [*self._end(who.leaf, at, "vanished"), self._come(who, at, was_here=False)]
            case ParticipantLeft(participant=who, reason=reason):
                return self._end(who.leaf, at, reason)
            case TrustChanged(participant=who):
                self._know(who)
            case AudioStats():
                self._spoke(event)
        return []

    def close(self, *, at: float) -> list[Line]:
        """This participant has left, so that is all that is known."""
        return [line for leaf in list(self._here) for line in self._end(leaf, at, "meeting_over")]

    def _begin(self, at: float) -> list[Line]:
        lines = self.close(at=at)
        return lines + [self._come(who, at, was_here=True) for who in self.people.others]

    def _come(self, who: Person, at: float, *, was_here: bool) -> Line:
        interval = self._here[who.leaf] = _Interval(who=who, joined=at, was_here=was_here)
        return interval.line()

    def _know(self, who: Person) -> None:
        """The last line of an interval says what was known at its end."""
        interval = self._here.get(who.leaf)
        if interval is not None and interval.who.fingerprint == who.fingerprint:
            interval.who = who

    def _end(self, leaf: int, at: float, reason: Reason) -> list[Line]:
        interval = self._here.pop(leaf, None)
        return [] if interval is None else [interval.line(left=at, reason=reason)]

    def _spoke(self, stats: AudioStats) -> None:
        """The statistics count on when someone comes back to the same place, or begin anew: what is added counts."""
        for stream in stats.streams:
            key = stream.leaf, stream.fingerprint
            interval = self._here.get(stream.leaf)
            if interval is not None and interval.who.fingerprint == stream.fingerprint:
                before = self._heard.get(key, 0.0)
                interval.spoke_s += stream.spoke_s - before if stream.spoke_s >= before else stream.spoke_s
        # Only of those the statistics still speak of: a room that people come and go in for days must not add up.
        self._heard = {(stream.leaf, stream.fingerprint): stream.spoke_s for stream in stats.streams}


def is_verified(who: Person) -> bool:
    """Whether somebody here has compared a code with this person. Having met them before is not enough."""
    return who.trust == "verified"


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
