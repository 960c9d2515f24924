"""Who else is in the call, followed through its events. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuiconf.control.events import Event, Joined, ParticipantJoined, ParticipantLeft, Person, TrustChanged


class People:
    """Everyone but this participant, by leaf."""

    def __init__(self) -> None:
        self._own = ""
        self._others: dict[int, Person] = {}

    @property
    def others(self) -> tuple[Person, ...]:
        """Those who are here now."""
        return tuple(self._others.values())

    def happened(self, event: Event) -> None:
        """To be told everything."""
        match event:
            case Joined(me=me, participants=participants):
                self._own = me.fingerprint
                self._others = {who.leaf: who for who in participants if not self.is_own(who)}
            case ParticipantJoined(participant=who) if not self.is_own(who):
                self._others[who.leaf] = who
            case ParticipantLeft(participant=who):
                self._others.pop(who.leaf, None)
            case TrustChanged(participant=who) if who.leaf in self._others:
                self._others[who.leaf] = who

    def is_own(self, who: Person) -> bool:
        """Whether that is this participant: under whatever leaf, as it changes when the group had to be joined anew."""
        return who.fingerprint == self._own

    def corrected(self, roster: Sequence[Person], *, epoch: int) -> list[Event]:
        """What must have happened while events were missed, if this is who is here."""
        now = {who.leaf: who for who in roster if not self.is_own(who)}
        before = self._others
        return [
            *(ParticipantLeft(participant=who, epoch=epoch, reason="left") for who in _missing(before, now)),
            *(ParticipantJoined(participant=who, epoch=epoch) for who in _missing(now, before)),
            *(TrustChanged(participant=who) for who in now.values() if _known_otherwise(who, before.get(who.leaf))),
        ]


def _known_otherwise(now: Person, before: Person | None) -> bool:
    return before is not None and before.fingerprint == now.fingerprint and before.trust != now.trust


def _missing(those: Mapping[int, Person], among: Mapping[int, Person]) -> list[Person]:
    """Who is not there, or whose place is somebody else's."""
    return [who for leaf, who in those.items() if leaf not in among or among[leaf].fingerprint != who.fingerprint]
