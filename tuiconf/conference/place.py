"""Our place in the relay's order: which connection we are there, and up to where we have followed it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from relay_quic import wire
from tuiconf.identity.link import LinkKeys


class Return(enum.Enum):
    """How we are back in a room we have been in."""

    RESUMED = "resumed"  # as the connection we were: what was missed follows
    UNBROKEN = "unbroken"  # as a new connection, but no commit was missed
    TOO_LATE = "too_late"  # the room went on without us, further than the relay remembers
    NEW_ROOM = "new_room"  # the relay started anew: nothing it said before means anything


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Standing:
    """What the relay knows this connection by: what is needed to resume it."""

    connection: int
    token: bytes


class Place:
    """Where we are in the order of one incarnation of the room.

    `last_seq` is the last message we have followed, `last_commit` the last commit: what our own must name.
    """

    def __init__(self) -> None:
        self.last_seq = 0
        self.last_commit = 0
        self._incarnation = b""
        self._standing: _Standing | None = None
        self._replay_until = 0
        self._request = 0

    def enter(self, keys: LinkKeys) -> wire.Enter:
        """The first message of a connection, which resumes the one before if there was one."""
        resume = None
        if (standing := self._standing) is not None:
            resume = wire.Resume(
                incarnation=self._incarnation,
                connection=standing.connection,
                token=standing.token,
                after=self.last_seq,
            )
        return wire.Enter(room=keys.room_id, proof=keys.proof, resume=resume)

    def entered(self, message: wire.Entered) -> Return:
        """The relay let us in."""
        same_room = message.incarnation == self._incarnation
        nothing_missed = message.last_commit == self.last_commit
        self._incarnation = message.incarnation
        self._standing = _Standing(connection=message.connection, token=message.token)
        if message.resumed:
            self._replay_until = message.last_seq
            return Return.RESUMED
        self.last_seq, self.last_commit = message.last_seq, message.last_commit
        self._replay_until = 0
        if not same_room:
            return Return.NEW_ROOM
        return Return.UNBROKEN if nothing_missed else Return.TOO_LATE

    def forget_standing(self) -> None:
        """The relay ended this connection so that it cannot be resumed: the next one is new."""
        self._standing = None

    @property
    def replaying(self) -> bool:
        """Whether more of what was missed is to come."""
        return self.last_seq < self._replay_until

    def reached(self, seq: int, *, commit: bool) -> bool:
        """A message with this place; False: it was here before."""
        if seq <= self.last_seq:
            return False
        self.last_seq = seq
        if commit:
            self.last_commit = max(self.last_commit, seq)
        return True

    def next_request(self) -> int:
        """A number for the next request, which its answer repeats."""
        self._request = (self._request + 1) % (1 << 32)
        return self._request
