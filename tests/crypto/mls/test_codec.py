"""One value, one encoding; nothing after the end, nothing missing before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.crypto.mls.people import NOW, person, room
from tuiconf.crypto.mls import MlsError, codec, parse_key_package
from tuiconf.crypto.mls.codec import Reader, opaque
from tuiconf.crypto.mls.tree import RatchetTree


@given(st.integers(min_value=0, max_value=codec.MAX_LENGTH))
def test_a_length_is_read_as_it_was_written(value: int) -> None:
    assert codec.decode(codec.length(value), Reader.length) == value


@pytest.mark.parametrize(
    "data", ["4000", "403f", "80000000", "8000003f", "80003fff", "c000000000000000", "ff", "40", ""]
)
def test_a_length_that_is_not_the_shortest_or_not_one_at_all_is_refused(data: str) -> None:
    with pytest.raises(MlsError) as caught:
        codec.decode(bytes.fromhex(data), Reader.length)
    assert caught.value.code == "malformed"


def test_a_length_beyond_what_mls_knows_is_not_written() -> None:
    with pytest.raises(ValueError, match="longer"):
        codec.length(1 << 30)


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=5))
def test_nothing_may_follow(data: bytes, more: bytes) -> None:
    assert codec.decode(opaque(data), Reader.opaque) == data
    with pytest.raises(MlsError):
        codec.decode(opaque(data) + more, Reader.opaque)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_nothing_may_be_missing(data: bytes, draw: st.DataObject) -> None:
    encoded = opaque(data)
    cut = draw.draw(st.integers(min_value=0, max_value=len(encoded) - 1))
    with pytest.raises(MlsError):
        codec.decode(encoded[:cut], Reader.opaque)


@given(st.dictionaries(st.integers(min_value=0, max_value=0xFFFF), st.binary(max_size=20), max_size=5))
def test_extensions_come_back_in_their_order(values: dict[int, bytes]) -> None:
    found = codec.decode(codec.extensions(values), Reader.extensions)
    assert list(found.items()) == list(values.items())


def test_an_extension_that_is_there_twice_is_refused() -> None:
    one = codec.u16(7) + opaque(b"a")
    with pytest.raises(MlsError):
        codec.decode(opaque(one + one), Reader.extensions)


def test_lists_of_numbers_that_end_halfway_are_refused() -> None:
    for data, read in ((opaque(b"abc"), Reader.u16s), (opaque(b"abcde"), Reader.u32s)):
        with pytest.raises(MlsError):
            codec.decode(data, read)


def test_every_message_type_is_refused_with_one_byte_more_or_one_less() -> None:
    alice, bob = room("Alice", "Bob").people
    staged = alice.group.commit(add=[person("Carol").offer()], psks={}, rng=alice.rng, now=NOW)
    carol = person("Carol")
    messages = [
        alice.say(b"hello"),
        alice.group.propose_update(rng=alice.rng),
        alice.group.propose_update(public=True, rng=alice.rng),
        staged.commit,
        alice.group.commit(public=True, psks={}, rng=alice.rng, now=NOW).commit,
    ]
    for message in messages:
        for changed in (message + b"\x00", message[:-1]):
            with pytest.raises(MlsError):
                bob.hear(changed)
        bob.hear(message)
    assert staged.welcome is not None
    for changed in (staged.welcome + b"\x00", staged.welcome[:-1]):
        carol.new_bundle()
        with pytest.raises(MlsError) as caught:
            carol.join(changed)
        assert caught.value.code == "malformed"
    data = carol.new_bundle().key_package
    for changed in (data + b"\x00", data[:-1]):
        with pytest.raises(MlsError):
            parse_key_package(changed, now=NOW)
    tree = alice.group.ratchet_tree
    for changed in (tree + b"\x00", tree[:-1]):
        with pytest.raises(MlsError):
            codec.decode(changed, RatchetTree.decode)


def test_a_message_with_a_longer_length_than_needed_is_refused() -> None:
    alice, bob = room("Alice", "Bob").people
    message = alice.say(b"hello")
    group_id = opaque(alice.group.group_id)
    longer = b"\x40" + group_id
    assert message[4 : 4 + len(group_id)] == group_id
    with pytest.raises(MlsError) as caught:
        bob.hear(message[:4] + longer + message[4 + len(group_id) :])
    assert caught.value.code == "malformed"
