"""How the members are: muted, a hand raised, recording, willing to be recorded; told by themselves. Pure.

Each says its own on change, on coming when it is not the default, to newcomers, and in answer to whoever begins to
record: what is not known cannot be recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from tuiconf.conference.content import NOTHING_SAID, Status
from tuiconf.conference.events import Event, RecordingAnnounced
from tuiconf.conference.membership import Membership
from tuiconf.conference.outbox import Outbox

# Whoever mutes and unmutes with every sentence is heard twice a second at most; the last word counts.
SAY_PAUSE_S: Final = 0.5

# Every member answers one who begins to record, so n members make n² messages: as often as a roll call is answered.
ANSWER_PAUSE_S: Final = 5.0

# Members answer one after the other, by leaf: a thousand answers at once would be 200 MB for the relay to send. Longer,
# and those at the end are recorded later.
ANSWER_SPREAD_S: Final = 0.01

# Up to here newcomers are also told who is merely muted; in a larger room that is everybody.
SMALL_ROOM: Final = 32


class Statuses:
    """Our own status, when to say it next, and who has said that they may be recorded since we said that we do."""

    def __init__(self, outbox: Outbox, own: Status) -> None:
        self._outbox = outbox
        self.own = own
        self._said_at = -math.inf
        self._say_at = math.inf
        self._to_announce = False  # we record, and whoever asked for it waits for its announcement
        self._announced = False  # the others have been told that we record
        self._willing: set[bytes] = set()  # by key

    def change(self, own: Status, now: float) -> None:
        """We are different now."""
        self._to_announce = own.recording and (self._to_announce or not self.own.recording)
        self.own = own
        self._say(max(now, self._said_at + SAY_PAUSE_S))

    def entered(self, now: float) -> None:
        """We are in the group, for the first time or anew: nothing of ours is known there."""
        self._announced, self._to_announce = False, self.own.recording
        self._willing.clear()
        if self.own != NOTHING_SAID:
            self._say(now)

    def others_came(self, membership: Membership, now: float) -> None:
        """Newcomers take everyone to be as the default is."""
        own, small = self.own, len(membership.roster.by_leaf) <= SMALL_ROOM
        if own.hand or own.recording or not own.recordable or (own.muted and small):
            self._say(max(now, self._said_at + SAY_PAUSE_S))

    def answer(self, own_leaf: int, now: float) -> None:
        """Someone records who did not: they need our word."""
        self._say(max(now + ANSWER_SPREAD_S * own_leaf, self._said_at + ANSWER_PAUSE_S))

    def due(self) -> float:
        """When `speak` is to be called next."""
        return self._say_at

    def speak(self, membership: Membership, now: float) -> None:
        """Say what is due. To nobody there is nothing to say, but that one records has to be known to begin."""
        if now < self._say_at:
            return
        self._say_at = math.inf
        if len(membership.roster.by_leaf) > 1 or self.own.recording:
            self._said_at = now
            self._outbox.add_urgent(self.own)

    def placed(self, said: Status) -> list[Event]:
        """What we said has its place in the order: whoever speaks from now on has been told."""
        self._announced = said.recording
        if not said.recording:
            self._willing.clear()
            return []
        announcing, self._to_announce = self._to_announce and self.own.recording, False
        return [RecordingAnnounced()] if announcing else []

    def heard(self, key: bytes, status: Status) -> None:
        """A member's word, after ours if ours has its place."""
        if self._announced and status.recordable:
            self._willing.add(key)
        else:
            self._willing.discard(key)

    def forget(self, keys: Iterable[bytes]) -> None:
        """These went, or came anew: what they said is over."""
        self._willing.difference_update(keys)

    def may_record(self, membership: Membership, leaf: int) -> bool:
        """Whether what comes from this leaf may be written: the room allows it, all were told, and they agree."""
        who = membership.roster.by_leaf.get(leaf)
        if who is None or not (self._announced and self.own.recording and membership.may_record):
            return False
        return self.own.recordable if leaf == membership.own_leaf else who.key in self._willing

    def _say(self, at: float) -> None:
        self._say_at = min(self._say_at, at)
