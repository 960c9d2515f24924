"""Fresh secrets up the tree: making and processing an UpdatePath (RFC 9420 §7.4 to §7.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuiconf.crypto.mls import treemath
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.messages import HpkeCiphertext, UpdatePath, UpdatePathNode
from tuiconf.crypto.mls.nodes import LeafSource, LeafTemplate, ParentNode
from tuiconf.crypto.mls.suite import decrypt_with_label, derive_secret, encrypt_with_label
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.primitives import HASH_BYTES, KEY_BYTES, Random, hpke_derive_key_pair, x25519_usable

_LABEL = b"UpdatePathNode"

ContextFor = Callable[[bytes], bytes]
"""The encoded GroupContext that path secrets are sealed under, from the tree hash the path leads to."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PathSecrets:
    """What one member knows of a path: private keys by node, path secrets by node, and the commit's secret."""

    keys: Mapping[int, bytes]
    path_secrets: Mapping[int, bytes]
    commit_secret: bytes


def create_path(
    tree: RatchetTree,
    leaf: int,
    template: LeafTemplate,
    *,
    group_id: bytes,
    context_for: ContextFor,
    newcomers: frozenset[int],
    rng: Random,
) -> tuple[UpdatePath, PathSecrets]:
    """Give `leaf` and all that is above it new keys, in `tree` and sealed for the others.

    `newcomers` (leaf indices) are not sealed to: they get their path secret with the Welcome.
    """
    steps = tree.filtered_path(leaf)
    leaf_private, leaf_public = hpke_derive_key_pair(rng(KEY_BYTES))
    secrets = _climb([x for x, _ in steps], rng(HASH_BYTES))
    parent_hash = _put_parents(tree, leaf, steps, secrets.public)
    tree.put(2 * leaf, template.for_commit(leaf_public, parent_hash, group_id, leaf))
    context = context_for(tree.root_hash())
    nodes = tuple(
        UpdatePathNode(public, _seal(tree, copath, newcomers, context, secrets.path_secrets[x]))
        for (x, copath), public in zip(steps, secrets.public, strict=True)
    )
    known = PathSecrets(
        keys={2 * leaf: leaf_private, **secrets.keys},
        path_secrets=secrets.path_secrets,
        commit_secret=secrets.commit_secret,
    )
    return UpdatePath(tree.member(leaf), nodes), known


def process_path(
    tree: RatchetTree,
    sender: int,
    path: UpdatePath,
    *,
    own_leaf: int,
    keys: Mapping[int, bytes],
    group_id: bytes,
    context_for: ContextFor,
    newcomers: frozenset[int],
) -> PathSecrets:
    """Put another member's path into `tree`, and learn its secrets with our private `keys` (by node).

    The leaf's signature and everything that can be checked of the path is; the tree is for throwing away on failure.

    Raises:
        MlsError: `invalid_path`, `invalid_leaf`, `duplicate_key`, `signature`, `decryption`.
    """
    merge_path(tree, sender, path, group_id=group_id, newcomers=newcomers)
    context = context_for(tree.root_hash())
    steps = tree.filtered_path(sender)
    at = next((i for i, (_, copath) in enumerate(steps) if treemath.below(copath, own_leaf)), None)
    if at is None:
        raise MlsError("invalid_path", "a path does not reach this member")
    listeners = _listeners(tree, steps[at][1], newcomers)
    mine = next((i for i, y in enumerate(listeners) if y in keys), None)
    if mine is None:
        raise MlsError("invalid_path", "a path is not sealed to any key of this member")
    sealed = path.nodes[at].sealed[mine]
    secret = decrypt_with_label(keys[listeners[mine]], _LABEL, context, sealed.kem_output, sealed.ciphertext)
    return derive_known(tree, [x for x, _ in steps[at:]], secret)


def merge_path(tree: RatchetTree, sender: int, path: UpdatePath, *, group_id: bytes, newcomers: frozenset[int]) -> None:
    """The public half of `process_path`: all that does not need a private key."""
    steps = tree.filtered_path(sender)
    if len(path.nodes) != len(steps):
        raise MlsError("invalid_path", "a path has the wrong length")
    for (_, copath), node in zip(steps, path.nodes, strict=True):
        if len(node.sealed) != len(_listeners(tree, copath, newcomers)):
            raise MlsError("invalid_path", "a path is sealed to the wrong number of keys")
        if not x25519_usable(node.encryption_key):
            raise MlsError("invalid_path", "a key of a path cannot be used")
    leaf_node = path.leaf_node
    if leaf_node.source is not LeafSource.COMMIT:
        raise MlsError("invalid_leaf", "the leaf of a path was made for something else")
    if tree.has_key(leaf_node.encryption_key):
        raise MlsError("duplicate_key", "the leaf of a path has a key that is in the tree already")
    parent_hash = _put_parents(tree, sender, steps, [node.encryption_key for node in path.nodes])
    if leaf_node.parent_hash != parent_hash:
        raise MlsError("invalid_path", "the leaf of a path does not vouch for it")
    leaf_node.verify(group_id, sender)
    tree.put(2 * sender, leaf_node)


def derive_known(tree: RatchetTree, nodes: Sequence[int], secret: bytes) -> PathSecrets:
    """The secrets of a path from the lowest of its nodes that we know, checked against the public keys in the tree.

    Raises:
        MlsError: `invalid_path`: they do not belong together.
    """
    found = _climb(nodes, secret)
    for x, public in zip(nodes, found.public, strict=True):
        node = tree[x]
        if node is None or node.encryption_key != public:
            raise MlsError("invalid_path", "the secrets of a path do not fit its public keys")
    return PathSecrets(keys=found.keys, path_secrets=found.path_secrets, commit_secret=found.commit_secret)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Climb(PathSecrets):
    public: Sequence[bytes]


def _climb(nodes: Sequence[int], secret: bytes) -> _Climb:
    keys, path_secrets, publics = {}, {}, []
    for x in nodes:
        path_secrets[x] = secret
        keys[x], public = hpke_derive_key_pair(derive_secret(secret, b"node"))
        publics.append(public)
        secret = derive_secret(secret, b"path")
    return _Climb(keys=keys, path_secrets=path_secrets, commit_secret=secret, public=publics)


def _put_parents(tree: RatchetTree, leaf: int, steps: Sequence[tuple[int, int]], publics: Sequence[bytes]) -> bytes:
    """Set the parents, from the root down, each vouching for the one above; the hash the leaf must carry."""
    tree.blank_path(leaf)
    parent_hash = b""
    for (x, copath), public in zip(reversed(steps), reversed(publics), strict=True):
        tree.put(x, ParentNode(encryption_key=public, parent_hash=parent_hash))
        parent_hash = tree.parent_hash(x, copath)
    return parent_hash


def _listeners(tree: RatchetTree, copath: int, newcomers: frozenset[int]) -> list[int]:
    return [y for y in tree.resolution(copath) if y & 1 or y // 2 not in newcomers]


def _seal(
    tree: RatchetTree, copath: int, newcomers: frozenset[int], context: bytes, secret: bytes
) -> tuple[HpkeCiphertext, ...]:
    publics = [node.encryption_key for y in _listeners(tree, copath, newcomers) if (node := tree[y]) is not None]
    return tuple(HpkeCiphertext(*encrypt_with_label(public, _LABEL, context, secret)) for public in publics)
