"""Notes under the knock key."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic.wire import MAX_NOTE_BYTES
from tuiconf.errors import LocalProtocolError
from tuiconf.identity.knock import MAX_CONTENT_BYTES, NoteError, NoteKind, open_note, seal_note

KEY, ROOM = bytes(16), bytes(32)
RNG = random.Random(1)


def seal(content: bytes, kind: NoteKind = NoteKind.KNOCK) -> bytes:
    return seal_note(KEY, content, room_id=ROOM, kind=kind, rng=RNG.randbytes)


@given(st.binary(max_size=600), st.sampled_from(NoteKind))
def test_a_note_opens_to_what_was_sealed(content: bytes, kind: NoteKind) -> None:
    assert open_note(KEY, seal(content, kind), room_id=ROOM, kind=kind) == content


@pytest.mark.parametrize("content", [b"", b"\x80", b"\0", b"a\x80\0\0", bytes(255), bytes(256), b"\x80" * 511])
def test_contents_that_look_like_padding_come_back_whole(content: bytes) -> None:
    assert open_note(KEY, seal(content), room_id=ROOM, kind=NoteKind.KNOCK) == content


def test_the_length_of_a_name_does_not_show() -> None:
    assert {len(seal(bytes(size))) for size in range(256)} == {256 + 28}
    assert len(seal(bytes(256))) == 512 + 28


def test_the_largest_note_fits_the_relays_limit_and_a_larger_one_is_our_own_error() -> None:
    assert len(seal(bytes(MAX_CONTENT_BYTES))) <= MAX_NOTE_BYTES
    with pytest.raises(LocalProtocolError):
        seal(bytes(MAX_CONTENT_BYTES + 1))


def test_the_same_content_is_sealed_differently_each_time() -> None:
    assert seal(b"x") != seal(b"x")


def test_another_key_room_or_kind_does_not_open_a_note() -> None:
    sealed = seal(b"x")
    for key, room, kind in [
        (bytes(15) + b"\1", ROOM, NoteKind.KNOCK),
        (KEY, bytes(31) + b"\1", NoteKind.KNOCK),
        (KEY, ROOM, NoteKind.ANSWER),
    ]:
        with pytest.raises(NoteError):
            open_note(key, sealed, room_id=room, kind=kind)


def test_a_note_changed_anywhere_does_not_open() -> None:
    sealed = seal(b"x")
    for at in range(len(sealed)):
        with pytest.raises(NoteError):
            open_note(
                KEY,
                sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :],
                room_id=ROOM,
                kind=NoteKind.KNOCK,
            )


@given(st.binary(max_size=300) | st.sampled_from([bytes(28), bytes(256 + 28)]) | st.just(bytes(MAX_NOTE_BYTES + 256)))
def test_any_bytes_are_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(NoteError):
        open_note(KEY, data, room_id=ROOM, kind=NoteKind.KNOCK)


def test_a_holder_of_the_link_who_pads_wrongly_is_refused() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    associated = b"tuiconf v1 note" + ROOM + b"\1"
    for padded in (b"", bytes(256), b"\x80" + bytes(511), b"x" * 256):
        sealed = bytes(12) + AESGCM(KEY).encrypt(bytes(12), padded, associated)
        with pytest.raises(NoteError):
            open_note(KEY, sealed, room_id=ROOM, kind=NoteKind.KNOCK)
