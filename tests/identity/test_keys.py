"""Identities, their fingerprints, and the files they are kept in."""

from __future__ import annotations

import json
import random
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.crypto.primitives import sha256
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.key_file import (
    MAX_FILE_BYTES,
    Cost,
    KeyFileError,
    PlainKey,
    SealedKey,
    WrongPassphrase,
    encode_plain,
    encode_sealed,
    parse_key_file,
)
from tuiconf.identity.keys import Identity, fingerprint

CHEAP = Cost(operations=1, memory_bytes=8192)
ADA = Identity(name="Ada", seed=bytes(range(32)))
PASSPHRASE = "correct horse"


def sealed(passphrase: str = PASSPHRASE, identity: Identity = ADA) -> bytes:
    return encode_sealed(identity, passphrase, rng=random.Random(1).randbytes, cost=CHEAP)


def open_sealed(data: bytes, passphrase: str) -> Identity:
    file = parse_key_file(data)
    assert isinstance(file, SealedKey)
    return file.open(passphrase)


def changed(data: bytes, **fields: object) -> bytes:
    return json.dumps({**json.loads(data), **fields}).encode()


def test_the_public_key_is_the_seeds_ed25519_key() -> None:
    signature = Ed25519PrivateKey.from_private_bytes(ADA.seed).sign(b"message")
    Ed25519PublicKey.from_public_bytes(ADA.public_key).verify(signature, b"message")


def test_a_new_identity_draws_its_seed_from_the_given_source() -> None:
    new = Identity.create(" Ada ", random.Random(5).randbytes)
    assert (new.name, new.seed) == ("Ada", random.Random(5).randbytes(32))


def test_a_seed_of_another_size_is_our_own_error() -> None:
    with pytest.raises(LocalProtocolError):
        Identity(name="Ada", seed=b"short")


def test_an_identity_shows_nothing() -> None:
    assert repr(ADA) == "<Identity>"


def test_a_fingerprint_is_eight_groups_of_the_keys_hash() -> None:
    text = fingerprint(ADA.public_key)
    assert re.fullmatch(r"([a-z2-7]{4}-){7}[a-z2-7]{4}", text)
    number = 0
    for char in text.replace("-", ""):
        number = number << 5 | "abcdefghijklmnopqrstuvwxyz234567".index(char)
    assert number.to_bytes(20, "big") == sha256(ADA.public_key)[:20]


def test_a_plain_file_gives_the_identity_back() -> None:
    file = parse_key_file(encode_plain(ADA))
    assert isinstance(file, PlainKey)
    assert file.identity() == ADA
    assert repr(file) == "<PlainKey>"


def test_a_sealed_file_gives_the_identity_back_and_hides_it() -> None:
    data = sealed()
    assert open_sealed(data, PASSPHRASE) == ADA
    assert b"Ada" not in data
    assert "box" not in repr(parse_key_file(data))


def test_another_passphrase_does_not_open_a_sealed_file() -> None:
    for wrong in ("correct horsE", "", "x" * 10_000, "\ud800"):
        with pytest.raises(WrongPassphrase):
            open_sealed(sealed(), wrong)


def test_a_passphrase_is_the_same_however_its_letters_were_composed() -> None:
    assert open_sealed(sealed("caf\u00e9"), "cafe\u0301") == ADA


def test_two_files_of_one_identity_have_nothing_in_common() -> None:
    one, two = (json.loads(encode_sealed(ADA, "x", rng=random.Random(n).randbytes, cost=CHEAP)) for n in (1, 2))
    assert not {one[name] for name in ("salt", "nonce", "box")} & {two[name] for name in ("salt", "nonce", "box")}


@pytest.mark.parametrize(
    "fields",
    [
        {"memory_bytes": (1 << 30) + 1},
        {"memory_bytes": 1 << 40},
        {"memory_bytes": 1},
        {"operations": 17},
        {"operations": 0},
        {"operations": 1.5},
        {"salt": ""},
        {"nonce": "AAAA"},
        {"box": "A" * 2000},
        {"box": "!"},
        {"more": 1},
        {"format": "tuiconf identity 2 sealed"},
    ],
)
def test_a_file_that_asks_for_too_much_or_is_of_another_shape_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(KeyFileError) as caught:
        parse_key_file(changed(sealed(), **fields))
    assert not isinstance(caught.value, WrongPassphrase)


def test_a_changed_cost_salt_nonce_or_box_does_not_open() -> None:
    for fields in ({"operations": 2}, {"memory_bytes": 16384}, {"salt": "A" * 22 + "=="}, {"box": "A" * 80}):
        with pytest.raises(WrongPassphrase):
            open_sealed(changed(sealed(), **fields), PASSPHRASE)


def test_a_file_whose_name_may_not_be_shown_is_refused() -> None:
    with pytest.raises(KeyFileError):
        file = parse_key_file(changed(encode_plain(ADA), name="A\u202eda"))
        assert isinstance(file, PlainKey)
        file.identity()
    with pytest.raises(KeyFileError):
        open_sealed(sealed(identity=Identity(name="A\nda", seed=ADA.seed)), PASSPHRASE)


def test_a_file_too_large_to_be_one_is_refused() -> None:
    with pytest.raises(KeyFileError):
        parse_key_file(encode_plain(ADA) + b" " * MAX_FILE_BYTES)


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        parse_key_file(data)


@given(st.data())
def test_a_changed_byte_is_refused_or_leaves_an_identity(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([encode_plain(ADA), sealed()]))
    at = data.draw(st.integers(0, len(original) - 1))
    mutated = original[:at] + data.draw(st.binary(max_size=3)) + original[at + 1 :]
    try:
        file = parse_key_file(mutated)
        if isinstance(file, PlainKey):
            file.identity()
        elif file.operations == CHEAP.operations and file.memory_bytes == CHEAP.memory_bytes:
            assert file.open(PASSPHRASE) == ADA
    except KeyFileError:
        pass
