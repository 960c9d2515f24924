"""The primitives against their standards' own examples, and against misuse."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.crypto import primitives as p


def test_hkdf_gives_the_first_example_of_rfc_5869() -> None:
    prk = p.hkdf_extract(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    okm = p.hkdf_expand(prk, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_hkdf_with_an_empty_salt_gives_the_third_example_of_rfc_5869() -> None:
    okm = p.hkdf_expand(p.hkdf_extract(b"", b"\x0b" * 22), b"", 42)
    assert okm.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


def test_hkdf_has_an_end() -> None:
    assert len(p.hkdf_expand(bytes(32), b"", 8160)) == 8160
    with pytest.raises(ValueError, match="255"):
        p.hkdf_expand(bytes(32), b"", 8161)


def test_derive_key_pair_gives_the_example_of_rfc_9180() -> None:
    ikm = bytes.fromhex("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234")
    private, public = p.hpke_derive_key_pair(ikm)
    assert private.hex() == "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"
    assert public.hex() == "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    assert p.x25519_public(private) == public


def test_ed25519_gives_the_first_example_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert p.ed25519_public(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = p.ed25519_sign(seed, b"")
    assert signature.hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8")
    assert p.ed25519_verify(p.ed25519_public(seed), b"", signature)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_malformed_keys_and_signatures_are_a_no(public: bytes, signature: bytes) -> None:
    assert not p.ed25519_verify(public, b"message", signature)


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_what_is_sealed_opens_and_nothing_else_does(data: bytes, aad: bytes) -> None:
    key, nonce = bytes(16), bytes(12)
    sealed = p.aead_seal(key, nonce, data, aad)
    assert p.aead_open(key, nonce, sealed, aad) == data
    for changed in (sealed[:-1], sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"", sealed + b"\x00"):
        with pytest.raises(p.CryptoError):
            p.aead_open(key, nonce, changed, aad)
    with pytest.raises(p.CryptoError):
        p.aead_open(key, nonce, sealed, aad + b"x")


def test_hpke_opens_only_with_the_same_info_and_key() -> None:
    private, public = p.hpke_derive_key_pair(b"k" * 32)
    encapsulated, sealed = p.hpke_seal(public, b"info", b"secret")
    assert p.hpke_open(private, b"info", encapsulated, sealed) == b"secret"
    other, _ = p.hpke_derive_key_pair(b"o" * 32)
    for attempt in (
        (private, b"other", encapsulated, sealed),
        (other, b"info", encapsulated, sealed),
        (private, b"info", bytes(32), sealed),
        (private, b"info", b"short", sealed),
        (private, b"info", encapsulated, b""),
    ):
        with pytest.raises(p.CryptoError):
            p.hpke_open(*attempt)


LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    *(first + "ff" * 30 + "7f" for first in ("ec", "ed", "ee")),
]


@pytest.mark.parametrize("point", LOW_ORDER)
@pytest.mark.parametrize("top_bit", [0, 0x80])
def test_points_of_low_order_give_no_shared_secret_and_are_not_used(point: str, top_bit: int) -> None:
    data = bytes.fromhex(point)
    data = data[:-1] + bytes((data[-1] | top_bit,))
    with pytest.raises(ValueError, match="shared"):
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(data))
    assert not p.x25519_usable(data)
    with pytest.raises(p.CryptoError):
        p.hpke_seal(data, b"", b"")


def test_ordinary_points_are_used() -> None:
    assert p.x25519_usable(p.x25519_public(bytes(31) + b"\x01"))
    assert not p.x25519_usable(b"")
    assert not p.x25519_usable(bytes(33))


def test_secrets_are_compared_whole() -> None:
    assert p.equal(b"a" * 32, b"a" * 32)
    assert not p.equal(b"a" * 32, b"a" * 31 + b"b")
    assert not p.equal(b"a", b"")
