"""The events that come from the engine's process rather than from the call, and the envelope of all. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from tuiconf.conference.events import (
    AudioStats,
    Caller,
    ChatReceived,
    CommitRefused,
    Eavesdropped,
    EpochChanged,
    Event,
    Failed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    MuteRequested,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    PolicyChanged,
    Reconnected,
    Reconnecting,
    RecordingAnnounced,
    RecordingRefused,
    RoomCreated,
    SourceEnded,
    StatusChanged,
    Undecryptable,
    Waiting,
)

__all__ = [
    "FREQUENT",
    "NAMES",
    "AudioChanged",
    "AudioStats",
    "CallEvent",
    "Caller",
    "ChatReceived",
    "ChatSent",
    "CommitRefused",
    "Connecting",
    "Eavesdropped",
    "Envelope",
    "EpochChanged",
    "Event",
    "EventsMissed",
    "Failed",
    "Joined",
    "KnockEnded",
    "Knocked",
    "Left",
    "Level",
    "Levels",
    "MuteRequested",
    "Notice",
    "ParticipantJoined",
    "ParticipantLeft",
    "Person",
    "Played",
    "PolicyChanged",
    "Ready",
    "Reconnected",
    "Reconnecting",
    "RecordingAnnounced",
    "RecordingChanged",
    "RecordingRefused",
    "RoomCreated",
    "SourceEnded",
    "StatusChanged",
    "TrustChanged",
    "Undecryptable",
    "Waiting",
    "name_of",
]


class ChatSent(Event, frozen=True, kw_only=True, tag="chat_sent"):
    """A line of chat of this participant's own, whichever front end or script said it."""

    participant: Person
    text: str


class AudioChanged(Event, frozen=True, kw_only=True, tag="audio_changed"):
    """What is sent and heard has changed. `live`: the input is sent now, all of it or, with `voice_activation`, speech.

    With `voice_activation` silence is sent in between, as many packets of the same size: that it is silence, the others
    hear, and the relay does not see. A talk key that is down (`push_to_talk`) sends all of the input.
    """

    live: bool
    muted: bool
    push_to_talk: bool
    deafened: bool
    input: str
    output: str
    gain_db: float
    voice_activation: bool = False


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How loud one participant is now: one's own level is that of what is sent.

    Before a prepared call begins there are no leaves: `leaf` is -1 then, and the level that of the input.
    """

    leaf: int
    dbfs: float
    speaking: bool


class Levels(Event, frozen=True, kw_only=True, tag="levels"):
    """Four times a second, to those who asked for it: this participant (`own`), and those who can be heard."""

    own: Level | None
    others: tuple[Level, ...]


class RecordingChanged(Event, frozen=True, kw_only=True, tag="recording_changed"):
    """This participant records, or no longer does. `folder` is where, `reason` why it ended."""

    active: bool
    folder: str
    reason: str = ""


class Played(Event, frozen=True, kw_only=True, tag="played"):
    """What `play` was given has been sent to its end, or was stopped. `number` is what `play` was answered with."""

    number: int
    path: str
    finished: bool


class Notice(Event, frozen=True, kw_only=True, tag="notice"):
    """One sentence for people about something that is normal: there is no sound card, say."""

    message: str


class Ready(Event, frozen=True, kw_only=True, tag="ready"):
    """All is prepared, and nothing was sent: the call begins with the method `join`."""


class Connecting(Event, frozen=True, kw_only=True, tag="connecting"):
    """A call that was prepared has begun: the relay is being asked. `waiting` or `joined` follows, or why not."""


class TrustChanged(Event, frozen=True, kw_only=True, tag="trust_changed"):
    """A person decided about an identity, here or in another call: who someone in this one is to us, as of now."""

    participant: Person


class EventsMissed(Event, frozen=True, kw_only=True, tag="events_missed"):
    """This subscriber did not read fast enough: so many events, and levels or statistics, were left out just before.

    Who subscribes `since` a number that is too long ago is told how many numbers are gone.
    """

    events: int
    levels: int


CallEvent = (
    AudioChanged
    | AudioStats
    | ChatReceived
    | ChatSent
    | CommitRefused
    | Connecting
    | Eavesdropped
    | EpochChanged
    | EventsMissed
    | Failed
    | Joined
    | KnockEnded
    | Knocked
    | Left
    | Levels
    | MuteRequested
    | Notice
    | ParticipantJoined
    | ParticipantLeft
    | Played
    | PolicyChanged
    | Ready
    | Reconnected
    | Reconnecting
    | RecordingAnnounced
    | RecordingChanged
    | RecordingRefused
    | RoomCreated
    | SourceEnded
    | StatusChanged
    | TrustChanged
    | Undecryptable
    | Waiting
)
"""Every event there is."""

# Statistics and levels tell what is so now: the next one says it again, so they go first when somebody reads slowly.
FREQUENT: Final = (AudioStats, Levels)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber gets for each event: its number in this call, when, and in which epoch."""

    seq: int
    ts: float  # seconds since 1970
    epoch: int | None  # None: not in the group
    data: CallEvent

    def __repr__(self) -> str:
        return f"<Envelope {self.seq} of {self.data!r}>"


def name_of(event: Event) -> str:
    """The event's name, as in `event` on the wire."""
    return str(type(event).__struct_config__.tag)


NAMES: Final = frozenset(str(kind.__struct_config__.tag) for kind in CallEvent.__args__)
"""The names of all events."""
