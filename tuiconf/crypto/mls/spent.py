"""Which key packages have been used in a group, so that none comes in twice (RFC 9420 §10, §16.8).

A key package stands here by the encryption key of its leaf, which is new in every one. Members must agree on what they
refuse, however late they came: a newcomer finds what is in use in the tree, and is told of the rest in the Welcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tuiconf.crypto.mls import codec
from tuiconf.crypto.mls.codec import Reader, opaque, u64, vector
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.keypackage import CLOCK_LEEWAY_S, KeyPackage
from tuiconf.crypto.mls.nodes import LeafNode
from tuiconf.crypto.mls.tree import MAX_MEMBERS, RatchetTree
from tuiconf.crypto.primitives import KEY_BYTES

SPENT_KEY_PACKAGES: Final = 0xF002
"""The GroupInfo extension (private use) that tells a newcomer which were used: public keys, of people who have left."""

# Everybody who fits into the largest group, once. 41 bytes each in a Welcome (168 kB, less than such a tree has) and
# 150 in memory. Whoever wants one forgotten early must add as many others first, in front of everybody.
MAX_SPENT: Final = MAX_MEMBERS


@dataclass(frozen=True, slots=True, repr=False)
class Spent:
    """Key packages that were used, each with the time its lifetime ends: then it is refused for that."""

    until: Mapping[bytes, int] = field(default_factory=lambda: MappingProxyType({}))

    def __contains__(self, package: KeyPackage) -> bool:
        return package.leaf_node.encryption_key in self.until

    def and_those_of(self, leaves: Iterable[LeafNode], *, now: int) -> Spent:
        """With those that these leaves came by, without those that have expired; the oldest beyond the cap are lost."""
        known = {key: end for key, end in self.until.items() if now <= end + CLOCK_LEEWAY_S}
        known |= {leaf.encryption_key: leaf.lifetime[1] for leaf in leaves if leaf.lifetime is not None}
        return Spent(known if len(known) <= MAX_SPENT else dict(list(known.items())[-MAX_SPENT:]))

    def encode_for(self, tree: RatchetTree) -> bytes:
        """Those that a newcomer does not find in the tree: `struct { opaque leaf_key<V>; uint64 not_after; } <V>`."""
        return vector(opaque(key) + u64(end) for key, end in self.until.items() if not tree.has_key(key))

    @staticmethod
    def decode(data: bytes) -> Spent:
        """What `encode_for` made.

        Raises:
            MlsError: it is not that, or more than there can be.
        """
        entries = codec.decode(data, lambda reader: reader.vector(_entry))
        if len(entries) > MAX_SPENT:
            raise MlsError("limit", "a Welcome tells of too many key packages that were used")
        return Spent(dict(entries))


def _entry(reader: Reader) -> tuple[bytes, int]:
    key, end = reader.opaque(), reader.u64()
    if len(key) != KEY_BYTES:
        raise MlsError("malformed", "the key of a key package that was used has another length")
    return key, end
