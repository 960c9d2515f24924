"""`recording.json`: who was recorded, where their files are, how these line up, and what is not in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

FORMAT: Final = "tuiconf-recording-1"

# Pauses and losses listed for each track, and for all; beyond that they are a number. The file is written every five
# seconds: all of them are 300 kB.
MAX_GAPS: Final = 500
MAX_GAPS_OF_ALL: Final = 5_000

# Epochs, joins and leaves: a day of a busy room. A member who joins and leaves all the time ends up as a number.
MAX_EVENTS: Final = 5_000

Scalar = str | int | float | bool | None


class Part(msgspec.Struct, kw_only=True):
    """One file. Its first sample that is heard belongs at `start_s` of the recording."""

    file: str
    start_s: float
    start_sample: int  # the same, at 48 kHz
    samples: int = 0


class Gap(msgspec.Struct, kw_only=True):
    """Nothing came: "lost" on the way, or "silent", because nothing was sent."""

    from_s: float
    to_s: float
    reason: str


class Participant(msgspec.Struct, kw_only=True):
    """One track."""

    track: int
    name: str
    fingerprint: str
    verified: bool | None = None
    first_s: float | None = None  # when the first and last frames were said
    last_s: float | None = None
    aligned_by: str = ""  # "clock" or "arrival"
    delay_ms: float | None = None
    frames: int = 0
    frames_lost: int = 0
    frames_refused: dict[str, int] = {}
    gaps: list[Gap] = []
    gaps_not_listed: int = 0
    parts: list[Part] = []


class Event(msgspec.Struct, kw_only=True):
    """Something of the call: an epoch, a join, a leave."""

    at_s: float
    kind: str
    fields: dict[str, Scalar]


class Sidecar(msgspec.Struct, kw_only=True):
    """The whole file."""

    started: str  # UTC
    started_unix: float
    format: str = FORMAT
    sample_rate: int = 48_000
    ended: bool = False  # still false: it is being written, or was killed
    seconds: float = 0.0
    failure: str | None = None
    encrypted: bool = False
    frames_dropped: int = 0  # because the disk was slower than the call, or there were too many tracks
    participants: list[Participant] = []
    mix: list[Part] = []
    events: list[Event] = []
    events_not_listed: int = 0
    gaps_listed: int = 0

    @classmethod
    def begin(cls, unix: float, *, encrypted: bool) -> Sidecar:
        """Of a recording that begins at that Unix time."""
        started = datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
        return cls(started=started, started_unix=unix, encrypted=encrypted)

    def note(self, kind: str, fields: Mapping[str, Scalar], *, at: float) -> None:
        """Add an event."""
        if len(self.events) < MAX_EVENTS:
            self.events.append(Event(at_s=round(at, 3), kind=kind, fields=dict(fields)))
        else:
            self.events_not_listed += 1

    def gap(self, participant: Participant, gap: Gap) -> None:
        """Add a gap of one of the participants."""
        if len(participant.gaps) < MAX_GAPS and self.gaps_listed < MAX_GAPS_OF_ALL:
            participant.gaps.append(gap)
            self.gaps_listed += 1
        else:
            participant.gaps_not_listed += 1

    def encode(self) -> bytes:
        """The file's bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"
