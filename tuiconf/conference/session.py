"""The session: one participant's view of one room, as a state machine without I/O.

The shell calls `connected`, `disconnected`, `receive` and `handle_timer` with what happened and when, and the
commands `say`, `remove` and `leave`; every one returns the effects to perform, in order. Two states run side by
side: the *link* to the relay, and the *phase* of the call. A member whose link is down is still a member.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from relay_quic import wire
from tuiconf.conference import content
from tuiconf.conference.attendance import VANISH_S, Attendance
from tuiconf.conference.chat import ChatLog
from tuiconf.conference.commits import BATCH_S, RETRY_S, TAKE_OVER_S, Commits, Pending
from tuiconf.conference.effects import Effect, Emit, Finish, Reconnect, Send
from tuiconf.conference.events import (
    ChatReceived,
    CommitRefused,
    EpochChanged,
    Failed,
    LeftReason,
    Reconnected,
    Reconnecting,
    Waiting,
)
from tuiconf.conference.knocking import FIRST_PAUSE_S, Knocking
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.conference.order import Missed, Opened, open_ordered
from tuiconf.conference.outbox import Outbox
from tuiconf.conference.place import Place, Return
from tuiconf.conference.policy import CommitForbidden, PolicyError, check_way_back
from tuiconf.conference.presences import Presences
from tuiconf.conference.reception import Reception
from tuiconf.conference.roster import NotAPerson
from tuiconf.conference.stranding import Stranding
from tuiconf.crypto.mls import Application, MlsError, ProposalReceived, Remove, Staged
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.link import LinkKeys

# How long the oldest connection in a room waits to be let in before it concludes that nobody is there to do so
# and creates the group. As long as the engine may pause before it tries again to reach a relay that was restarted.
SOLITUDE_S: Final = 15.0

# After a restart of the relay nobody commits until the others had time to come back as well, and after a false
# alarm until they have said that they are here.
SETTLE_S: Final = 2.0

# How long one who leaves waits for the commit that removes them; then the relay's word must do.
LEAVE_S: Final = 1.5

# One who comes back after so long may have been removed for being gone, by a host as well as by anyone else.
AWAY_LONG_S: Final = 0.75 * VANISH_S


class Phase(enum.Enum):
    """Where the call is."""

    OUTSIDE = "outside"  # not in the group: knocking, or about to create it
    MEMBER = "member"
    LEAVING = "leaving"  # asked to be removed
    ENDED = "ended"


class LinkState(enum.Enum):
    """Where the connection to the relay is."""

    OFFLINE = "offline"
    ENTERING = "entering"
    IN_ROOM = "in_room"


_PHASES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.OUTSIDE: frozenset({Phase.MEMBER, Phase.ENDED}),
    Phase.MEMBER: frozenset({Phase.LEAVING, Phase.ENDED}),
    Phase.LEAVING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}

_LINKS: Final[Mapping[LinkState, frozenset[LinkState]]] = {
    LinkState.OFFLINE: frozenset({LinkState.ENTERING}),
    LinkState.ENTERING: frozenset({LinkState.IN_ROOM, LinkState.OFFLINE}),
    LinkState.IN_ROOM: frozenset({LinkState.OFFLINE}),
}

# After these there is no point in trying again with the same link or at the same relay.
_FATAL_BEFORE_JOINING: Final[Mapping[wire.GoodbyeCode, str]] = {
    wire.GoodbyeCode.BAD_PROOF: "the relay did not accept the link",
    wire.GoodbyeCode.ROOM_FULL: "the room is full",
    wire.GoodbyeCode.RELAY_FULL: "the relay is full",
}


class Session:
    """One participant in one room.

    `creator` says that this participant makes the room: it does not wait for anybody to let it in.
    """

    def __init__(self, me: Self, keys: LinkKeys, *, creator: bool) -> None:
        self._me = me
        self._keys = keys
        self._creator = creator
        self.phase = Phase.OUTSIDE
        self.link_state = LinkState.OFFLINE
        self._membership: Membership | None = None
        # the relay
        self._place = Place()
        self._attendance = Attendance()
        self._entered_at = 0.0
        self._catching_up = False  # resumed, and not all that was missed is here
        self._lost_at: float | None = None  # `reconnecting` was told, and `reconnected` was not yet
        self._away_s = 0.0
        # what waits
        self._commits = Commits(self._attendance)
        self._outbox = Outbox()
        self._say_after = 0.0
        self._leave_by: float | None = None
        # each its own part of the conversation
        self._chat = ChatLog()
        self._presences = Presences(self._attendance, self._outbox)
        self._reception = Reception(me, keys, self._attendance, self._commits)
        self._knocking = Knocking(me)
        self._told_waiting = False
        self._stranding = Stranding()

    @property
    def membership(self) -> Membership | None:
        """The group as this participant has it; None while outside."""
        return self._membership

    # --- what the shell tells

    def connected(self, at: Instant) -> list[Effect]:
        """A connection to the relay stands: ask to enter the room."""
        self._move_link(LinkState.ENTERING)
        return [Send(message=self._place.enter(self._keys))]

    def disconnected(self, at: Instant) -> list[Effect]:
        """The connection is gone, or could not be made; the shell tries again."""
        if self.link_state is not LinkState.OFFLINE:
            self._move_link(LinkState.OFFLINE)
        if self.phase is Phase.LEAVING:
            return self._finish(LeftReason.LEFT)
        if self.phase is Phase.ENDED or self._lost_at is not None:
            return []
        self._lost_at = at.now
        return [Emit(event=Reconnecting())]

    def receive(self, message: wire.RelayMessage, at: Instant) -> list[Effect]:
        """A message from the relay."""
        if self.phase is Phase.ENDED or self.link_state is LinkState.OFFLINE:
            return []
        if isinstance(message, wire.Goodbye):
            return self._goodbye(message)
        if (self.link_state is LinkState.ENTERING) is not isinstance(message, wire.Entered):
            return [_failure("relay_order", "the relay answered out of order"), Reconnect()]
        effects = self._dispatch(message, at)
        self._attendance.settle(self._membership, at.now)
        if isinstance(message, wire.Gone) and message.left and self._membership is not None:
            self._attendance.will_not_return(self._membership, message.connection, at.now)
        return effects

    def _dispatch(self, message: wire.RelayMessage, at: Instant) -> list[Effect]:
        match message:
            case wire.Entered():
                return self._entered(message, at)
            case wire.Ordered():
                return self._ordered(message, at)
            case wire.Accepted():
                return self._accepted(message, at)
            case wire.Refused():
                return self._refused(message, at)
            case wire.Welcome():
                return self._welcomed(message, at)
            case wire.Noted():
                return self._noted(message, at)
            case wire.Came(connection=connection):
                self._attendance.connections.add(connection)
                self._knocking.hasten(at.now)
            case wire.Gone(connection=connection):
                self._attendance.connections.discard(connection)
                self._commits.door.gone(connection)
            case wire.Goodbye():
                pass
        return []

    def handle_timer(self, at: Instant) -> list[Effect]:
        """Do what is due. Cheap when nothing is: call it at `next_timer`, and as often as one likes."""
        if self._leave_by is not None and at.now >= self._leave_by:
            return self._finish(LeftReason.LEFT)
        if self.phase is Phase.ENDED or self.link_state is not LinkState.IN_ROOM:
            return []
        effects = self._notice_stranding(at)
        effects += self._knock(at)
        if (alone_until := self._solitude_due()) is not None and at.now >= alone_until:
            effects += self._create(at)
        if self._may_speak and self._membership is not None:
            call_at = self._presences.due(self._membership, self._commits.rank(self._membership))
            if call_at is not None and at.now >= call_at:
                self._presences.call_roll(at.now)
            effects += self._flush(at)
            effects += self._commit_if_due(at)
        return effects

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do next, in the shell's monotonic seconds; None: nothing waits."""
        times = [self._leave_by]
        if self.link_state is LinkState.IN_ROOM and self.phase is not Phase.ENDED:
            times += [self._knocking.next_at, self._solitude_due(), self._stranding_due()]
            if self._may_speak and self._membership is not None:
                times.append(self._commits.due(self._membership))
                times.append(self._presences.due(self._membership, self._commits.rank(self._membership)))
                times.append(self._say_after if self._outbox.ready else None)
        return min((time for time in times if time is not None), default=None)

    # --- what the user asks

    def say(self, text: str, at: Instant) -> list[Effect]:
        """Send a line of chat to everyone in the group; it is kept until the relay has taken it.

        Raises:
            LocalProtocolError: it is empty, too long or not text, or too much is waiting.
        """
        if not self._outbox.add(self._chat.line(text, unix=at.unix)):
            raise LocalProtocolError("too many chat lines are waiting to be sent")
        return self._flush(at)

    def remove(self, leaf: int, at: Instant) -> list[Effect]:
        """Remove a participant, as the room's host.

        Raises:
            LocalProtocolError: not a host, not in the call, or no such participant.
        """
        membership = self._membership
        if membership is None or self.phase is not Phase.MEMBER:
            raise LocalProtocolError("not in the call")
        if not membership.is_host:
            raise LocalProtocolError("only a host can remove someone")
        who = membership.roster.by_leaf.get(leaf)
        if who is None or leaf == membership.own_leaf:
            raise LocalProtocolError("there is no such participant to remove")
        self._commits.kick(who.key, at.now)
        return self.handle_timer(at)

    def leave(self, at: Instant) -> list[Effect]:
        """Leave: ask the others for the commit that ends our membership, and go when it is there, or soon."""
        if self.phase in (Phase.LEAVING, Phase.ENDED):
            return []
        alone = self._attendance.others() == 0 or self._membership is None or len(self._member.roster.by_leaf) == 1
        if self.phase is Phase.OUTSIDE or alone or self.link_state is not LinkState.IN_ROOM:
            return self._finish(LeftReason.LEFT)
        self._move(Phase.LEAVING)
        self._leave_by = at.now + LEAVE_S
        return self._propose_leaving()

    # --- entering

    def _entered(self, message: wire.Entered, at: Instant) -> list[Effect]:
        self._move_link(LinkState.IN_ROOM)
        how = self._place.entered(message)
        self._attendance.entered(message.connection, message.connections)
        self._commits.door.keep(self._attendance.connections)
        self._entered_at = at.now
        self._away_s = at.now - self._lost_at if self._lost_at is not None else 0.0
        self._catching_up = how is Return.RESUMED
        if self._membership is None:
            return self._arrive(at)
        return self._come_back(self._membership, how, at)

    def _arrive(self, at: Instant) -> list[Effect]:
        """Not a member: the room's creator makes the group, everyone else knocks."""
        if self._creator:
            return self._create(at)
        if not self._knocking.active:
            self._knocking.begin(at)
        return [*self._knock(at), *self._caught_up(at)]

    def _come_back(self, membership: Membership, how: Return, at: Instant) -> list[Effect]:
        if how is Return.RESUMED:
            return [*self._back_online(), *self._caught_up(at)]
        self._commits.pending = None
        self._outbox.resend()
        if how is Return.TOO_LATE:
            self._stranding.cut(room_went_on=True)
            return self._notice_stranding(at) + self._knock(at)
        if how is Return.NEW_ROOM:
            self._presences.forget(membership)
            self._commits.hold(at.now + SETTLE_S)
        self._presences.announce(membership, at.now)
        return [*self._back_online(), *self._flush(at)]

    def _caught_up(self, at: Instant) -> list[Effect]:
        """At the end of a replay: whatever of ours did not come back in it is sent again."""
        if not self._catching_up or self._place.replaying:
            return []
        self._catching_up = False
        self._commits.pending = None
        self._outbox.resend()
        return self._flush(at)

    def _back_online(self) -> list[Effect]:
        if self._lost_at is None or self._stranding.cut_off:
            return []
        self._lost_at = None
        return [Emit(event=Reconnected(epoch=self._member.epoch, rejoined=False))]

    def _goodbye(self, message: wire.Goodbye) -> list[Effect]:
        if self._membership is None and (sentence := _FATAL_BEFORE_JOINING.get(message.reason)) is not None:
            return [_failure(message.reason.value, sentence, fatal=True), *self._finish(LeftReason.FAILED)]
        if message.reason in (wire.GoodbyeCode.REPLACED, wire.GoodbyeCode.PROTOCOL):
            self._place.forget_standing()
        return [Reconnect()]

    # --- knocking, and being let in

    def _knock(self, at: Instant) -> list[Effect]:
        if self._knocking.next_at is None or at.now < self._knocking.next_at:
            return []
        key_package = self._knocking.knocked(at)
        effects: list[Effect] = [self._reception.knock(key_package)] if self._attendance.others() else []
        if self.phase is Phase.OUTSIDE and not self._told_waiting:
            self._told_waiting = True
            effects.append(Emit(event=Waiting()))
        return effects

    def _solitude_due(self) -> float | None:
        """When the oldest connection in the room creates the group."""
        if self.phase is not Phase.OUTSIDE or not self._attendance.is_oldest():
            return None
        return self._entered_at + SOLITUDE_S

    def _create(self, at: Instant) -> list[Effect]:
        """Start the group: as its creator, or because nobody is here who could let us in."""
        return self._become_member(Membership.create(self._me, at, host=self._creator), at)

    def _welcomed(self, message: wire.Welcome, at: Instant) -> list[Effect]:
        self._place.reached(message.seq, commit=True)
        effects: list[Effect] = []
        if self.phase is Phase.OUTSIDE or (self.phase is Phase.MEMBER and self._knocking.active):
            effects = self._try_welcome(message.data, at)
        return [*effects, *self._caught_up(at)]

    def _try_welcome(self, data: bytes, at: Instant) -> list[Effect]:
        try:
            membership = self._knocking.join(data, at)
            if self._membership is not None:
                went_on = self._stranding.room_went_on
                check_way_back(self._membership, membership, gone=self._is_gone, room_went_on=went_on)
        except (MlsError, PolicyError, NotAPerson, CommitForbidden) as error:
            self._knocking.spoiled(at)
            return [_failure(error.code, "a welcome was refused: it is forged, damaged, or meant for another")]
        return self._become_member(membership, at)

    def _become_member(self, membership: Membership, at: Instant) -> list[Effect]:
        before = self._membership
        new_group = before is None or before.group_id != membership.group_id
        told: list[Effect]
        if before is None:
            told = [Emit(event=membership.joined_event())]
        else:
            told = [
                Emit(event=_epoch_changed(membership)),
                *(Emit(event=event) for event in membership.changes_since(before, gone=self._is_gone)),
                Emit(event=Reconnected(epoch=membership.epoch, rejoined=True)),
            ]
        if self.phase is Phase.OUTSIDE:
            self._move(Phase.MEMBER)
        self._membership = membership
        self._lost_at = None
        self._knocking.stop()
        self._stranding.keeping_up()
        self._commits.door.withdraw({who.key for who in membership.roster.by_leaf.values()})
        self._commits.hold(at.now + TAKE_OVER_S if len(membership.roster.by_leaf) > 1 else at.now)
        self._commits.epoch_began(membership)
        self._presences.announce(membership, at.now)
        keys = membership.install_keys(removal=before is not None, new_group=new_group)
        return [keys, *told, *self._flush(at)]

    # --- the room's order

    def _ordered(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        if not self._place.reached(message.seq, commit=message.kind is wire.Kind.COMMIT):
            return []
        effects: list[Effect] = []
        if message.sender == self._attendance.own:
            effects = self._own_again(message, at)
        elif self._membership is not None:
            effects = self._others(message, self._membership, at)
        return [*effects, *self._caught_up(at)]

    def _own_again(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        """A message of ours in a replay: it had arrived."""
        pending = self._commits.pending
        if pending is not None and pending.staged.commit == message.data:
            return self._merge_own(pending, at)
        self._outbox.seen(message.data)
        return []

    def _others(self, message: wire.Ordered, membership: Membership, at: Instant) -> list[Effect]:
        opened = open_ordered(message, membership.group, self._me, at)
        match opened:
            case Missed.FOREIGN:
                if not membership.policy.hosts:
                    self._stranding.suspect(at.now)  # a room without a host gives way to one with
                return []
            case Missed.LATER:
                self._stranding.suspect(at.now)
                return []
            case Missed.TOO_OLD:
                return []
            case Failed():
                return [Emit(event=opened)]
            case CommitRefused():
                return [Emit(event=opened)]
            case _:
                return self._opened(opened, at)

    def _opened(self, opened: Opened, at: Instant) -> list[Effect]:
        match opened:
            case Application():
                return self._application(opened, at)
            case ProposalReceived():
                return self._proposal(opened, at)
            case Staged():
                return self._commit(opened, at)

    def _commit(self, staged: Staged, at: Instant) -> list[Effect]:
        try:
            self._member.check(staged, gone=self._is_gone)
        except CommitForbidden as error:
            return [Emit(event=CommitRefused(reason=error.code))]
        return self._removed(staged, at) if staged.own_removed else self._advance(staged, at)

    def _removed(self, staged: Staged, at: Instant) -> list[Effect]:
        """We are no longer a member: by our wish, a host's, or because we seemed gone or stranded."""
        membership, own_key = self._member, self._me.identity.public_key
        if self.phase is Phase.LEAVING:
            return self._finish(LeftReason.LEFT)
        again = next((added for added in staged.changes.added if added.member.signature_key == own_key), None)
        if again is not None and not self._knocking.made(again.key_package_ref):
            sentence = "the same identity joined this room from elsewhere"
            return [_failure("replaced", sentence, fatal=True), *self._finish(LeftReason.FAILED)]
        by_host = membership.roster.by_leaf[staged.committer].key in membership.policy.hosts
        seemed_gone = self._catching_up and self._away_s >= AWAY_LONG_S
        if again is None and by_host and not seemed_gone:
            return self._finish(LeftReason.REMOVED)
        self._stranding.cut(room_went_on=again is None)
        # The Welcome to our new leaf comes right behind, if there is one.
        self._knocking.begin(at, after_s=FIRST_PAUSE_S if again is not None else 0.0)
        return self._knock(at)

    def _merge_own(self, pending: Pending, at: Instant) -> list[Effect]:
        """Our commit has its place in the order, and everyone judges it there: so do we."""
        membership = self._member
        self._commits.pending = None
        try:
            membership.check(pending.staged, gone=self._is_gone)
        except CommitForbidden as error:  # one who seemed gone came back just before
            return [Emit(event=CommitRefused(reason=error.code))]
        effects = self._advance(pending.staged, at)
        for added in (added.member for added in pending.staged.changes.added):
            for connection in pending.connections.get(added.signature_key, ()):
                entries = [(added.leaf, connection)]
                membership.roster.hear_of_connections(entries, epoch=membership.epoch)
        if pending.connections:
            self._presences.tell_newcomers(membership)
        return [*effects, *self._flush(at)]

    def _advance(self, staged: Staged, at: Instant) -> list[Effect]:
        """Into the next epoch."""
        membership, changes = self._member, staged.changes
        events = membership.adopt(staged, gone=self._is_gone)
        for added in changes.added:
            self._commits.door.use(added.key_package_ref)
        self._commits.epoch_began(membership)
        self._stranding.keeping_up()
        if self._knocking.active:  # whatever we feared to have missed, we keep up
            self._knocking.stop()
            self._presences.announce(membership, at.now)
        effects: list[Effect] = [
            membership.install_keys(removal=bool(changes.removed)),
            Emit(event=_epoch_changed(membership)),
            *(Emit(event=event) for event in events),
        ]
        return effects + self._propose_leaving() if self.phase is Phase.LEAVING else effects

    def _proposal(self, received: ProposalReceived, at: Instant) -> list[Effect]:
        """Only one proposal has a use in this version: one's own removal. Others are never committed."""
        proposal, sender = received.proposal, received.sender_leaf
        leaving = isinstance(proposal, Remove) and proposal.removed == sender
        if not leaving or not self._commits.asked_to_leave(sender, at.now):
            self._member.group.forget_proposal(received.ref)
        return []

    def _application(self, received: Application, at: Instant) -> list[Effect]:
        membership, epoch = self._member, received.epoch
        who = membership.roster.at(received.sender_leaf, epoch=epoch)
        try:
            said = content.decode_content(received.data)
        except content.ContentError as error:
            return [_failure(error.code, "a member sent something this program does not understand")]
        if who is None:
            return []
        match said:
            case content.Chat(number=number, text=text):
                if self._chat.is_new(who.key, number):
                    return [Emit(event=ChatReceived(participant=who.as_person(membership.policy.hosts), text=text))]
            case content.Presence(connection=named):
                membership.roster.name_connection(received.sender_leaf, named, epoch=epoch)
                if epoch == membership.epoch:
                    self._commits.door.withdraw({who.key})
            case content.PresenceTable(entries=entries):
                membership.roster.hear_of_connections(entries, epoch=epoch)
            case content.RollCall():
                self._presences.roll_called(membership, at.now)
        return self._flush(at)

    # --- requests, and their answers

    def _accepted(self, message: wire.Accepted, at: Instant) -> list[Effect]:
        pending = self._commits.pending
        ours = pending if pending is not None and pending.request == message.request else None
        self._place.reached(message.seq, commit=ours is not None)
        self._outbox.taken(message.request)
        effects = self._merge_own(ours, at) if ours is not None else []
        return [*effects, *self._flush(at)]

    def _refused(self, message: wire.Refused, at: Instant) -> list[Effect]:
        if message.reason is wire.RefusalCode.RATE:
            self._say_after = at.now + RETRY_S
            self._commits.hold(at.now + RETRY_S)
        self._outbox.refused(message.request)
        pending = self._commits.pending
        if pending is not None and pending.request == message.request:
            self._commits.pending = None
            self._commits.hold(at.now + BATCH_S)
        return []

    @property
    def _may_speak(self) -> bool:
        """Whether what we say and commit now is for the group's present epoch, as far as we know."""
        in_call = self.phase is Phase.MEMBER and self.link_state is LinkState.IN_ROOM
        return in_call and not self._catching_up and not self._stranding.behind

    def _flush(self, at: Instant) -> list[Effect]:
        if not self._may_speak or at.now < self._say_after or (said := self._outbox.take()) is None:
            return []
        sealed = self._member.group.protect(content.encode(said), rng=self._me.rng)
        request = self._place.next_request()
        self._outbox.sent(request, said, sealed)
        return [Send(message=wire.Publish(request=request, handshake=False, data=sealed))]

    def _propose_leaving(self) -> list[Effect]:
        proposal = self._member.group.propose_remove(self._member.own_leaf, rng=self._me.rng)
        return [Send(message=wire.Publish(request=self._place.next_request(), handshake=True, data=proposal))]

    def _commit_if_due(self, at: Instant) -> list[Effect]:
        due = self._commits.due(self._member)
        if due is None or at.now < due:
            return []
        try:
            pending = self._commits.make(self._member, self._place.next_request(), at)
        except (MlsError, CommitForbidden, LocalProtocolError) as error:
            return [_failure(error.code, "a change to the group could not be made, and was given up")]
        return [Send(message=pending.message(self._place.last_commit))]

    # --- notes

    def _noted(self, message: wire.Noted, at: Instant) -> list[Effect]:
        match self._reception.read(message):
            case content.Denied():
                return self._denied()
            case content.Knock() as knock:
                return self._reception.knocked(message.sender, knock, self._membership, at)
            case None:
                return []

    def _denied(self) -> list[Effect]:
        if not self._knocking.active or self._knocking.refused:
            return []
        self._knocking.refused = True
        return [_failure("denied", "the room did not take the knock: check this machine's clock, and the version")]

    # --- who is there, and whether we are

    def _is_gone(self, leaf: int) -> bool:
        return self._attendance.is_gone(self._member, leaf)

    def _stranding_due(self) -> float | None:
        if self.phase is not Phase.MEMBER:
            return None
        return self._stranding.due(knocking=self._knocking.active)

    def _notice_stranding(self, at: Instant) -> list[Effect]:
        """A commit was missed and did not come: knock, and stay the member we were until we are welcomed."""
        due = self._stranding_due()
        if due is None or at.now < due:
            return []
        if not self._knocking.active:
            self._knocking.begin(at)
            return []
        self._knocking.stop()
        self._stranding.false_alarm(at.now)
        self._commits.hold(at.now + SETTLE_S)
        self._presences.announce(self._member, at.now)  # which withdraws our knock at the others'
        return self._flush(at)

    # --- small things

    @property
    def _member(self) -> Membership:
        if self._membership is None:
            raise LocalProtocolError("not a member of the group")
        return self._membership

    def _move(self, phase: Phase) -> None:
        if phase not in _PHASES[self.phase]:
            raise LocalProtocolError(f"a call that is {self.phase.value} cannot become {phase.value}")
        self.phase = phase

    def _move_link(self, state: LinkState) -> None:
        if state not in _LINKS[self.link_state]:
            raise LocalProtocolError(f"a link that is {self.link_state.value} cannot become {state.value}")
        self.link_state = state

    def _finish(self, reason: LeftReason) -> list[Effect]:
        goodbye: list[Effect] = [Send(message=wire.Leave())] if self.link_state is LinkState.IN_ROOM else []
        self._move(Phase.ENDED)
        self._leave_by = None
        return [*goodbye, Finish(reason=reason)]


def _epoch_changed(membership: Membership) -> EpochChanged:
    return EpochChanged(epoch=membership.epoch, security_code=membership.security_code)


def _failure(code: str, sentence: str, *, fatal: bool = False) -> Emit:
    return Emit(event=Failed(code=code, message=sentence, fatal=fatal))
