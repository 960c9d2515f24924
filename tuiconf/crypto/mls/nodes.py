"""What is at the nodes of a ratchet tree: leaf nodes and parent nodes (RFC 9420 §5.3, §7.1, §7.2)."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.crypto.mls import codec
from tuiconf.crypto.mls.codec import Reader, opaque, u8, u16, u32, u64
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.suite import CIPHER_SUITE, VERSION, sign_with_label, verify_with_label
from tuiconf.crypto.primitives import KEY_BYTES, ed25519_public, x25519_usable
from tuiconf.errors import LocalProtocolError

BASIC: Final = 1
"""The basic credential (§5.3): the only type this call knows; its identity is opaque here."""

# 1 application_id, 2 ratchet_tree, 3 required_capabilities, 4 external_pub, 5 external_senders: understood by
# everyone, so never listed in capabilities (§7.2). The same goes for the proposal types 1 to 7.
DEFAULT_EXTENSIONS: Final = frozenset(range(1, 6))
DEFAULT_PROPOSALS: Final = frozenset(range(1, 8))
REQUIRED_CAPABILITIES: Final = 3

# A name, a key and an SSH signature need about 600 bytes. Every member holds every other's: at 1,000 members, 4 MB.
MAX_IDENTITY_BYTES: Final = 4096
# With all the rest, of which a client lists what it can do. A Welcome holds every leaf and the relay takes 1 MiB: a few
# members with leaves without a bound would make each further Welcome too long, so that nobody could be let in.
MAX_LEAF_BYTES: Final = 2 * MAX_IDENTITY_BYTES


class LeafSource(enum.IntEnum):
    """How a leaf came into the tree, which decides what its signature covers."""

    KEY_PACKAGE = 1
    UPDATE = 2
    COMMIT = 3


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Capabilities:
    """What a member's client can do."""

    versions: tuple[int, ...] = (VERSION,)
    suites: tuple[int, ...] = (CIPHER_SUITE,)
    extensions: tuple[int, ...] = ()
    proposals: tuple[int, ...] = ()
    credentials: tuple[int, ...] = (BASIC,)

    def encode(self) -> bytes:
        """The struct's bytes."""
        lists = (self.versions, self.suites, self.extensions, self.proposals, self.credentials)
        return b"".join(map(codec.u16s, lists))

    @staticmethod
    def decode(reader: Reader) -> Capabilities:
        """The struct at the reader."""
        return Capabilities(
            versions=reader.u16s(),
            suites=reader.u16s(),
            extensions=reader.u16s(),
            proposals=reader.u16s(),
            credentials=reader.u16s(),
        )

    def has_extension(self, kind: int) -> bool:
        """Whether an extension type is understood."""
        return kind in DEFAULT_EXTENSIONS or kind in self.extensions

    def has_proposal(self, kind: int) -> bool:
        """Whether a proposal type is understood."""
        return kind in DEFAULT_PROPOSALS or kind in self.proposals


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LeafNode:
    """A member: keys, credential, capabilities. `raw` is all of its bytes; `unsigned` those without the signature."""

    encryption_key: bytes
    signature_key: bytes
    identity: bytes
    capabilities: Capabilities
    source: LeafSource
    lifetime: tuple[int, int] | None  # not before and not after, unix seconds; of a key package only
    parent_hash: bytes  # of a commit only, else empty
    extensions: Mapping[int, bytes]
    signature: bytes
    unsigned: bytes
    raw: bytes

    @staticmethod
    def decode(reader: Reader) -> LeafNode:
        """The struct at the reader; nothing is verified but its form."""
        start = reader.pos
        encryption_key, signature_key = reader.opaque(), reader.opaque()
        if reader.u16() != BASIC:
            raise MlsError("unsupported", "a credential is of a type this call does not know")
        identity = reader.opaque()
        if len(identity) > MAX_IDENTITY_BYTES:
            raise MlsError("limit", "an identity is too long")
        capabilities = Capabilities.decode(reader)
        source = reader.u8()
        lifetime, parent_hash = None, b""
        if source == LeafSource.KEY_PACKAGE:
            lifetime = reader.u64(), reader.u64()
        elif source == LeafSource.COMMIT:
            parent_hash = reader.opaque()
        elif source != LeafSource.UPDATE:
            raise MlsError("malformed", "a leaf node has an unknown source")
        extensions = reader.extensions()
        unsigned = reader.since(start)
        signature = reader.opaque()
        if reader.pos - start > MAX_LEAF_BYTES:
            raise MlsError("limit", "a leaf node is too long")
        return LeafNode(
            encryption_key=encryption_key,
            signature_key=signature_key,
            identity=identity,
            capabilities=capabilities,
            source=LeafSource(source),
            lifetime=lifetime,
            parent_hash=parent_hash,
            extensions=extensions,
            signature=signature,
            unsigned=unsigned,
            raw=reader.since(start),
        )

    def verify(self, group_id: bytes, leaf: int) -> None:
        """The signature, for a place in a group (which a key package's leaf does not name).

        Raises:
            MlsError: `signature`.
        """
        where = b"" if self.source is LeafSource.KEY_PACKAGE else opaque(group_id) + u32(leaf)
        verify_with_label(self.signature_key, b"LeafNodeTBS", self.unsigned + where, self.signature)

    def check(self, group_extensions: Mapping[int, bytes]) -> None:
        """The rules of §7.3 that need neither the time nor the other leaves, nor the signature.

        Raises:
            MlsError: `invalid_leaf`.
        """
        can = self.capabilities
        if len(self.signature_key) != KEY_BYTES or not x25519_usable(self.encryption_key):
            raise MlsError("invalid_leaf", "a member's key cannot be used")
        if VERSION not in can.versions or CIPHER_SUITE not in can.suites or BASIC not in can.credentials:
            raise MlsError("invalid_leaf", "a member does not support the group's parameters")
        if not all(map(can.has_extension, self.extensions)):
            raise MlsError("invalid_leaf", "a member uses an extension it does not list")
        if not all(map(can.has_extension, group_extensions)):
            raise MlsError("invalid_leaf", "a member does not support an extension of the group")
        if REQUIRED_CAPABILITIES in group_extensions:
            _check_required(can, group_extensions[REQUIRED_CAPABILITIES])


def _check_required(can: Capabilities, data: bytes) -> None:
    kinds, proposals, credentials = codec.decode(data, lambda r: (r.u16s(), r.u16s(), r.u16s()))
    if not (
        all(map(can.has_extension, kinds))
        and all(map(can.has_proposal, proposals))
        and all(kind in can.credentials for kind in credentials)
    ):
        raise MlsError("invalid_leaf", "a member does not have the capabilities the group requires")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LeafTemplate:
    """What stays the same in a member's own leaf when its encryption key changes."""

    signing_key: bytes
    identity: bytes
    capabilities: Capabilities

    @property
    def signature_key(self) -> bytes:
        """The public half of `signing_key`."""
        return ed25519_public(self.signing_key)

    def _make(self, key: bytes, source: LeafSource, tail: bytes, where: bytes) -> LeafNode:
        if len(self.identity) > MAX_IDENTITY_BYTES:
            raise LocalProtocolError("an identity is too long")
        head = opaque(key) + opaque(self.signature_key) + u16(BASIC) + opaque(self.identity)
        unsigned = head + self.capabilities.encode() + u8(source) + tail + codec.extensions({})
        signature = sign_with_label(self.signing_key, b"LeafNodeTBS", unsigned + where)
        return codec.decode(unsigned + opaque(signature), LeafNode.decode)

    def for_key_package(self, key: bytes, lifetime: tuple[int, int]) -> LeafNode:
        """A leaf with encryption key `key`, for a key package."""
        tail = u64(lifetime[0]) + u64(lifetime[1])
        return self._make(key, LeafSource.KEY_PACKAGE, tail, b"")

    def for_update(self, key: bytes, group_id: bytes, leaf: int) -> LeafNode:
        """A leaf with encryption key `key`, for an Update."""
        return self._make(key, LeafSource.UPDATE, b"", opaque(group_id) + u32(leaf))

    def for_commit(self, key: bytes, parent_hash: bytes, group_id: bytes, leaf: int) -> LeafNode:
        """A leaf with encryption key `key`, for an UpdatePath."""
        return self._make(key, LeafSource.COMMIT, opaque(parent_hash), opaque(group_id) + u32(leaf))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParentNode:
    """A key that the members below share, but for the `unmerged` ones (ascending leaf indices)."""

    encryption_key: bytes
    parent_hash: bytes
    unmerged: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """The struct's bytes."""
        return self.encode_with(self.unmerged)

    def encode_with(self, unmerged: Sequence[int]) -> bytes:
        """The struct's bytes as if these leaves were the unmerged ones."""
        return opaque(self.encryption_key) + opaque(self.parent_hash) + codec.u32s(unmerged)

    @staticmethod
    def decode(reader: Reader) -> ParentNode:
        """The struct at the reader; nothing is verified but its form."""
        return ParentNode(encryption_key=reader.opaque(), parent_hash=reader.opaque(), unmerged=reader.u32s())


Node = LeafNode | ParentNode
