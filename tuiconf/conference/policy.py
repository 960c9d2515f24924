"""What the room's policy is, and what it forbids. It lives in a GroupContext extension, so every member has
the same one, and every member checks every commit against it, whoever signed it.

This version: whoever knows the link's secret may be added, by any member; a host may remove anyone; anyone
may be removed who asked to leave, whose connection is gone, or who comes back in the same commit. A group that
was made only because nobody was there to let its maker in has no host. The policy itself does not change during a
call. Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec

from tuiconf.conference.roster import NotAPerson, Roster, person_of
from tuiconf.crypto.media_keys import MAX_LEAVES
from tuiconf.crypto.mls import Changes, Removed, Staged
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.link import PSK_ID

# Private-use range of RFC 9420 §17.3.
EXTENSION_TYPE: Final = 0xF001

# A host per meeting is usual, a handful is many; each costs 34 bytes in every Welcome.
MAX_HOSTS: Final = 64

VERSION: Final = 1


class Lobby(enum.StrEnum):
    """Who waits until someone with the right to admit lets them in."""

    OFF = "off"  # nobody: the link is enough
    UNKNOWN = "unknown"  # those whom nobody with that right knows
    EVERYONE = "everyone"


class Right(enum.StrEnum):
    """Who may do something."""

    HOSTS = "hosts"
    MEMBERS = "members"
    NOBODY = "nobody"  # of recording only: without those who admit or remove, a room could not be kept


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RoomRules:
    """What whoever creates a room decides of it; the hosts can change the lobby later, and lock the room.

    `successors` are fingerprints of those who may become host when the last host is gone; none: anyone.
    """

    lobby: str = "off"
    admit: str = "hosts"
    remove: str = "hosts"
    record: str = "members"
    successors: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without fingerprints."""
        return f"<RoomRules lobby={self.lobby}>"


class CommitForbidden(RemoteProtocolError):
    """The commit is valid MLS, but the room's policy does not allow it. `code` says which rule."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the room's policy forbids this commit ({code})")
        self.code = code


class PolicyError(RemoteProtocolError):
    """The group carries no policy that this program understands."""

    code = "policy"


class _Encoded(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    hosts: Annotated[list[Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]], msgspec.Meta(max_length=64)]


_decoder: Final = msgspec.msgpack.Decoder(_Encoded)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Policy:
    """The room's policy: `hosts` are the identity keys of those who may remove others."""

    hosts: frozenset[bytes]

    def __repr__(self) -> str:
        """Without keys."""
        return f"<Policy of {len(self.hosts)} hosts>"

    def encode(self) -> bytes:
        """The extension's bytes; equal policies have equal bytes."""
        return msgspec.msgpack.encode(_Encoded(VERSION, sorted(self.hosts)))

    @staticmethod
    def decode(data: bytes | None) -> Policy:
        """The policy in the extension's bytes.

        Raises:
            PolicyError: there is none, or not one of this version.
        """
        try:
            encoded = _decoder.decode(data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PolicyError("the room's policy could not be read") from error
        policy = Policy(hosts=frozenset(encoded.hosts))
        if encoded.version != VERSION or policy.encode() != data:
            raise PolicyError("the room's policy is of a version this program does not know")
        return policy


class State(Protocol):
    """What of a membership a way back is judged by."""

    @property
    def group_id(self) -> bytes:
        """The group's name."""

    @property
    def epoch(self) -> int:
        """Its epoch."""

    @property
    def roster(self) -> Roster:
        """Who is in it."""

    @property
    def policy(self) -> Policy:
        """What is allowed in it."""


def check(staged: Staged, *, policy: Policy, roster: Roster, gone: Callable[[int], bool]) -> None:
    """Allow the commit, or say which rule it breaks.

    `roster` is that of the epoch before the commit; `gone(leaf)` whether the relay has no connection of theirs.

    Raises:
        CommitForbidden: with `code` naming the rule. Nothing has changed.
    """
    changes = staged.changes
    if changes.extensions is not None:
        raise CommitForbidden("policy_change")
    if any(psk_id != PSK_ID for psk_id in changes.psk_ids):
        raise CommitForbidden("foreign_psk")
    _check_added(changes)
    _check_kept_names(changes, roster)
    _check_removed(changes, staged.committer, policy=policy, roster=roster, gone=gone)


def check_way_back(before: State, after: State, *, gone: Callable[[int], bool], room_went_on: bool) -> None:
    """Whether a member may let itself be welcomed back into this group, in which it saw not every commit.

    What `check` would have refused may not come in by this door: another member could pretend that there were
    commits we missed, and welcome us into a group of its own making. So nobody may be missing whom the relay still
    has, unless the relay has told us itself that the room went on without us (`room_went_on`); then it may even be
    another group. A group without a host gives way to one with, and of two without the same one to the other for
    everybody, so that a room does not stay in two. `gone(leaf)` is of `before`.

    Raises:
        CommitForbidden: with `code` naming the rule. We stay what we are.
    """
    if after.group_id != before.group_id:
        if room_went_on or _precedence(after) < _precedence(before):
            return
        raise CommitForbidden("other_group")
    if after.epoch <= before.epoch:
        raise CommitForbidden("older_epoch")
    if after.policy != before.policy:
        raise CommitForbidden("policy_change")
    here = {who.key for who in after.roster.by_leaf.values()}
    if not room_went_on and any(not (who.key in here or gone(leaf)) for leaf, who in before.roster.by_leaf.items()):
        raise CommitForbidden("removed_unseen")


def _precedence(state: State) -> tuple[int, bytes]:
    """A group that has a host is never given up; which of those without is, must only be the same for all."""
    return (0, b"") if state.policy.hosts else (1, state.group_id)


def _check_added(changes: Changes) -> None:
    if changes.added and PSK_ID not in changes.psk_ids:
        raise CommitForbidden("added_without_link")
    for added in changes.added:
        if added.member.leaf >= MAX_LEAVES:
            raise CommitForbidden("too_many")
        try:
            person_of(added.member, since=0)
        except NotAPerson as error:
            raise CommitForbidden("bad_credential") from error


def _check_kept_names(changes: Changes, roster: Roster) -> None:
    """An Update may bring a new encryption key, never another identity: people are pinned to theirs."""
    for updated in changes.updated:
        before, after = roster.by_leaf.get(updated.after.leaf), updated.after
        if before is None or (after.signature_key, after.identity) != (before.key, before.credential):
            raise CommitForbidden("identity_change")


def _check_removed(
    changes: Changes, committer: int, *, policy: Policy, roster: Roster, gone: Callable[[int], bool]
) -> None:
    by = roster.by_leaf.get(committer)
    by_host = by is not None and by.key in policy.hosts
    coming_back = {added.member.signature_key for added in changes.added}
    for removed in changes.removed:
        leaf, key = removed.member.leaf, removed.member.signature_key
        if not (by_host or asked_itself(removed) or key in coming_back or gone(leaf)):
            raise CommitForbidden("remove_not_allowed")


def asked_itself(removed: Removed) -> bool:
    """Whether someone goes by their own wish: only they can sign that proposal."""
    return removed.by_reference and removed.proposer == removed.member.leaf
