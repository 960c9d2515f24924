"""Key packages: how someone who is not in a group offers to be added to one (RFC 9420 §10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.crypto.mls import codec
from tuiconf.crypto.mls.codec import Reader, opaque, u16
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.nodes import Capabilities, LeafNode, LeafSource, LeafTemplate
from tuiconf.crypto.mls.suite import CIPHER_SUITE, VERSION, ref_hash, sign_with_label, verify_with_label
from tuiconf.crypto.primitives import KEY_BYTES, Random, hpke_derive_key_pair, x25519_usable
from tuiconf.errors import LocalProtocolError

WIRE_KEY_PACKAGE: Final = 5

POLICY_EXTENSION: Final = 0xF001
"""The conference's GroupContext extension, of a private-use type: every member must understand it."""

# Clocks of the machines we run on (some without a battery) disagree. An hour either way; a key package that is
# replayed within that time is still useless to whoever replays it, who does not have its private keys.
CLOCK_LEEWAY_S: Final = 3600

# A knock is answered within minutes or not at all. RFC 9420 §7.2 wants a bound; a week leaves room for invitations.
MAX_LIFETIME_S: Final = 7 * 86400


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KeyPackage:
    """The public half. `raw` is all of its bytes, without an MLSMessage around."""

    init_key: bytes
    leaf_node: LeafNode
    signature: bytes
    unsigned: bytes
    raw: bytes

    @property
    def ref(self) -> bytes:
        """KeyPackageRef, 32 bytes."""
        return ref_hash(b"MLS 1.0 KeyPackage Reference", self.raw)

    @property
    def identity(self) -> bytes:
        """The basic credential's identity, which MLS does not look into."""
        return self.leaf_node.identity

    @property
    def signature_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return self.leaf_node.signature_key

    @staticmethod
    def decode(reader: Reader) -> KeyPackage:
        """The struct at the reader; nothing is verified but its form."""
        start = reader.pos
        if (reader.u16(), reader.u16()) != (VERSION, CIPHER_SUITE):
            raise MlsError("unsupported", "a key package has a version or cipher suite this call does not know")
        init_key, leaf_node = reader.opaque(), LeafNode.decode(reader)
        reader.extensions()
        unsigned = reader.since(start)
        return KeyPackage(
            init_key=init_key,
            leaf_node=leaf_node,
            unsigned=unsigned,
            signature=reader.opaque(),
            raw=reader.since(start),
        )

    def verify(self, *, now: int) -> None:
        """The rules of §10.1 that need no group, both signatures included.

        Raises:
            MlsError: `invalid_leaf`, `lifetime` or `signature`.
        """
        leaf = self.leaf_node
        if leaf.source is not LeafSource.KEY_PACKAGE or leaf.lifetime is None:
            raise MlsError("invalid_leaf", "the leaf of a key package was made for something else")
        leaf.check({})
        if not x25519_usable(self.init_key) or self.init_key == leaf.encryption_key:
            raise MlsError("invalid_leaf", "the init key of a key package cannot be used")
        self.check_lifetime(now=now)
        leaf.verify(b"", 0)
        verify_with_label(leaf.signature_key, b"KeyPackageTBS", self.unsigned, self.signature)

    def check_lifetime(self, *, now: int) -> None:
        """Whether it is valid now.

        Raises:
            MlsError: `lifetime`.
        """
        not_before, not_after = self.leaf_node.lifetime or (0, 0)
        if not not_before - CLOCK_LEEWAY_S <= now <= not_after + CLOCK_LEEWAY_S:
            raise MlsError("lifetime", "a key package has expired or is not valid yet")


class KeyPackageBundle:
    """A key package with its private keys, good for joining one group once."""

    __slots__ = ("_keys", "key_package", "ref")

    def __init__(self, key_package: KeyPackage, init_private: bytes, encryption_private: bytes) -> None:
        self.key_package: bytes = u16(VERSION) + u16(WIRE_KEY_PACKAGE) + key_package.raw
        """To be sent: an MLSMessage."""
        self.ref: bytes = key_package.ref
        self._keys: tuple[KeyPackage, bytes, bytes] | None = key_package, init_private, encryption_private

    @property
    def used(self) -> bool:
        """Whether the private keys are gone."""
        return self._keys is None

    @property
    def private(self) -> tuple[KeyPackage, bytes, bytes]:
        """The key package, and the private init and encryption keys.

        Raises:
            LocalProtocolError: it has been used, and they are gone.
        """
        if self._keys is None:
            raise LocalProtocolError("a key package can be used only once")
        return self._keys

    def forget(self) -> None:
        """Drop the private keys: after a group has been joined, or when there is no more interest in one."""
        self._keys = None


def new_key_package(
    signing_key: bytes,
    credential: bytes,
    *,
    rng: Random,
    now: int,
    lifetime_s: int,
    extension_types: Sequence[int] = (POLICY_EXTENSION,),
) -> KeyPackageBundle:
    """A key package valid from now (less the clocks' leeway) for `lifetime_s` seconds.

    `signing_key` is an Ed25519 seed, `credential` the identity of a basic credential, `extension_types` the private
    GroupContext extensions this client understands.
    """
    if not 0 < lifetime_s <= MAX_LIFETIME_S:
        raise LocalProtocolError("a key package is valid for at most a week")
    template = LeafTemplate(
        signing_key=signing_key, identity=credential, capabilities=Capabilities(extensions=tuple(extension_types))
    )
    init_private, init_key = hpke_derive_key_pair(rng(KEY_BYTES))
    encryption_private, encryption_key = hpke_derive_key_pair(rng(KEY_BYTES))
    leaf = template.for_key_package(encryption_key, (now, now + lifetime_s))
    unsigned = u16(VERSION) + u16(CIPHER_SUITE) + opaque(init_key) + leaf.raw + codec.extensions({})
    signature = sign_with_label(signing_key, b"KeyPackageTBS", unsigned)
    package = codec.decode(unsigned + opaque(signature), KeyPackage.decode)
    return KeyPackageBundle(package, init_private, encryption_private)


def parse_key_package(data: bytes, *, now: int) -> KeyPackage:
    """A key package from outside (an MLSMessage), verified: what may be given to `Group.commit`.

    Raises:
        MlsError: it is not one, or not valid now.
    """
    package = codec.decode(data, _wrapped)
    package.verify(now=now)
    not_before, not_after = package.leaf_node.lifetime or (0, 0)
    if not_after - not_before > MAX_LIFETIME_S:
        raise MlsError("lifetime", "a key package is valid for too long")
    return package


def _wrapped(reader: Reader) -> KeyPackage:
    if (reader.u16(), reader.u16()) != (VERSION, WIRE_KEY_PACKAGE):
        raise MlsError("malformed", "this is not a key package")
    return KeyPackage.decode(reader)
