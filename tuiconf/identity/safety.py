"""The safety number of two people: compared once, by a channel that is theirs, it tells that each has the other's key.

Pure. It is made of the two identity keys and nothing else, so it is the same on both sides, in every call, for as long
as both keep their keys. After the idea of Signal's numeric fingerprints.
"""

from __future__ import annotations

import re
from typing import Final

from tuiconf.crypto.primitives import sha256
from tuiconf.errors import UsageError

DIGITS: Final = 60
HALF_DIGITS: Final = 30
GROUP_DIGITS: Final = 5

# Each try at another's half costs so many hashes: 5 ms for ours, and 2¹² times the work for whoever tries them all.
# Raising it changes every number there is, as would any other change here, and needs another version.
ITERATIONS: Final = 5200

_LABEL: Final = b"tuiconf v1 safety number"

# What a QR code holds: only characters of its alphanumeric mode, so that it stays small enough for a terminal.
_QR_PREFIX: Final = "TUICONF-SAFETY-1:"
_QR: Final = re.compile(rf"{_QR_PREFIX}([0-9]{{{DIGITS}}})")


class SafetyCodeError(UsageError):
    """What was scanned is no safety number of this version."""

    code = "safety_code"


def safety_number(one: bytes, other: bytes) -> str:
    """60 digits in 12 groups of 5, of two public keys in whatever order.

    Each key gives 30 digits, of an iterated hash of that key alone, and the lower half stands first. Someone in between
    shows each side a key of their own in the other's place. For both to see the same number, the key shown to Ann has
    to give Ben's half, and the one shown to Ben Ann's (that Ann and Ben themselves have equal halves has a chance of
    2⁻⁹⁹). 10³⁰ is about 2⁹⁹·⁶, so each of the two takes about that many keys, and 5,200 hashes for each: 2¹¹² hashes.
    No birthday helps, since what is to be hit is given; whoever hunts for any of a million people's halves saves 2²⁰ of
    it. Who compares fewer digits gets less. Reducing 256 bits to 30 digits favours no number by more than 2⁻¹⁵⁶.
    """
    digits = "".join(sorted((_half(one), _half(other))))
    return " ".join(digits[at : at + GROUP_DIGITS] for at in range(0, DIGITS, GROUP_DIGITS))


def _half(key: bytes) -> str:
    # The key has 32 bytes and so has each hash, so what is hashed can be read in one way only. The key goes into each
    # step: chains that have once met part again.
    value = sha256(_LABEL + key)
    for _ in range(ITERATIONS - 1):
        value = sha256(value + key)
    return f"{int.from_bytes(value, 'big') % 10**HALF_DIGITS:0{HALF_DIGITS}}"


def qr_text(number: str) -> str:
    """What a QR code of this number holds: the same on both sides, and to be read by a person with any scanner."""
    return _QR_PREFIX + number.replace(" ", "")


def is_shown_by(text: str, number: str) -> bool:
    """Whether the QR code that says this is of this number.

    Raises:
        SafetyCodeError: it is not a safety number's, or that of another version.
    """
    found = _QR.fullmatch(text.strip())
    if found is None:
        raise SafetyCodeError("this is not the QR code of a safety number, or that of another version of tuiconf")
    return found[1] == number.replace(" ", "")
