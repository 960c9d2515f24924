"""One key per message: the secret tree and its ratchets (RFC 9420 §9).

A key and nonce pair is used for one message and then gone. `SecretTree.find` changes nothing a caller can see;
`use` is called once the message has proved authentic, so forgeries cannot burn keys.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from tuiconf.crypto.mls import treemath
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.suite import derive_tree_secret, expand_with_label
from tuiconf.crypto.primitives import AEAD_KEY_BYTES, AEAD_NONCE_BYTES, HASH_BYTES
from tuiconf.errors import LocalProtocolError

# The relay delivers in order, so a gap means messages that were dropped from its history of 256 while we were away.
# Four times that; the largest costs a receiver about 10 ms, which a member can inflict with each message it signs.
MAX_FORWARD: Final = 1024

# Keys of skipped generations that are kept, newest first, for messages that arrive late after all. They cost about
# 200 bytes each, for every sender that makes us keep them, until the epoch ends.
MAX_KEPT: Final = 32


class RatchetKind(enum.Enum):
    """Proposals and commits have one ratchet, application messages another."""

    HANDSHAKE = b"handshake"
    APPLICATION = b"application"


@dataclass(frozen=True, slots=True, repr=False)
class MessageKey:
    """The AES key and nonce of one message."""

    key: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Ratchet:
    """One member's keys of one kind: `secret` makes that of `generation` and all later ones."""

    secret: bytes
    generation: int = 0
    kept: dict[int, MessageKey] = field(default_factory=dict)  # skipped generations; never changed in place

    def at(self, generation: int) -> tuple[MessageKey, Ratchet]:
        """The key of `generation`, and the ratchet that no longer has it.

        Raises:
            MlsError: `replayed`: it is gone; `limit`: it is too far ahead.
        """
        if generation < self.generation:
            return self._from_kept(generation)
        if generation - self.generation > MAX_FORWARD:
            raise MlsError("limit", "a message is too many generations ahead")
        secret, kept = self.secret, dict(self.kept)
        for skipped in range(self.generation, generation):
            if generation - skipped <= MAX_KEPT:
                kept[skipped] = _message_key(secret, skipped)
            secret = _next(secret, skipped)
        for old in sorted(kept)[:-MAX_KEPT]:
            del kept[old]
        return _message_key(secret, generation), Ratchet(_next(secret, generation), generation + 1, kept)

    def _from_kept(self, generation: int) -> tuple[MessageKey, Ratchet]:
        found = self.kept.get(generation)
        if found is None:
            raise MlsError("replayed", "the key of a message has been used or dropped")
        rest = {other: key for other, key in self.kept.items() if other != generation}
        return found, Ratchet(self.secret, self.generation, rest)


def _message_key(secret: bytes, generation: int) -> MessageKey:
    return MessageKey(
        derive_tree_secret(secret, b"key", generation, AEAD_KEY_BYTES),
        derive_tree_secret(secret, b"nonce", generation, AEAD_NONCE_BYTES),
    )


def _next(secret: bytes, generation: int) -> bytes:
    return derive_tree_secret(secret, b"secret", generation, HASH_BYTES)


class SecretTree:
    """All members' ratchets in one epoch. Secrets of nodes are dropped as soon as those below are made."""

    __slots__ = ("_nodes", "_ratchets", "_width")

    def __init__(self, width: int, encryption_secret: bytes) -> None:
        """`width` leaves, a power of two, blank ones included."""
        self._width = width
        self._nodes = {treemath.root(width): encryption_secret}
        self._ratchets: dict[tuple[int, RatchetKind], Ratchet] = {}

    def find(self, leaf: int, kind: RatchetKind, generation: int) -> tuple[MessageKey, Ratchet]:
        """A member's key for `generation`, and what to give to `use` once the message is known to be authentic.

        Raises:
            MlsError: `malformed`: there is no such leaf; `replayed`; `limit`.
        """
        return self._ratchet(leaf, kind).at(generation)

    def use(self, leaf: int, kind: RatchetKind, after: Ratchet) -> None:
        """Delete the key that `find` gave, with `after`."""
        self._ratchets[leaf, kind] = after

    def next_to_send(self, leaf: int, kind: RatchetKind) -> tuple[int, MessageKey]:
        """Our own next generation and its key, which is deleted before this returns: it cannot be handed out twice."""
        generation = self._ratchet(leaf, kind).generation
        if generation >= 1 << 32:
            raise LocalProtocolError("all keys of this epoch are used: a commit must come first")
        key, after = self._ratchet(leaf, kind).at(generation)
        self.use(leaf, kind, after)
        return generation, key

    def _ratchet(self, leaf: int, kind: RatchetKind) -> Ratchet:
        if (leaf, kind) not in self._ratchets:
            secret = self._take_leaf_secret(leaf)
            for each in RatchetKind:
                self._ratchets[leaf, each] = Ratchet(expand_with_label(secret, each.value, b"", HASH_BYTES))
        return self._ratchets[leaf, kind]

    def _take_leaf_secret(self, leaf: int) -> bytes:
        if not 0 <= leaf < self._width:
            raise MlsError("malformed", "a message names a place that the group does not have")
        x = 2 * leaf
        way = [x]
        while way[-1] not in self._nodes:  # ends: whoever's ratchets are not made has an ancestor here
            way.append(treemath.parent(way[-1]))
        for above in reversed(way[1:]):
            secret = self._nodes.pop(above)
            self._nodes[treemath.left(above)] = expand_with_label(secret, b"tree", b"left", HASH_BYTES)
            self._nodes[treemath.right(above)] = expand_with_label(secret, b"tree", b"right", HASH_BYTES)
        return self._nodes.pop(x)
