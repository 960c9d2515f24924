"""The ratchet tree: who is where, what is hashed, who hears which node (RFC 9420 §4.1, §7.7 to §7.9).

Nodes are immutable. A tree is changed only between `copy` and the moment it becomes a group's: copying is three flat
lists, never the nodes. Tree hashes are kept per node, and a change forgets those above it and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tuiconf.crypto.mls import treemath
from tuiconf.crypto.mls.codec import Reader, opaque, optional, u8, u32, vector
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.nodes import LeafNode, Node, ParentNode
from tuiconf.crypto.primitives import sha256

# Four times the largest call we build for, and as many connections as a relay names. A Welcome of blank nodes, one
# byte each, would otherwise cost a joiner a hash per byte; at this cap the worst one costs about 20 ms.
MAX_MEMBERS: Final = 4096

_LEAF: Final = 1
_PARENT: Final = 2


class RatchetTree:
    """A full binary tree in an array; its width, in leaves, is a power of two. Empty it has one blank leaf."""

    __slots__ = ("_hashes", "_keys", "_nodes", "_signers")

    def __init__(self) -> None:
        self._nodes: list[Node | None] = [None]
        self._hashes: list[bytes | None] = [None]
        self._keys: set[bytes] = set()  # every encryption key in the tree
        self._signers: dict[bytes, int] = {}  # signature key -> leaf

    def copy(self) -> RatchetTree:
        """Another tree that can be changed without this one changing."""
        other = RatchetTree.__new__(RatchetTree)
        other._nodes, other._hashes = self._nodes.copy(), self._hashes.copy()
        other._keys, other._signers = self._keys.copy(), self._signers.copy()
        return other

    # --- reading

    @property
    def width(self) -> int:
        """Leaves, blank ones included."""
        return (len(self._nodes) + 1) // 2

    def __getitem__(self, x: int) -> Node | None:
        """The node with array index `x`."""
        return self._nodes[x]

    def leaf(self, leaf: int) -> LeafNode | None:
        """The member at leaf index `leaf`, if there is one."""
        node = self._nodes[2 * leaf] if 0 <= leaf < self.width else None
        return node if isinstance(node, LeafNode) else None

    def member(self, leaf: int) -> LeafNode:
        """The member at leaf index `leaf`.

        Raises:
            MlsError: `invalid_proposals`: nobody is there.
        """
        node = self.leaf(leaf)
        if node is None:
            raise MlsError("invalid_proposals", "a message names a place in the group where nobody is")
        return node

    def leaves(self) -> Iterator[tuple[int, LeafNode]]:
        """Every member with its leaf index, ascending."""
        for leaf, node in enumerate(self._nodes[::2]):
            if isinstance(node, LeafNode):
                yield leaf, node

    def parents(self) -> Iterator[tuple[int, ParentNode]]:
        """Every non-blank parent with its array index, ascending."""
        for position, node in enumerate(self._nodes[1::2]):
            if isinstance(node, ParentNode):
                yield 2 * position + 1, node

    def signer(self, signature_key: bytes) -> int | None:
        """The leaf index of the member with this signature key."""
        return self._signers.get(signature_key)

    def has_key(self, encryption_key: bytes) -> bool:
        """Whether some node has this encryption key."""
        return encryption_key in self._keys

    def resolution(self, x: int) -> list[int]:
        """The nodes whose keys together reach everyone below `x` (§4.1.1), in array indices."""
        node = self._nodes[x]
        if isinstance(node, ParentNode):
            return [x, *(2 * leaf for leaf in node.unmerged)]
        if node is not None:
            return [x]
        if not x & 1:
            return []
        return self.resolution(treemath.left(x)) + self.resolution(treemath.right(x))

    def occupied(self, x: int) -> bool:
        """Whether the resolution of `x` is not empty."""
        first, after = treemath.leaf_range(x)
        # A parent is never filled without a member below it (checked on joining), so leaves decide.
        return any(self._nodes[2 * first : 2 * after : 2])

    def filtered_path(self, leaf: int) -> list[tuple[int, int]]:
        """The ancestors of a leaf that a path gives keys to, from below, each with its copath child (§4.1.2)."""
        return [(x, other) for x, other in treemath.direct_path(leaf, self.width) if self.occupied(other)]

    # --- hashing

    def hash(self, x: int) -> bytes:
        """The tree hash of the subtree at `x` (§7.8)."""
        known = self._hashes[x]
        if known is None:
            node = self._nodes[x]
            if isinstance(node, ParentNode):
                known = self._hash_parent(x, node.encode(), self.hash)
            elif x & 1:
                known = self._hash_parent(x, None, self.hash)
            else:
                known = _hash_leaf(x, node)
            self._hashes[x] = known
        return known

    @staticmethod
    def _hash_parent(x: int, node: bytes | None, child: Callable[[int], bytes]) -> bytes:
        left, right = child(treemath.left(x)), child(treemath.right(x))
        return sha256(u8(_PARENT) + optional(node) + opaque(left) + opaque(right))

    def root_hash(self) -> bytes:
        """The tree hash of the whole tree."""
        return self.hash(treemath.root(self.width))

    def hash_without(self, x: int, gone: tuple[int, ...]) -> bytes:
        """The tree hash of `x` as it was before the leaves `gone` (ascending) were added (§7.9).

        Only what is above those leaves is hashed again, so checking all parent hashes of a tree costs at most
        one hash per node and level.
        """
        inside = treemath.within(gone, x)
        if not inside:
            return self.hash(x)
        if not x & 1:
            return _hash_leaf(x, None)
        node = self._nodes[x]
        before = None
        if isinstance(node, ParentNode):
            left_out = set(inside)
            before = node.encode_with([leaf for leaf in node.unmerged if leaf not in left_out])
        return self._hash_parent(x, before, lambda child: self.hash_without(child, inside))

    def parent_hash(self, x: int, copath: int) -> bytes:
        """The parent hash that the child of `x` on the other side of `copath` must carry (§7.9); `x` is not blank."""
        node = self._nodes[x]
        if not isinstance(node, ParentNode):
            raise MlsError("invalid_tree", "a parent hash of a blank node")
        sibling_hash = self.hash_without(copath, node.unmerged)
        return sha256(opaque(node.encryption_key) + opaque(node.parent_hash) + opaque(sibling_hash))

    # --- changing (only a copy that is nobody's yet)

    def put(self, x: int, node: Node | None) -> None:
        """Set a node and forget the hashes above it.

        Raises:
            MlsError: `duplicate_key`: its encryption or signature key is already in the tree.
        """
        self._release(self._nodes[x])
        if node is not None:
            self._claim(x, node)
        self._nodes[x] = node
        top = treemath.root(self.width)
        self._hashes[x] = None
        while x != top:
            x = treemath.parent(x)
            self._hashes[x] = None

    def _release(self, node: Node | None) -> None:
        if node is not None:
            self._keys.discard(node.encryption_key)
            if isinstance(node, LeafNode):
                self._signers.pop(node.signature_key, None)

    def _claim(self, x: int, node: Node) -> None:
        if node.encryption_key in self._keys:
            raise MlsError("duplicate_key", "an encryption key is in the tree twice")
        self._keys.add(node.encryption_key)
        if isinstance(node, LeafNode):
            if node.signature_key in self._signers:
                raise MlsError("duplicate_key", "a signature key is in the tree twice")
            self._signers[node.signature_key] = x // 2

    def blank_path(self, leaf: int) -> None:
        """Blank every ancestor of a leaf."""
        for x, _ in treemath.direct_path(leaf, self.width):
            if self._nodes[x] is not None:
                self.put(x, None)

    def add(self, node: LeafNode) -> int:
        """Put a member at the leftmost blank leaf, which is returned, widening the tree if there is none (§7.7)."""
        leaves = self._nodes[::2]
        leaf = leaves.index(None) if None in leaves else self.width
        if leaf == self.width:
            if self.width >= MAX_MEMBERS:
                raise MlsError("limit", "the group is full")
            blank = [None] * (len(self._nodes) + 1)
            self._nodes.extend(blank)
            self._hashes.extend(blank)
        for x, _ in treemath.direct_path(leaf, self.width):
            above = self._nodes[x]
            if isinstance(above, ParentNode):
                unmerged = tuple(sorted((*above.unmerged, leaf)))
                self._nodes[x] = ParentNode(
                    encryption_key=above.encryption_key, parent_hash=above.parent_hash, unmerged=unmerged
                )
        self.put(2 * leaf, node)  # forgets the hashes of those just changed, too
        return leaf

    def update(self, leaf: int, node: LeafNode) -> None:
        """Give a member a new leaf node and blank what is above it."""
        self.put(2 * leaf, node)
        self.blank_path(leaf)

    def remove(self, leaf: int) -> None:
        """Blank a member's leaf and what is above it, and halve the tree while its right half is empty (§7.7)."""
        self.put(2 * leaf, None)
        self.blank_path(leaf)
        while self.width > 1 and not any(self._nodes[self.width :: 2]):
            half = self.width - 1
            for node in self._nodes[half:]:
                self._release(node)
            del self._nodes[half:], self._hashes[half:]

    # --- bytes

    def encode(self) -> bytes:
        """The ratchet_tree extension (§12.4.3.3): all nodes, without the blank ones at the end."""
        end = len(self._nodes)
        while end and self._nodes[end - 1] is None:
            end -= 1
        return vector(map(_encode_node, self._nodes[:end]))

    @staticmethod
    def decode(reader: Reader) -> RatchetTree:
        """The tree at the reader. Its keys are distinct; the rest is `check_tree`'s."""
        nodes = reader.vector(_decode_node)
        if len(nodes) % 2 == 0 or nodes[-1] is None:
            raise MlsError("invalid_tree", "a ratchet tree does not end with a member")
        width = treemath.width_for(len(nodes))
        if width > MAX_MEMBERS:
            raise MlsError("limit", "a ratchet tree is larger than a group can be")
        tree = RatchetTree()
        tree._nodes = [*nodes, *[None] * (2 * width - 1 - len(nodes))]
        tree._hashes = [None] * len(tree._nodes)
        for x, node in enumerate(nodes):
            if node is None:
                continue
            if isinstance(node, LeafNode) == bool(x & 1):
                raise MlsError("invalid_tree", "a ratchet tree has a node of the wrong kind")
            tree._claim(x, node)
        return tree


def _hash_leaf(x: int, node: Node | None) -> bytes:
    raw = node.raw if isinstance(node, LeafNode) else None
    return sha256(u8(_LEAF) + u32(x // 2) + optional(raw))


def _encode_node(node: Node | None) -> bytes:
    if isinstance(node, LeafNode):
        return b"\x01\x01" + node.raw
    return b"\x00" if node is None else b"\x01\x02" + node.encode()


def _decode_node(reader: Reader) -> Node | None:
    if not reader.present():
        return None
    kind = reader.u8()
    if kind == _LEAF:
        return LeafNode.decode(reader)
    if kind == _PARENT:
        return ParentNode.decode(reader)
    raise MlsError("malformed", "a node of a ratchet tree is of no known kind")
