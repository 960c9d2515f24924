"""The session: one participant's view of one room, as a state machine without I/O.

The shell calls `connected`, `disconnected`, `receive` and `handle_timer` with what happened and when, and the
commands `say`, `remove` and `leave`; every one returns the effects to perform, in order. Two states run side by
side: the *link* to the relay, and the *phase* of the call. A member whose link is down is still a member.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from relay_quic import wire
from tuiconf.conference import content, notes
from tuiconf.conference.attendance import Attendance
from tuiconf.conference.commits import BATCH_S, RETRY_S, Commits, Pending
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
from tuiconf.conference.knocking import Knocking
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.conference.outbox import Outbox
from tuiconf.conference.policy import CommitForbidden, PolicyError
from tuiconf.conference.roster import NotAPerson, check_key_package
from tuiconf.crypto.mls import (
    Application,
    ContentType,
    MlsError,
    ProposalReceived,
    Remove,
    Staged,
    parse_key_package,
    peek,
)
from tuiconf.errors import LocalProtocolError, RemoteProtocolError
from tuiconf.identity.link import LinkKeys

# How long the oldest connection in a room waits to be let in before it concludes that nobody is there to do so
# and creates the group. Longer than members need to come back after a restart of the relay.
SOLITUDE_S: Final = 3.0

# After a restart of the relay nobody commits until the others had time to come back as well.
SETTLE_S: Final = 2.0

# How long one who leaves waits for the commit that removes them; then the relay's word must do.
LEAVE_S: Final = 1.5

# Messages of a later epoch mean that a commit was missed. It may still arrive in this time.
STRANDED_S: Final = 1.0

# How long a member who seems stranded knocks before it takes that for a false alarm: the header that told of a
# later epoch is not authenticated, and someone with the link may have made it up.
FALSE_ALARM_S: Final = 10.0


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
    Phase.MEMBER: frozenset({Phase.OUTSIDE, Phase.LEAVING, Phase.ENDED}),
    Phase.LEAVING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}

_LINKS: Final[Mapping[LinkState, frozenset[LinkState]]] = {
    LinkState.OFFLINE: frozenset({LinkState.ENTERING}),
    LinkState.ENTERING: frozenset({LinkState.IN_ROOM, LinkState.OFFLINE}),
    LinkState.IN_ROOM: frozenset({LinkState.OFFLINE}),
}

# Which MLS content the relay may call by which name. A commit passed off as anything else would escape the order
# of commits, and split the group.
_KINDS: Final[Mapping[wire.Kind, ContentType]] = {
    wire.Kind.COMMIT: ContentType.COMMIT,
    wire.Kind.HANDSHAKE: ContentType.PROPOSAL,
    wire.Kind.APPLICATION: ContentType.APPLICATION,
}

# After these there is no point in trying again with the same link or at the same relay.
_FATAL_BEFORE_JOINING: Final[Mapping[wire.GoodbyeCode, str]] = {
    wire.GoodbyeCode.BAD_PROOF: "the relay did not accept the link",
    wire.GoodbyeCode.ROOM_FULL: "the room is full",
    wire.GoodbyeCode.RELAY_FULL: "the relay is full",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Standing:
    """What the relay knows this connection by: what is needed to resume it."""

    incarnation: bytes
    connection: int
    token: bytes


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
        self._was_member = False
        self._group_id = b""
        # the relay
        self._standing: _Standing | None = None
        self._attendance = Attendance()
        self._last_seq = 0
        self._last_commit = 0
        self._replay_until: int | None = None
        self._request = 0
        self._entered_at = 0.0
        self._lost = False  # `reconnecting` was told, and `reconnected` was not yet
        # what waits
        self._commits = Commits(self._attendance)
        self._outbox = Outbox()
        self._say_after = 0.0
        self._knocking: Knocking | None = None
        self._told_waiting = False
        self._stranded_since: float | None = None
        self._leave_by: float | None = None
        # chat lines are numbered, so that one sent again after a restart of the relay is shown once
        self._chat_number = 0
        self._heard: dict[bytes, int] = {}

    @property
    def membership(self) -> Membership | None:
        """The group as this participant has it; None while outside."""
        return self._membership

    # --- what the shell tells

    def connected(self, at: Instant) -> list[Effect]:
        """A connection to the relay stands: ask to enter the room."""
        self._move_link(LinkState.ENTERING)
        resume = None
        if (standing := self._standing) is not None:
            resume = wire.Resume(
                incarnation=standing.incarnation,
                connection=standing.connection,
                token=standing.token,
                after=self._last_seq,
            )
        return [Send(message=wire.Enter(room=self._keys.room_id, proof=self._keys.proof, resume=resume))]

    def disconnected(self, at: Instant) -> list[Effect]:
        """The connection is gone, or could not be made; the shell tries again."""
        if self.link_state is not LinkState.OFFLINE:
            self._move_link(LinkState.OFFLINE)
        if self.phase is Phase.LEAVING:
            return self._finish(LeftReason.LEFT)
        if self.phase is Phase.ENDED or self._lost:
            return []
        self._lost = True
        return [Emit(event=Reconnecting())]

    def receive(self, message: wire.RelayMessage, at: Instant) -> list[Effect]:
        """A message from the relay."""
        if self.phase is Phase.ENDED or self.link_state is LinkState.OFFLINE:
            return []
        if isinstance(message, wire.Goodbye):
            return self._goodbye(message)
        if (self.link_state is LinkState.ENTERING) is not isinstance(message, wire.Entered):
            return [_failure("relay_order", "the relay answered out of order"), Reconnect()]
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
                self._attendance.settle(self._membership, at.now)
                return []
            case wire.Gone():
                return self._gone(message, at)

    def handle_timer(self, at: Instant) -> list[Effect]:
        """Do what is due. Cheap when nothing is: call it at `next_timer`, and as often as one likes."""
        if self._leave_by is not None and at.now >= self._leave_by:
            return self._finish(LeftReason.LEFT)
        if self.phase is Phase.ENDED or self.link_state is not LinkState.IN_ROOM:
            return []
        effects = self._notice_stranding(at)
        effects += self._knock(at)
        if self.phase is Phase.OUTSIDE and self._attendance.is_oldest() and at.now >= self._entered_at + SOLITUDE_S:
            effects += self._create(at)
        if self.phase is Phase.MEMBER:
            effects += self._flush(at)
            effects += self._commit_if_due(at)
        return effects

    def next_timer(self) -> float | None:
        """When `handle_timer` has something to do next, in the shell's monotonic seconds; None: nothing waits."""
        times = [self._leave_by]
        if self.link_state is LinkState.IN_ROOM:
            times.append(self._knocking.next_at if self._knocking is not None else None)
            times.append(self._entered_at + SOLITUDE_S if self.phase is Phase.OUTSIDE else None)
            times.append(self._stranding_due())
            if self._membership is not None and self.phase is Phase.MEMBER and self._stranded_since is None:
                times.append(self._commits.due(self._membership))
            times.append(self._say_after if self._outbox.unsent else None)
        return min((time for time in times if time is not None), default=None)

    # --- what the user asks

    def say(self, text: str, at: Instant) -> list[Effect]:
        """Send a line of chat to everyone in the group; it is kept until the relay has taken it.

        Raises:
            LocalProtocolError: it is empty or too long, or too much is waiting.
        """
        if not 0 < len(text) <= content.MAX_CHAT_CHARACTERS:
            raise LocalProtocolError(f"a chat line has 1 to {content.MAX_CHAT_CHARACTERS} characters")
        self._chat_number = max(self._chat_number + 1, int(at.unix * 1000))
        if not self._outbox.add(content.Chat(number=self._chat_number, text=text)):
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
        if leaf == membership.own_leaf or leaf not in membership.roster.by_leaf:
            raise LocalProtocolError("there is no such participant to remove")
        self._commits.kick(leaf, at.now)
        return self.handle_timer(at)

    def leave(self, at: Instant) -> list[Effect]:
        """Leave: ask the others for the commit that ends our membership, and go when it is there, or soon."""
        if self.phase in (Phase.LEAVING, Phase.ENDED):
            return []
        alone = self._membership is None or len(self._membership.roster.by_leaf) == 1
        if self.phase is Phase.OUTSIDE or alone or self.link_state is not LinkState.IN_ROOM:
            return self._finish(LeftReason.LEFT)
        self._move(Phase.LEAVING)
        self._leave_by = at.now + LEAVE_S
        return self._propose_leaving()

    # --- entering

    def _entered(self, message: wire.Entered, at: Instant) -> list[Effect]:
        self._move_link(LinkState.IN_ROOM)
        before = self._standing
        self._standing = _Standing(incarnation=message.incarnation, connection=message.connection, token=message.token)
        self._attendance.entered(message.connection, message.connections)
        self._commits.door.keep(self._attendance.connections)
        self._entered_at = at.now
        if message.resumed:
            return self._resumed(message, at)
        self._last_seq, self._last_commit = message.last_seq, message.last_commit
        if self._membership is None:
            return self._begin_outside(at)
        if before is not None and before.incarnation == message.incarnation:
            return self._return_too_late(at)
        return self._return_to_new_room(at)

    def _resumed(self, message: wire.Entered, at: Instant) -> list[Effect]:
        """Everything missed follows, up to `last_seq`; what we had sent comes back in it, or was lost."""
        self._replay_until = message.last_seq
        self._attendance.settle(self._membership, at.now)
        if self._membership is None:
            return self._begin_outside(at) if self._knocking is None else self._knock(at)
        return [*self._back_online(rejoined=False), *self._replayed(at)]

    def _replayed(self, at: Instant) -> list[Effect]:
        """At the end of a replay: whatever of ours did not come back in it is sent again."""
        if self._replay_until is None or self._last_seq < self._replay_until:
            return []
        self._replay_until = None
        self._commits.pending = None
        self._outbox.resend()
        return self._flush(at)

    def _return_to_new_room(self, at: Instant) -> list[Effect]:
        """The relay started anew: the group goes on, and everyone says again who is where."""
        self._member.roster.forget_connections()
        self._commits.pending = None
        self._commits.hold(at.now + SETTLE_S)
        self._outbox.resend()
        effects = [*self._back_online(rejoined=False), *self._say_presence(), *self._flush(at)]
        self._attendance.settle(self._membership, at.now)
        return effects

    def _return_too_late(self, at: Instant) -> list[Effect]:
        """The room went on without us for too long to catch up: knock, as the member we were."""
        self._commits.pending = None
        self._outbox.resend()
        self._stranded_since = at.now - STRANDED_S
        self._attendance.settle(self._membership, at.now)
        return self._notice_stranding(at) + self._knock(at)

    def _begin_outside(self, at: Instant) -> list[Effect]:
        if self._creator and self._attendance.others() == 0:
            return self._create(at)
        self._knocking = Knocking.begin(self._me, at)
        return self._knock(at)

    def _back_online(self, *, rejoined: bool) -> list[Effect]:
        if not self._lost and not rejoined:
            return []
        self._lost = False
        return [Emit(event=Reconnected(epoch=self._member.epoch, rejoined=rejoined))]

    def _goodbye(self, message: wire.Goodbye) -> list[Effect]:
        if not self._was_member and (sentence := _FATAL_BEFORE_JOINING.get(message.reason)) is not None:
            return [_failure(message.reason.value, sentence, fatal=True), *self._finish(LeftReason.FAILED)]
        if message.reason in (wire.GoodbyeCode.REPLACED, wire.GoodbyeCode.PROTOCOL):
            self._standing = None
        return [Reconnect()]

    # --- knocking, and being let in

    def _knock(self, at: Instant) -> list[Effect]:
        if self._knocking is None or at.now < self._knocking.next_at:
            return []
        knock = content.Knock(key_package=self._knocking.knocked(at, self._me))
        effects: list[Effect] = []
        if self._attendance.others():
            sealed = notes.seal(knock, self._keys, rng=self._me.rng)
            effects.append(Send(message=wire.Note(to=None, data=sealed)))
        if self.phase is Phase.OUTSIDE and not self._told_waiting:
            self._told_waiting = True
            effects.append(Emit(event=Waiting()))
        return effects

    def _create(self, at: Instant) -> list[Effect]:
        """Start the group: as its creator, or because nobody is here who could let us in."""
        self._knocking = None
        return self._become_member(Membership.create(self._me, at), at)

    def _welcomed(self, message: wire.Welcome, at: Instant) -> list[Effect]:
        self._last_seq = max(self._last_seq, message.seq)
        self._last_commit = max(self._last_commit, message.seq)
        if self._knocking is None or self.phase not in (Phase.OUTSIDE, Phase.MEMBER):
            return []
        try:
            membership = Membership.join(self._me, message.data, self._knocking.bundle, at)
        except (MlsError, PolicyError, NotAPerson) as error:
            self._knocking.spoiled(at, self._me)
            return [_failure(error.code, "a welcome was refused: it is forged, damaged, or meant for another")]
        self._knocking = None
        return self._become_member(membership, at)

    def _become_member(self, membership: Membership, at: Instant) -> list[Effect]:
        again = self._was_member
        self._was_member = True
        new_group = self._group_id != membership.group.group_id
        self._group_id = membership.group.group_id
        if self.phase is Phase.OUTSIDE:
            self._move(Phase.MEMBER)
        self._membership = membership
        self._stranded_since = None
        self._commits.epoch_began(membership)
        effects: list[Effect] = [membership.install_keys(removal=again, new_group=new_group)]
        if again:
            effects += [Emit(event=_epoch_changed(membership)), *self._back_online(rejoined=True)]
        else:
            self._lost = False
            effects.append(Emit(event=membership.joined_event()))
        effects += [*self._say_presence(), *self._flush(at)]
        self._attendance.settle(membership, at.now)
        return effects

    # --- the room's order

    def _ordered(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        if message.seq <= self._last_seq:
            return []
        self._last_seq = message.seq
        if message.kind is wire.Kind.COMMIT:
            self._last_commit = message.seq
        if message.sender == self._attendance.own:
            effects = self._own_again(message, at)
        elif self._membership is not None:
            effects = self._others(message, at)
        else:
            effects = []
        self._attendance.settle(self._membership, at.now)
        return [*effects, *self._replayed(at)]

    def _own_again(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        """A message of ours in a replay: it had arrived."""
        pending = self._commits.pending
        if pending is not None and pending.staged.commit == message.data:
            return self._merge_own(pending, at)
        self._outbox.seen(message.data)
        return []

    def _others(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        group = self._member.group
        try:
            header = peek(message.data)
            if header.group_id != group.group_id:
                return self._foreign(at)
            if header.content_type is not _KINDS[message.kind]:
                return [_failure("kind", "a message was not what the relay said it is, and was ignored")]
            if header.epoch > group.epoch and self._stranded_since is None:
                self._stranded_since = at.now
            match group.process(message.data, psks=self._me.psks, now=int(at.unix)):
                case Application() as said:
                    return self._application(said)
                case ProposalReceived() as proposal:
                    return self._proposal(proposal, at)
                case Staged() as staged:
                    return self._commit(staged, at)
        except (MlsError, CommitForbidden) as error:
            if message.kind is wire.Kind.COMMIT:
                return [Emit(event=CommitRefused(reason=error.code))]
            return [_failure(error.code, "a message could not be opened or was not authentic, and was ignored")]

    def _commit(self, staged: Staged, at: Instant) -> list[Effect]:
        membership = self._member
        membership.check(staged, gone=self._is_gone)
        if staged.own_removed:
            return self._removed(staged, at)
        return self._advance(staged, {})

    def _removed(self, staged: Staged, at: Instant) -> list[Effect]:
        """We are no longer a member: by our wish, a host's, or because we seemed gone."""
        membership, own_key = self._member, self._me.identity.public_key
        if self.phase is Phase.LEAVING:
            return self._finish(LeftReason.LEFT)
        if any(added.member.signature_key == own_key for added in staged.changes.added):
            if self._knocking is not None:
                return []  # the Welcome to our new leaf comes right behind
            sentence = "the same identity joined this room from elsewhere"
            return [_failure("replaced", sentence, fatal=True), *self._finish(LeftReason.FAILED)]
        committer = membership.roster.by_leaf[staged.committer]
        if committer.key in membership.policy.hosts:
            return self._finish(LeftReason.REMOVED)
        return self._return_too_late(at)

    def _merge_own(self, pending: Pending, at: Instant) -> list[Effect]:
        effects = self._advance(pending.staged, pending.connections)
        if pending.connections:
            entries = self._member.roster.known_connections()
            effects.append(self._publish(content.encode(content.PresenceTable(entries=entries))))
        self._attendance.settle(self._membership, at.now)
        return effects

    def _advance(self, staged: Staged, connections: Mapping[bytes, int]) -> list[Effect]:
        """Into the next epoch. `connections`, by key, are those of the people we have just let in."""
        membership, changes = self._member, staged.changes
        events = membership.adopt(staged, gone=self._is_gone)
        for member in (added.member for added in changes.added):
            self._commits.door.answered(member.signature_key)
            if (connection := connections.get(member.signature_key)) is not None:
                membership.roster.hear_of_connections([(member.leaf, connection)])
        self._commits.epoch_began(membership)
        self._stranded_since = None
        if self.phase is Phase.MEMBER:
            self._knocking = None  # whatever we feared to have missed, we keep up
        effects: list[Effect] = [
            membership.install_keys(removal=bool(changes.removed)),
            Emit(event=_epoch_changed(membership)),
            *(Emit(event=event) for event in events),
        ]
        return effects + self._propose_leaving() if self.phase is Phase.LEAVING else effects

    def _proposal(self, received: ProposalReceived, at: Instant) -> list[Effect]:
        """Only one proposal has a use in this version: one's own removal. Others are never committed."""
        proposal = received.proposal
        if isinstance(proposal, Remove) and proposal.removed == received.sender_leaf:
            self._commits.asked_to_leave(received.sender_leaf, at.now)
        else:
            self._member.group.forget_proposal(received.ref)
        return []

    def _application(self, received: Application) -> list[Effect]:
        roster = self._member.roster
        try:
            said = content.decode_content(received.data)
        except content.ContentError as error:
            return [_failure(error.code, "a member sent something this program does not understand")]
        match said:
            case content.Chat():
                return self._chat(said, received.sender_leaf)
            case content.Presence(connection=connection):
                roster.name_connection(received.sender_leaf, connection)
            case content.PresenceTable(entries=entries):
                roster.hear_of_connections(entries)
        return []

    def _chat(self, said: content.Chat, sender: int) -> list[Effect]:
        who = self._member.roster.by_leaf.get(sender)
        if who is None or said.number <= self._heard.get(who.key, -1):
            return []
        self._heard[who.key] = said.number
        return [Emit(event=ChatReceived(participant=who.as_person(self._member.policy.hosts), text=said.text))]

    def _foreign(self, at: Instant) -> list[Effect]:
        """Messages of another group in this room: one who made theirs only for want of company joins that one."""
        alone = len(self._member.roster.by_leaf) == 1
        if self._creator or not alone or self.phase is not Phase.MEMBER:
            return []
        self._move(Phase.OUTSIDE)
        self._membership = None
        self._entered_at = at.now
        self._knocking = Knocking.begin(self._me, at)
        return self._knock(at)

    # --- requests, and their answers

    def _accepted(self, message: wire.Accepted, at: Instant) -> list[Effect]:
        self._last_seq = max(self._last_seq, message.seq)
        self._outbox.taken(message.request)
        pending = self._commits.pending
        if pending is None or pending.request != message.request:
            return []
        self._last_commit = max(self._last_commit, message.seq)
        return self._merge_own(pending, at)

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

    def _publish(self, said: bytes) -> Send:
        data = self._member.group.protect(said, rng=self._me.rng)
        return Send(message=wire.Publish(request=self._next_request(), handshake=False, data=data))

    def _flush(self, at: Instant) -> list[Effect]:
        if self.phase is not Phase.MEMBER or self.link_state is not LinkState.IN_ROOM or at.now < self._say_after:
            return []
        if self._stranded_since is not None or self._replay_until is not None:
            return []  # sealed for an epoch that is over, it would be lost
        effects: list[Effect] = []
        for said in self._outbox.take_unsent():
            sealed = self._publish(content.encode(said))
            assert isinstance(sealed.message, wire.Publish)  # noqa: S101 - of our own making
            self._outbox.sent(sealed.message.request, said, sealed.message.data)
            effects.append(sealed)
        return effects

    def _say_presence(self) -> list[Effect]:
        """Tell the members which connection is ours."""
        own = self._attendance.own
        if own is None:
            return []
        self._member.roster.name_connection(self._member.own_leaf, own)
        if len(self._member.roster.by_leaf) == 1:
            return []
        return [self._publish(content.encode(content.Presence(connection=own)))]

    def _propose_leaving(self) -> list[Effect]:
        proposal = self._member.group.propose_remove(self._member.own_leaf, rng=self._me.rng)
        return [Send(message=wire.Publish(request=self._next_request(), handshake=True, data=proposal))]

    def _commit_if_due(self, at: Instant) -> list[Effect]:
        if self._stranded_since is not None or self._replay_until is not None:
            return []
        due = self._commits.due(self._member)
        if due is None or at.now < due:
            return []
        try:
            pending = self._commits.make(self._member, self._next_request(), at)
        except (MlsError, CommitForbidden, LocalProtocolError) as error:
            return [_failure(error.code, "a change to the group could not be made, and was given up")]
        return [Send(message=pending.message(self._last_commit))]

    def _next_request(self) -> int:
        self._request = (self._request + 1) % (1 << 32)
        return self._request

    # --- notes: knocks of others, and answers to ours

    def _noted(self, message: wire.Noted, at: Instant) -> list[Effect]:
        try:
            note = notes.unseal(message.data, self._keys)
        except RemoteProtocolError:
            return []  # not from someone with the link, or not of this version
        match note:
            case content.Denied():
                return self._denied()
            case content.Knock(key_package=data):
                return self._knocked(message.sender, data, at)

    def _knocked(self, connection: int, data: bytes, at: Instant) -> list[Effect]:
        if connection not in self._attendance.connections or connection == self._attendance.own:
            return []
        try:
            key_package = parse_key_package(data, now=int(at.unix))
            check_key_package(key_package)
        except (MlsError, NotAPerson) as error:
            return self._deny(connection, error.code)
        self._commits.door.knock(connection, key_package, now=at.now)
        return []

    def _deny(self, connection: int, reason: str) -> list[Effect]:
        """Only the committer answers, so that one bad knock is not answered a thousand times."""
        if self._membership is None or self._commits.rank(self._membership) > 0:
            return []
        sealed = notes.seal(content.Denied(reason=reason), self._keys, rng=self._me.rng)
        return [Send(message=wire.Note(to=connection, data=sealed))]

    def _denied(self) -> list[Effect]:
        if self._knocking is None or self._knocking.denied:
            return []
        self._knocking.denied = True
        return [_failure("denied", "the room did not take the knock: check this machine's clock, and the version")]

    # --- who is there

    def _gone(self, message: wire.Gone, at: Instant) -> list[Effect]:
        self._attendance.connections.discard(message.connection)
        self._commits.door.gone(message.connection)
        self._attendance.settle(self._membership, at.now)
        if message.left and self._membership is not None:
            self._attendance.will_not_return(self._membership, message.connection, at.now)
        return []

    def _is_gone(self, leaf: int) -> bool:
        return self._attendance.is_gone(self._member, leaf)

    def _stranding_due(self) -> float | None:
        if self._stranded_since is None or self.phase is not Phase.MEMBER:
            return None
        return self._stranded_since + (STRANDED_S if self._knocking is None else STRANDED_S + FALSE_ALARM_S)

    def _notice_stranding(self, at: Instant) -> list[Effect]:
        """A commit was missed and did not come: knock, and stay the member we were until we are welcomed."""
        due = self._stranding_due()
        if due is None or at.now < due:
            return []
        if self._knocking is None:
            self._knocking = Knocking.begin(self._me, at)
        else:
            self._knocking, self._stranded_since = None, None
        return []

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
