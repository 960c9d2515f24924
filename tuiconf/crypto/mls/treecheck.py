"""What a joiner verifies of a ratchet tree before believing any of it (RFC 9420 §7.3, §7.9.2, §12.4.3.1)."""

from __future__ import annotations

from collections.abc import Mapping

from tuiconf.crypto.mls import treemath
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.nodes import LeafNode, Node, ParentNode
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.primitives import x25519_usable


def check_tree(tree: RatchetTree, group_id: bytes, group_extensions: Mapping[int, bytes]) -> None:
    """Verify every leaf, its signature, every list of unmerged leaves and every parent hash.

    That no key is there twice, `RatchetTree.decode` has seen to. Lifetimes are not looked at: they bound the time in
    which a key package may be *used*, and a member outlives them.

    Raises:
        MlsError: `invalid_tree`, `invalid_leaf` or `signature`.
    """
    for x, parent in tree.parents():
        _check_unmerged(tree, x, parent)
    for x, parent in tree.parents():
        _check_parent_hash(tree, x, parent)
    for leaf, node in tree.leaves():
        node.check(group_extensions)
        node.verify(group_id, leaf)


def _check_unmerged(tree: RatchetTree, x: int, parent: ParentNode) -> None:
    if not x25519_usable(parent.encryption_key):
        raise MlsError("invalid_tree", "a key of the ratchet tree cannot be used")
    first, after = treemath.leaf_range(x)
    before = first - 1
    for leaf in parent.unmerged:
        if not before < leaf < after or tree.leaf(leaf) is None:
            raise MlsError("invalid_tree", "an unmerged leaf is out of order, elsewhere or blank")
        before = leaf
    # Whoever does not know this key does not know those below it on the way either; checked from each parent towards
    # its nearest ancestor that is not blank, which by induction covers the rest.
    above = _nearest_above(tree, x)
    if above is not None and not set(treemath.within(above.unmerged, x)) <= set(parent.unmerged):
        raise MlsError("invalid_tree", "an unmerged leaf is merged further down")


def _nearest_above(tree: RatchetTree, x: int) -> ParentNode | None:
    top = treemath.root(tree.width)
    while x != top:
        x = treemath.parent(x)
        node = tree[x]
        if isinstance(node, ParentNode):
            return node
    return None


def _check_parent_hash(tree: RatchetTree, x: int, parent: ParentNode) -> None:
    """Some descendant must vouch for `x`: set together with it, by the last commit that went through both."""
    left, right = treemath.left(x), treemath.right(x)
    unmerged = frozenset(2 * leaf for leaf in parent.unmerged)
    for child, copath in ((left, right), (right, left)):
        # The parent's unmerged leaves below the child, plus one node, are exactly the child's resolution.
        merged = [y for y in tree.resolution(child) if y not in unmerged]
        if len(merged) == 1 and _carried(tree[merged[0]]) == tree.parent_hash(x, copath):
            return
    raise MlsError("invalid_tree", "a parent node is not vouched for by any of its descendants")


def _carried(node: Node | None) -> bytes | None:
    if isinstance(node, LeafNode | ParentNode) and node.parent_hash:
        return node.parent_hash
    return None
