"""Notes between someone who knocks and the members, sealed under the link's knock key. Pure.

Whoever holds the link can read and write them, the relay cannot. They say nothing about who wrote them, and
the relay can deliver one twice: their content must stand for itself, as a KeyPackage does (signed, single use).
"""

from __future__ import annotations

import enum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay_quic.wire import MAX_NOTE_BYTES
from tuiconf.crypto.primitives import Random
from tuiconf.errors import LocalProtocolError, RemoteProtocolError

_LABEL: Final = b"tuiconf v1 note"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OVERHEAD_BYTES: Final = _NONCE_BYTES + _TAG_BYTES

# Names have at most 256 bytes, so most knocks have the same size, or one of two.
PADDING_BYTES: Final = 256
_END: Final = b"\x80"  # then zeros (ISO/IEC 7816-4), so that the content's end can always be found

MAX_CONTENT_BYTES: Final = (MAX_NOTE_BYTES - _OVERHEAD_BYTES) // PADDING_BYTES * PADDING_BYTES - len(_END)


class NoteKind(enum.IntEnum):
    """Which way a note goes: one kind is not taken for the other, so the relay cannot send a note back."""

    KNOCK = 1  # to the members
    ANSWER = 2  # to one who knocked


class NoteError(RemoteProtocolError):
    """A note was not sealed by someone who holds this room's link, or was changed."""

    code = "note"


def seal_note(key: bytes, content: bytes, *, room_id: bytes, kind: NoteKind, rng: Random) -> bytes:
    """The sealed note, a multiple of 256 bytes and 28.

    All holders of a link share the key, so the 96-bit nonces are random. A room of 1,000 that all knock every three
    seconds for a day makes 2²⁵ notes, and the chance that any two nonces are equal is then below 2⁻⁴⁷. Equal ones would
    show the relay the XOR of two notes and let it forge more; a link is for one room's life, not for years.

    Raises:
        LocalProtocolError: the content is larger than `MAX_CONTENT_BYTES`.
    """
    if len(content) > MAX_CONTENT_BYTES:
        raise LocalProtocolError("a note is larger than the relay takes")
    nonce = rng(_NONCE_BYTES)
    length = len(content) + len(_END)
    padded = content + _END + bytes(-length % PADDING_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, padded, _associated(room_id, kind))


def open_note(key: bytes, sealed: bytes, *, room_id: bytes, kind: NoteKind) -> bytes:
    """The content of a note of this room and kind.

    Raises:
        NoteError: it is not one.
    """
    if (len(sealed) - _OVERHEAD_BYTES) % PADDING_BYTES or len(sealed) > MAX_NOTE_BYTES:
        raise NoteError("a note's size is not allowed")
    try:
        padded = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _associated(room_id, kind))
    except InvalidTag as error:
        raise NoteError("a note is not authentic") from error
    content = padded.rstrip(b"\0")
    if not content.endswith(_END) or len(padded) - len(content) >= PADDING_BYTES:
        raise NoteError("a note's padding is wrong")
    return content[: -len(_END)]


def _associated(room_id: bytes, kind: NoteKind) -> bytes:
    # Fixed lengths (the room id has 32 bytes), so the three parts cannot run into each other.
    return _LABEL + room_id + bytes((kind,))
