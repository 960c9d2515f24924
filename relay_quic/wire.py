"""What a client and a relay say to each other: messages on one control stream, and the datagram prefix.

Pure. Everything a participant means is inside opaque `data` fields the relay cannot open; what is readable
here is what a relay needs for ordering and delivery, and no more. PROTOCOL.md states the same in prose.

A message on the stream is a big-endian u32 length and that many bytes of MessagePack: an array that starts
with the message's name. Decoding is strict: an unknown message, a missing, extra or mistyped field, or a
length over the limit is a `WireError`, and the connection is closed.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Annotated, Final, NewType

import msgspec

from relay_quic.errors import WireError

ALPN: Final = "tuiconf/1"

ConnectionId = NewType("ConnectionId", int)
"""Names a participant's connection within one room. Given by the relay, kept when the connection is resumed."""

Seq = NewType("Seq", int)
"""A place in a room's total order. The first message has 1; 0 is «before everything»."""

ROOM_ID_BYTES: Final = 32
PROOF_BYTES: Final = 32
TOKEN_BYTES: Final = 16

# A Welcome carries the whole ratchet tree: about 400 bytes a member, so this is room for over 2,000. It is also
# what one connection can make the relay hold while a message is incomplete; doubling it doubles that.
MAX_MESSAGE_BYTES: Final = 1 << 20

# Before a connection has shown a proof it may only say `Enter`, which is far smaller than this.
MAX_FIRST_MESSAGE_BYTES: Final = 1 << 10

# What everyone in the room receives a copy of. A commit with a path through a tree of 2,000 blank nodes is about
# 160 kB; a chat line or a proposal is under 4 kB. Doubling either doubles what one sender can make the relay send
# to each of up to 1,024 receivers in one go.
MAX_COMMIT_BYTES: Final = 1 << 18
MAX_PUBLISH_BYTES: Final = 1 << 16

# A note is a knock (a sealed KeyPackage, under 2 kB) or an announcement; it is not kept.
MAX_NOTE_BYTES: Final = 1 << 14

# `welcome_to` and `connections`: four times as many as a room holds.
MAX_CONNECTIONS_LISTED: Final = 4096

# aioquic jams for ever on a DATAGRAM frame of 1,180 bytes or more (FACTS.md), so the relay's door is well below.
MAX_DATAGRAM_BYTES: Final = 1100

U32 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
U53 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
RoomId = Annotated[bytes, msgspec.Meta(min_length=ROOM_ID_BYTES, max_length=ROOM_ID_BYTES)]
Proof = Annotated[bytes, msgspec.Meta(min_length=PROOF_BYTES, max_length=PROOF_BYTES)]
Token = Annotated[bytes, msgspec.Meta(min_length=TOKEN_BYTES, max_length=TOKEN_BYTES)]
CommitData = Annotated[bytes, msgspec.Meta(max_length=MAX_COMMIT_BYTES)]
PublishData = Annotated[bytes, msgspec.Meta(max_length=MAX_PUBLISH_BYTES)]
NoteData = Annotated[bytes, msgspec.Meta(max_length=MAX_NOTE_BYTES)]
Connections = Annotated[list[U32], msgspec.Meta(max_length=MAX_CONNECTIONS_LISTED)]


_ROOM_ID_LABEL: Final = b"tuiconf v1 room id"


def room_id(proof: bytes) -> bytes:
    """The room that `proof` admits to: 32 bytes.

    A hash of the proof, so that the relay verifies admission without keeping anything, and nobody can occupy a
    room by knowing its id alone.
    """
    return hashlib.sha256(_ROOM_ID_LABEL + proof).digest()


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Base of all messages of the control stream."""

    def __repr__(self) -> str:
        """The name only: the fields hold proofs and tokens, and reprs end up in logs."""
        return f"<{type(self).__name__}>"


class Resume(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Take up an earlier connection again: what `Entered` gave then, and the last `seq` that was processed."""

    incarnation: Token
    connection: U32
    token: Token
    after: U53


# --- from the client


class Enter(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="enter"):
    """The first message of every connection. `room` must be `room_id(proof)`.

    Nothing else is said before `Entered` has come: until then the relay takes messages of 1 kB only.
    """

    room: RoomId
    proof: Proof
    resume: Resume | None


class Commit(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="commit"):
    """An MLS commit, to be accepted only if no other came first.

    `after` is the `seq` of the last commit its sender has processed (0 when there was none). The relay accepts
    the first commit for each such place and refuses the rest, which makes it the first commit for an epoch
    without the relay having to know epochs; a commit that members refuse uses up its place, and the next one
    names it. `welcome` goes to the connections `welcome_to` and to nobody else, with the commit or not at all: when
    one of them is not connected the whole commit is refused (`no_such_connection`) and its place stays free.
    """

    request: U32
    after: U53
    data: CommitData
    welcome: bytes
    welcome_to: Connections


class Publish(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="publish"):
    """A message for the room's total order: a proposal (`handshake`), or an application message."""

    request: U32
    handshake: bool
    data: PublishData


class Note(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="note"):
    """Something said outside the order and not kept: a knock, an announcement. `to` None is everyone else.

    Answered only when it is refused, by `request`, which whoever does not mind leaves at 0.
    """

    request: U32 = 0
    to: U32 | None
    data: NoteData


class Leave(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="leave"):
    """Leaving for good: the connection cannot be resumed."""


ClientMessage = Enter | Commit | Publish | Note | Leave


# --- from the relay


class Kind(enum.IntEnum):
    """What an `Ordered` message is."""

    COMMIT = 1
    HANDSHAKE = 2
    APPLICATION = 3


class RefusalCode(enum.StrEnum):
    """Why a request did nothing."""

    COMMIT_TAKEN = "commit_taken"  # another commit came first: process it, then make a new one
    RATE = "rate"  # too many requests: wait a second
    NO_SUCH_CONNECTION = "no_such_connection"  # a `welcome_to` or a note's `to` that is not in the room


class GoodbyeCode(enum.StrEnum):
    """Why the relay closes a connection."""

    SHUTTING_DOWN = "shutting_down"  # come back: it may be restarting
    BAD_PROOF = "bad_proof"
    ROOM_FULL = "room_full"
    RELAY_FULL = "relay_full"
    RATE = "rate"
    TOO_SLOW = "too_slow"  # messages piled up unread: reconnect and resume
    REPLACED = "replaced"  # the same connection was resumed from elsewhere
    PROTOCOL = "protocol"
    LEFT = "left"


class Entered(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="entered"):
    """The answer to `Enter`.

    `incarnation` is new whenever the relay makes the room anew, and with it `seq` starts again. `last_seq` and
    `last_commit` are where the room is now. `resumed` says that what was ordered after `Resume.after` follows, up
    to `last_seq`: all commits and handshake messages, and the application messages that are still kept. Otherwise
    the connection and its token are new. `connections` are all in the room, this one (`connection`) included, in
    ascending order.
    """

    incarnation: Token
    connection: U32
    token: Token
    created: bool
    resumed: bool
    last_seq: U53
    last_commit: U53
    connections: Connections


class Ordered(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="ordered"):
    """The room's next message. Not sent to its own sender, but for what is replayed after a resumption.

    Everyone else in the room receives every one, in order and without a gap, the joiners of a commit included.
    """

    seq: U53
    sender: U32
    kind: Kind
    data: bytes


class Accepted(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="accepted"):
    """The request has the place `seq`; everything with a lower `seq` has been sent before this."""

    request: U32
    seq: U53


class Refused(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="refused"):
    """The request changed nothing."""

    request: U32
    reason: RefusalCode


class Welcome(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="welcome"):
    """An MLS Welcome for this connection. Its commit has the place `seq`, came right before, and is not for it.

    After a resumption it may come a second time: one that arrived with the last message before the connection
    was lost is sent again, because the relay cannot know.
    """

    seq: U53
    sender: U32
    data: bytes


class Noted(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="noted"):
    """A note from `sender`."""

    sender: U32
    data: NoteData


class Came(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="came"):
    """A connection entered the room, or one that was `Gone` was resumed. The two alternate strictly."""

    connection: U32


class Gone(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="gone"):
    """A connection ended; `left` when it said so itself."""

    connection: U32
    left: bool


class Goodbye(Message, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, tag="goodbye"):
    """The relay's last message on this connection."""

    reason: GoodbyeCode


RelayMessage = Entered | Ordered | Accepted | Refused | Welcome | Noted | Came | Gone | Goodbye

_encoder: Final = msgspec.msgpack.Encoder()
_client_decoder: Final = msgspec.msgpack.Decoder(ClientMessage)
_relay_decoder: Final = msgspec.msgpack.Decoder(RelayMessage)


def encode(message: ClientMessage | RelayMessage) -> bytes:
    """The message as it goes on the stream, length included."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


def decode_client(body: bytes) -> ClientMessage:
    """The message a client sent, without its length.

    Raises:
        WireError: it is not one.
    """
    try:
        message: ClientMessage = _client_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("a message from a client could not be read") from error
    return message


def decode_relay(body: bytes) -> RelayMessage:
    """The message a relay sent, without its length.

    Raises:
        WireError: it is not one.
    """
    try:
        message: RelayMessage = _relay_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("a message from the relay could not be read") from error
    return message


class Deframer:
    """Cuts a stream into message bodies. Holds at most one incomplete message of `limit` bytes."""

    __slots__ = ("_held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        """How much of a message that is still incomplete is here."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes.

        Raises:
            WireError: a message announces more than `limit` bytes, or none.
        """
        held = self._held
        held += data
        bodies: list[bytes] = []
        start = 0
        while len(held) - start >= 4:
            length = int.from_bytes(held[start : start + 4], "big")
            if not 0 < length <= self.limit:
                raise WireError("a message is larger than allowed")
            if len(held) - start - 4 < length:
                break
            bodies.append(bytes(held[start + 4 : start + 4 + length]))
            start += 4 + length
        del held[:start]
        return bodies


# --- datagrams


class DatagramKind(enum.IntEnum):
    """How the relay treats a datagram; what is in it, it cannot know."""

    AUDIO = 1  # in rooms too large to forward everyone, the loudest few are forwarded
    SIDE = 2  # reports: forwarded in a room of any size, a hundred a second, and first to be dropped


_LOUDNESS_SHIFT: Final = 4
MAX_LOUDNESS: Final = 3


def datagram_prefix(kind: DatagramKind, *, loudness: int = 0) -> bytes:
    """The one byte in front of a datagram's sealed payload.

    `loudness` is 0 (not told: always so in rooms of up to 8) to 3 (loudest).
    """
    return bytes((kind | min(max(loudness, 0), MAX_LOUDNESS) << _LOUDNESS_SHIFT,))


# All bytes that may be in front, and what they mean: an enum made for every datagram would cost more than the rest.
_PREFIXES: Final = {
    datagram_prefix(kind, loudness=loudness)[0]: (kind, loudness)
    for kind in DatagramKind
    for loudness in range(MAX_LOUDNESS + 1)
}


def parse_datagram_prefix(datagram: bytes) -> tuple[DatagramKind, int]:
    """The kind and loudness of a datagram.

    Raises:
        WireError: it is empty, too large, or of no known kind.
    """
    if not 2 <= len(datagram) <= MAX_DATAGRAM_BYTES:
        raise WireError("a datagram's size is not allowed")
    meaning = _PREFIXES.get(datagram[0])
    if meaning is None:
        raise WireError("a datagram is of no known kind")
    return meaning
