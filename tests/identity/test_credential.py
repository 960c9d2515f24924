"""The credential in a leaf: one encoding, a name that may be shown, the leaf's own key."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.identity.credential import (
    MAX_PROOF_BYTES,
    Credential,
    CredentialError,
    encode_credential,
    parse_credential,
)

KEY = bytes(range(32))
ADA = Credential(name="Ada", public_key=KEY)


@given(st.binary(min_size=1, max_size=MAX_PROOF_BYTES) | st.none())
def test_a_credential_is_read_as_it_was_written(proof: bytes | None) -> None:
    credential = Credential(name="Ada Löve", public_key=KEY, ssh_proof=proof)
    assert parse_credential(encode_credential(credential), signature_key=KEY) == credential


def test_a_credential_for_another_key_is_refused() -> None:
    with pytest.raises(CredentialError):
        parse_credential(encode_credential(ADA), signature_key=bytes(32))


@pytest.mark.parametrize("name", ["", "x" * 65, "A\u202eda", "A\x07da", " Ada", "\u3164"])
def test_a_name_that_may_not_be_shown_is_refused(name: str) -> None:
    with pytest.raises(CredentialError):
        parse_credential(encode_credential(Credential(name=name, public_key=KEY)), signature_key=KEY)


@pytest.mark.parametrize(
    "content",
    [
        (2, "Ada", KEY, None),
        (0, "Ada", KEY, None),
        (True, "Ada", KEY, None),
        (1, "Ada", KEY[:-1], None),
        (1, "Ada", KEY, b""),
        (1, "Ada", KEY, bytes(MAX_PROOF_BYTES + 1)),
        (1, "Ada", KEY),
        (1, "Ada", KEY, None, None),
        (1, b"Ada", KEY, None),
        {"version": 1},
        None,
    ],
)
def test_another_shape_is_refused(content: object) -> None:
    with pytest.raises(CredentialError):
        parse_credential(msgspec.msgpack.encode(content), signature_key=KEY)


def test_a_longer_encoding_of_the_same_content_is_refused() -> None:
    data = encode_credential(ADA)
    assert data[:2] == b"\x94\x01"
    for longer in (b"\x94\xcc\x01" + data[2:], b"\xdc\x00\x04" + data[1:], data + b"\xc0"):
        with pytest.raises(CredentialError):
            parse_credential(longer, signature_key=KEY)


def test_a_credential_shows_nothing() -> None:
    assert repr(ADA) == "<Credential>"


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(CredentialError):
        parse_credential(data, signature_key=KEY)


@given(st.data())
def test_a_changed_credential_is_refused_or_is_another_name_in_its_only_encoding(data: st.DataObject) -> None:
    original = encode_credential(ADA)
    at = data.draw(st.integers(0, len(original) - 1))
    mutated = original[:at] + data.draw(st.binary(max_size=3)) + original[at + 1 :]
    try:
        credential = parse_credential(mutated, signature_key=KEY)
    except CredentialError:
        return
    assert encode_credential(credential) == mutated
    assert credential.public_key == KEY
