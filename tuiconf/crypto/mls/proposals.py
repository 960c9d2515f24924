"""Which proposals are valid, which go together, and what they do to a group (RFC 9420 §12.1 to §12.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.messages import Add, GroupContextExtensions, PreSharedKey, Proposal, Remove, Update
from tuiconf.crypto.mls.nodes import LeafNode, LeafSource
from tuiconf.crypto.mls.schedule import MAX_PSKS, ExternalPsk, KnownPsks, PskId
from tuiconf.crypto.mls.spent import Spent
from tuiconf.crypto.mls.tree import RatchetTree


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Member:
    """Someone in the group."""

    leaf: int
    identity: bytes
    signature_key: bytes


def member_at(leaf: int, node: LeafNode) -> Member:
    """The member with this leaf node."""
    return Member(leaf=leaf, identity=node.identity, signature_key=node.signature_key)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Added:
    """Someone comes in. `proposer` is a leaf index: the committer's unless `by_reference`."""

    member: Member
    key_package_ref: bytes
    proposer: int
    by_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Removed:
    """Someone goes. `proposer` is a leaf index: the committer's unless `by_reference`."""

    member: Member
    proposer: int
    by_reference: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Updated:
    """Someone has new keys. MLS does not mind a new name or signature key with them: whoever trusts these must."""

    before: Member
    after: Member


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExtensionsChanged:
    """The GroupContext's extensions, all of them, before and after."""

    old: Mapping[int, bytes]
    new: Mapping[int, bytes]
    proposer: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Changes:
    """What a commit does. `updated` includes the committer when the commit has a path.

    `psk_ids` are those of external keys, and for a resumption secret the whole PreSharedKeyID: members who came later
    do not have it, so a policy that counts what is mixed in must not overlook it.
    """

    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    updated: tuple[Updated, ...] = ()
    extensions: ExtensionsChanged | None = None
    psk_ids: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Proposed:
    """A proposal that has been verified, with who made it; `ref` is None when the committer inlined it."""

    proposal: Proposal
    sender: int
    ref: bytes | None


def verify_proposal(
    proposal: Proposal, sender: int, *, tree: RatchetTree, group_id: bytes, spent: Spent, now: int
) -> None:
    """What can be said of one proposal alone; every signature in it is verified here, and only here.

    Whether its leaf supports the group's extensions is seen when it is applied, for a commit may replace those, too.

    Raises:
        MlsError: it can never be part of a valid commit in this epoch.
    """
    match proposal:
        case Add(key_package):
            check_unspent(key_package, spent)
            key_package.verify(now=now)
        case Update(leaf_node):
            if leaf_node.source is not LeafSource.UPDATE:
                raise MlsError("invalid_leaf", "the leaf of an update was made for something else")
            if tree.has_key(leaf_node.encryption_key) or tree.signer(leaf_node.signature_key) not in (None, sender):
                raise MlsError("duplicate_key", "an update has a key that is in the tree already")
            leaf_node.verify(group_id, sender)
        case Remove(removed):
            tree.member(removed)
        case PreSharedKey() | GroupContextExtensions():
            pass


def check_unspent(package: KeyPackage, spent: Spent) -> None:
    """Whether a key package is new to the group.

    Raises:
        MlsError: `duplicate_key`: its member's private keys are gone, or known to whoever plays it back.
    """
    if package in spent:
        raise MlsError("duplicate_key", "a key package has been used already")


class Selection:
    """Proposals for one commit that go together (§12.2), in constant time for each that is offered."""

    def __init__(self, committer: int) -> None:
        self.items: list[Proposed] = []
        self._committer = committer
        self._touched: set[int] = set()  # leaves with an Update or Remove
        self._removed: set[int] = set()
        self._psks: set[bytes] = set()
        self._new_keys: set[bytes] = set()
        self.extensions: Mapping[int, bytes] | None = None  # the new ones

    def admit(self, item: Proposed) -> None:
        """Take one more.

        Raises:
            MlsError: `invalid_proposals`: it does not go with the others, which stay.
        """
        match item.proposal:
            case Add(key_package):
                self._claim_keys(key_package.leaf_node)
            case Update(leaf_node):
                if item.sender == self._committer:
                    raise MlsError("invalid_proposals", "a committer updates itself by proposal")
                self._touch(item.sender)
                self._claim_keys(leaf_node)
            case Remove(removed):
                if removed == self._committer:
                    raise MlsError("invalid_proposals", "a committer removes itself")
                self._touch(removed)
                self._removed.add(removed)
            case PreSharedKey(psk):
                if psk.encode() in self._psks:
                    raise MlsError("invalid_proposals", "a pre-shared key is used twice")
                if len(self._psks) >= MAX_PSKS:
                    raise MlsError("limit", "a commit mixes in too many pre-shared keys")
                self._psks.add(psk.encode())
            case GroupContextExtensions(extensions):
                if self.extensions is not None:
                    raise MlsError("invalid_proposals", "the group's extensions are replaced twice")
                self.extensions = extensions
        self.items.append(item)

    def _touch(self, leaf: int) -> None:
        if leaf in self._touched:
            raise MlsError("invalid_proposals", "a member is updated or removed twice")
        self._touched.add(leaf)

    def _claim_keys(self, leaf_node: LeafNode) -> None:
        keys = {leaf_node.encryption_key, leaf_node.signature_key}
        if keys & self._new_keys:
            raise MlsError("invalid_proposals", "two members would have the same key")
        self._new_keys |= keys

    def will_remove(self, leaf: int) -> bool:
        """Whether a leaf is among those that are removed."""
        return leaf in self._removed


def choose(
    stored: Iterable[Proposed],
    explicit: Sequence[Proposed],
    *,
    committer: int,
    tree: RatchetTree,
    extensions: Mapping[int, bytes],
    psks: KnownPsks,
) -> Selection:
    """The explicit proposals and as many of the stored as go with them; removes win over updates, older over newer.

    What a stored proposal could break for everybody is left out, so that nobody can stop commits with one.

    Raises:
        MlsError: the explicit ones do not go together.
    """
    chosen = Selection(committer)
    for item in explicit:
        chosen.admit(item)
    for item in sorted(stored, key=_precedence):
        try:
            _check_fits(item.proposal, chosen, tree, extensions, psks)
            chosen.admit(item)
        except MlsError:
            continue  # a valid proposal that the others leave no room for (§12.2): its sender may try again
    return chosen


def _precedence(item: Proposed) -> int:
    """What others depend on comes first: the extensions all must support, then who makes room."""
    return {GroupContextExtensions: 0, Remove: 1}.get(type(item.proposal), 2)


def _check_fits(
    proposal: Proposal, chosen: Selection, tree: RatchetTree, extensions: Mapping[int, bytes], psks: KnownPsks
) -> None:
    match proposal:
        case GroupContextExtensions(new):
            if chosen.extensions is not None:  # said by `admit`, too, but before looking at everybody
                raise MlsError("invalid_proposals", "the group's extensions are replaced twice")
            for _, node in tree.leaves():
                node.check(new)
            for item in chosen.items:
                if isinstance(item.proposal, Add):
                    item.proposal.key_package.leaf_node.check(new)
        case Add(key_package):
            leaf_node = key_package.leaf_node
            leaf_node.check(extensions if chosen.extensions is None else chosen.extensions)
            holder = tree.signer(leaf_node.signature_key)
            if tree.has_key(leaf_node.encryption_key) or not (holder is None or chosen.will_remove(holder)):
                raise MlsError("duplicate_key", "a newcomer has a key that is in the tree already")
        case Update(leaf_node):
            leaf_node.check(extensions if chosen.extensions is None else chosen.extensions)
        case PreSharedKey(psk):
            # A newcomer has no resumption secret, so one in the same commit would keep it out.
            if not isinstance(psk, ExternalPsk) or psks.get(psk) is None:
                raise MlsError("unknown_psk", "a pre-shared key is not known here")
        case Remove():
            pass


def needs_path(items: Sequence[Proposed]) -> bool:
    """Whether a commit of these must carry a path (§12.4): for forward secrecy when someone goes or renews keys."""
    return not items or any(isinstance(item.proposal, Update | Remove | GroupContextExtensions) for item in items)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Applied:
    """What a list of proposals did to a tree and comes to otherwise."""

    changes: Changes
    extensions: Mapping[int, bytes]
    psks: tuple[PskId, ...]
    added: tuple[tuple[int, KeyPackage], ...]

    @property
    def newcomers(self) -> frozenset[int]:
        """Leaf indices of those who have just been added."""
        return frozenset(leaf for leaf, _ in self.added)


def apply(items: Sequence[Proposed], tree: RatchetTree, extensions: Mapping[int, bytes]) -> Applied:
    """Change `tree` (a copy, thrown away on failure) as the proposals say, in the order of §12.3.

    Raises:
        MlsError: the group would not be valid afterwards.
    """
    new_extensions, changed = _apply_extensions(items, extensions)
    updated = [_apply_update(item, item.proposal, tree) for item in items if isinstance(item.proposal, Update)]
    removed = [_apply_remove(item, item.proposal, tree) for item in items if isinstance(item.proposal, Remove)]
    added = [_apply_add(item, item.proposal, tree) for item in items if isinstance(item.proposal, Add)]
    packages = [item.proposal.key_package for item in items if isinstance(item.proposal, Add)]
    psks = tuple(item.proposal.psk for item in items if isinstance(item.proposal, PreSharedKey))
    new_leaves = [package.leaf_node for package in packages]
    new_leaves += [item.proposal.leaf_node for item in items if isinstance(item.proposal, Update)]
    for node in new_leaves if changed is None else [node for _, node in tree.leaves()]:
        node.check(new_extensions)
    changes = Changes(
        added=tuple(added),
        removed=tuple(removed),
        updated=tuple(updated),
        extensions=changed,
        psk_ids=tuple(psk.psk_id if isinstance(psk, ExternalPsk) else psk.encode() for psk in psks),
    )
    places = tuple((new.member.leaf, package) for new, package in zip(added, packages, strict=True))
    return Applied(changes=changes, extensions=new_extensions, psks=psks, added=places)


def _apply_extensions(
    items: Sequence[Proposed], old: Mapping[int, bytes]
) -> tuple[Mapping[int, bytes], ExtensionsChanged | None]:
    for item in items:
        if isinstance(item.proposal, GroupContextExtensions):
            new = item.proposal.extensions
            return new, ExtensionsChanged(old=old, new=new, proposer=item.sender)
    return old, None


def _apply_update(item: Proposed, update: Update, tree: RatchetTree) -> Updated:
    before = member_at(item.sender, tree.member(item.sender))
    tree.update(item.sender, update.leaf_node)
    return Updated(before=before, after=member_at(item.sender, update.leaf_node))


def _apply_remove(item: Proposed, remove: Remove, tree: RatchetTree) -> Removed:
    member = member_at(remove.removed, tree.member(remove.removed))
    tree.remove(remove.removed)
    return Removed(member=member, proposer=item.sender, by_reference=item.ref is not None)


def _apply_add(item: Proposed, add: Add, tree: RatchetTree) -> Added:
    package = add.key_package
    member = member_at(tree.add(package.leaf_node), package.leaf_node)
    by_reference = item.ref is not None
    return Added(member=member, key_package_ref=package.ref, proposer=item.sender, by_reference=by_reference)
