"""Members telling each other which connection at the relay is theirs, without which nobody can be seen to be gone.

Pure. Each member says so on joining and after a restart of the relay; who lets someone in adds what it knows of the
others. Whoever still does not know about someone calls the roll, and everyone answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from tuiconf.conference.attendance import Attendance
from tuiconf.conference.content import Presence, PresenceTable, RollCall
from tuiconf.conference.membership import Membership
from tuiconf.conference.outbox import Outbox

# What is to be said unasked is said by then. The roll is called well before anyone is taken for gone.
ROLL_CALL_S: Final = 5.0

# Members call the roll one after the other, so that one call serves all.
STAGGER_S: Final = 1.5
LONGEST_STAGGER_S: Final = 30.0

# Every member answers a roll call: each answer goes to everyone, so n members make n² messages.
ROLL_CALL_PAUSE_S: Final = 20.0
ANSWER_PAUSE_S: Final = 5.0

# So often the committer says something even where nobody speaks: whoever cannot open it has missed a commit, or is in
# a part of the group that the restart of a relay has split off, and would otherwise never find out.
HEARTBEAT_S: Final = 30.0


class Presences:
    """Our part in it."""

    def __init__(self, attendance: Attendance, outbox: Outbox) -> None:
        self._attendance = attendance
        self._outbox = outbox
        self._said_at = -math.inf
        self._call_at = math.inf

    def announce(self, membership: Membership, now: float) -> None:
        """Say which connection is ours. Said even to nobody when strangers are in the room: it shows them a group."""
        own = self._attendance.own
        if own is None:
            return
        membership.roster.name_connection(membership.own_leaf, own, epoch=membership.epoch)
        self._said_at, self._call_at = now, now + ROLL_CALL_S
        if len(membership.roster.by_leaf) > 1 or self._attendance.others():
            self._outbox.add_urgent(Presence(connection=own))

    def tell_newcomers(self, membership: Membership) -> None:
        """After letting someone in: where everybody is."""
        self._outbox.add_urgent(PresenceTable(entries=membership.roster.known_connections()))

    def forget(self, membership: Membership) -> None:
        """The relay started anew: what was to be said of connections is no longer true."""
        membership.roster.forget_connections()
        for kind in (Presence, PresenceTable):
            self._outbox.drop(kind)

    def correct(self, membership: Membership, entries: Iterable[tuple[int, int]], now: float) -> None:
        """Another member has said where everybody is: if it was wrong about us, say so."""
        own = (membership.own_leaf, self._attendance.own)
        if any(leaf == own[0] and connection != own[1] for leaf, connection in entries):
            self._answer(membership, now)

    def roll_called(self, membership: Membership, now: float) -> None:
        """A member wants to know where everybody is."""
        self._answer(membership, now)
        self._call_at = now + ROLL_CALL_PAUSE_S

    def _answer(self, membership: Membership, now: float) -> None:
        if now >= self._said_at + ANSWER_PAUSE_S:
            self.announce(membership, now)

    def due(self, membership: Membership, rank: int) -> float | None:
        """When we have something to say unasked; None: never. `rank` is ours among the committers, 0 for the first."""
        times = [self._roll_call_due(membership, rank)]
        times.append(self._said_at + HEARTBEAT_S if rank == 0 and self._attendance.others() else None)
        return min((time for time in times if time is not None), default=None)

    def speak(self, membership: Membership, rank: int, now: float) -> None:
        """Say what is due: ask all where they are, or where we are."""
        call_at = self._roll_call_due(membership, rank)
        if call_at is not None and now >= call_at:
            self._call_at = now + ROLL_CALL_PAUSE_S
            self._outbox.add_urgent(RollCall())
        elif (due := self.due(membership, rank)) is not None and now >= due:
            self.announce(membership, now)

    def _roll_call_due(self, membership: Membership, rank: int) -> float | None:
        """When it is our turn to call the roll; None when we know of everyone."""
        if all(who.connection is not None for who in membership.roster.by_leaf.values()):
            return None
        return self._call_at + min(STAGGER_S * rank, LONGEST_STAGGER_S)
