"""The safety number of two people."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiconf.crypto.primitives import sha256
from tuiconf.identity.safety import ITERATIONS, SafetyCodeError, is_shown_by, qr_text, safety_number

KEYS = st.binary(min_size=32, max_size=32)
ANN, BEN = b"a" * 32, b"b" * 32


@settings(max_examples=20, deadline=None)
@given(KEYS, KEYS)
def test_it_is_the_same_on_both_sides_and_twelve_groups_of_five_digits(one: bytes, other: bytes) -> None:
    number = safety_number(one, other)
    assert number == safety_number(other, one)
    assert re.fullmatch(r"([0-9]{5} ){11}[0-9]{5}", number)


def test_it_is_what_the_specification_says() -> None:
    def half(key: bytes) -> str:
        value = sha256(b"tuiconf v1 safety number" + key)
        for _ in range(ITERATIONS - 1):
            value = sha256(value + key)
        return str(int.from_bytes(value, "big") % 10**30).zfill(30)

    assert safety_number(ANN, BEN).replace(" ", "") == min(half(ANN), half(BEN)) + max(half(ANN), half(BEN))


def test_it_never_changes() -> None:
    """People have compared it: a number that changes with a version of the program is a false alarm for all."""
    assert safety_number(bytes(32), bytes(range(32))) == (
        "64784 64444 60873 88283 35785 67512 91291 98101 54316 84707 64669 53209"
    )


def test_another_key_on_either_side_gives_another_number() -> None:
    numbers = [safety_number(one, other) for one, other in ((ANN, BEN), (ANN, b"c" * 32), (b"c" * 32, BEN))]
    assert len(set(numbers)) == 3


def test_its_digits_are_even() -> None:
    digits = Counter("".join(safety_number(bytes((n,)) * 32, b"z" * 32) for n in range(60)).replace(" ", ""))
    # 1,800 of them depend on n, 180 ± 13 of each; the other half is always the same. Without randomness.
    assert set(digits) == set("0123456789")


def test_the_qr_code_of_one_side_is_recognised_by_the_other() -> None:
    assert is_shown_by(qr_text(safety_number(ANN, BEN)) + "\n", safety_number(BEN, ANN))
    assert not is_shown_by(qr_text(safety_number(ANN, b"c" * 32)), safety_number(ANN, BEN))


def test_the_qr_code_is_as_small_as_such_a_text_can_be() -> None:
    assert re.fullmatch(r"[0-9A-Z:-]{77}", qr_text(safety_number(ANN, BEN)))


@pytest.mark.parametrize("text", ["", "1" * 60, "TUICONF-SAFETY-2:" + "1" * 60, "TUICONF-SAFETY-1:" + "1" * 59, "é"])
def test_another_qr_code_is_none(text: str) -> None:
    with pytest.raises(SafetyCodeError):
        is_shown_by(text, safety_number(ANN, BEN))


@given(st.text())
def test_whatever_was_scanned_it_is_one_sentence(text: str) -> None:
    with pytest.raises(SafetyCodeError, match="not the QR code"):
        is_shown_by(text, "1" * 60)
