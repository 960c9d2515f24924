"""The key schedule: from a commit to an epoch's secrets (RFC 9420 §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tuiconf.crypto.mls import codec
from tuiconf.crypto.mls.codec import Reader, opaque, u8, u16, u64
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.suite import CIPHER_SUITE, VERSION, derive_secret, expand_with_label
from tuiconf.crypto.primitives import HASH_BYTES, hkdf_extract, hmac_sha256, sha256

NO_SECRET: Final = bytes(HASH_BYTES)
"""What stands for a commit_secret or psk_secret when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GroupContext:
    """What all members agree on in an epoch (§8.1); it is mixed into every secret and signature."""

    group_id: bytes
    epoch: int
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    extensions: Mapping[int, bytes]

    def encode(self) -> bytes:
        """The struct's bytes."""
        return (
            u16(VERSION)
            + u16(CIPHER_SUITE)
            + opaque(self.group_id)
            + u64(self.epoch)
            + opaque(self.tree_hash)
            + opaque(self.confirmed_transcript_hash)
            + codec.extensions(self.extensions)
        )

    @staticmethod
    def decode(reader: Reader) -> GroupContext:
        """The struct at the reader."""
        if (reader.u16(), reader.u16()) != (VERSION, CIPHER_SUITE):
            raise MlsError("unsupported", "a group has a version or cipher suite this call does not know")
        return GroupContext(
            group_id=reader.opaque(),
            epoch=reader.u64(),
            tree_hash=reader.opaque(),
            confirmed_transcript_hash=reader.opaque(),
            extensions=reader.extensions(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Joining:
    """What a commit's secrets make before they become an epoch's: for the Welcome, and for the epoch."""

    joiner_secret: bytes
    welcome_secret: bytes
    epoch_secret: bytes


def joiner_secret(init_secret: bytes, commit_secret: bytes, context: bytes) -> bytes:
    """The secret a Welcome carries."""
    return expand_with_label(hkdf_extract(init_secret, commit_secret), b"joiner", context, HASH_BYTES)


def joining(joiner: bytes, psk_secret: bytes, context: bytes | None) -> Joining:
    """From the joiner secret on. Without a context (a joiner has yet to open the GroupInfo) there is no epoch."""
    member = hkdf_extract(joiner, psk_secret)
    return Joining(
        joiner_secret=joiner,
        welcome_secret=derive_secret(member, b"welcome"),
        epoch_secret=b"" if context is None else expand_with_label(member, b"epoch", context, HASH_BYTES),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EpochSecrets:
    """The secrets of one epoch (§8, table 4), each 32 bytes.

    `encryption` is the root of the secret tree and must not be kept once that is made.
    """

    sender_data: bytes
    encryption: bytes
    exporter: bytes
    external: bytes
    confirmation_key: bytes
    membership_key: bytes
    resumption: bytes
    authenticator: bytes
    init: bytes

    @staticmethod
    def derive(epoch_secret: bytes) -> EpochSecrets:
        """All of them, from the epoch secret, which is not kept."""
        return EpochSecrets(
            sender_data=derive_secret(epoch_secret, b"sender data"),
            encryption=derive_secret(epoch_secret, b"encryption"),
            exporter=derive_secret(epoch_secret, b"exporter"),
            external=derive_secret(epoch_secret, b"external"),
            confirmation_key=derive_secret(epoch_secret, b"confirm"),
            membership_key=derive_secret(epoch_secret, b"membership"),
            resumption=derive_secret(epoch_secret, b"resumption"),
            authenticator=derive_secret(epoch_secret, b"authentication"),
            init=derive_secret(epoch_secret, b"init"),
        )

    def export(self, label: str, context: bytes, size: int) -> bytes:
        """MLS-Exporter (§8.5): `size` bytes, at most 8,160."""
        secret = derive_secret(self.exporter, label.encode())
        return expand_with_label(secret, b"exported", sha256(context), size)

    def confirmation_tag(self, confirmed_transcript_hash: bytes) -> bytes:
        """The proof that a committer has this epoch's secrets (§6.1)."""
        return hmac_sha256(self.confirmation_key, confirmed_transcript_hash)


def confirmed_hash(interim_before: bytes, signed_commit: bytes) -> bytes:
    """The transcript up to a commit (§8.2); `signed_commit` is wire format, FramedContent and signature."""
    return sha256(interim_before + signed_commit)


def interim_hash(confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """The transcript up to a commit, its confirmation tag included (§8.2)."""
    return sha256(confirmed + opaque(confirmation_tag))


# --- pre-shared keys (§8.4)

# The call uses one, the link's. Each costs 10 µs, and one member could otherwise put 20,000 into a commit.
MAX_PSKS: Final = 64

_EXTERNAL, _RESUMPTION = 1, 2
_APPLICATION = 1  # the usage of a resumption key; the others are for ReInit and branching, which calls refuse


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExternalPsk:
    """Names a pre-shared key from outside MLS, with a nonce that makes each use of it different."""

    psk_id: bytes
    nonce: bytes

    def encode(self) -> bytes:
        """PreSharedKeyID."""
        return u8(_EXTERNAL) + opaque(self.psk_id) + opaque(self.nonce)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResumptionPsk:
    """Names the resumption secret of an earlier epoch, with a nonce that makes each use of it different."""

    group_id: bytes
    epoch: int
    nonce: bytes

    def encode(self) -> bytes:
        """PreSharedKeyID."""
        where = u8(_APPLICATION) + opaque(self.group_id) + u64(self.epoch)
        return u8(_RESUMPTION) + where + opaque(self.nonce)


PskId = ExternalPsk | ResumptionPsk


def decode_psk_id(reader: Reader) -> PskId:
    """The PreSharedKeyID at the reader."""
    found = _decode_psk_id(reader)
    if len(found.nonce) != HASH_BYTES:
        raise MlsError("malformed", "a pre-shared key's nonce has the wrong size")
    return found


def _decode_psk_id(reader: Reader) -> PskId:
    kind = reader.u8()
    if kind == _EXTERNAL:
        return ExternalPsk(psk_id=reader.opaque(), nonce=reader.opaque())
    if kind == _RESUMPTION and reader.u8() == _APPLICATION:
        return ResumptionPsk(group_id=reader.opaque(), epoch=reader.u64(), nonce=reader.opaque())
    raise MlsError("unsupported", "a pre-shared key is of a type this call does not know")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KnownPsks:
    """The pre-shared keys there are: external ones by id, and one group's resumption secrets by epoch."""

    external: Mapping[bytes, bytes]
    group_id: bytes = b""
    resumption: Mapping[int, bytes] = field(default_factory=dict)

    def get(self, psk: PskId) -> bytes | None:
        """The key, or None."""
        if isinstance(psk, ExternalPsk):
            return self.external.get(psk.psk_id)
        return self.resumption.get(psk.epoch) if psk.group_id == self.group_id else None


def psk_secret(ids: Sequence[PskId], known: KnownPsks) -> bytes:
    """All the pre-shared keys of a commit as one secret, in their order.

    Raises:
        MlsError: `unknown_psk`: one of them is not known; `limit`: there are too many.
    """
    if len(ids) > MAX_PSKS:
        raise MlsError("limit", "a commit mixes in too many pre-shared keys")
    secret = NO_SECRET
    for index, psk in enumerate(ids):
        value = known.get(psk)
        if value is None:
            raise MlsError("unknown_psk", "a pre-shared key is not known here")
        label = psk.encode() + u16(index) + u16(len(ids))
        mixed = expand_with_label(hkdf_extract(NO_SECRET, value), b"derived psk", label, HASH_BYTES)
        secret = hkdf_extract(mixed, secret)
    return secret
