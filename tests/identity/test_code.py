"""The security code of an epoch."""

from __future__ import annotations

import re
from collections import Counter

from tuiconf.crypto.primitives import hkdf_expand, hkdf_extract
from tuiconf.identity.code import security_code


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
