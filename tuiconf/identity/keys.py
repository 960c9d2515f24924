"""A participant's long-term key, and how people compare it. Pure."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tuiconf.crypto.primitives import Random, sha256
from tuiconf.errors import LocalProtocolError, UsageError
from tuiconf.identity.names import normalise_name

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32

# 160 bits: finding another key with the same fingerprint takes 2¹⁶⁰ tries, and 32 characters can be read aloud.
FINGERPRINT_BYTES: Final = 20
_GROUP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Identity:
    """Who this person is on this device: a name, and an Ed25519 key (its 32-byte seed).

    Raises:
        LocalProtocolError: the seed is not 32 bytes.
    """

    name: str
    seed: bytes
    public_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise LocalProtocolError("an identity's seed has 32 bytes")
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        object.__setattr__(self, "public_key", key)

    @classmethod
    def create(cls, name: str, rng: Random) -> Identity:
        """A new one.

        Raises:
            NameRefused: nobody may be called that.
        """
        return cls(name=normalise_name(name), seed=rng(SEED_BYTES))

    def __repr__(self) -> str:
        """Nothing of it: reprs end up in logs."""
        return "<Identity>"


class FingerprintError(UsageError):
    """What was given as a fingerprint is none."""

    code = "fingerprint"


def digest(public_key: bytes) -> bytes:
    """The fingerprint as bytes: the first 160 bits of the key's SHA-256."""
    return sha256(public_key)[:FINGERPRINT_BYTES]


def fingerprint(public_key: bytes) -> str:
    """What people compare: the digest in base32, as 8 groups of 4."""
    text = base64.b32encode(digest(public_key)).decode("ascii").lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def parse_fingerprint(text: str) -> bytes:
    """The digest that a fingerprint stands for, however it is grouped and in whatever case.

    Raises:
        FingerprintError: it is not one.
    """
    plain = text.replace("-", "").replace(" ", "").upper()
    try:
        value = base64.b32decode(plain.encode("ascii"))
    except ValueError as error:
        raise FingerprintError("a fingerprint is 8 groups of 4 letters and digits") from error
    if len(value) != FINGERPRINT_BYTES:
        raise FingerprintError("a fingerprint is 8 groups of 4 letters and digits")
    return value
