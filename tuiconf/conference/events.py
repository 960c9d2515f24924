"""What happens in a call, as its front ends and scripts are told: the facts, worded once.

Each event is one line of `--json` output: its `event` name, then its fields.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec


class LeftReason(enum.StrEnum):
    """Why a call ended for this participant."""

    LEFT = "left"  # by its own wish
    REMOVED = "removed"  # by a host
    FAILED = "failed"  # the call could not be joined, or kept; an `error` event says why


LeaveReason = Literal["left", "removed", "vanished"]
"""Why someone else is no longer in the group: by their own wish, by a host's, or because they were gone too long."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events. `repr` shows the kind only: names and chat do not belong in logs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def to_json(self) -> bytes:
        """One line of JSON, without the newline."""
        return msgspec.json.encode(self)

    def fields(self) -> dict[str, Any]:
        """The event as plain values, `event` included."""
        value: dict[str, Any] = msgspec.to_builtins(self)
        return value


Trust = Literal["self", "new", "known", "verified", "changed"]
"""What this participant knows of an identity: itself; never met before this call; met, and not verified; verified; or a
name that stood for another key, or a comparison that failed. The last four are never merged."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A participant as shown to people: from the authenticated MLS tree, never from the relay."""

    leaf: int
    name: str
    fingerprint: str
    host: bool
    trust: Trust = "new"
    # What they say of themselves, in messages they sign.
    muted: bool = False
    hand: bool = False
    recording: bool = False
    recordable: bool = True

    def __repr__(self) -> str:
        return f"<Person leaf={self.leaf}>"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who knocks and waits in the lobby. The name is what they call themselves; the key is proven."""

    ref: str  # what `admit` and `deny` take: the same for as long as they wait, however often they knock
    name: str
    fingerprint: str
    known: bool  # they need not wait where only unknown people do
    trust: Trust = "new"
    # Unix seconds when this participant first heard them knock; 0: an engine of before does not say.
    since: float = 0.0

    def __repr__(self) -> str:
        return f"<Caller {self.ref}>"


class RoomCreated(Event, frozen=True, kw_only=True, tag="room_created"):
    """A link exists that lets people in. The one event that holds a secret: hand it to those you invite."""

    link: str


class Waiting(Event, frozen=True, kw_only=True, tag="waiting"):
    """Knocked; nobody has let us in yet."""


class Joined(Event, frozen=True, kw_only=True, tag="joined"):
    """This participant is in the call. `created`: as the first; who meant to join someone has perhaps a wrong link."""

    epoch: int
    security_code: str
    me: Person
    participants: tuple[Person, ...]
    created: bool = False


class ParticipantJoined(Event, frozen=True, kw_only=True, tag="participant_joined"):
    """Someone was added to the group."""

    participant: Person
    epoch: int


class ParticipantLeft(Event, frozen=True, kw_only=True, tag="participant_left"):
    """Someone is no longer in the group and cannot open anything sent from `epoch` on."""

    participant: Person
    epoch: int
    reason: LeaveReason


class EpochChanged(Event, frozen=True, kw_only=True, tag="epoch_changed"):
    """New keys. Those who read out the same code are in the same group with the same people."""

    epoch: int
    security_code: str


class ChatReceived(Event, frozen=True, kw_only=True, tag="chat_received"):
    """A line of chat. `text` is what its sender wrote: untrusted, to be neutralised before it is shown."""

    participant: Person
    text: str


class StatusChanged(Event, frozen=True, kw_only=True, tag="status_changed"):
    """A participant, we included, is muted or not, raises a hand, records, or may be recorded, as of now."""

    participant: Person


class Knocked(Event, frozen=True, kw_only=True, tag="knocked"):
    """Someone waits in the lobby. Told once for each, to those who may admit; and again, with the same `ref`, when they
    are of another state of trust."""

    caller: Caller


class KnockEnded(Event, frozen=True, kw_only=True, tag="knock_ended"):
    """They no longer wait: let in by someone, denied by someone, or not knocking any more."""

    caller: Caller
    reason: Literal["admitted", "denied", "gone"]


class PolicyChanged(Event, frozen=True, kw_only=True, tag="policy_changed"):
    """Who may do what in this room, as of this epoch. What each word stands for is in `conference.policy`."""

    hosts: tuple[Person, ...]  # those who are in the group
    lobby: str
    locked: bool
    admit: str
    remove: str
    record: str


class MuteRequested(Event, frozen=True, kw_only=True, tag="mute_requested"):
    """A host asks this participant to mute, which it does. Nobody but its user can unmute it."""

    by: Person


class RecordingAnnounced(Event, frozen=True, kw_only=True, tag="recording_announced"):
    """Our word that we record has its place in the order, before everything said from now on: frames may be kept."""


class RecordingRefused(Event, frozen=True, kw_only=True, tag="recording_refused"):
    """This participant says it records, which the room does not allow. A warning: nothing can stop it."""

    participant: Person


class SourceEnded(Event, frozen=True, kw_only=True, tag="source_ended"):
    """What was to be sent has been sent to its end: a file is over, or a pipe or a command."""


class Undecryptable(Event, frozen=True, kw_only=True, tag="undecryptable"):
    """Frames arrive that cannot be opened (`active`), or no longer do. They are silence, never noise."""

    active: bool
    frames: int


class CommitRefused(Event, frozen=True, kw_only=True, tag="commit_refused"):
    """Someone tried a change that is invalid or that the room's policy forbids. Nothing has changed."""

    reason: str


class StreamStats(msgspec.Struct, frozen=True, kw_only=True):
    """One other participant's audio as heard here, since joining but for what says otherwise."""

    leaf: int
    name: str
    fingerprint: str
    frames_received: int
    frames_played: int
    frames_concealed: int
    frames_late: int
    loss_percent: float  # of the last second
    buffer_ms: float
    delay_ms_p50: float | None  # of the last 10 s, capture to play-out; None until the sender's clock is known
    delay_ms_p95: float | None
    spoke_s: float = 0.0  # how long they spoke, pauses between words included


class AudioStats(Event, frozen=True, kw_only=True, tag="audio_stats"):
    """Once a second. Counts are since joining."""

    frames_sent: int
    muted: bool
    level_dbfs: float | None
    rtt_ms: float | None
    repeats: tuple[int, ...]  # how many frames back each datagram repeats
    undecryptable: dict[str, int]
    ticks_skipped: int
    streams: tuple[StreamStats, ...]


class Reconnecting(Event, frozen=True, kw_only=True, tag="reconnecting"):
    """The relay is out of reach; trying again until told to leave."""


class Reconnected(Event, frozen=True, kw_only=True, tag="reconnected"):
    """In the same group again; `rejoined` when that took a new welcome."""

    epoch: int
    rejoined: bool


class Eavesdropped(Event, frozen=True, kw_only=True, tag="eavesdropped"):
    """What a removed participant could open of what it was sent afterwards, if it was told to try."""

    frames_tried: int
    frames_opened: int


class Left(Event, frozen=True, kw_only=True, tag="left"):
    """The last event of a call."""

    reason: LeftReason


class Failed(Event, frozen=True, kw_only=True, tag="error"):
    """Something went wrong. `code` is stable and for programs, `message` one sentence for people."""

    code: str
    message: str
    fatal: bool
