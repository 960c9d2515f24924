"""Coming into the room and into its group, and coming back to both: knocked, welcomed, alone, or cut off. Pure."""

from __future__ import annotations

from typing import Final

from relay_quic import wire
from tuiconf.conference import content
from tuiconf.conference.commits import TAKE_OVER_S
from tuiconf.conference.effects import Effect, Emit
from tuiconf.conference.events import Reconnected
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.place import Return
from tuiconf.conference.policy import PolicyError, RoomRules
from tuiconf.conference.roster import NotAPerson
from tuiconf.conference.rules import CommitForbidden, check_way_back
from tuiconf.conference.state import Call, LinkState, Phase, epoch_changed, failure
from tuiconf.crypto.mls import MlsError

# How long the oldest connection in a room waits to be let in before it concludes that nobody is there to do so
# and creates the group. As long as the engine may pause before it tries again to reach a relay that was restarted.
SOLITUDE_S: Final = 15.0

# After a restart of the relay nobody commits until the others had time to come back as well, and after a false
# alarm until they have said that they are here.
SETTLE_S: Final = 2.0


class Entering:
    """`creator` and `founder` as for `Session`, with the `rules` of the room that they make."""

    def __init__(self, call: Call, *, creator: bool, founder: bool, rules: RoomRules) -> None:
        self._call = call
        self._creator = creator
        self._hosts = creator or founder
        self._rules = rules

    def entered(self, message: wire.Entered, at: Instant) -> list[Effect]:
        """The relay has let us into the room."""
        self._call.move_link(LinkState.IN_ROOM)
        how = self._call.place.entered(message)
        self._call.attendance.entered(message.connection, message.connections)
        # A relay that started anew gives the numbers it had given to others.
        self._call.commits.door.keep(set() if how is Return.NEW_ROOM else self._call.attendance.connections)
        self._call.entered_at = at.now
        self._call.away_s = at.now - self._call.lost_at if self._call.lost_at is not None else 0.0
        self._call.catching_up = how is Return.RESUMED
        if self._call.membership is None:
            return self._arrive(at)
        return self._come_back(self._call.membership, how, at)

    def _arrive(self, at: Instant) -> list[Effect]:
        """Not a member: the room's creator makes the group, everyone else knocks."""
        if self._creator:
            return self.create(at)
        if not self._call.knocking.active:
            self._call.knocking.begin(at)
        return [*self._call.knock(at), *self._call.caught_up(at)]

    def _come_back(self, membership: Membership, how: Return, at: Instant) -> list[Effect]:
        if how is Return.RESUMED:
            return [*self._back_online(), *self._call.caught_up(at)]
        self._call.commits.pending = None
        self._call.outbox.resend()
        if how is Return.TOO_LATE:
            self._call.stranding.cut(room_went_on=True)
            return self.notice_stranding(at) + self._call.knock(at)
        if how is Return.NEW_ROOM:
            self._call.presences.forget(membership)
            self._call.commits.hold(at.now + SETTLE_S)
        self._call.presences.announce(membership, at.now)
        return [*self._back_online(), *self._call.flush(at)]

    def _back_online(self) -> list[Effect]:
        if self._call.lost_at is None or self._call.stranding.cut_off:
            return []
        self._call.lost_at = None
        return [Emit(event=Reconnected(epoch=self._call.member.epoch, rejoined=False))]

    def solitude_due(self) -> float | None:
        """When the oldest connection in the room creates the group."""
        if self._call.phase is not Phase.OUTSIDE or not self._call.attendance.is_oldest():
            return None
        return self._call.entered_at + SOLITUDE_S

    def create(self, at: Instant) -> list[Effect]:
        """Start the group: as its creator, or because nobody is here who could let us in."""
        return self._become_member(Membership.create(self._call.me, at, host=self._hosts, room=self._rules), at)

    def welcomed(self, message: wire.Welcome, at: Instant) -> list[Effect]:
        """Someone has added us to the group, or says so."""
        self._call.place.reached(message.seq, commit=True)
        effects: list[Effect] = []
        if self._call.phase is Phase.OUTSIDE or (self._call.phase is Phase.MEMBER and self._wants_welcome()):
            effects = self._try_welcome(message.data, at)
        return [*effects, *self._call.caught_up(at)]

    def _wants_welcome(self) -> bool:
        """Whether a member has use for one. Where there is no host it may have knocked at a lobby some time ago."""
        return self._call.knocking.active or not self._call.member.policy.hosts

    def _try_welcome(self, data: bytes, at: Instant) -> list[Effect]:
        try:
            membership = self._call.knocking.join(data, at)
            if self._call.membership is not None:
                went_on = self._call.stranding.room_went_on
                check_way_back(self._call.membership, membership, gone=self._call.is_gone, room_went_on=went_on)
        except (MlsError, PolicyError, NotAPerson, CommitForbidden) as error:
            self._call.knocking.spoiled(at)
            return [failure(error.code, "a welcome was refused: it is forged, damaged, or meant for another")]
        return self._become_member(membership, at)

    def _become_member(self, membership: Membership, at: Instant) -> list[Effect]:
        before = self._call.membership
        new_group = before is None or before.group_id != membership.group_id
        membership.set_status(self._call.statuses.own)
        membership.meet(membership.roster.by_leaf.values(), at)
        told: list[Effect]
        if before is None:
            told = [Emit(event=membership.joined_event())]
        else:
            membership.return_to(before)
            told = [
                Emit(event=epoch_changed(membership)),
                *(Emit(event=event) for event in membership.changes_since(before, gone=self._call.is_gone)),
                Emit(event=Reconnected(epoch=membership.epoch, rejoined=True)),
            ]
        if self._call.phase is Phase.OUTSIDE:
            self._call.move(Phase.MEMBER)
        self._call.membership = membership
        self._call.lost_at = None
        self._call.knocking.stop()
        self._call.stranding.keeping_up()
        self._call.commits.door.withdraw(membership.roster.keys)
        self._call.commits.hold(at.now + TAKE_OVER_S if len(membership.roster.by_leaf) > 1 else at.now)
        self._call.commits.epoch_began(membership)
        self._call.presences.entered(membership, at.now)
        self._call.statuses.entered(at.now)
        keys = membership.install_keys(removal=before is not None, new_group=new_group)
        return [keys, *told, *self._call.flush(at)]

    def denied(self, reason: str, at: Instant) -> list[Effect]:
        """A note says that we are not let in. Whoever has the link can write one, so we go on waiting."""
        if not self._call.knocking.active or self._call.knocking.refused:
            return []
        self._call.knocking.deny(at.now)
        if reason == content.NOT_WANTED:
            return [failure("denied", "someone in the call does not want to let you in; still waiting")]
        return [failure("denied", "the room did not take the knock: check this machine's clock, and the version")]

    def stranding_due(self) -> float | None:
        """When a commit that was missed has not come."""
        if self._call.phase is not Phase.MEMBER:
            return None
        return self._call.stranding.due(knocking=self._call.knocking.active)

    def notice_stranding(self, at: Instant) -> list[Effect]:
        """A commit was missed and did not come: knock, and stay the member we were until we are welcomed."""
        due = self.stranding_due()
        if due is None or at.now < due:
            return []
        if not self._call.knocking.active:
            self._call.knocking.begin(at)
            return []
        self._call.knocking.stop()
        self._call.stranding.false_alarm(at.now)
        self._call.commits.hold(at.now + SETTLE_S)
        self._call.presences.announce(self._call.member, at.now)  # which withdraws our knock at the others'
        return self._call.flush(at)
