"""The few primitives everything else is made of, each from `cryptography`, none of our own.

MLS cipher suite 0x0001 fixes all of them: X25519, AES-128-GCM, SHA-256, Ed25519 (RFC 9420 §17.1).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tuiconf.errors import TuiconfError

HASH_BYTES: Final = 32
AEAD_KEY_BYTES: Final = 16
AEAD_NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

Random = Callable[[int], bytes]
"""A source of that many random bytes: `os.urandom` in the program, given by the caller so that tests can choose."""


class CryptoError(TuiconfError):
    """A ciphertext or key is not what it should be. Deliberately says no more than that."""

    code = "crypto"


def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4)."""
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104)."""
    return hmac.digest(key, data, "sha256")


def equal(a: bytes, b: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(a, b)


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869 §2.2): 32 bytes."""
    return hmac_sha256(salt or bytes(HASH_BYTES), ikm)


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 §2.3): `length` bytes, at most 8,160."""
    if not 0 <= length <= 255 * HASH_BYTES:
        raise ValueError("HKDF-Expand gives at most 255 blocks")
    block, out = b"", b""
    for counter in range(1, -(-length // HASH_BYTES) + 1):
        block = hmac_sha256(prk, block + info + bytes((counter,)))
        out += block
    return out[:length]


# --- AES-128-GCM


def aead_seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """AES-GCM: the ciphertext and its 16-byte tag. The caller must never use `nonce` twice with `key`."""
    return AESGCM(key).encrypt(nonce, plaintext, aad)


def aead_open(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    """The plaintext of what `aead_seal` gave.

    Raises:
        CryptoError: anything of it was changed.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, aad)
    except InvalidTag as error:
        raise CryptoError("a ciphertext is not authentic") from error


# --- Ed25519


def ed25519_public(seed: bytes) -> bytes:
    """The public key of a private key, both 32 bytes (RFC 8032 §5.1.5)."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def ed25519_sign(seed: bytes, message: bytes) -> bytes:
    """A 64-byte signature. Ed25519 is deterministic: there is no nonce to repeat."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` by `public`; any malformed argument is a no."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# --- X25519 and HPKE (RFC 9180), base mode

# Points with which every shared secret is zero (RFC 7748 §6.1): HPKE to one of them fails, so a member with such a
# key would make every other member's path unsealable. X25519 ignores the top bit, so it is cleared before the look-up.
_LOW_ORDER: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)

_HPKE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
_KEM_ID: Final = b"HPKE-v1KEM\x00\x20"  # "HPKE-v1" and the suite id of DHKEM(X25519, HKDF-SHA256)


def x25519_usable(public: bytes) -> bool:
    """Whether something can be sealed to `public`: 32 bytes, and not a point of low order."""
    return len(public) == KEY_BYTES and public[:-1] + bytes((public[-1] & 0x7F,)) not in _LOW_ORDER


def x25519_public(private: bytes) -> bytes:
    """The public key of a private key, both 32 bytes (RFC 7748)."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def hpke_derive_key_pair(ikm: bytes) -> tuple[bytes, bytes]:
    """DeriveKeyPair of RFC 9180 §7.1.3: the private and the public key, 32 bytes each."""
    prk = hkdf_extract(b"", _KEM_ID + b"dkp_prk" + ikm)
    private = hkdf_expand(prk, KEY_BYTES.to_bytes(2, "big") + _KEM_ID + b"sk", KEY_BYTES)
    return private, x25519_public(private)


def hpke_seal(public: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """SealBase of RFC 9180 §6.1 with an empty aad: the encapsulated key (32 bytes) and the ciphertext.

    Each call makes an ephemeral key of its own, inside `cryptography`, so key and nonce never repeat.

    Raises:
        CryptoError: nothing can be sealed to `public`.
    """
    if not x25519_usable(public):
        raise CryptoError("nothing can be sealed to this public key")
    sealed = _HPKE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    return sealed[:KEY_BYTES], sealed[KEY_BYTES:]


def hpke_open(private: bytes, info: bytes, encapsulated: bytes, ciphertext: bytes) -> bytes:
    """OpenBase of RFC 9180 §6.1 with an empty aad.

    Raises:
        CryptoError: it was not sealed to this key with this `info`, or was changed.
    """
    if not x25519_usable(encapsulated):
        raise CryptoError("an encapsulated key cannot be used")
    try:
        return _HPKE.decrypt(encapsulated + ciphertext, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError) as error:
        raise CryptoError("a ciphertext is not authentic") from error
