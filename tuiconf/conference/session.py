"""The session: one participant's view of one room, as a state machine without I/O.

The shell calls `connected`, `disconnected`, `receive` and `handle_timer` with what happened and when, and the
user's commands (`say`, `leave`, `admit`, …); every one returns the effects to perform, in order. Two states run side
by side: the *link* to the relay, and the *phase* of the call. A member whose link is down is still a member.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from relay_quic import wire
from tuiconf.conference import content
from tuiconf.conference.commits import TAKE_OVER_S
from tuiconf.conference.effects import Effect, Emit, Reconnect, Send
from tuiconf.conference.events import Caller, LeftReason, Reconnected, Reconnecting, StatusChanged
from tuiconf.conference.following import Following
from tuiconf.conference.hosting import Hosting
from tuiconf.conference.membership import DEFAULT_RULES, Instant, Membership, Self
from tuiconf.conference.place import Return
from tuiconf.conference.policy import PolicyError, RoomRules
from tuiconf.conference.refusals import NotAllowed
from tuiconf.conference.roster import NotAPerson
from tuiconf.conference.rules import CommitForbidden, check_way_back
from tuiconf.conference.state import Call, LinkState, Phase, epoch_changed, failure
from tuiconf.crypto.mls import MlsError
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.link import LinkKeys

__all__ = ["LinkState", "Phase", "Session"]

# How long the oldest connection in a room waits to be let in before it concludes that nobody is there to do so
# and creates the group. As long as the engine may pause before it tries again to reach a relay that was restarted.
SOLITUDE_S: Final = 15.0

# After a restart of the relay nobody commits until the others had time to come back as well, and after a false
# alarm until they have said that they are here.
SETTLE_S: Final = 2.0

# How long one who leaves waits for the commit that removes them; then the relay's word must do.
LEAVE_S: Final = 1.5

# After these there is no point in trying again with the same link or at the same relay.
_FATAL_BEFORE_JOINING: Final[Mapping[wire.GoodbyeCode, str]] = {
    wire.GoodbyeCode.BAD_PROOF: "the relay did not accept the link",
    wire.GoodbyeCode.ROOM_FULL: "the room is full",
    wire.GoodbyeCode.RELAY_FULL: "the relay is full",
}


def _nobody(_fingerprint: str) -> bool:
    return False


class Session:
    """One participant in one room.

    `creator` says that this participant makes the room, with these `rules`: it does not wait for anybody to let it in.
    A `founder` made it once: it knocks, and where nobody is who could answer, it makes it again, as its host.
    `known(fingerprint)` is whether the user lets someone in unseen, besides those whom `me.judge` calls verified;
    asked often while somebody waits in the lobby.
    """

    def __init__(
        self,
        me: Self,
        keys: LinkKeys,
        *,
        creator: bool,
        founder: bool = False,
        rules: RoomRules = DEFAULT_RULES,
        known: Callable[[str], bool] = _nobody,
        recordable: bool = True,
    ) -> None:
        self._call = Call(me, keys, known=known, recordable=recordable)
        self._hosting = Hosting(self._call)
        self._following = Following(self._call, self._hosting)
        self._creator = creator
        self._hosts = creator or founder
        self._rules = rules
        self._lost_at: float | None = None  # `reconnecting` was told, and `reconnected` was not yet

    @property
    def phase(self) -> Phase:
        """Where the call is."""
        return self._call.phase

    @property
    def link_state(self) -> LinkState:
        """Where the connection to the relay is."""
        return self._call.link_state

    @property
    def membership(self) -> Membership | None:
        """The group as this participant has it; None while outside."""
        return self._call.membership

    @property
    def callers(self) -> tuple[Caller, ...]:
        """Those who wait to be let in, if that is ours to decide."""
        return self._call.callers.waiting() if self._call.phase is Phase.MEMBER else ()

    @property
    def waiting(self) -> tuple[tuple[bytes, Caller], ...]:
        """The same, each with the key they have proven to have."""
        return self._call.callers.waiting_keys() if self._call.phase is Phase.MEMBER else ()

    @property
    def status(self) -> content.Status:
        """How this participant is, as it tells the others."""
        return self._call.statuses.own

    def may_record(self, leaf: int) -> bool:
        """Whether what comes from this leaf may be written now.

        That is so once the relay has given our announcement its place, and they have said since that they agree.
        """
        membership = self._call.membership
        return membership is not None and self._call.statuses.may_record(membership, leaf)

    # --- what the shell tells

    def connected(self, at: Instant) -> list[Effect]:
        """A connection to the relay stands: ask to enter the room."""
        self._call.move_link(LinkState.ENTERING)
        return [Send(message=self._call.place.enter(self._call.keys))]

    def disconnected(self, at: Instant) -> list[Effect]:
        """The connection is gone, or could not be made; the shell tries again."""
        if self._call.link_state is not LinkState.OFFLINE:
            self._call.move_link(LinkState.OFFLINE)
        if self._call.phase is Phase.LEAVING:
            return self._call.finish(LeftReason.LEFT)
        if self._call.phase is Phase.ENDED or self._lost_at is not None:
            return []
        self._lost_at = at.now
        return [Emit(event=Reconnecting())]

    def receive(self, message: wire.RelayMessage, at: Instant) -> list[Effect]:
        """A message from the relay."""
        if self._call.phase is Phase.ENDED or self._call.link_state is LinkState.OFFLINE:
            return []
        if isinstance(message, wire.Goodbye):
            return self._goodbye(message)
        if (self._call.link_state is LinkState.ENTERING) is not isinstance(message, wire.Entered):
            return [failure("relay_order", "the relay answered out of order"), Reconnect()]
        effects = self._dispatch(message, at)
        self._call.attendance.settle(self._call.membership, at.now)
        if isinstance(message, wire.Gone) and message.left and self._call.membership is not None:
            self._call.attendance.will_not_return(self._call.membership, message.connection, at.now)
        return [*effects, *self._call.settle_lobby(at)]

    def _dispatch(self, message: wire.RelayMessage, at: Instant) -> list[Effect]:
        match message:
            case wire.Entered():
                return self._entered(message, at)
            case wire.Ordered():
                return self._following.ordered(message, at)
            case wire.Accepted():
                return self._following.accepted(message, at)
            case wire.Refused():
                return self._following.refused(message, at)
            case wire.Welcome():
                return self._welcomed(message, at)
            case wire.Noted():
                return self._noted(message, at)
            case wire.Came(connection=connection):
                self._call.attendance.came(connection)
                self._call.knocking.hasten(at.now)
            case wire.Gone(connection=connection):
                self._call.attendance.connections.discard(connection)
                self._call.commits.door.gone(connection)
            case wire.Goodbye():
                pass
        return []

    def handle_timer(self, at: Instant) -> list[Effect]:
        """Do what is due. Cheap when nothing is: call it at `next_timer`, and as often as one likes."""
        call = self._call
        if call.leave_by is not None and at.now >= call.leave_by:
            return call.finish(LeftReason.LEFT)
        if call.phase is Phase.ENDED or call.link_state is not LinkState.IN_ROOM:
            return []
        effects = self._notice_stranding(at)
        effects += call.knock(at)
        if (alone_until := self._solitude_due()) is not None and at.now >= alone_until:
            effects += self._create(at)
        if (presence := self._presence_due()) is not None and at.now >= presence:
            call.presences.speak(call.member, call.commits.rank(call.member), at.now)
        if (status := self._status_due()) is not None and at.now >= status:
            call.statuses.speak(call.member, at.now)
        effects += call.flush(at)
        effects += self._following.commit_if_due(at)
        return effects + call.settle_lobby(at)

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do next, in the shell's monotonic seconds; None: nothing waits."""
        call = self._call
        times = [call.leave_by]
        if call.link_state is LinkState.IN_ROOM and call.phase is not Phase.ENDED:
            times += [call.knocking.next_at, self._solitude_due(), self._stranding_due()]
            times += [self._following.commit_due(), self._presence_due(), self._status_due()]
            times.append(call.say_after if call.may_speak and call.outbox.ready else None)
        return min((time for time in times if time is not None), default=None)

    def _presence_due(self) -> float | None:
        """When we say where we are, or ask where the others are."""
        return self._call.presences.due() if self._call.may_speak else None

    def _status_due(self) -> float | None:
        """When we say how we are."""
        if not self._call.may_speak or (due := self._call.statuses.due()) == math.inf:
            return None
        return due

    # --- what the user asks

    def expire(self, at: Instant) -> None:
        """Delete the keys that are of no use any more. To be called about once a second."""
        self._call.knocking.expire(at.now)
        if self._call.membership is not None:
            self._call.membership.expire(at)

    @property
    def unsaid(self) -> bool:
        """Whether something is still on its way to the relay that leaving now would lose."""
        return self._call.may_speak and len(self._call.outbox) > 0

    def say(self, text: str, at: Instant) -> list[Effect]:
        """Send a line of chat to everyone in the group; it is kept until the relay has taken it.

        Raises:
            LocalProtocolError: it is empty, too long or not text, or too much is waiting.
        """
        if not self._call.outbox.add(self._call.chat.line(text, unix=at.unix)):
            raise LocalProtocolError("too many chat lines are waiting to be sent")
        return self._call.flush(at)

    def set_status(
        self,
        at: Instant,
        *,
        muted: bool | None = None,
        hand: bool | None = None,
        recording: bool | None = None,
        recordable: bool | None = None,
    ) -> list[Effect]:
        """Tell the others how we are; None is as before. `RecordingAnnounced` follows when they know that we record.

        Raises:
            NotInCall: nobody outside can record.
            NotAllowed: the room does not let us record.
        """
        if recording and not self._call.in_call.may_record:
            raise NotAllowed("recording is not allowed in this room")
        asked = {"muted": muted, "hand": hand, "recording": recording, "recordable": recordable}
        status = msgspec.structs.replace(self.status, **{key: on for key, on in asked.items() if on is not None})
        if status == self.status:
            return []
        self._call.statuses.change(status, at.now)
        if (membership := self._call.membership) is None or self._call.phase is not Phase.MEMBER:
            return []
        membership.set_status(status)
        return [Emit(event=StatusChanged(participant=membership.me)), *self.handle_timer(at)]

    def admit(self, ref: str, at: Instant) -> list[Effect]:
        """Let in someone who waits in the lobby.

        Raises:
            NotInCall, NotAllowed: we are not in the call, it is not for us to decide, or the room is locked.
            NoSuchCaller: nobody of that reference waits.
        """
        self._hosting.admit(ref, at)
        return self.handle_timer(at)

    def deny(self, ref: str, at: Instant) -> list[Effect]:
        """Take someone who waits out of everybody's lobby, for ten minutes, and tell them.

        Raises:
            NotInCall, NotAllowed: we are not in the call, or it is not for us to decide.
            NoSuchCaller: nobody of that reference waits.
        """
        return [*self._hosting.deny(ref, at), *self.handle_timer(at)]

    def remove(self, leaf: int, at: Instant) -> list[Effect]:
        """Remove a participant.

        Raises:
            NotInCall, NotAllowed: we are not in the call, or have no right to remove them.
            NoSuchParticipant: nobody else is there.
        """
        self._hosting.remove(leaf, at)
        return self.handle_timer(at)

    def lock(self, locked: bool, at: Instant) -> list[Effect]:
        """Let nobody in any more, or again, as host; `PolicyChanged` follows when it is so.

        Raises:
            NotInCall, NotAllowed: we are not in the call, or no host.
        """
        self._hosting.lock(locked, at)
        return self.handle_timer(at)

    def set_lobby(self, lobby: str, at: Instant) -> list[Effect]:
        """Say who has to wait (`policy.Lobby`), as host; `PolicyChanged` follows when it is so.

        Raises:
            NotInCall, NotAllowed: we are not in the call, or no host.
            RulesRefused: there is no such choice.
        """
        self._hosting.set_lobby(lobby, at)
        return self.handle_timer(at)

    def hand_over(self, leaf: int, at: Instant, *, stay: bool = False) -> list[Effect]:
        """Make a participant host in our place, or with `stay` beside us; `PolicyChanged` follows when it is so.

        Raises:
            NotInCall, NotAllowed: we are not in the call, no host, or there are too many hosts.
            NoSuchParticipant: nobody else is there.
        """
        self._hosting.hand_over(leaf, at, stay=stay)
        return self.handle_timer(at)

    def request_mute(self, leaf: int, at: Instant) -> list[Effect]:
        """Ask a participant to mute, as host; their user decides.

        Raises:
            NotInCall, NotAllowed: we are not in the call, or no host.
            NoSuchParticipant: nobody else is there.
        """
        self._hosting.request_mute(leaf, at)
        return self.handle_timer(at)

    def leave(self, at: Instant) -> list[Effect]:
        """Leave: ask the others for the commit that ends our membership, and go when it is there, or soon."""
        if self._call.phase in (Phase.LEAVING, Phase.ENDED):
            return []
        membership = self._call.membership
        alone = self._call.attendance.others() == 0 or membership is None or len(membership.roster.by_leaf) == 1
        if self._call.phase is Phase.OUTSIDE or alone or self._call.link_state is not LinkState.IN_ROOM:
            return self._call.finish(LeftReason.LEFT)
        self._call.move(Phase.LEAVING)
        self._call.leave_by = at.now + LEAVE_S
        return self._call.propose_leaving()

    # --- entering

    def _entered(self, message: wire.Entered, at: Instant) -> list[Effect]:
        self._call.move_link(LinkState.IN_ROOM)
        how = self._call.place.entered(message)
        self._call.attendance.entered(message.connection, message.connections)
        # A relay that started anew gives the numbers it had given to others.
        self._call.commits.door.keep(set() if how is Return.NEW_ROOM else self._call.attendance.connections)
        self._call.entered_at = at.now
        self._call.away_s = at.now - self._lost_at if self._lost_at is not None else 0.0
        self._call.catching_up = how is Return.RESUMED
        if self._call.membership is None:
            return self._arrive(at)
        return self._come_back(self._call.membership, how, at)

    def _arrive(self, at: Instant) -> list[Effect]:
        """Not a member: the room's creator makes the group, everyone else knocks."""
        if self._creator:
            return self._create(at)
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
            return self._notice_stranding(at) + self._call.knock(at)
        if how is Return.NEW_ROOM:
            self._call.presences.forget(membership)
            self._call.commits.hold(at.now + SETTLE_S)
        self._call.presences.announce(membership, at.now)
        return [*self._back_online(), *self._call.flush(at)]

    def _back_online(self) -> list[Effect]:
        if self._lost_at is None or self._call.stranding.cut_off:
            return []
        self._lost_at = None
        return [Emit(event=Reconnected(epoch=self._call.member.epoch, rejoined=False))]

    def _goodbye(self, message: wire.Goodbye) -> list[Effect]:
        if self._call.membership is None and (sentence := _FATAL_BEFORE_JOINING.get(message.reason)) is not None:
            return [failure(message.reason.value, sentence, fatal=True), *self._call.finish(LeftReason.FAILED)]
        if message.reason in (wire.GoodbyeCode.REPLACED, wire.GoodbyeCode.PROTOCOL):
            self._call.place.forget_standing()
        return [Reconnect()]

    # --- knocking, and being let in

    def _solitude_due(self) -> float | None:
        """When the oldest connection in the room creates the group."""
        if self._call.phase is not Phase.OUTSIDE or not self._call.attendance.is_oldest():
            return None
        return self._call.entered_at + SOLITUDE_S

    def _create(self, at: Instant) -> list[Effect]:
        """Start the group: as its creator, or because nobody is here who could let us in."""
        return self._become_member(Membership.create(self._call.me, at, host=self._hosts, room=self._rules), at)

    def _welcomed(self, message: wire.Welcome, at: Instant) -> list[Effect]:
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
        membership.set_status(self.status)
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
        self._lost_at = None
        self._call.knocking.stop()
        self._call.stranding.keeping_up()
        self._call.commits.door.withdraw(membership.roster.keys)
        self._call.commits.hold(at.now + TAKE_OVER_S if len(membership.roster.by_leaf) > 1 else at.now)
        self._call.commits.epoch_began(membership)
        self._call.presences.entered(membership, at.now)
        self._call.statuses.entered(at.now)
        keys = membership.install_keys(removal=before is not None, new_group=new_group)
        return [keys, *told, *self._call.flush(at)]

    # --- notes

    def _noted(self, message: wire.Noted, at: Instant) -> list[Effect]:
        match self._call.reception.read(message):
            case content.Denied(reason=reason):
                return self._denied(reason, at)
            case content.Knock() as knock:
                return self._call.reception.knocked(message.sender, knock, self._call.membership, at)
            case None:
                return []

    def _denied(self, reason: str, at: Instant) -> list[Effect]:
        """A note says that we are not let in. Whoever has the link can write one, so we go on waiting."""
        if not self._call.knocking.active or self._call.knocking.refused:
            return []
        self._call.knocking.deny(at.now)
        if reason == content.NOT_WANTED:
            return [failure("denied", "someone in the call does not want to let you in; still waiting")]
        return [failure("denied", "the room did not take the knock: check this machine's clock, and the version")]

    # --- who is there, and whether we are

    def _stranding_due(self) -> float | None:
        if self._call.phase is not Phase.MEMBER:
            return None
        return self._call.stranding.due(knocking=self._call.knocking.active)

    def _notice_stranding(self, at: Instant) -> list[Effect]:
        """A commit was missed and did not come: knock, and stay the member we were until we are welcomed."""
        due = self._stranding_due()
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
