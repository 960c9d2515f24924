"""What our user may do to others and to the room, by the room's policy: who is let in, removed, asked to mute. Pure.

Who comes, goes and may do what changes by commits only, so nothing of it can be played back: a commit is of one epoch.
What is said (`Deny`, `MuteRequest`) counts in the epoch it was sealed in, and is said again when that was over.
"""

from __future__ import annotations

from typing import Final

from tuiconf.conference import content
from tuiconf.conference.callers import caller_ref
from tuiconf.conference.effects import Effect, Emit
from tuiconf.conference.events import MuteRequested
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.policy import MAX_HOSTS, Lobby, RulesRefused
from tuiconf.conference.refusals import NoSuchParticipant, NotAllowed
from tuiconf.conference.roster import Participant
from tuiconf.conference.state import Call
from tuiconf.errors import LocalProtocolError

# A host who asks again and again is heard so often: enough to be noticed, too rarely to be a weapon.
MUTE_REQUEST_PAUSE_S: Final = 2.0


class Hosting:
    """The commands of those who have rights, and what such commands of others do to us."""

    def __init__(self, call: Call) -> None:
        self._call = call

    # --- what our user wants

    def admit(self, ref: str, at: Instant) -> None:
        """Let someone in who waits."""
        membership = self._call.in_call
        _require(membership.may_admit, "only those with the right to admit can let someone in")
        if membership.policy.locked:
            raise NotAllowed("the room is locked: unlock it to let someone in")
        self._call.callers.admit(ref, at.now)

    def deny(self, ref: str, at: Instant) -> list[Effect]:
        """Do not want someone who waits. They are told, though by a note that whoever has the link could write."""
        _require(self._call.in_call.may_admit, "only those with the right to admit can deny someone")
        connections = self._call.callers.deny(ref, at.now)
        self._say(content.Deny(ref=ref))
        return [self._call.reception.denial(connection) for connection in sorted(connections)]

    def remove(self, leaf: int, at: Instant) -> None:
        """Remove a participant."""
        membership = self._call.in_call
        policy = membership.policy
        _require(policy.gives(policy.remove, membership.own_key), "only those with the right to remove can do that")
        who = _other(membership, leaf)
        _require(membership.may_remove(leaf), "only a host can remove a host")
        self._call.commits.kick(who.key, at.now)

    def lock(self, locked: bool, at: Instant) -> None:
        """Let nobody in any more, or again."""
        _require(self._call.in_call.is_host, "only a host can lock the room")
        wishes = self._call.commits.wishes
        wishes.locked, wishes.since = locked, at.now
        self._settle_wishes()

    def set_lobby(self, lobby: str, at: Instant) -> None:
        """Who has to wait from now on."""
        _require(self._call.in_call.is_host, "only a host can change the lobby")
        if lobby not in tuple(Lobby):
            raise RulesRefused(f"a room's lobby is one of: {', '.join(Lobby)}")
        wishes = self._call.commits.wishes
        wishes.lobby, wishes.since = Lobby(lobby), at.now
        self._settle_wishes()

    def hand_over(self, leaf: int, at: Instant, *, stay: bool) -> None:
        """Make someone host, and stay host beside them or not."""
        membership = self._call.in_call
        _require(membership.is_host, "only a host can hand over")
        who = _other(membership, leaf)
        if stay and len(membership.policy.hosts) >= MAX_HOSTS:
            raise NotAllowed(f"a room can have {MAX_HOSTS} hosts at most")
        wishes = self._call.commits.wishes
        wishes.heir, wishes.staying_host, wishes.since = who.key, stay, at.now
        self._settle_wishes()

    def request_mute(self, leaf: int, at: Instant) -> None:
        """Ask someone to mute."""
        membership = self._call.in_call
        _require(membership.is_host, "only a host can ask someone to mute")
        self._say(content.MuteRequest(key=_other(membership, leaf).key))

    def _settle_wishes(self) -> None:
        """What is so already needs no commit."""
        membership = self._call.in_call
        self._call.commits.wishes.settle(membership.policy, membership.own_key, membership.roster.keys)

    def _say(self, command: content.OfItsEpoch) -> None:
        if not self._call.outbox.add_command(command):
            raise LocalProtocolError("too much is waiting to be sent")

    # --- what others want of us

    def denied(self, said: content.Deny, by: Participant, epoch: int, at: Instant) -> None:
        """A member says that one who waits is not wanted."""
        membership = self._call.member
        policy = membership.policy
        if epoch != membership.epoch or not policy.gives(policy.admit, by.key):
            return
        if said.ref not in map(caller_ref, membership.roster.keys):
            self._call.callers.denied(said.ref, at.now)

    def asked_to_mute(self, said: content.MuteRequest, by: Participant, epoch: int, at: Instant) -> list[Effect]:
        """A member asks someone to mute, perhaps us."""
        membership, call = self._call.member, self._call
        if epoch != membership.epoch or by.key not in membership.policy.hosts or said.key != membership.own_key:
            return []
        if at.now < call.mute_requests_after:
            return []
        call.mute_requests_after = at.now + MUTE_REQUEST_PAUSE_S
        return [Emit(event=MuteRequested(by=membership.person(by)))]


def _require(allowed: bool, otherwise: str) -> None:
    if not allowed:
        raise NotAllowed(otherwise)


def _other(membership: Membership, leaf: int) -> Participant:
    who = membership.roster.by_leaf.get(leaf)
    if who is None or leaf == membership.own_leaf:
        raise NoSuchParticipant("there is no such participant")
    return who
