"""Being a member: the MLS group together with the roster and the policy that are read from it.

Pure. `Membership` changes only by `adopt`, after the commit has been checked; a refused commit leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tuiconf.conference import rules
from tuiconf.conference.acquaintances import Judge, NobodyKnown
from tuiconf.conference.content import NOTHING_SAID, Status
from tuiconf.conference.effects import InstallKeys
from tuiconf.conference.events import (
    Event,
    Joined,
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    PolicyChanged,
    StatusChanged,
)
from tuiconf.conference.policy import EXTENSION_TYPE, HOSTLESS, Policy, PolicyError, RoomRules
from tuiconf.conference.roster import Participant, Roster, person_of
from tuiconf.conference.welcomer import welcomer
from tuiconf.crypto.media_keys import BASE_KEY_BYTES, BASE_KEY_LABEL, MAX_LEAVES
from tuiconf.crypto.mls import Group, KeyPackage, KeyPackageBundle, Member, Removed, Staged
from tuiconf.crypto.primitives import Random
from tuiconf.identity.code import room_words, security_code
from tuiconf.identity.credential import Credential, encode_credential
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import PSK_ID

GROUP_ID_BYTES: Final = 16

DEFAULT_RULES: Final = RoomRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """When something happens, on both clocks: the shell reads them, the core never does."""

    now: float  # seconds, monotonic
    unix: float  # seconds since 1970: what lifetimes are checked against, as good as the machine's clock


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Self:
    """Who this participant is, and what the link gives: all that is needed to create or join the group.

    `judge` says who the others are to this participant, which changes nothing of what the group does.
    """

    identity: Identity
    psk: bytes
    rng: Random
    judge: Judge = field(default_factory=NobodyKnown)

    @property
    def credential(self) -> bytes:
        """The MLS basic credential's identity bytes."""
        return encode_credential(Credential(name=self.identity.name, public_key=self.identity.public_key))

    @property
    def psks(self) -> dict[bytes, bytes]:
        """The pre-shared keys this participant can prove to know."""
        return {PSK_ID: self.psk}


class Membership:
    """One participant's place in the group."""

    def __init__(
        self, me: Self, group: Group, roster: Roster, policy: Policy, *, welcomed_by: bytes | None = None
    ) -> None:
        self._me = me
        self.group = group
        self.roster = roster
        self.policy = policy
        self.welcomed_by = welcomed_by
        self._heir: tuple[bytes, int] | None = None  # made host by this epoch's commit, and not heard since

    @classmethod
    def create(cls, me: Self, at: Instant, *, host: bool, room: RoomRules = DEFAULT_RULES) -> Membership:
        """Start a group with nobody else in it; `host` says that it is ours, and its rules are those of `room`."""
        policy = room.policy(me.identity.public_key) if host else HOSTLESS
        group = Group.create(
            me.rng(GROUP_ID_BYTES),
            me.identity.seed,
            me.credential,
            extensions={EXTENSION_TYPE: policy.encode()},
            rng=me.rng,
            now=int(at.unix),
        )
        return cls(me, group, Roster.of(group.members(), epoch=group.epoch, own_leaf=group.own_leaf), policy)

    @classmethod
    def join(cls, me: Self, welcome: bytes, bundle: KeyPackageBundle, at: Instant) -> Membership:
        """Join by a Welcome whose sender knows the link's secret.

        Raises:
            MlsError: the Welcome is forged, not for us, or made without the link's secret.
            PolicyError: the group has no policy we understand, or is larger than media keys can tell apart.
            NotAPerson: a member's credential is not one of ours.
        """
        signer = None if bundle.used else welcomer(welcome, bundle, psks=me.psks)
        group = Group.join(welcome, bundle, me.identity.seed, psks=me.psks, now=int(at.unix), required_psk=PSK_ID)
        policy = Policy.decode(group.extensions.get(EXTENSION_TYPE))
        keys = {member.leaf: member.signature_key for member in group.members()}
        if any(leaf >= MAX_LEAVES for leaf in keys):
            raise PolicyError("the group is larger than a call can be")
        if policy.hosts and policy.hosts.isdisjoint(keys.values()):
            raise PolicyError("the group has lost its hosts, which the rules do not allow")
        roster = Roster.of(group.members(), epoch=group.epoch, own_leaf=group.own_leaf)
        return cls(me, group, roster, policy, welcomed_by=None if signer is None else keys.get(signer))

    @property
    def group_id(self) -> bytes:
        """The group's name, the same in all its epochs."""
        return self.group.group_id

    @property
    def epoch(self) -> int:
        """The group's epoch."""
        return self.group.epoch

    @property
    def own_leaf(self) -> int:
        """Where we are in the tree."""
        return self.group.own_leaf

    @property
    def own_key(self) -> bytes:
        """Who we are."""
        return self._me.identity.public_key

    @property
    def is_host(self) -> bool:
        """Whether the policy names this participant as a host."""
        return self.own_key in self.policy.hosts

    @property
    def sure_hosts(self) -> frozenset[bytes]:
        """The hosts, without a successor of whom we do not know whether they are in the same epoch as we are.

        Members who know different things of who was here longest could each have gone on with a host of their own.
        """
        return self.policy.hosts - {self._heir[0]} if self._heir is not None else self.policy.hosts

    def heard(self, key: bytes, *, epoch: int) -> None:
        """A message of a member's: if it is the successor's, of its time, then it is host for others than for us."""
        if self._heir is None or epoch < self._heir[1]:
            return
        heir = self._heir[0]
        if key == heir or heir == self.own_key:
            self._heir = None

    @property
    def may_admit(self) -> bool:
        """Whether we may let in those who wait in the lobby."""
        return self.policy.gives(self.policy.admit, self.own_key)

    @property
    def may_record(self) -> bool:
        """Whether we may record."""
        return self.policy.gives(self.policy.record, self.own_key)

    def may_remove(self, leaf: int) -> bool:
        """Whether we may remove the member at this leaf."""
        who = self.roster.by_leaf.get(leaf)
        return who is not None and leaf != self.own_leaf and rules.may_remove(self.policy, self.own_key, who.key)

    def holds(self, key: bytes) -> bool:
        """Whether the one with this key is in the group."""
        return key in self.roster.keys

    @property
    def security_code(self) -> str:
        """Equal for all who are in the same group at the same epoch, and only for them."""
        return security_code(self.group.epoch_authenticator)

    @property
    def room_words(self) -> tuple[int, ...]:
        """The same in the numbers of 8 words."""
        return room_words(self.group.epoch_authenticator)

    def meet(self, people: Iterable[Participant], at: Instant) -> None:
        """These are here now, as far as our user's memory is concerned. To be called before anyone is told of them."""
        self._me.judge.meet(((who.key, who.name) for who in people), unix=at.unix)

    def install_keys(self, *, removal: bool, new_group: bool = False) -> InstallKeys:
        """This epoch's media keys."""
        return InstallKeys(
            epoch=self.epoch,
            base_key=self.group.export(BASE_KEY_LABEL, b"", BASE_KEY_BYTES),
            own_leaf=self.own_leaf,
            members={leaf: who.key for leaf, who in self.roster.by_leaf.items()},
            new_group=new_group,
            removal=removal,
        )

    def people(self) -> tuple[Person, ...]:
        """Everyone in the group, this participant included, by leaf."""
        return tuple(self.person(who) for _, who in sorted(self.roster.by_leaf.items()))

    def person(self, who: Participant) -> Person:
        """As shown to people."""
        trust = "self" if who.key == self.own_key else self._me.judge.judge(who.key, who.name)
        return who.as_person(self.policy.hosts, trust)

    @property
    def me(self) -> Person:
        """This participant."""
        return self.person(self.roster.by_leaf[self.own_leaf])

    def expire(self, at: Instant) -> None:
        """Delete the keys of past epochs whose time is over. To be called about once a second."""
        self.group.expire(int(at.unix))

    def joined_event(self) -> Joined:
        """The event that says: in the call, with these people."""
        return Joined(
            epoch=self.epoch,
            security_code=self.security_code,
            me=self.me,
            participants=self.people(),
            created=self.epoch == 0,  # whoever is welcomed begins in a later one
        )

    def policy_event(self) -> PolicyChanged:
        """Who may do what in this epoch."""
        policy = self.policy
        return PolicyChanged(
            hosts=tuple(who for who in self.people() if who.host),
            lobby=policy.lobby.value,
            locked=policy.locked,
            admit=policy.admit.value,
            remove=policy.remove.value,
            record=policy.record.value,
        )

    def check(self, staged: Staged, *, gone: Callable[[int], bool], catching_up: bool = False) -> None:
        """Whether the policy allows the commit; `catching_up` says that we were away when it was made.

        Raises:
            CommitForbidden: it does not.
        """

        def away(leaf: int) -> bool:
            return catching_up if leaf == self.own_leaf else gone(leaf)

        rules.check(staged, rules.Before(policy=self.policy, roster=self.roster, gone=gone, away=away))

    def commit(
        self, *, add: Sequence[KeyPackage], remove: Sequence[int], policy: Policy | None = None, at: Instant
    ) -> Staged:
        """A commit of these changes and of the proposals received; nothing changes before `adopt`.

        `policy` None: it stays as it is.

        Raises:
            MlsError: one of them cannot be committed.
        """
        return self.group.commit(
            add=add,
            remove=remove,
            psk=[PSK_ID] if add else [],
            extensions=None if policy is None else {**self.group.extensions, EXTENSION_TYPE: policy.encode()},
            psks=self._me.psks,
            rng=self._me.rng,
            now=int(at.unix),
        )

    def adopt(self, staged: Staged, at: Instant, *, gone: Callable[[int], bool]) -> list[Event]:
        """Move to the epoch of a checked commit.

        Returns the events about those who came and went, and about the policy; whoever is replaced by a new leaf of
        the same key and name has done neither, but has yet to say their status again.
        """
        changes, old_policy = staged.changes, self.policy
        coming = {_who(added.member) for added in changes.added}
        going = {_who(removed.member) for removed in changes.removed}
        left = [
            (self.roster.by_leaf[removed.member.leaf], self._why(removed, gone=gone))
            for removed in changes.removed
            if _who(removed.member) not in coming
        ]
        were = {who.key: who for who in self.roster.by_leaf.values()} if changes.added else {}
        people = [_coming(person_of(added.member, since=staged.epoch), were) for added in changes.added]
        self.meet(people, at)
        silent = [who for who in people if who.key in were and were[who.key].status != NOTHING_SAID]
        self.group = staged.merge()
        self.roster.replace((removed.member.leaf for removed in changes.removed), people, epoch=self.epoch)
        if changes.extensions is not None:
            self.policy = Policy.decode(changes.extensions.new.get(EXTENSION_TYPE))
            heirs = self.policy.hosts - old_policy.hosts if old_policy.hosts.isdisjoint(self.roster.keys) else ()
            self._heir = next(((key, self.epoch) for key in heirs), self._heir)
        return [
            *(self._left(who, reason) for who, reason in left),
            *(self._joined(who) for who in people if (who.key, who.credential) not in going),
            *(StatusChanged(participant=self.person(who)) for who in silent if (who.key, who.credential) in going),
            *([self.policy_event()] if self.policy != old_policy else []),
        ]

    def set_status(self, status: Status) -> None:
        """This participant's own status, as it is shown to people here."""
        self.roster.say_status(self.own_leaf, status, epoch=self.epoch)

    def return_to(self, before: Membership) -> None:
        """We were in `before`. In the same group the others may count us as here since then, and may not."""
        if before.group_id == self.group_id:
            own = self.roster.by_leaf[self.own_leaf]
            self.roster.by_leaf[self.own_leaf] = replace(own, here_exactly=False)

    def changes_since(self, before: Membership, *, gone: Callable[[int], bool]) -> list[Event]:
        """The events about what changed between an earlier membership and this one, unseen by us: who came and went,
        what is no longer known of those who stayed, and the policy.

        `gone(leaf)` is of the earlier one. Why someone is no longer here nobody told us: whoever was not gone was
        removed, as far as we can know.
        """
        old = {(who.key, who.credential): who for who in before.roster.by_leaf.values()}
        new = {(who.key, who.credential): who for who in self.roster.by_leaf.values()}
        return [
            *(
                self._left(who, "vanished" if gone(who.leaf) else "removed")
                for them, who in old.items()
                if them not in new
            ),
            *(self._joined(who) for them, who in new.items() if them not in old),
            *(
                StatusChanged(participant=self.person(who))
                for them, who in new.items()
                if them in old and who.status != old[them].status
            ),
            *([self.policy_event()] if self.policy != before.policy else []),
        ]

    def _why(self, removed: Removed, *, gone: Callable[[int], bool]) -> LeaveReason:
        if rules.asked_itself(removed):
            return "left"
        return "vanished" if gone(removed.member.leaf) else "removed"

    def _left(self, who: Participant, reason: LeaveReason) -> ParticipantLeft:
        return ParticipantLeft(participant=self.person(who), epoch=self.epoch, reason=reason)

    def _joined(self, who: Participant) -> ParticipantJoined:
        return ParticipantJoined(participant=self.person(who), epoch=self.epoch)


def _coming(who: Participant, were: Mapping[bytes, Participant]) -> Participant:
    """Whoever comes back has been here all the time."""
    was = were.get(who.key)
    return who if was is None else replace(who, here_since=was.here_since, here_exactly=was.here_exactly)


def _who(member: Member) -> tuple[bytes, bytes]:
    """What makes someone the same person to people: the key and the name."""
    return member.signature_key, member.identity
