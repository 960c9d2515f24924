"""Who is in the call: read from the MLS tree, with the connection each has named for itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tuiconf.conference.content import NOTHING_SAID, Status
from tuiconf.conference.events import Person, Trust
from tuiconf.crypto.mls import KeyPackage, Member
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.credential import CredentialError, parse_credential
from tuiconf.identity.keys import fingerprint

# How many epochs back someone who is gone is remembered: as many as MLS still opens messages of.
REMEMBERED_EPOCHS: Final = 3


class NotAPerson(RemoteProtocolError):
    """A leaf's credential names nobody, or carries another key than the leaf."""

    code = "credential"


TableEntry = tuple[int, int | None, int | None]
"""Of a member: leaf, connection, and the epoch of coming, as far as they are known."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Participant:
    """A member, and where the relay has them."""

    leaf: int
    since: int  # the first epoch in which we know them at this leaf
    key: bytes
    credential: bytes
    name: str
    connection: int | None  # not known until they, or who added them, have said so
    # The epoch in which they came into the group, comings back aside; not exactly: the latest it can have been.
    here_since: int
    here_exactly: bool
    status: Status = NOTHING_SAID

    def as_person(self, hosts: frozenset[bytes], trust: Trust) -> Person:
        """As shown to people."""
        return Person(
            leaf=self.leaf,
            name=self.name,
            fingerprint=fingerprint(self.key),
            host=self.key in hosts,
            trust=trust,
            muted=self.status.muted,
            hand=self.status.hand,
            recording=self.status.recording,
            recordable=self.status.recordable,
        )

    def __repr__(self) -> str:
        """Without name and key."""
        return f"<Participant leaf={self.leaf}>"


@dataclass(slots=True)
class Roster:
    """All members of the current epoch, by leaf, and those of the last few epochs who are gone."""

    by_leaf: dict[int, Participant] = field(default_factory=dict)
    keys: set[bytes] = field(init=False)
    _departed: list[tuple[int, Participant]] = field(default_factory=list)  # (last epoch, who)

    def __post_init__(self) -> None:
        """Know who is here by key as well."""
        self.keys = {who.key for who in self.by_leaf.values()}

    @classmethod
    def of(cls, members: Iterable[Member], *, epoch: int, own_leaf: int) -> Roster:
        """The roster of a group just created or joined: the others were here before us, or came with us.

        Raises:
            NotAPerson: one member's credential is not one of ours.
        """
        people = [person_of(member, since=epoch) for member in members]
        return cls({who.leaf: replace(who, here_exactly=who.leaf == own_leaf) for who in people})

    def at(self, leaf: int, *, epoch: int) -> Participant | None:
        """Who sat at `leaf` in an epoch that is not over for long: a leaf that is left is given to the next."""
        who = self.by_leaf.get(leaf)
        if who is not None and who.since <= epoch:
            return who
        return next((gone for last, gone in self._departed if gone.leaf == leaf and gone.since <= epoch <= last), None)

    def replace(self, going: Iterable[int], coming: Iterable[Participant], *, epoch: int) -> None:
        """From `epoch` on, those at the leaves `going` are gone, and `coming` are here."""
        self._departed = [entry for entry in self._departed if entry[0] >= epoch - REMEMBERED_EPOCHS]
        self._departed += [(epoch - 1, self.by_leaf.pop(leaf)) for leaf in going]
        self.by_leaf.update((who.leaf, who) for who in coming)
        self.keys = {who.key for who in self.by_leaf.values()}

    def name_connection(self, leaf: int, connection: int, *, epoch: int) -> None:
        """Whoever was at `leaf` in `epoch` says which connection is theirs."""
        who = self.by_leaf.get(leaf)
        if who is not None and who.since <= epoch:
            self.by_leaf[leaf] = replace(who, connection=connection)

    def hear_of(self, entries: Iterable[TableEntry], *, epoch: int) -> None:
        """Another member says which connections are whose, and since when who is here: believed where we know nothing.

        Nobody who was here when we came can have come after us.
        """
        for leaf, connection, here_since in entries:
            who = self.by_leaf.get(leaf)
            if who is None or who.since > epoch:
                continue
            if who.connection is None:
                who = replace(who, connection=connection)
            if here_since is not None and not who.here_exactly and here_since <= who.here_since:
                who = replace(who, here_since=here_since, here_exactly=True)
            self.by_leaf[leaf] = who

    def say_status(self, leaf: int, status: Status, *, epoch: int) -> Participant | None:
        """Whoever was at `leaf` in `epoch` says how they are; who that was until now, None if they are gone."""
        who = self.by_leaf.get(leaf)
        if who is None or who.since > epoch:
            return None
        self.by_leaf[leaf] = replace(who, status=status)
        return who

    def forget_connections(self) -> None:
        """The relay has started anew: no connection id of before means anything."""
        for leaf, who in self.by_leaf.items():
            self.by_leaf[leaf] = replace(who, connection=None)

    def table(self) -> list[TableEntry]:
        """What we know, for newcomers: (leaf, connection, since when they are here)."""
        return [
            (leaf, who.connection, who.here_since if who.here_exactly else None) for leaf, who in self.by_leaf.items()
        ]

    @property
    def is_complete(self) -> bool:
        """Whether we know of everybody since when they are here."""
        return all(who.here_exactly for who in self.by_leaf.values())


def person_of(member: Member, *, since: int) -> Participant:
    """The participant a leaf stands for from the epoch `since` on.

    Raises:
        NotAPerson: the credential is not one of ours, or not for the leaf's key.
    """
    return Participant(
        leaf=member.leaf,
        since=since,
        key=member.signature_key,
        credential=member.identity,
        name=name_in(member.identity, member.signature_key),
        connection=None,
        here_since=since,
        here_exactly=True,
    )


def check_key_package(key_package: KeyPackage) -> None:
    """Whether a KeyPackage stands for someone.

    Raises:
        NotAPerson: its credential is not one of ours, or not for its key.
    """
    name_in(key_package.identity, key_package.signature_key)


def name_in(credential: bytes, key: bytes) -> str:
    """What the one with this key is called.

    Raises:
        NotAPerson: the credential is not one of ours, or not for the key.
    """
    try:
        return parse_credential(credential, signature_key=key).name
    except CredentialError as error:
        raise NotAPerson("a credential could not be read") from error


def committer_rank(
    own_leaf: int, *, roster: Mapping[int, Participant], hosts: frozenset[bytes], absent: frozenset[int]
) -> int:
    """How many members come before `own_leaf` in the order of who commits: hosts first, then the lowest leaf.

    0 is the room's committer. All members who agree on who is `absent` agree on the order.
    """
    own = (roster[own_leaf].key not in hosts, own_leaf)
    return sum(
        (who.key not in hosts, leaf) < own for leaf, who in roster.items() if leaf != own_leaf and leaf not in absent
    )
