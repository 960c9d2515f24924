"""Cipher suite 0x0001 and its labelled operations (RFC 9420 §5 and §8).

Every use has its own label, so a value made for one purpose can never serve as another.
"""

from __future__ import annotations

from typing import Final

from tuiconf.crypto.mls.codec import length, opaque, u16, u32
from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.primitives import (
    HASH_BYTES,
    CryptoError,
    ed25519_sign,
    ed25519_verify,
    hkdf_expand,
    hpke_open,
    hpke_seal,
    sha256,
)

VERSION: Final = 1
"""mls10"""
CIPHER_SUITE: Final = 1
"""MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"""


def ref_hash(label: bytes, value: bytes) -> bytes:
    """RefHash (§5.2); `label` is complete, as the RFC writes it."""
    return sha256(opaque(label) + opaque(value))


def expand_with_label(secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """ExpandWithLabel (§8): `size` bytes."""
    info = u16(size) + length(len(label) + 8) + b"MLS 1.0 " + label + opaque(context)
    return hkdf_expand(secret, info, size)


def derive_secret(secret: bytes, label: bytes) -> bytes:
    """DeriveSecret (§8): 32 bytes."""
    return expand_with_label(secret, label, b"", HASH_BYTES)


def derive_tree_secret(secret: bytes, label: bytes, generation: int, size: int) -> bytes:
    """DeriveTreeSecret (§9)."""
    return expand_with_label(secret, label, u32(generation), size)


def _labelled(label: bytes, content: bytes) -> bytes:
    return length(len(label) + 8) + b"MLS 1.0 " + label + opaque(content)


def sign_with_label(seed: bytes, label: bytes, content: bytes) -> bytes:
    """SignWithLabel (§5.1.2)."""
    return ed25519_sign(seed, _labelled(label, content))


def verify_with_label(public: bytes, label: bytes, content: bytes, signature: bytes) -> None:
    """VerifyWithLabel (§5.1.2).

    Raises:
        MlsError: `signature`: it is not theirs.
    """
    if not ed25519_verify(public, _labelled(label, content), signature):
        raise MlsError("signature", "a signature is not valid")


def encrypt_with_label(public: bytes, label: bytes, context: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """EncryptWithLabel (§5.1.3): `kem_output` and `ciphertext`.

    Raises:
        MlsError: `invalid_leaf`: nothing can be sealed to that key.
    """
    try:
        return hpke_seal(public, _labelled(label, context), plaintext)
    except CryptoError as error:
        raise MlsError("invalid_leaf", "nothing can be sealed to a member's key") from error


def decrypt_with_label(private: bytes, label: bytes, context: bytes, kem_output: bytes, ciphertext: bytes) -> bytes:
    """DecryptWithLabel (§5.1.3).

    Raises:
        MlsError: `decryption`.
    """
    try:
        return hpke_open(private, _labelled(label, context), kem_output, ciphertext)
    except CryptoError as error:
        raise MlsError("decryption", "a sealed secret could not be opened") from error
