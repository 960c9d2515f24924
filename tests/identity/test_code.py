"""The security code of an epoch."""

from __future__ import annotations

import re
from collections import Counter

from tuiconf.crypto.primitives import hkdf_expand, hkdf_extract
from tuiconf.identity.code import room_words, security_code


def test_a_code_is_six_groups_of_five_digits() -> None:
    assert all(re.fullmatch(r"([0-9]{5} ){5}[0-9]{5}", security_code(bytes((n,)) * 32)) for n in range(256))


def test_the_code_is_the_hkdf_of_the_authenticator_in_decimal() -> None:
    value = int.from_bytes(hkdf_expand(hkdf_extract(b"", b"x" * 32), b"tuiconf v1 security code", 32), "big")
    assert int(security_code(b"x" * 32).replace(" ", "")) == value % 10**30


def test_codes_of_different_epochs_differ_and_their_digits_are_even() -> None:
    codes = [security_code(n.to_bytes(32, "big")) for n in range(2000)]
    assert len(set(codes)) == len(codes)
    digits = Counter("".join(codes).replace(" ", ""))
    assert set(digits) == set("0123456789")
    # 60,000 digits, 6,000 ± 73 of each: beyond 6 σ something is biased. Without randomness, so never by chance.
    assert all(abs(count - 6000) < 450 for count in digits.values())


def test_the_words_of_a_code_are_eight_numbers_of_eleven_bits_under_a_label_of_their_own() -> None:
    value = int.from_bytes(hkdf_expand(hkdf_extract(b"", b"x" * 32), b"tuiconf v1 room words", 11), "big")
    together = 0
    for number in room_words(b"x" * 32):
        assert 0 <= number < 2048
        together = together << 11 | number
    assert (together, len(room_words(b"x" * 32))) == (value, 8)


def test_words_of_different_epochs_differ_and_each_is_as_likely_as_another() -> None:
    codes = [room_words(n.to_bytes(32, "big")) for n in range(2000)]
    assert len(set(codes)) == len(codes)
    # 16,000 words in 16 parts of the list, 1,000 ± 31 in each: beyond 6 σ something is biased. Never by chance.
    parts = Counter(number // 128 for code in codes for number in code)
    assert len(parts) == 16
    assert all(abs(count - 1000) < 190 for count in parts.values())
