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
from tuiconf.conference.effects import Effect, Emit, Reconnect, Send
from tuiconf.conference.entering import Entering
from tuiconf.conference.events import Caller, LeftReason, Reconnecting, StatusChanged
from tuiconf.conference.following import Following
from tuiconf.conference.hosting import Hosting
from tuiconf.conference.membership import DEFAULT_RULES, Instant, Membership, Self
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.refusals import NotAllowed
from tuiconf.conference.state import Call, LinkState, Phase, failure
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.link import LinkKeys

__all__ = ["LinkState", "Phase", "Session"]

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
        self._entering = Entering(self._call, creator=creator, founder=founder, rules=rules)

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
        if self._call.phase is Phase.ENDED or self._call.lost_at is not None:
            return []
        self._call.lost_at = at.now
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
                return self._entering.entered(message, at)
            case wire.Ordered():
                return self._following.ordered(message, at)
            case wire.Accepted():
                return self._following.accepted(message, at)
            case wire.Refused():
                return self._following.refused(message, at)
            case wire.Welcome():
                return self._entering.welcomed(message, at)
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

    def _goodbye(self, message: wire.Goodbye) -> list[Effect]:
        if self._call.membership is None and (sentence := _FATAL_BEFORE_JOINING.get(message.reason)) is not None:
            return [failure(message.reason.value, sentence, fatal=True), *self._call.finish(LeftReason.FAILED)]
        if message.reason in (wire.GoodbyeCode.REPLACED, wire.GoodbyeCode.PROTOCOL):
            self._call.place.forget_standing()
        return [Reconnect()]

    def _noted(self, message: wire.Noted, at: Instant) -> list[Effect]:
        match self._call.reception.read(message):
            case content.Denied(reason=reason):
                return self._entering.denied(reason, at)
            case content.Knock() as knock:
                return self._call.reception.knocked(message.sender, knock, self._call.membership, at)
            case None:
                return []

    def handle_timer(self, at: Instant) -> list[Effect]:
        """Do what is due. Cheap when nothing is: call it at `next_timer`, and as often as one likes."""
        call = self._call
        if call.leave_by is not None and at.now >= call.leave_by:
            return call.finish(LeftReason.LEFT)
        if call.phase is Phase.ENDED or call.link_state is not LinkState.IN_ROOM:
            return []
        effects = self._entering.notice_stranding(at)
        effects += call.knock(at)
        if (alone_until := self._entering.solitude_due()) is not None and at.now >= alone_until:
            effects += self._entering.create(at)
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
            times += [call.knocking.next_at, self._entering.solitude_due(), self._entering.stranding_due()]
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
