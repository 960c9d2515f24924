"""The security code of an epoch: read aloud, it tells that all are in the same group, with nobody in between. Pure."""

from __future__ import annotations

from typing import Final

from tuiconf.crypto.primitives import hkdf_expand, hkdf_extract

DIGITS: Final = 30
GROUP_DIGITS: Final = 5

_LABEL: Final = b"tuiconf v1 security code"


def security_code(epoch_authenticator: bytes) -> str:
    """30 digits in 6 groups of 5, from the epoch's MLS authenticator (RFC 9420 §8.7).

    Equal codes mean equal authenticators, so the same group at the same epoch with the same members. 10³⁰ is
    about 2⁹⁹·⁶: to hit one given code takes that many tries, and nobody outside has a say in it. Someone who is a
    member of two groups can try for any two codes that are equal, which takes about 2⁵⁰ epochs made while both
    calls wait. Reducing 256 bits favours no code by more than 2⁻¹⁵⁶.
    """
    value = int.from_bytes(hkdf_expand(hkdf_extract(b"", epoch_authenticator), _LABEL, 32), "big")
    digits = f"{value % 10**DIGITS:0{DIGITS}}"
    return " ".join(digits[at : at + GROUP_DIGITS] for at in range(0, DIGITS, GROUP_DIGITS))
