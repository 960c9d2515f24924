"""SFrame against the standard's vectors, and against bytes that are not SFrame."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from tests import vectors
from tuiconf.crypto import sframe

SUITES = {
    suite.number: suite
    for suite in (
        sframe.AES_128_CTR_HMAC_SHA256_80,
        sframe.AES_128_CTR_HMAC_SHA256_64,
        sframe.AES_128_CTR_HMAC_SHA256_32,
        sframe.AES_128_GCM_SHA256_128,
        sframe.AES_256_GCM_SHA512_128,
        sframe.AES_256_CTR_HMAC_SHA512_80,
        sframe.AES_256_CTR_HMAC_SHA512_64,
        sframe.AES_256_CTR_HMAC_SHA512_32,
    )
}
COUNTER_MODE = [("aes_ctr_hmac", 1), ("aes_ctr_hmac", 2), ("aes_ctr_hmac", 3)]
COUNTER_MODE += [("aes_256_ctr_hmac", 6), ("aes_256_ctr_hmac", 7), ("aes_256_ctr_hmac", 8)]
FULL = [1, 2, 3, 4, 5]
U64 = st.integers(0, sframe.MAX_U64)


def load(section: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = vectors.load("sframe/test-vectors.json")[section]
    assert cases
    return cases


def frame_key(suite: sframe.Suite, kid: int, base_key: bytes) -> sframe.FrameKey:
    return sframe.FrameKey(suite, sframe.extract(suite, base_key), kid)


def test_every_header_vector_encodes_and_decodes() -> None:
    for case in load("header"):
        encoded = bytes.fromhex(case["encoded"])
        assert sframe.encode_header(case["kid"], case["ctr"]) == encoded
        assert sframe.decode_header(encoded + b"payload") == (case["kid"], case["ctr"], len(encoded))


def test_there_is_no_vector_in_the_file_that_is_not_run_here() -> None:
    found = vectors.load("sframe/test-vectors.json")
    sections = {name: [case.get("cipher_suite") for case in cases] for name, cases in found.items() if name != "header"}
    assert set(found) - set(sections) == {"header"}
    assert [(name, suite) for name, suites in sections.items() if name != "sframe" for suite in suites] == COUNTER_MODE
    assert sections["sframe"] == FULL


@pytest.mark.parametrize(("section", "suite"), COUNTER_MODE)
def test_the_counter_mode_vectors_seal_and_open(section: str, suite: int) -> None:
    [case] = [c for c in load(section) if c["cipher_suite"] == suite]
    key, nonce, aad, plain, sealed = (bytes.fromhex(case[name]) for name in ("key", "nonce", "aad", "pt", "ct"))
    assert len(key) == SUITES[suite].key_bytes
    assert key.hex() == case["enc_key"] + case["auth_key"]
    aead = sframe.CounterModeAead(SUITES[suite], key)
    assert aead.encrypt(nonce, plain, aad) == sealed
    assert aead.decrypt(nonce, sealed, aad) == plain


def test_the_counter_mode_refuses_a_changed_tag_and_one_cut_short() -> None:
    aead = sframe.CounterModeAead(sframe.AES_128_CTR_HMAC_SHA256_32, bytes(48))
    sealed = aead.encrypt(bytes(12), b"frame", b"")
    for wrong in (sealed[:-1] + bytes((sealed[-1] ^ 1,)), sealed[:3]):
        with pytest.raises(InvalidTag):
            aead.decrypt(bytes(12), wrong, b"")


@pytest.mark.parametrize("number", FULL)
def test_the_full_vectors_derive_seal_and_open(number: int) -> None:
    suite = SUITES[number]
    [case] = [c for c in load("sframe") if c["cipher_suite"] == number]
    base_key, plain, metadata, sealed = (bytes.fromhex(case[name]) for name in ("base_key", "pt", "metadata", "ct"))
    secret = sframe.extract(suite, base_key)
    key, salt = sframe.derive(suite, secret, case["kid"])
    assert secret.hex() == case["sframe_secret"]
    assert (key.hex(), salt.hex()) == (case["sframe_key"], case["sframe_salt"])

    frame = sframe.FrameKey(suite, secret, case["kid"])
    assert frame.seal(case["ctr"], metadata, plain) == sealed
    kid, counter, header_bytes = sframe.decode_header(sealed)
    assert (kid, counter) == (case["kid"], case["ctr"])
    assert frame.open(sealed, counter, header_bytes, metadata) == plain


@given(kid=U64, counter=U64, metadata=st.binary(max_size=20), payload=st.binary(max_size=80))
def test_what_is_sealed_opens_with_any_kid_and_counter(kid: int, counter: int, metadata: bytes, payload: bytes) -> None:
    key = frame_key(sframe.AES_128_GCM_SHA256_128, kid, b"base")
    sealed = key.seal(counter, metadata, payload)
    assert sealed.startswith(sframe.encode_header(kid, counter))
    assert sframe.decode_header(sealed)[:2] == (kid, counter)
    assert key.open(sealed, counter, sframe.decode_header(sealed)[2], metadata) == payload


@pytest.mark.parametrize("suite", list(SUITES.values()), ids=lambda suite: str(suite.number))
def test_a_frame_changed_anywhere_does_not_open(suite: sframe.Suite) -> None:
    key = frame_key(suite, 300, b"base")
    sealed = key.seal(9, b"meta", b"frame")
    header_bytes = sframe.decode_header(sealed)[2]
    changed = [sealed[:i] + bytes((sealed[i] ^ 1,)) + sealed[i + 1 :] for i in range(len(sealed))]
    for wrong in [*changed, sealed[:-1], sealed + b"\0", sealed[:header_bytes]]:
        with pytest.raises(sframe.SFrameError):
            key.open(wrong, 9, header_bytes, b"meta")
    with pytest.raises(sframe.SFrameError):
        key.open(sealed, 10, header_bytes, b"meta")
    with pytest.raises(sframe.SFrameError):
        key.open(sealed, 9, header_bytes, b"Meta")


def test_keys_of_different_kids_are_different() -> None:
    secret = sframe.extract(sframe.AES_128_GCM_SHA256_128, b"base")
    keys = {sframe.derive(sframe.AES_128_GCM_SHA256_128, secret, kid) for kid in range(64)}
    assert len(keys) == 64


@pytest.mark.parametrize(
    "header",
    ["", "80", "8f01", "8807", "800700", "f001", "08", "0800", "0807", "090001", "9000ff", "0fffffffff"],
)
def test_a_header_that_is_cut_or_not_in_its_shortest_form_is_refused(header: str) -> None:
    with pytest.raises(sframe.SFrameError):
        sframe.decode_header(bytes.fromhex(header))


@given(st.binary(max_size=20))
def test_any_bytes_are_a_header_of_one_encoding_or_an_sframe_error(data: bytes) -> None:
    try:
        kid, counter, length = sframe.decode_header(data)
    except sframe.SFrameError:
        return
    assert sframe.encode_header(kid, counter) == data[:length]
