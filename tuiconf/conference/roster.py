"""Who is in the call: read from the MLS tree, with the connection each has named for itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tuiconf.conference.events import Person
from tuiconf.crypto.mls import KeyPackage, Member
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.credential import CredentialError, parse_credential
from tuiconf.identity.keys import fingerprint

# How many epochs back someone who is gone is remembered: as many as MLS still opens messages of.
REMEMBERED_EPOCHS: Final = 3


class NotAPerson(RemoteProtocolError):
    """A leaf's credential names nobody, or carries another key than the leaf."""

    code = "credential"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Participant:
    """A member, and where the relay has them."""

    leaf: int
    since: int  # the first epoch in which we know them at this leaf
    key: bytes
    credential: bytes
    name: str
    connection: int | None  # not known until they, or who added them, have said so

    def as_person(self, hosts: frozenset[bytes]) -> Person:
        """As shown to people."""
        return Person(leaf=self.leaf, name=self.name, fingerprint=fingerprint(self.key), host=self.key in hosts)

    def __repr__(self) -> str:
        """Without name and key."""
        return f"<Participant leaf={self.leaf}>"


@dataclass(slots=True)
class Roster:
    """All members of the current epoch, by leaf, and those of the last few epochs who are gone."""

    by_leaf: dict[int, Participant] = field(default_factory=dict)
    _departed: list[tuple[int, Participant]] = field(default_factory=list)  # (last epoch, who)

    @classmethod
    def of(cls, members: Iterable[Member], *, epoch: int) -> Roster:
        """The roster of a group just created or joined.

        Raises:
            NotAPerson: one member's credential is not one of ours.
        """
        return cls({member.leaf: person_of(member, since=epoch) for member in members})

    def leaf_of_key(self, key: bytes) -> int | None:
        """The leaf that signs with `key`."""
        return next((leaf for leaf, who in self.by_leaf.items() if who.key == key), None)

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

    def name_connection(self, leaf: int, connection: int, *, epoch: int) -> None:
        """Whoever was at `leaf` in `epoch` says which connection is theirs."""
        who = self.by_leaf.get(leaf)
        if who is not None and who.since <= epoch:
            self.by_leaf[leaf] = replace(who, connection=connection)

    def hear_of_connections(self, entries: Iterable[tuple[int, int]], *, epoch: int) -> None:
        """Another member says which connections are whose: believed of those of whom we know nothing yet."""
        for leaf, connection in entries:
            who = self.by_leaf.get(leaf)
            if who is not None and who.since <= epoch and who.connection is None:
                self.by_leaf[leaf] = replace(who, connection=connection)

    def forget_connections(self) -> None:
        """The relay has started anew: no connection id of before means anything."""
        for leaf, who in self.by_leaf.items():
            self.by_leaf[leaf] = replace(who, connection=None)

    def known_connections(self) -> list[tuple[int, int]]:
        """(leaf, connection) of all whose connection is known."""
        return [(leaf, who.connection) for leaf, who in self.by_leaf.items() if who.connection is not None]


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
        name=_name_in(member.identity, member.signature_key),
        connection=None,
    )


def check_key_package(key_package: KeyPackage) -> None:
    """Whether a KeyPackage stands for someone.

    Raises:
        NotAPerson: its credential is not one of ours, or not for its key.
    """
    _name_in(key_package.identity, key_package.signature_key)


def _name_in(credential: bytes, key: bytes) -> str:
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
