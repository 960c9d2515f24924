"""Proposals, commits, and what frames them: the structs of RFC 9420 §6, §7.6, §12 as bytes and back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuiconf.crypto.mls import codec
from tuiconf.crypto.mls.codec import Reader, opaque, optional, u8, u16, u32, u64, vector
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.keypackage import KeyPackage
from tuiconf.crypto.mls.nodes import LeafNode
from tuiconf.crypto.mls.schedule import ExternalPsk, GroupContext, PskId, decode_psk_id
from tuiconf.crypto.mls.suite import CIPHER_SUITE, VERSION, ref_hash
from tuiconf.crypto.primitives import HASH_BYTES, Random


class WireFormat(enum.IntEnum):
    """What an MLSMessage holds."""

    PUBLIC = 1
    PRIVATE = 2
    WELCOME = 3
    GROUP_INFO = 4
    KEY_PACKAGE = 5


class ContentType(enum.IntEnum):
    """What a framed message says."""

    APPLICATION = 1
    PROPOSAL = 2
    COMMIT = 3


def message_head(wire_format: WireFormat) -> bytes:
    """The first bytes of an MLSMessage."""
    return u16(VERSION) + u16(wire_format)


def read_message_head(reader: Reader) -> WireFormat:
    """The wire format of the MLSMessage at the reader."""
    if reader.u16() != VERSION:
        raise MlsError("unsupported", "a message is of another version of MLS")
    value = reader.u16()
    if value not in WireFormat.__members__.values():
        raise MlsError("malformed", "a message is of no known wire format")
    return WireFormat(value)


# --- proposals (§12.1)


@dataclass(frozen=True, slots=True, repr=False)
class Add:
    """Add the owner of a key package."""

    key_package: KeyPackage


@dataclass(frozen=True, slots=True, repr=False)
class Update:
    """Replace the proposer's own leaf."""

    leaf_node: LeafNode


@dataclass(frozen=True, slots=True, repr=False)
class Remove:
    """Remove the member at a leaf index."""

    removed: int


@dataclass(frozen=True, slots=True, repr=False)
class PreSharedKey:
    """Mix a pre-shared key into the next epoch."""

    psk: PskId


def new_psk(psk_id: bytes, *, rng: Random) -> PreSharedKey:
    """The proposal to mix in an external key, once: its nonce is fresh (§8.4)."""
    return PreSharedKey(ExternalPsk(psk_id=psk_id, nonce=rng(HASH_BYTES)))


@dataclass(frozen=True, slots=True, repr=False)
class GroupContextExtensions:
    """Replace all extensions of the group."""

    extensions: Mapping[int, bytes]


Proposal = Add | Update | Remove | PreSharedKey | GroupContextExtensions

_ADD, _UPDATE, _REMOVE, _PSK, _REINIT, _EXTERNAL_INIT, _EXTENSIONS = range(1, 8)


def encode_proposal(proposal: Proposal) -> bytes:
    """A Proposal's bytes."""
    match proposal:
        case Add(key_package):
            return u16(_ADD) + key_package.raw
        case Update(leaf_node):
            return u16(_UPDATE) + leaf_node.raw
        case Remove(removed):
            return u16(_REMOVE) + u32(removed)
        case PreSharedKey(psk):
            return u16(_PSK) + psk.encode()
        case GroupContextExtensions(extensions):
            return u16(_EXTENSIONS) + codec.extensions(extensions)


def decode_proposal(reader: Reader) -> Proposal:
    """The Proposal at the reader. ReInit, ExternalInit and unknown types are refused here, once and for all."""
    kind = reader.u16()
    if kind == _ADD:
        return Add(KeyPackage.decode(reader))
    if kind == _UPDATE:
        return Update(LeafNode.decode(reader))
    if kind == _REMOVE:
        return Remove(reader.u32())
    if kind == _PSK:
        return PreSharedKey(decode_psk_id(reader))
    if kind == _EXTENSIONS:
        return GroupContextExtensions(reader.extensions())
    raise MlsError("unsupported", "a proposal is of a type this call refuses")


# --- commits (§7.6, §12.4)


@dataclass(frozen=True, slots=True, repr=False)
class HpkeCiphertext:
    """Something sealed to one public key."""

    kem_output: bytes
    ciphertext: bytes

    def encode(self) -> bytes:
        """The struct's bytes."""
        return opaque(self.kem_output) + opaque(self.ciphertext)

    @staticmethod
    def decode(reader: Reader) -> HpkeCiphertext:
        """The struct at the reader."""
        return HpkeCiphertext(reader.opaque(), reader.opaque())


@dataclass(frozen=True, slots=True, repr=False)
class UpdatePathNode:
    """A new key for a parent node, and its path secret sealed to everyone below its copath child."""

    encryption_key: bytes
    sealed: tuple[HpkeCiphertext, ...]

    def encode(self) -> bytes:
        """The struct's bytes."""
        return opaque(self.encryption_key) + vector(each.encode() for each in self.sealed)

    @staticmethod
    def decode(reader: Reader) -> UpdatePathNode:
        """The struct at the reader."""
        return UpdatePathNode(reader.opaque(), reader.vector(HpkeCiphertext.decode))


@dataclass(frozen=True, slots=True, repr=False)
class UpdatePath:
    """New keys for the committer's leaf and for all that is above it."""

    leaf_node: LeafNode
    nodes: tuple[UpdatePathNode, ...]

    def encode(self) -> bytes:
        """The struct's bytes."""
        return self.leaf_node.raw + vector(node.encode() for node in self.nodes)

    @staticmethod
    def decode(reader: Reader) -> UpdatePath:
        """The struct at the reader."""
        return UpdatePath(LeafNode.decode(reader), reader.vector(UpdatePathNode.decode))


@dataclass(frozen=True, slots=True, repr=False)
class Commit:
    """Proposals, by value or (bytes) by reference, and a path where one is needed."""

    proposals: tuple[Proposal | bytes, ...]
    path: UpdatePath | None

    def encode(self) -> bytes:
        """The struct's bytes."""
        return vector(map(_encode_item, self.proposals)) + optional(self.path.encode() if self.path else None)

    @staticmethod
    def decode(reader: Reader) -> Commit:
        """The struct at the reader."""
        return Commit(reader.vector(_decode_item), UpdatePath.decode(reader) if reader.present() else None)


def _encode_item(item: Proposal | bytes) -> bytes:
    return u8(2) + opaque(item) if isinstance(item, bytes) else u8(1) + encode_proposal(item)


def _decode_item(reader: Reader) -> Proposal | bytes:
    kind = reader.u8()
    if kind == 1:
        return decode_proposal(reader)
    if kind == 2:
        return reader.opaque()
    raise MlsError("malformed", "a commit has an item that is neither a proposal nor a reference")


# --- framing (§6)

_MEMBER: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FramedContent:
    """What a member says. `body` is the encoded content: application data as a vector, a Proposal or a Commit.

    Other senders than members have no business in a call, so there is no field for them.
    """

    group_id: bytes
    epoch: int
    sender: int  # leaf index
    authenticated_data: bytes
    content_type: ContentType
    content: bytes | Proposal | Commit
    body: bytes

    def encode(self) -> bytes:
        """The struct's bytes."""
        return (
            opaque(self.group_id)
            + u64(self.epoch)
            + u8(_MEMBER)
            + u32(self.sender)
            + opaque(self.authenticated_data)
            + u8(self.content_type)
            + self.body
        )

    @staticmethod
    def decode(reader: Reader) -> FramedContent:
        """The struct at the reader."""
        group_id, epoch = reader.opaque(), reader.u64()
        if reader.u8() != _MEMBER:
            raise MlsError("unsupported", "a message is from outside the group")
        sender, authenticated_data = reader.u32(), reader.opaque()
        content_type = read_content_type(reader)
        start = reader.pos
        content = read_content(reader, content_type)
        return FramedContent(
            group_id=group_id,
            epoch=epoch,
            sender=sender,
            authenticated_data=authenticated_data,
            content_type=content_type,
            content=content,
            body=reader.since(start),
        )


def read_content_type(reader: Reader) -> ContentType:
    """The ContentType at the reader."""
    value = reader.u8()
    if value not in ContentType.__members__.values():
        raise MlsError("malformed", "a message has no known content")
    return ContentType(value)


def read_content(reader: Reader, content_type: ContentType) -> bytes | Proposal | Commit:
    """The content at the reader."""
    if content_type is ContentType.APPLICATION:
        return reader.opaque()
    if content_type is ContentType.PROPOSAL:
        return decode_proposal(reader)
    return Commit.decode(reader)


def encode_content(content: bytes | Proposal | Commit) -> tuple[ContentType, bytes]:
    """The content's type and bytes."""
    if isinstance(content, bytes):
        return ContentType.APPLICATION, opaque(content)
    if isinstance(content, Commit):
        return ContentType.COMMIT, content.encode()
    return ContentType.PROPOSAL, encode_proposal(content)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuthenticatedContent:
    """Content with its sender's signature, and a commit's confirmation tag (empty where there is none yet)."""

    wire_format: WireFormat
    framed: FramedContent
    signature: bytes
    confirmation_tag: bytes

    def auth_data(self) -> bytes:
        """FramedContentAuthData."""
        tag = opaque(self.confirmation_tag) if self.framed.content_type is ContentType.COMMIT else b""
        return opaque(self.signature) + tag

    def encode(self) -> bytes:
        """The struct's bytes."""
        return u16(self.wire_format) + self.framed.encode() + self.auth_data()

    def confirmed_input(self) -> bytes:
        """ConfirmedTranscriptHashInput (§8.2)."""
        return u16(self.wire_format) + self.framed.encode() + opaque(self.signature)

    def proposal_ref(self) -> bytes:
        """ProposalRef (§5.2), 32 bytes."""
        return ref_hash(b"MLS 1.0 Proposal Reference", self.encode())


# --- Welcome (§12.4.3)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GroupInfo:
    """What a member tells a newcomer about the group, signed."""

    context: GroupContext
    extensions: Mapping[int, bytes]
    confirmation_tag: bytes
    signer: int
    signature: bytes = b""

    def unsigned(self) -> bytes:
        """GroupInfoTBS."""
        return (
            self.context.encode() + codec.extensions(self.extensions) + opaque(self.confirmation_tag) + u32(self.signer)
        )

    @staticmethod
    def decode(reader: Reader) -> GroupInfo:
        """The struct at the reader."""
        return GroupInfo(
            context=GroupContext.decode(reader),
            extensions=reader.extensions(),
            confirmation_tag=reader.opaque(),
            signer=reader.u32(),
            signature=reader.opaque(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GroupSecrets:
    """What a Welcome seals to each newcomer."""

    joiner_secret: bytes
    path_secret: bytes | None
    psks: tuple[PskId, ...]

    def encode(self) -> bytes:
        """The struct's bytes."""
        path = None if self.path_secret is None else opaque(self.path_secret)
        return opaque(self.joiner_secret) + optional(path) + vector(psk.encode() for psk in self.psks)

    @staticmethod
    def decode(reader: Reader) -> GroupSecrets:
        """The struct at the reader."""
        return GroupSecrets(
            joiner_secret=reader.opaque(),
            path_secret=reader.opaque() if reader.present() else None,
            psks=reader.vector(decode_psk_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Welcome:
    """A GroupInfo for several newcomers, by KeyPackageRef."""

    secrets: tuple[tuple[bytes, HpkeCiphertext], ...]
    group_info: bytes

    def encode(self) -> bytes:
        """An MLSMessage."""
        entries = (opaque(ref) + sealed.encode() for ref, sealed in self.secrets)
        return message_head(WireFormat.WELCOME) + u16(CIPHER_SUITE) + vector(entries) + opaque(self.group_info)

    @staticmethod
    def decode(reader: Reader) -> Welcome:
        """The MLSMessage at the reader."""
        if read_message_head(reader) is not WireFormat.WELCOME:
            raise MlsError("malformed", "this is not a Welcome")
        if reader.u16() != CIPHER_SUITE:
            raise MlsError("unsupported", "a Welcome is of a cipher suite this call does not know")
        return Welcome(
            secrets=reader.vector(lambda r: (r.opaque(), HpkeCiphertext.decode(r))), group_info=reader.opaque()
        )
