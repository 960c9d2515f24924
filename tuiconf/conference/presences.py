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
from tuiconf.conference.roster import TableEntry

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
    """Our part in it. What is due is decided when it is due: the shell asks `due` at every tick, in rooms of 1,000."""

    def __init__(self, attendance: Attendance, outbox: Outbox) -> None:
        self._attendance = attendance
        self._outbox = outbox
        self._said_at = -math.inf
        self._call_at = math.inf
        self._our_turn = False  # to call the roll: those before us have had theirs
        self._heartbeat_at = math.inf
        self._asked_since_when = False  # who has been here since when: asked for once, if the table did not come

    def entered(self, membership: Membership, now: float) -> None:
        """We are in the group, for the first time or anew."""
        self._asked_since_when = False
        self.announce(membership, now)

    def announce(self, membership: Membership, now: float) -> None:
        """Say which connection is ours. Said even to nobody when strangers are in the room: it shows them a group."""
        own = self._attendance.own
        if own is None:
            return
        membership.roster.name_connection(membership.own_leaf, own, epoch=membership.epoch)
        self._said_at, self._heartbeat_at = now, now + HEARTBEAT_S
        self._call_after(now, ROLL_CALL_S)
        if len(membership.roster.by_leaf) > 1 or self._attendance.others():
            self._outbox.add_urgent(Presence(connection=own))

    def tell_newcomers(self, membership: Membership) -> None:
        """After letting someone in: where everybody is."""
        self._outbox.add_urgent(PresenceTable(entries=membership.roster.table()))

    def forget(self, membership: Membership) -> None:
        """The relay started anew: what was to be said of connections is no longer true."""
        membership.roster.forget_connections()
        for kind in (Presence, PresenceTable):
            self._outbox.drop(kind)

    def correct(self, membership: Membership, entries: Iterable[TableEntry], now: float) -> None:
        """Another member has said where everybody is: if it was wrong about us, say so."""
        own_leaf, own = membership.own_leaf, self._attendance.own
        if any(leaf == own_leaf and connection not in (None, own) for leaf, connection, _ in entries):
            self._answer(membership, now)

    def roll_called(self, membership: Membership, rank: int, now: float) -> None:
        """A member wants to know where everybody is, and, of the committer, since when."""
        if now >= self._said_at + ANSWER_PAUSE_S and rank == 0:
            self.tell_newcomers(membership)
        self._answer(membership, now)
        self._asked_since_when = True
        self._call_after(now, ROLL_CALL_PAUSE_S)

    def due(self) -> float:
        """When `speak` is to be called next."""
        return min(self._call_at, self._heartbeat_at)

    def speak(self, membership: Membership, rank: int, now: float) -> None:
        """Say what is due: where we are, or ask where all are. `rank` is ours among the committers, 0 the first."""
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + HEARTBEAT_S
            if rank == 0 and self._attendance.others():
                self.announce(membership, now)
        if now < self._call_at:
            return
        untold = not (self._asked_since_when or membership.roster.is_complete)
        if not untold and all(who.connection is not None for who in membership.roster.by_leaf.values()):
            self._call_after(now, ROLL_CALL_PAUSE_S)
        elif self._our_turn or rank == 0:
            self._asked_since_when = True
            self._outbox.add_urgent(RollCall())
            self._call_after(now, ROLL_CALL_PAUSE_S)
        else:
            self._call_at, self._our_turn = now + min(STAGGER_S * rank, LONGEST_STAGGER_S), True

    def _call_after(self, now: float, seconds: float) -> None:
        self._call_at, self._our_turn = now + seconds, False

    def _answer(self, membership: Membership, now: float) -> None:
        if now >= self._said_at + ANSWER_PAUSE_S:
            self.announce(membership, now)
