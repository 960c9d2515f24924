"""What members say to each other inside the encryption: the contents of MLS application messages, and of notes.

Pure. Application messages are authenticated by MLS: their sender is a leaf. Notes are sealed under the link's
knock key: whoever holds the link can write and read them, the relay cannot.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tuiconf.errors import RemoteProtocolError

# A chat line is a line: long enough for a pasted paragraph, far too short to fill memory with history.
MAX_CHAT_CHARACTERS: Final = 4000

# As many as a room may have connections; a table of that many is about 40 kB.
MAX_PRESENCES: Final = 4096

# 10 bytes of a hash in hex: another key of the same reference takes 2⁸⁰ tries.
CALLER_REF_CHARACTERS: Final = 20

U32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]


# A group begins with epoch 0, and no call has 2⁵³ commits.
Epoch = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]


class ContentError(RemoteProtocolError):
    """What a member or a link holder sent inside the encryption is not a message of the protocol."""

    code = "content"


class _Content(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Chat(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="chat"):
    """A line of chat. `number` grows with each line of a sender, so that one sent twice is shown once."""

    number: Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHAT_CHARACTERS)]


class Presence(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="presence"):
    """The sender's own connection at the relay: what makes the relay's «connection 7 is gone» mean someone."""

    connection: U32


class PresenceTable(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="presences"):
    """(leaf, connection, epoch of coming) of all members the sender knows of, for those who have just been added.

    Believed only about what the receiver does not know; whoever finds its connection misplaced says so.
    """

    entries: Annotated[list[tuple[U32, U32 | None, Epoch | None]], msgspec.Meta(max_length=MAX_PRESENCES)]


class RollCall(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="roll_call"):
    """Asks every member to say its `Presence`: the sender lacks someone's."""


class Status(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="status"):
    """How the sender is now."""

    muted: bool
    hand: bool
    recording: bool
    recordable: bool


NOTHING_SAID: Final = Status(muted=False, hand=False, recording=False, recordable=True)
"""What whoever has not said theirs is taken for."""


class Deny(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="deny"):
    """One who waits in the lobby is not wanted. For the epoch it is sealed in only."""

    ref: Annotated[str, msgspec.Meta(pattern=f"^[0-9a-f]{{{CALLER_REF_CHARACTERS}}}$")]


class MuteRequest(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="mute_request"):
    """Asks the member with this key to mute. For the epoch it is sealed in only."""

    key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


Content = Chat | Presence | PresenceTable | RollCall | Status | Deny | MuteRequest

OfItsEpoch = Deny | MuteRequest
"""What does nothing when it comes in a later epoch than it was sealed in: its sender's right may be gone by then."""


class Knock(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="knock"):
    """Asks to be added: a KeyPackage, which names who knocks."""

    key_package: Annotated[bytes, msgspec.Meta(min_length=1, max_length=8192)]


class Denied(_Content, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="denied"):
    """The answer to a knock that is not let in, with a stable reason such as `lifetime`."""

    reason: Annotated[str, msgspec.Meta(max_length=64, pattern="^[a-z_]*$")]


NOT_WANTED: Final = "not_wanted"
"""The reason given when someone decided so; all others are what is wrong with the knock."""

NoteContent = Knock | Denied

_encoder: Final = msgspec.msgpack.Encoder()
_content_decoder: Final = msgspec.msgpack.Decoder(Content)
_note_decoder: Final = msgspec.msgpack.Decoder(NoteContent)


def encode(content: Content | NoteContent) -> bytes:
    """The content's bytes, ready to be protected or sealed."""
    return _encoder.encode(content)


def decode_content(data: bytes) -> Content:
    """The content of an application message.

    Raises:
        ContentError: it is none of ours.
    """
    try:
        content: Content = _content_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContentError("an application message could not be read") from error
    return content


def decode_note(data: bytes) -> NoteContent:
    """The content of an opened note.

    Raises:
        ContentError: it is none of ours.
    """
    try:
        note: NoteContent = _note_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContentError("a note could not be read") from error
    return note
