"""What the room's policy forbids. Every member checks every commit by it, whoever signed it. Pure.

Whoever knows the link's secret may be added: by any member when the lobby is off, by those with the right to admit
otherwise, and when the room is locked only whoever comes back. Anyone may be removed who asked to leave, whose
connection is gone, or who comes back in the same commit, and otherwise by those with the right to remove. A host may
change the policy; when the last host goes, the commit that removes it names one successor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tuiconf.conference.policy import EXTENSION_TYPE, Lobby, Policy, PolicyError
from tuiconf.conference.roster import NotAPerson, Participant, Roster, person_of
from tuiconf.conference.succession import is_passed_over
from tuiconf.crypto.media_keys import MAX_LEAVES
from tuiconf.crypto.mls import Changes, ExtensionsChanged, Removed, Staged
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.link import PSK_ID


class CommitForbidden(RemoteProtocolError):
    """The commit is valid MLS, but the room's policy does not allow it. `code` says which rule."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the room's policy forbids this commit ({code})")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Before:
    """What a commit is judged by: the epoch before it.

    `gone(leaf)` is whether the relay has no connection of theirs; `away(leaf)` is the same, but also of ourselves:
    while we catch up with what was said without us, the others did not have us.
    """

    policy: Policy
    roster: Roster
    gone: Callable[[int], bool]
    away: Callable[[int], bool]


class State(Protocol):
    """What of a membership a way back is judged by."""

    @property
    def group_id(self) -> bytes:
        """The group's name."""

    @property
    def epoch(self) -> int:
        """Its epoch."""

    @property
    def own_leaf(self) -> int:
        """Where we are in it."""

    @property
    def roster(self) -> Roster:
        """Who is in it."""

    @property
    def policy(self) -> Policy:
        """What is allowed in it."""

    @property
    def sure_hosts(self) -> frozenset[bytes]:
        """Its hosts, without a successor who may not know of it."""

    @property
    def welcomed_by(self) -> bytes | None:
        """Who signed the Welcome we came in by."""


def check(staged: Staged, before: Before) -> None:
    """Allow the commit, or say which rule it breaks.

    Raises:
        CommitForbidden: with `code` naming the rule. Nothing has changed.
    """
    changes, by = staged.changes, before.roster.by_leaf.get(staged.committer)
    if by is None:
        raise CommitForbidden("not_a_member")
    if any(psk_id != PSK_ID for psk_id in changes.psk_ids):
        raise CommitForbidden("foreign_psk")
    _check_policy(changes, by, before)
    _check_added(changes, by, before)
    _check_kept_names(changes, before.roster)
    _check_removed(changes, by, before)


def check_way_back(before: State, after: State, *, gone: Callable[[int], bool], room_went_on: bool) -> None:
    """Whether a member may let itself be welcomed back into this group, in which it saw not every commit.

    What `check` would have refused may not come in by this door: another member could pretend that there were
    commits we missed, and welcome us into a group of its own making. So nobody may be missing whom the relay still
    has, and a policy that changed must be vouched for, unless the relay has told us itself that the room went on
    without us (`room_went_on`); then it may even be another group. A group without a host gives way to one with, and
    of two without the same one to the other for everybody, so that a room does not stay in two. `gone(leaf)` is of
    `before`.

    Raises:
        CommitForbidden: with `code` naming the rule. We stay what we are.
    """
    if after.group_id != before.group_id:
        if room_went_on or _precedence(after) < _precedence(before):
            return
        raise CommitForbidden("other_group")
    if after.epoch <= before.epoch:
        raise CommitForbidden("older_epoch")
    if bool(after.policy.hosts) is not bool(before.policy.hosts):
        raise CommitForbidden("policy_change")
    if room_went_on:
        return
    if after.policy != before.policy and not _is_vouched_for(before, after, gone):
        raise CommitForbidden("policy_change")
    here = after.roster.keys
    if any(not (who.key in here or gone(leaf)) for leaf, who in before.roster.by_leaf.items()):
        raise CommitForbidden("removed_unseen")


def _is_vouched_for(before: State, after: State, gone: Callable[[int], bool]) -> bool:
    """Whether a host made, or can have made, the policy that we find changed.

    A host that we know signed the Welcome; or no host that we know is there any more, as the relay has it, and a
    host of the new policy signed it, who may have succeeded them. We ourselves are not there, for the others, if
    for us nobody of them is.
    """
    if after.welcomed_by in before.sure_hosts:
        return True
    others = [leaf for leaf in before.roster.by_leaf if leaf != before.own_leaf]
    alone = all(gone(leaf) for leaf in others)
    for leaf, who in before.roster.by_leaf.items():
        there = not alone if leaf == before.own_leaf else not gone(leaf)
        if there and who.key in before.sure_hosts:
            return False
    return after.welcomed_by in after.policy.hosts


def _precedence(state: State) -> tuple[int, bytes]:
    """A group that has a host is never given up; which of those without is, must only be the same for all."""
    return (0, b"") if state.policy.hosts else (1, state.group_id)


def _check_policy(changes: Changes, by: Participant, before: Before) -> None:
    """A group that has a host is left with one, and only a host, or the going of the last, changes the policy."""
    old, new = before.policy, before.policy
    going = {removed.member.leaf for removed in changes.removed}
    keys = {who.key for leaf, who in before.roster.by_leaf.items() if leaf not in going}
    keys |= {added.member.signature_key for added in changes.added}
    if changes.extensions is not None:
        new = _changed_policy(changes.extensions)
        if by.key not in old.hosts:
            _check_succession(new, going, keys, before)
    if old.hosts and not new.hosts & keys:
        raise CommitForbidden("no_host")


def _changed_policy(changed: ExtensionsChanged) -> Policy:
    """The policy of the next epoch; nothing else of the group's extensions may change."""
    kinds = changed.old.keys() | changed.new.keys()
    if any(changed.old.get(kind) != changed.new.get(kind) for kind in kinds - {EXTENSION_TYPE}):
        raise CommitForbidden("policy_change")
    try:
        return Policy.decode(changed.new.get(EXTENSION_TYPE))
    except PolicyError as error:
        raise CommitForbidden("bad_policy") from error


def _check_succession(new: Policy, going: set[int], keys: set[bytes], before: Before) -> None:
    """By one who is no host: the last host goes with this commit, and exactly one member is put in its place."""
    old = before.policy
    if not old.hosts or old.hosts & keys:
        raise CommitForbidden("policy_change")
    heirs = new.hosts - old.hosts
    heir = next(
        (who for leaf, who in before.roster.by_leaf.items() if who.key in heirs and leaf not in going),
        None,
    )
    if heir is None or new != old.with_host(heir.key, keys):
        raise CommitForbidden("policy_change")
    if is_passed_over(heir, before.roster, leaving=going, policy=old, away=before.away):
        raise CommitForbidden("successor")


def _check_added(changes: Changes, by: Participant, before: Before) -> None:
    if changes.added and PSK_ID not in changes.psk_ids:
        raise CommitForbidden("added_without_link")
    members, policy = before.roster.keys, before.policy
    for added in changes.added:
        if added.member.leaf >= MAX_LEAVES:
            raise CommitForbidden("too_many")
        try:
            person_of(added.member, since=0)
        except NotAPerson as error:
            raise CommitForbidden("bad_credential") from error
        if added.member.signature_key in members:
            continue  # who comes back was admitted once
        if policy.locked:
            raise CommitForbidden("locked")
        if policy.lobby is not Lobby.OFF and not policy.gives(policy.admit, by.key):
            raise CommitForbidden("admit_not_allowed")


def _check_kept_names(changes: Changes, roster: Roster) -> None:
    """An Update may bring a new encryption key, never another identity: people are pinned to theirs."""
    for updated in changes.updated:
        before, after = roster.by_leaf.get(updated.after.leaf), updated.after
        if before is None or (after.signature_key, after.identity) != (before.key, before.credential):
            raise CommitForbidden("identity_change")


def _check_removed(changes: Changes, by: Participant, before: Before) -> None:
    coming_back = {added.member.signature_key for added in changes.added}
    for removed in changes.removed:
        leaf, key = removed.member.leaf, removed.member.signature_key
        if may_remove(before.policy, by.key, key) or asked_itself(removed):
            continue
        if not (key in coming_back or before.gone(leaf)):
            raise CommitForbidden("remove_not_allowed")


def may_remove(policy: Policy, by: bytes, target: bytes) -> bool:
    """Whether one member may remove another who is present and wants to stay: a host only a host may."""
    return by in policy.hosts or (policy.gives(policy.remove, by) and target not in policy.hosts)


def asked_itself(removed: Removed) -> bool:
    """Whether someone goes by their own wish: only they can sign that proposal."""
    return removed.by_reference and removed.proposer == removed.member.leaf
