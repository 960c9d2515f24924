"""From one epoch to the next: making a commit, and processing another member's (RFC 9420 §12.4.1, §12.4.2).

Both take a `State`, never change it (but for the sender's ratchet), and give the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.framing import MessageEpoch, with_tag
from tuiconf.crypto.mls.messages import AuthenticatedContent, Commit, UpdatePath, WireFormat
from tuiconf.crypto.mls.nodes import LeafTemplate
from tuiconf.crypto.mls.proposals import (
    Applied,
    Changes,
    Proposed,
    Selection,
    Updated,
    apply,
    member_at,
    needs_path,
    verify_proposal,
)
from tuiconf.crypto.mls.schedule import (
    NO_SECRET,
    EpochSecrets,
    GroupContext,
    Joining,
    KnownPsks,
    confirmed_hash,
    interim_hash,
    joiner_secret,
    joining,
    psk_secret,
)
from tuiconf.crypto.mls.secret_tree import SecretTree
from tuiconf.crypto.mls.spent import Spent
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.mls.treekem import PathSecrets, create_path, process_path
from tuiconf.crypto.mls.welcome import make_welcome
from tuiconf.crypto.primitives import Random, equal

# Resumption secrets open nothing; a proposal may only mix them in (RFC 9420 §8.6). 32 bytes each.
RESUMPTION_EPOCHS: Final = 16

LAST_EPOCH: Final = (1 << 64) - 1  # the field's end

NOTHING_EARLIER: Final[Mapping[int, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class State:
    """One member's view of one epoch. `keys` are its private keys by node, its own leaf's included."""

    messages: MessageEpoch
    secrets: EpochSecrets  # without `encryption`, which has become the ratchets of `messages`
    interim_transcript_hash: bytes
    own_leaf: int
    keys: Mapping[int, bytes]
    template: LeafTemplate
    resumption: Mapping[int, bytes]  # of this epoch and a few before, by epoch

    @property
    def tree(self) -> RatchetTree:
        """The ratchet tree; not to be changed."""
        return self.messages.tree

    @property
    def context(self) -> GroupContext:
        """What all members agree on."""
        return self.messages.context


def enter_epoch(
    context: GroupContext,
    tree: RatchetTree,
    epoch_secret: bytes,
    *,
    own_leaf: int,
    keys: Mapping[int, bytes],
    template: LeafTemplate,
    earlier: Mapping[int, bytes] = NOTHING_EARLIER,
) -> tuple[State, bytes]:
    """The state of an epoch, and its confirmation tag, which is for the caller to send or to compare.

    `earlier` are resumption secrets by epoch.
    """
    secrets = EpochSecrets.derive(epoch_secret)
    tag = secrets.confirmation_tag(context.confirmed_transcript_hash)
    ratchets = SecretTree(tree.width, secrets.encryption)
    state = State(
        messages=MessageEpoch(context, tree, secrets.sender_data, ratchets),
        secrets=replace(secrets, encryption=b""),
        interim_transcript_hash=interim_hash(context.confirmed_transcript_hash, tag),
        own_leaf=own_leaf,
        keys=keys,
        template=template,
        resumption=dict([*earlier.items(), (context.epoch, secrets.resumption)][-RESUMPTION_EPOCHS:]),
    )
    return state, tag


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Made:
    """An own commit: what to send, and what comes after if it is accepted."""

    commit: bytes
    welcome: bytes | None
    changes: Changes
    state: State


def make_commit(
    state: State,
    items: Sequence[Proposed],
    *,
    with_path: bool,
    wire_format: WireFormat,
    tree_in_welcome: bool,
    authenticated_data: bytes,
    psks: Mapping[bytes, bytes],
    rng: Random,
    spent: Spent | None = None,
) -> Made:
    """A commit of proposals that go together; a Welcome tells of the key packages that are `spent`.

    Raises:
        MlsError: the group would not be valid afterwards, or a pre-shared key is unknown.
    """
    tree = state.tree.copy()
    applied = apply(items, tree, state.context.extensions)
    mixed_psks = psk_secret(applied.psks, known_psks(state, psks))
    keys, changes, path, known = _surviving(state, tree), applied.changes, None, None
    if with_path:
        path, known = create_path(
            tree,
            state.own_leaf,
            state.template,
            group_id=state.context.group_id,
            context_for=lambda tree_hash: _context(state, applied, tree_hash).encode(),
            newcomers=applied.newcomers,
            rng=rng,
        )
        keys = {**_surviving(state, tree), **known.keys}
        changes = _with_committer(changes, state, state.own_leaf, path)
    commit = Commit(tuple(item.proposal if item.ref is None else item.ref for item in items), path)
    framed = state.messages.frame(state.own_leaf, commit, authenticated_data)
    signed = state.messages.sign(framed, wire_format, state.template.signing_key)
    following, tag, secrets = _follow(state, applied, tree, signed, known=known, psk=mixed_psks, keys=keys)
    welcome = make_welcome(
        following.context,
        tree,
        tag,
        applied,
        secrets,
        known,
        signer=state.own_leaf,
        signing_key=state.template.signing_key,
        with_tree=tree_in_welcome,
        spent=spent or Spent(),
    )
    commit_message = _seal(state, with_tag(signed, tag), rng=rng)
    return Made(commit=commit_message, welcome=welcome, changes=changes, state=following)


def process_commit(
    state: State,
    message: AuthenticatedContent,
    commit: Commit,
    *,
    stored: Mapping[bytes, Proposed],
    own_updates: Mapping[bytes, bytes],
    psks: Mapping[bytes, bytes],
    spent: Spent,
    now: int,
) -> tuple[Changes, State | None]:
    """What another member's commit (its signature verified) does, and the state after it; None if we are removed.

    `stored` are the proposals of this epoch by reference, `own_updates` private keys by the public keys of our
    own Updates.

    Raises:
        MlsError: it is not valid.
    """
    sender = message.framed.sender
    items = _resolve(state, sender, commit, stored, spent, now)
    if commit.path is None and needs_path(items):
        raise MlsError("invalid_path", "a commit lacks the path it must have")
    tree = state.tree.copy()
    applied = apply(items, tree, state.context.extensions)
    changes = _with_committer(applied.changes, state, sender, commit.path) if commit.path else applied.changes
    if any(gone.member.leaf == state.own_leaf for gone in changes.removed):
        return changes, None
    mixed_psks = psk_secret(applied.psks, known_psks(state, psks))
    keys, known = _with_own_update(_surviving(state, tree), state, tree, own_updates), None
    if commit.path:
        commit.path.leaf_node.check(applied.extensions)
        known = process_path(
            tree,
            sender,
            commit.path,
            own_leaf=state.own_leaf,
            keys=keys,
            group_id=state.context.group_id,
            context_for=lambda tree_hash: _context(state, applied, tree_hash).encode(),
            newcomers=applied.newcomers,
        )
        keys = {**{x: key for x, key in keys.items() if tree[x] is not None}, **known.keys}
    following, tag, _ = _follow(state, applied, tree, message, known=known, psk=mixed_psks, keys=keys)
    if not equal(tag, message.confirmation_tag):
        raise MlsError("confirmation_tag", "a commit does not lead where its sender says")
    return changes, following


def _resolve(
    state: State, sender: int, commit: Commit, stored: Mapping[bytes, Proposed], spent: Spent, now: int
) -> Sequence[Proposed]:
    chosen = Selection(sender)
    for item in commit.proposals:
        if isinstance(item, bytes):
            if item not in stored:
                raise MlsError("unknown_proposal", "a commit refers to a proposal that is not known here")
            chosen.admit(stored[item])
        else:
            verify_proposal(item, sender, tree=state.tree, group_id=state.context.group_id, spent=spent, now=now)
            chosen.admit(Proposed(proposal=item, sender=sender, ref=None))
    return chosen.items


def known_psks(state: State, external: Mapping[bytes, bytes]) -> KnownPsks:
    """The pre-shared keys a commit may mix in: the caller's, and the group's own."""
    return KnownPsks(external=external, group_id=state.context.group_id, resumption=state.resumption)


def _context(state: State, applied: Applied, tree_hash: bytes) -> GroupContext:
    """The next epoch's context, with the transcript still as it was (§12.4.1)."""
    if state.context.epoch >= LAST_EPOCH:  # whoever welcomes somebody chooses where the group is
        raise MlsError("limit", "the group has come to its last epoch")
    return replace(state.context, epoch=state.context.epoch + 1, tree_hash=tree_hash, extensions=applied.extensions)


def _follow(
    state: State,
    applied: Applied,
    tree: RatchetTree,
    commit: AuthenticatedContent,
    *,
    known: PathSecrets | None,
    psk: bytes,
    keys: Mapping[int, bytes],
) -> tuple[State, bytes, Joining]:
    """The state after a signed commit, the confirmation tag it must have, and the secrets for a Welcome."""
    confirmed = confirmed_hash(state.interim_transcript_hash, commit.confirmed_input())
    context = replace(_context(state, applied, tree.root_hash()), confirmed_transcript_hash=confirmed)
    encoded = context.encode()
    commit_secret = known.commit_secret if known else NO_SECRET
    secrets = joining(joiner_secret(state.secrets.init, commit_secret, encoded), psk, encoded)
    following, tag = enter_epoch(
        context,
        tree,
        secrets.epoch_secret,
        own_leaf=state.own_leaf,
        keys=keys,
        template=state.template,
        earlier=state.resumption,
    )
    return following, tag, secrets


def _seal(state: State, message: AuthenticatedContent, *, rng: Random) -> bytes:
    if message.wire_format is WireFormat.PUBLIC:
        return state.messages.seal_public(message, state.secrets.membership_key)
    return state.messages.seal_private(message, rng=rng)


def _surviving(state: State, tree: RatchetTree) -> dict[int, bytes]:
    """Our private keys whose nodes still have the public keys they had: what was blanked or replaced is forgotten."""
    return {x: key for x, key in state.keys.items() if _public(tree, x) == _public(state.tree, x)}


def _public(tree: RatchetTree, x: int) -> bytes | None:
    node = tree[x] if x < 2 * tree.width - 1 else None
    return None if node is None else node.encryption_key


def _with_own_update(
    keys: dict[int, bytes], state: State, tree: RatchetTree, own_updates: Mapping[bytes, bytes]
) -> dict[int, bytes]:
    x = 2 * state.own_leaf
    if x in keys:
        return keys
    private = own_updates.get(_public(tree, x) or b"")
    if private is None:
        raise MlsError("invalid_proposals", "a commit gives this member a key it does not have")
    return {**keys, x: private}


def _with_committer(changes: Changes, state: State, sender: int, path: UpdatePath) -> Changes:
    before = member_at(sender, state.tree.member(sender))
    after = member_at(sender, path.leaf_node)
    return replace(changes, updated=(*changes.updated, Updated(before=before, after=after)))
