"""Following the room's order: what it does to the group, epoch by epoch, and what of ours becomes of it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from relay_quic import wire
from tuiconf.conference import content
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.commits import BATCH_S, RETRY_S, Pending
from tuiconf.conference.effects import Effect, Emit, Send
from tuiconf.conference.events import (
    ChatReceived,
    CommitRefused,
    Event,
    Failed,
    LeftReason,
    RecordingRefused,
    StatusChanged,
)
from tuiconf.conference.hosting import Hosting
from tuiconf.conference.knocking import FIRST_PAUSE_S
from tuiconf.conference.membership import Instant, Membership
from tuiconf.conference.order import Missed, Opened, open_ordered
from tuiconf.conference.roster import Participant
from tuiconf.conference.rules import CommitForbidden, may_remove
from tuiconf.conference.state import Call, Phase, epoch_changed, failure
from tuiconf.crypto.mls import Application, MlsError, ProposalReceived, Remove, Staged
from tuiconf.errors import LocalProtocolError

# One who comes back after so long may have been removed for being gone, by a host as well as by anyone else.
AWAY_LONG_S: Final = 0.75 * VANISH_S

# The commit that removes one for being gone may have been under way when they came back.
JUST_BACK_S: Final = 5.0


class Following:
    """Takes what the relay has ordered and what it answers, and moves the call along."""

    def __init__(self, call: Call, hosting: Hosting) -> None:
        self._call = call
        self._hosting = hosting

    def ordered(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        """A message with the next place in the order."""
        if not self._call.place.reached(message.seq, commit=message.kind is wire.Kind.COMMIT):
            return []
        effects: list[Effect] = []
        if message.sender == self._call.attendance.own:
            effects = self._own_again(message, at)
        elif self._call.membership is not None:
            effects = self._others(message, self._call.membership, at)
        return [*effects, *self._call.caught_up(at)]

    def _own_again(self, message: wire.Ordered, at: Instant) -> list[Effect]:
        """A message of ours in a replay: it had arrived."""
        pending = self._call.commits.pending
        if pending is not None and pending.staged.commit == message.data:
            return self._merge_own(pending, at)
        if self._call.membership is None:
            return []
        return self._placed(self._call.outbox.seen(message.data, epoch=self._call.member.epoch))

    def _others(self, message: wire.Ordered, membership: Membership, at: Instant) -> list[Effect]:
        opened = open_ordered(message, membership.group, self._call.me, at)
        match opened:
            case Missed.FOREIGN:
                if not membership.policy.hosts:
                    self._call.stranding.suspect(at.now)  # a room without a host gives way to one with
                return []
            case Missed.LATER:
                self._call.stranding.suspect(at.now)
                return []
            case Missed.TOO_OLD:
                return []
            case Failed(code=code) | CommitRefused(reason=code):
                # Of our epoch and sealed with other keys: the group may be split, and the host's part goes on.
                if code == "decryption" and membership.own_key not in membership.sure_hosts:
                    self._call.stranding.suspect(at.now)
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
            self._check(staged)
        except CommitForbidden as error:
            return [Emit(event=CommitRefused(reason=error.code))]
        return self._removed(staged, at) if staged.own_removed else self._advance(staged, at)

    def _check(self, staged: Staged) -> None:
        self._call.member.check(staged, gone=self._call.is_gone, catching_up=self._call.catching_up)

    def _removed(self, staged: Staged, at: Instant) -> list[Effect]:
        """We are no longer a member: by our wish, someone else's, or because we seemed gone or stranded."""
        membership, own_key = self._call.member, self._call.me.identity.public_key
        if self._call.phase is Phase.LEAVING:
            return self._call.finish(LeftReason.LEFT)
        again = next((added for added in staged.changes.added if added.member.signature_key == own_key), None)
        if again is not None and not self._call.knocking.made(again.key_package_ref):
            sentence = "the same identity joined this room from elsewhere"
            return [failure("replaced", sentence, fatal=True), *self._call.finish(LeftReason.FAILED)]
        by = membership.roster.by_leaf[staged.committer].key
        by_right = may_remove(membership.policy, by, own_key)
        just_back = self._call.catching_up or at.now < self._call.entered_at + JUST_BACK_S
        seemed_gone = just_back and self._call.away_s >= AWAY_LONG_S
        if again is None and by_right and not seemed_gone:
            return self._call.finish(LeftReason.REMOVED)
        self._call.stranding.cut(room_went_on=again is None)
        # The Welcome to our new leaf comes right behind, if there is one.
        self._call.knocking.begin(at, after_s=FIRST_PAUSE_S if again is not None else 0.0)
        return self._call.knock(at)

    def _merge_own(self, pending: Pending, at: Instant) -> list[Effect]:
        """Our commit has its place in the order, and everyone judges it there: so do we."""
        membership = self._call.member
        self._call.commits.pending = None
        try:
            self._check(pending.staged)
        except CommitForbidden as error:  # one who seemed gone came back just before
            return [Emit(event=CommitRefused(reason=error.code))]
        effects = self._advance(pending.staged, at)
        for added in (added.member for added in pending.staged.changes.added):
            for connection in pending.connections.get(added.signature_key, ()):
                membership.roster.hear_of([(added.leaf, connection, None)], epoch=membership.epoch)
        if pending.connections:
            self._call.presences.tell_newcomers(membership)
        return [*effects, *self._call.flush(at)]

    def _advance(self, staged: Staged, at: Instant) -> list[Effect]:
        """Into the next epoch."""
        membership, changes = self._call.member, staged.changes
        committer = membership.roster.by_leaf[staged.committer].key
        was_host = membership.is_host
        events = membership.adopt(staged, at, gone=self._call.is_gone)
        if staged.committer != membership.own_leaf:
            membership.heard(committer, epoch=staged.epoch)
        self._call.statuses.forget(removed.member.signature_key for removed in changes.removed)
        for added in changes.added:
            self._call.commits.door.use(added.key_package_ref)
        self._call.commits.epoch_began(membership)
        self._call.stranding.keeping_up()
        if self._call.knocking.active:  # whatever we feared to have missed, we keep up
            self._call.knocking.stop()
            self._call.presences.announce(membership, at.now)
        elif membership.is_host and not was_host:
            self._call.presences.announce(membership, at.now)  # by which the others know that we know
        if changes.added:
            self._call.statuses.others_came(membership, at.now)
        effects: list[Effect] = [
            membership.install_keys(removal=bool(changes.removed)),
            Emit(event=epoch_changed(membership)),
            *(Emit(event=event) for event in [*events, *self._lost_right(membership, at)]),
        ]
        return effects + self._call.propose_leaving() if self._call.phase is Phase.LEAVING else effects

    def _lost_right(self, membership: Membership, at: Instant) -> list[Event]:
        """Whoever may not record any more does not."""
        own = self._call.statuses.own
        if not own.recording or membership.may_record:
            return []
        own = msgspec.structs.replace(own, recording=False)
        self._call.statuses.change(own, at.now)
        membership.set_status(own)
        return [StatusChanged(participant=membership.me)]

    def _proposal(self, received: ProposalReceived, at: Instant) -> list[Effect]:
        """Only one proposal has a use in this version: one's own removal. Others are never committed."""
        proposal, sender = received.proposal, received.sender_leaf
        leaving = isinstance(proposal, Remove) and proposal.removed == sender
        if not leaving or not self._call.commits.asked_to_leave(sender, received.ref, at.now):
            self._call.member.group.forget_proposal(received.ref)
        return []

    def _application(self, received: Application, at: Instant) -> list[Effect]:
        membership, epoch = self._call.member, received.epoch
        who = membership.roster.at(received.sender_leaf, epoch=epoch)
        try:
            said = content.decode_content(received.data)
        except content.ContentError as error:
            return [failure(error.code, "a member sent something this program does not understand")]
        if who is None:
            return []
        membership.heard(who.key, epoch=epoch)
        match said:
            case content.Chat(number=number, text=text):
                if self._call.chat.is_new(who.key, number):
                    return [Emit(event=ChatReceived(participant=membership.person(who), text=text))]
            case content.Status():
                return self._status(said, received.sender_leaf, epoch, at)
            case content.Deny():
                self._hosting.denied(said, who, epoch, at)
            case content.MuteRequest():
                return self._hosting.asked_to_mute(said, who, epoch, at)
            case content.Presence(connection=named):
                membership.roster.name_connection(received.sender_leaf, named, epoch=epoch)
                if epoch == membership.epoch:
                    self._call.commits.door.withdraw({who.key})
            case content.PresenceTable(entries=entries):
                membership.roster.hear_of(entries, epoch=epoch)
                self._call.presences.correct(membership, entries, at.now)
            case content.RollCall():
                self._call.presences.roll_called(membership, self._call.commits.rank(membership), at.now)
        return self._call.flush(at)

    def _status(self, said: content.Status, leaf: int, epoch: int, at: Instant) -> list[Effect]:
        """A member says how they are. One who begins to record needs to know whom they may."""
        membership = self._call.member
        before = membership.roster.say_status(leaf, said, epoch=epoch)
        if before is None:
            return []
        self._call.statuses.heard(before.key, said)
        if said == before.status:
            return []
        who = membership.roster.by_leaf[leaf]
        effects: list[Effect] = [Emit(event=StatusChanged(participant=membership.person(who)))]
        if said.recording and not before.status.recording:
            effects += self._recorded_by(who, at)
        return effects

    def _recorded_by(self, who: Participant, at: Instant) -> list[Effect]:
        """Somebody begins to record."""
        membership = self._call.member
        if not membership.policy.gives(membership.policy.record, who.key):
            return [Emit(event=RecordingRefused(participant=membership.person(who)))]
        self._call.statuses.answer(membership.own_leaf, at.now)
        return []

    def _placed(self, said: content.Content | None) -> list[Effect]:
        """What we said has its place in the order."""
        if not isinstance(said, content.Status):
            return []
        return [Emit(event=event) for event in self._call.statuses.placed(said)]

    def accepted(self, message: wire.Accepted, at: Instant) -> list[Effect]:
        """A request of ours has its place in the order."""
        pending = self._call.commits.pending
        ours = pending if pending is not None and pending.request == message.request else None
        self._call.place.reached(message.seq, commit=ours is not None)
        effects = self._merge_own(ours, at) if ours is not None else []
        if self._call.membership is not None:
            effects += self._placed(self._call.outbox.taken(message.request, epoch=self._call.member.epoch))
        return [*effects, *self._call.flush(at)]

    def refused(self, message: wire.Refused, at: Instant) -> list[Effect]:
        """A request of ours has done nothing."""
        if message.reason is wire.RefusalCode.RATE:
            self._call.say_after = at.now + RETRY_S
            self._call.commits.hold(at.now + RETRY_S)
        self._call.outbox.refused(message.request)
        pending = self._call.commits.pending
        if pending is not None and pending.request == message.request:
            self._call.commits.pending = None
            self._call.commits.hold(at.now + BATCH_S)
        return []

    def commit_due(self) -> float | None:
        """When it is our turn to commit what waits; None: nothing does, or we may not."""
        return self._call.commits.due(self._call.member) if self._call.may_speak else None

    def commit_if_due(self, at: Instant) -> list[Effect]:
        """Our commit of everything that waits, when it is due."""
        due = self.commit_due()
        if due is None or at.now < due:
            return []
        try:
            pending = self._call.commits.make(self._call.member, self._call.place.next_request(), at)
        except (MlsError, CommitForbidden, LocalProtocolError) as error:
            return [failure(error.code, "a change to the group could not be made, and was given up")]
        return [Send(message=pending.message(self._call.place.last_commit))]
