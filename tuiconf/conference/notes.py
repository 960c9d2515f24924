"""Notes: what is said to a room outside its order, sealed under the link's knock key. Pure."""

from __future__ import annotations

from tuiconf.conference.content import Denied, Knock, NoteContent, decode_note, encode
from tuiconf.crypto.primitives import Random
from tuiconf.identity.knock import NoteError, NoteKind, open_note, seal_note
from tuiconf.identity.link import LinkKeys


def seal(note: NoteContent, keys: LinkKeys, *, rng: Random) -> bytes:
    """The note's ciphertext: whoever holds the link can open it, the relay cannot."""
    return seal_note(keys.knock_key, encode(note), room_id=keys.room_id, kind=_kind(note), rng=rng)


def unseal(sealed: bytes, keys: LinkKeys) -> NoteContent:
    """The note in a ciphertext.

    Raises:
        NoteError: it is not from someone with the link, or of one kind inside and another outside.
        ContentError: it is not a note of the protocol.
    """
    for kind in NoteKind:
        try:
            opened = open_note(keys.knock_key, sealed, room_id=keys.room_id, kind=kind)
        except NoteError:
            continue
        note = decode_note(opened)
        if _kind(note) is kind:
            return note
        break
    raise NoteError("a note could not be opened")


def _kind(note: NoteContent) -> NoteKind:
    match note:
        case Knock():
            return NoteKind.KNOCK
        case Denied():
            return NoteKind.ANSWER
