"""Signing, sealing and opening messages: PublicMessage and PrivateMessage (RFC 9420 §6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tuiconf.crypto.mls.codec import Reader, opaque, u8, u16, u32, u64
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.messages import (
    AuthenticatedContent,
    Commit,
    ContentType,
    FramedContent,
    Proposal,
    WireFormat,
    encode_content,
    message_head,
    read_content,
    read_content_type,
    read_message_head,
)
from tuiconf.crypto.mls.schedule import GroupContext
from tuiconf.crypto.mls.secret_tree import MessageKey, Ratchet, RatchetKind, SecretTree
from tuiconf.crypto.mls.suite import VERSION, expand_with_label, sign_with_label, verify_with_label
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.crypto.primitives import (
    AEAD_KEY_BYTES,
    AEAD_NONCE_BYTES,
    HASH_BYTES,
    CryptoError,
    Random,
    aead_open,
    aead_seal,
    equal,
    hmac_sha256,
)

# Contents are filled up to a multiple of this, so that a chat line's length is told to 64 bytes and no closer.
PADDING_BYTES: Final = 64

REUSE_GUARD_BYTES: Final = 4


class MessageEpoch:
    """What it takes to read and write the messages of one epoch. Only the secret tree in it ever changes."""

    __slots__ = ("context", "context_bytes", "ratchets", "sender_data_secret", "tree")

    def __init__(self, context: GroupContext, tree: RatchetTree, sender_data_secret: bytes, ratchets: SecretTree):
        self.context = context
        self.context_bytes = context.encode()
        self.tree = tree
        self.sender_data_secret = sender_data_secret
        self.ratchets = ratchets

    def frame(self, sender: int, content: bytes | Proposal | Commit, authenticated_data: bytes = b"") -> FramedContent:
        """Content of this epoch, by `sender`."""
        content_type, body = encode_content(content)
        return FramedContent(
            group_id=self.context.group_id,
            epoch=self.context.epoch,
            sender=sender,
            authenticated_data=authenticated_data,
            content_type=content_type,
            content=content,
            body=body,
        )

    def sign(self, framed: FramedContent, wire_format: WireFormat, signing_key: bytes) -> AuthenticatedContent:
        """The content with its signature, which covers the group's context. A commit's tag is still to be put in."""
        signature = sign_with_label(signing_key, b"FramedContentTBS", self._to_be_signed(framed, wire_format))
        return AuthenticatedContent(wire_format=wire_format, framed=framed, signature=signature, confirmation_tag=b"")

    def verify(self, message: AuthenticatedContent) -> None:
        """The signature of the member it says it is from.

        Raises:
            MlsError: `signature`; also where nobody is at that leaf.
        """
        sender = self.tree.leaf(message.framed.sender)
        if sender is None:
            raise MlsError("signature", "a message is from a place in the group where nobody is")
        signed = self._to_be_signed(message.framed, message.wire_format)
        verify_with_label(sender.signature_key, b"FramedContentTBS", signed, message.signature)

    def _to_be_signed(self, framed: FramedContent, wire_format: WireFormat) -> bytes:
        return u16(VERSION) + u16(wire_format) + framed.encode() + self.context_bytes

    # --- PublicMessage: signed, and authenticated by a key that only members have

    def seal_public(self, message: AuthenticatedContent, membership_key: bytes) -> bytes:
        """The message in clear, as an MLSMessage."""
        tag = self._membership_tag(message, membership_key)
        return message_head(WireFormat.PUBLIC) + message.framed.encode() + message.auth_data() + opaque(tag)

    def open_public(self, data: bytes, membership_key: bytes) -> AuthenticatedContent:
        """The inverse of `seal_public`, verified.

        Raises:
            MlsError: `malformed`, `membership_tag`, `signature`.
        """
        reader = Reader(data)
        read_message_head(reader)
        framed = FramedContent.decode(reader)
        if framed.content_type is ContentType.APPLICATION:
            raise MlsError("malformed", "application data that is not encrypted")
        message = AuthenticatedContent(
            wire_format=WireFormat.PUBLIC,
            framed=framed,
            signature=reader.opaque(),
            confirmation_tag=_tag(reader, framed),
        )
        tag = reader.opaque()
        reader.finish()
        if not equal(tag, self._membership_tag(message, membership_key)):
            raise MlsError("membership_tag", "a message is not by a member of the group")
        self.verify(message)
        return message

    def _membership_tag(self, message: AuthenticatedContent, membership_key: bytes) -> bytes:
        signed = self._to_be_signed(message.framed, message.wire_format)
        return hmac_sha256(membership_key, signed + message.auth_data())

    # --- PrivateMessage

    def seal_private(self, message: AuthenticatedContent, *, rng: Random) -> bytes:
        """The message encrypted, as an MLSMessage. Uses up one generation of the sender's ratchet, whatever follows."""
        framed = message.framed
        content = framed.body + message.auth_data()
        padded = content + bytes(-len(content) % PADDING_BYTES)
        generation, key = self.ratchets.next_to_send(framed.sender, _kind(framed.content_type))
        guard = rng(REUSE_GUARD_BYTES)
        head = _PrivateHead(framed.group_id, framed.epoch, framed.content_type, framed.authenticated_data)
        # The ratchet gives a key once and deletes it, so key and nonce are fresh; should a state ever be restored
        # from a copy, the random guard still makes a repeated nonce unlikely (RFC 9420 §6.3.1).
        ciphertext = aead_seal(key.key, _guarded(key, guard), padded, head.content_aad())
        sender_data = u32(framed.sender) + u32(generation) + guard
        # This key and nonce come from the ciphertext above, which never repeats.
        sealed_sender = aead_seal(*self._sender_key(ciphertext), sender_data, head.sender_aad())
        return message_head(WireFormat.PRIVATE) + head.content_aad() + opaque(sealed_sender) + opaque(ciphertext)

    def open_private(self, data: bytes, *, own_leaf: int) -> Opened:
        """The inverse of `seal_private`, verified; nothing has changed until `Opened.use` is called.

        Raises:
            MlsError: `malformed`, `own_message`, `decryption`, `replayed`, `limit`, `signature`.
        """
        head, sealed_sender, ciphertext = _read_private(data)
        sender, generation, guard = self._open_sender(head, sealed_sender, ciphertext)
        if sender == own_leaf:
            raise MlsError("own_message", "a message is this member's own")
        if self.tree.leaf(sender) is None:
            raise MlsError("signature", "a message is from a place in the group where nobody is")
        kind = _kind(head.content_type)
        key, after = self.ratchets.find(sender, kind, generation)
        content = _open(key.key, _guarded(key, guard), ciphertext, head.content_aad())
        message = _read_content(content, head, sender)
        self.verify(message)
        return Opened(message, self.ratchets, kind, after)

    def _open_sender(self, head: _PrivateHead, sealed: bytes, ciphertext: bytes) -> tuple[int, int, bytes]:
        reader = Reader(_open(*self._sender_key(ciphertext), sealed, head.sender_aad()))
        sender, generation, guard = reader.u32(), reader.u32(), reader.take(REUSE_GUARD_BYTES)
        reader.finish()
        return sender, generation, guard

    def _sender_key(self, ciphertext: bytes) -> tuple[bytes, bytes]:
        return sender_data_key(self.sender_data_secret, ciphertext)


def sender_data_key(secret: bytes, ciphertext: bytes) -> tuple[bytes, bytes]:
    """The key and nonce that hide who sent `ciphertext` (§6.3.2)."""
    sample = ciphertext[:HASH_BYTES]
    return (
        expand_with_label(secret, b"key", sample, AEAD_KEY_BYTES),
        expand_with_label(secret, b"nonce", sample, AEAD_NONCE_BYTES),
    )


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A verified private message whose key still exists."""

    message: AuthenticatedContent
    _ratchets: SecretTree
    _kind: RatchetKind
    _after: Ratchet

    def use(self) -> None:
        """Delete the key: the same ciphertext can never be opened again."""
        self._ratchets.use(self.message.framed.sender, self._kind, self._after)


@dataclass(frozen=True, slots=True, repr=False)
class _PrivateHead:
    group_id: bytes
    epoch: int
    content_type: ContentType
    authenticated_data: bytes

    def sender_aad(self) -> bytes:
        return opaque(self.group_id) + u64(self.epoch) + u8(self.content_type)

    def content_aad(self) -> bytes:
        return self.sender_aad() + opaque(self.authenticated_data)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Header:
    """What a message says of itself before anything of it is verified."""

    group_id: bytes
    epoch: int
    content_type: ContentType
    wire_format: WireFormat


def peek(message: bytes) -> Header:
    """Where a PublicMessage or PrivateMessage claims to belong. Unauthenticated: for routing, never for trust.

    Raises:
        MlsError: it is neither.
    """
    reader = Reader(message)
    wire_format = read_message_head(reader)
    if wire_format is WireFormat.PUBLIC:
        framed = FramedContent.decode(reader)
        group_id, epoch, content_type = framed.group_id, framed.epoch, framed.content_type
    elif wire_format is WireFormat.PRIVATE:
        group_id, epoch, content_type = reader.opaque(), reader.u64(), read_content_type(reader)
    else:
        raise MlsError("unsupported", "a message is not one from within a group")
    return Header(group_id=group_id, epoch=epoch, content_type=content_type, wire_format=wire_format)


def with_tag(message: AuthenticatedContent, confirmation_tag: bytes) -> AuthenticatedContent:
    """A commit with its confirmation tag."""
    return replace(message, confirmation_tag=confirmation_tag)


def _kind(content_type: ContentType) -> RatchetKind:
    return RatchetKind.APPLICATION if content_type is ContentType.APPLICATION else RatchetKind.HANDSHAKE


def _guarded(key: MessageKey, guard: bytes) -> bytes:
    first = bytes(a ^ b for a, b in zip(key.nonce, guard, strict=False))
    return first + key.nonce[REUSE_GUARD_BYTES:]


def _open(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return aead_open(key, nonce, ciphertext, aad)
    except CryptoError as error:
        raise MlsError("decryption", "a message could not be opened") from error


def _tag(reader: Reader, framed: FramedContent) -> bytes:
    return reader.opaque() if framed.content_type is ContentType.COMMIT else b""


def _read_private(data: bytes) -> tuple[_PrivateHead, bytes, bytes]:
    reader = Reader(data)
    read_message_head(reader)
    head = _PrivateHead(reader.opaque(), reader.u64(), read_content_type(reader), reader.opaque())
    sealed_sender, ciphertext = reader.opaque(), reader.opaque()
    reader.finish()
    return head, sealed_sender, ciphertext


def _read_content(data: bytes, head: _PrivateHead, sender: int) -> AuthenticatedContent:
    reader = Reader(data)
    content = read_content(reader, head.content_type)
    framed = FramedContent(
        group_id=head.group_id,
        epoch=head.epoch,
        sender=sender,
        authenticated_data=head.authenticated_data,
        content_type=head.content_type,
        content=content,
        body=reader.since(0),
    )
    message = AuthenticatedContent(
        wire_format=WireFormat.PRIVATE, framed=framed, signature=reader.opaque(), confirmation_tag=_tag(reader, framed)
    )
    if any(reader.rest()):
        raise MlsError("malformed", "a message's padding is not zero")
    return message
