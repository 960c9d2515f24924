"""Being a member: the MLS group together with the roster and the policy that are read from it.

Pure. `Membership` changes only by `adopt`, after the commit has been checked; a refused commit leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.conference import policy as room_policy
from tuiconf.conference.effects import InstallKeys
from tuiconf.conference.events import Event, Joined, LeaveReason, ParticipantJoined, ParticipantLeft, Person
from tuiconf.conference.policy import Policy, PolicyError
from tuiconf.conference.roster import Participant, Roster, person_of
from tuiconf.crypto.media_keys import BASE_KEY_BYTES, BASE_KEY_LABEL, MAX_LEAVES
from tuiconf.crypto.mls import Group, KeyPackage, KeyPackageBundle, Member, Removed, Staged
from tuiconf.crypto.primitives import Random
from tuiconf.identity.code import security_code
from tuiconf.identity.credential import Credential, encode_credential
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import PSK_ID

GROUP_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """When something happens, on both clocks: the shell reads them, the core never does."""

    now: float  # seconds, monotonic
    unix: float  # seconds since 1970: what lifetimes are checked against, as good as the machine's clock


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Self:
    """Who this participant is, and what the link gives: all that is needed to create or join the group."""

    identity: Identity
    psk: bytes
    rng: Random

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

    def __init__(self, me: Self, group: Group, roster: Roster, policy: Policy) -> None:
        self._me = me
        self.group = group
        self.roster = roster
        self.policy = policy

    @classmethod
    def create(cls, me: Self, at: Instant, *, host: bool) -> Membership:
        """Start a group with nobody else in it; `host` says that it is ours to say who is removed."""
        policy = Policy(hosts=frozenset((me.identity.public_key,) if host else ()))
        group = Group.create(
            me.rng(GROUP_ID_BYTES),
            me.identity.seed,
            me.credential,
            extensions={room_policy.EXTENSION_TYPE: policy.encode()},
            rng=me.rng,
            now=int(at.unix),
        )
        return cls(me, group, Roster.of(group.members(), epoch=group.epoch), policy)

    @classmethod
    def join(cls, me: Self, welcome: bytes, bundle: KeyPackageBundle, at: Instant) -> Membership:
        """Join by a Welcome whose sender knows the link's secret.

        Raises:
            MlsError: the Welcome is forged, not for us, or made without the link's secret.
            PolicyError: the group has no policy we understand, or is larger than media keys can tell apart.
            NotAPerson: a member's credential is not one of ours.
        """
        group = Group.join(welcome, bundle, me.identity.seed, psks=me.psks, now=int(at.unix), required_psk=PSK_ID)
        policy = Policy.decode(group.extensions.get(room_policy.EXTENSION_TYPE))
        members = group.members()
        if any(member.leaf >= MAX_LEAVES for member in members):
            raise PolicyError("the group is larger than a call can be")
        return cls(me, group, Roster.of(members, epoch=group.epoch), policy)

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
    def is_host(self) -> bool:
        """Whether the policy lets this participant remove others."""
        return self._me.identity.public_key in self.policy.hosts

    @property
    def security_code(self) -> str:
        """Equal for all who are in the same group at the same epoch, and only for them."""
        return security_code(self.group.epoch_authenticator)

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
        return tuple(who.as_person(self.policy.hosts) for _, who in sorted(self.roster.by_leaf.items()))

    def expire(self, at: Instant) -> None:
        """Delete the keys of past epochs whose time is over. To be called about once a second."""
        self.group.expire(int(at.unix))

    def joined_event(self) -> Joined:
        """The event that says: in the call, with these people."""
        me = self.roster.by_leaf[self.own_leaf].as_person(self.policy.hosts)
        return Joined(epoch=self.epoch, security_code=self.security_code, me=me, participants=self.people())

    def check(self, staged: Staged, *, gone: Callable[[int], bool]) -> None:
        """Whether the policy allows the commit.

        Raises:
            CommitForbidden: it does not.
        """
        room_policy.check(staged, policy=self.policy, roster=self.roster, gone=gone)

    def commit(self, *, add: Sequence[KeyPackage], remove: Sequence[int], at: Instant) -> Staged:
        """A commit of these changes and of the proposals received; nothing changes before `adopt`.

        Raises:
            MlsError: one of them cannot be committed.
        """
        return self.group.commit(
            add=add,
            remove=remove,
            psk=[PSK_ID] if add else [],
            psks=self._me.psks,
            rng=self._me.rng,
            now=int(at.unix),
        )

    def adopt(self, staged: Staged, *, gone: Callable[[int], bool]) -> list[Event]:
        """Move to the epoch of a checked commit.

        Returns the events about those who came and went; whoever is replaced by a new leaf of the same key and
        name has done neither.
        """
        changes = staged.changes
        coming = {_who(added.member) for added in changes.added}
        going = {_who(removed.member) for removed in changes.removed}
        left = [
            (self.roster.by_leaf[removed.member.leaf], self._why(removed, gone=gone))
            for removed in changes.removed
            if _who(removed.member) not in coming
        ]
        people = [person_of(added.member, since=staged.epoch) for added in changes.added]
        self.group = staged.merge()
        self.roster.replace((removed.member.leaf for removed in changes.removed), people, epoch=self.epoch)
        return [
            *(self._left(who, reason) for who, reason in left),
            *(self._joined(who) for who in people if (who.key, who.credential) not in going),
        ]

    def changes_since(self, before: Membership, *, gone: Callable[[int], bool]) -> list[Event]:
        """The events about those who came and went between an earlier membership and this one, unseen by us.

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
        ]

    def _why(self, removed: Removed, *, gone: Callable[[int], bool]) -> LeaveReason:
        if room_policy.asked_itself(removed):
            return "left"
        return "vanished" if gone(removed.member.leaf) else "removed"

    def _left(self, who: Participant, reason: LeaveReason) -> ParticipantLeft:
        return ParticipantLeft(participant=who.as_person(self.policy.hosts), epoch=self.epoch, reason=reason)

    def _joined(self, who: Participant) -> ParticipantJoined:
        return ParticipantJoined(participant=who.as_person(self.policy.hosts), epoch=self.epoch)


def _who(member: Member) -> tuple[bytes, bytes]:
    """What makes someone the same person to people: the key and the name."""
    return member.signature_key, member.identity
