"""The code of an epoch: read aloud, it tells that all are in the same group, with nobody in between. Pure.

In two notations, of which a room uses the one it likes: 30 digits (the security code), or 8 words.
"""

from __future__ import annotations

from typing import Final

from tuiconf.crypto.primitives import hkdf_expand, hkdf_extract

DIGITS: Final = 30
GROUP_DIGITS: Final = 5

WORDS: Final = 8
WORD_BITS: Final = 11

_LABEL: Final = b"tuiconf v1 security code"
_WORDS_LABEL: Final = b"tuiconf v1 room words"


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


def room_words(epoch_authenticator: bytes) -> tuple[int, ...]:
    """8 numbers below 2,048, for the words of a list, from the same authenticator under a label of their own.

    88 bits, each equally often. As above, but to hit a given code takes 2⁸⁸ tries, and someone who is a member of two
    groups needs about 2⁴⁴ epochs, tried out in memory while both calls wait. A try takes some 50 µs (a signature and
    the key schedule), so that is thirty years of one processor, and a day of ten thousand. Against whoever has those
    compare the digits (2⁵⁰: two months of them), or safety numbers, in which nobody else has a say. The two notations
    are independent: neither helps to find the other.
    """
    secret = hkdf_extract(b"", epoch_authenticator)
    value = int.from_bytes(hkdf_expand(secret, _WORDS_LABEL, WORDS * WORD_BITS // 8), "big")
    shifts = range((WORDS - 1) * WORD_BITS, -1, -WORD_BITS)
    return tuple((value >> shift) & ((1 << WORD_BITS) - 1) for shift in shifts)
