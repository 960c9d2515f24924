"""The few primitives everything else is made of, each from `cryptography`, none of our own.

MLS cipher suite 0x0001 fixes all of them: X25519, AES-128-GCM, SHA-256, Ed25519 (RFC 9420 §17.1).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

HASH_BYTES: Final = 32

Random = Callable[[int], bytes]
"""A source of that many random bytes: `os.urandom` in the program, given by the caller so that tests can choose."""


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
