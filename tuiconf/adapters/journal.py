"""What happens in a call, for the journal of a machine nobody sits at: one JSON object a line.

A journal is read by administrators, shipped to other machines and kept for years. So it gets numbers, and words out of
a list of our own: never names, keys, fingerprints, addresses, links, chat or security codes. Every field is left out
unless it is listed here, and a string in a listed field is left out unless it is one of our words; so an event or a
field that is added elsewhere cannot bring anything into a log by being forgotten here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from relay_quic.errors import RelayError
from tuiconf.conference import events
from tuiconf.conference.events import AudioStats, Event, Failed, Left, LeftReason, Person, Undecryptable
from tuiconf.errors import TuiconfError

Value = bool | int | float | str | None

# syslog's numbers, which journalctl -p takes.
_ERROR: Final = 3
_WARNING: Final = 4
_NOTICE: Final = 5
_INFO: Final = 6
_DEBUG: Final = 7

# Statistics come once a second: a line of them a minute is 1,440 a day, a third of a megabyte.
STATS_EVERY: Final = 60

# Which fields, and how urgent. Persons come out as their leaf, a number that means nothing outside the group; several
# as their number.
_LISTED: Final[Mapping[type[Event], tuple[int, tuple[str, ...]]]] = {
    events.RoomCreated: (_NOTICE, ()),
    events.Waiting: (_NOTICE, ()),
    events.Joined: (_NOTICE, ("epoch", "me", "participants")),
    events.ParticipantJoined: (_INFO, ("participant", "epoch")),
    events.ParticipantLeft: (_INFO, ("participant", "epoch", "reason")),
    events.EpochChanged: (_INFO, ("epoch",)),
    events.ChatReceived: (_DEBUG, ("participant",)),
    events.StatusChanged: (_DEBUG, ("participant",)),
    events.Knocked: (_NOTICE, ()),
    events.KnockEnded: (_NOTICE, ("reason",)),
    events.PolicyChanged: (_NOTICE, ("hosts", "lobby", "locked")),
    events.MuteRequested: (_NOTICE, ("by",)),
    events.RecordingAnnounced: (_NOTICE, ()),
    events.RecordingRefused: (_WARNING, ("participant",)),
    events.SourceEnded: (_INFO, ()),
    events.Undecryptable: (_WARNING, ("active", "frames")),
    events.CommitRefused: (_WARNING, ("reason",)),
    events.AudioStats: (_DEBUG, ("frames_sent", "muted", "rtt_ms", "ticks_skipped", "streams")),
    events.Reconnecting: (_WARNING, ()),
    events.Reconnected: (_NOTICE, ("epoch", "rejoined")),
    events.Eavesdropped: (_WARNING, ("frames_tried", "frames_opened")),
    events.Left: (_NOTICE, ("reason",)),
    events.Failed: (_WARNING, ("code", "fatal")),
}

# fmt: off
# What a listed field may say in words, beside the codes of our error types.
_WORDS: Final = frozenset(
    {
        # reasons of events
        "left", "removed", "vanished", "failed", "admitted", "denied", "gone", "off", "unknown", "everyone",
        # codes of single faults (Failed)
        "internal", "kind", "relay_order", "replaced",
        # why a commit was refused: MlsError's documentation
        "malformed", "unsupported", "limit", "wrong_group", "wrong_epoch", "own_message", "decryption",
        "replayed", "signature", "membership_tag", "confirmation_tag", "unknown_psk", "missing_psk",
        "unknown_proposal", "invalid_proposals", "invalid_leaf", "lifetime", "duplicate_key", "invalid_tree",
        "invalid_path", "not_for_us",
        # and the rules that CommitForbidden names
        "not_a_member", "foreign_psk", "other_group", "older_epoch", "policy_change", "removed_unseen",
        "no_host", "bad_policy", "successor", "added_without_link", "too_many", "bad_credential", "locked",
        "admit_not_allowed", "identity_change", "remove_not_allowed",
    }
)
# fmt: on
_ANOTHER_WORD: Final = "other"


class JournalLog:
    """Turns events into lines. `write` takes one line without its end and must not block."""

    def __init__(self, write: Callable[[str], None], *, level_prefix: bool = False) -> None:
        """With `level_prefix` each line begins as sd-daemon(3) says, so that journald knows its priority."""
        self._write = write
        self._level_prefix = level_prefix
        self._stats_seen = 0

    def record(self, event: Event) -> None:
        """Write what may be known of `event`."""
        if isinstance(event, AudioStats):
            self._stats_seen += 1
            if self._stats_seen % STATS_EVERY != 1:
                return
        priority = _priority(event)
        record = {"priority": priority, "event": _tag(event), **_listed(event)}
        prefix = f"<{priority}>" if self._level_prefix else ""
        self._write(prefix + json.dumps(record))


def leads_to_journal(fd: int = 2, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether journald reads this descriptor, as systemd says in $JOURNAL_STREAM."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _tag(event: Event) -> str:
    return str(type(event).__struct_config__.tag)


def _priority(event: Event) -> int:
    match event:
        case Failed(fatal=True) | Left(reason=LeftReason.FAILED):
            return _ERROR
        case Undecryptable(active=False):
            return _NOTICE
    return _LISTED.get(type(event), (_INFO, ()))[0]


def _listed(event: Event) -> dict[str, Value]:
    _, names = _LISTED.get(type(event), (_INFO, ()))
    listed = {name: _plain(getattr(event, name, None)) for name in names}
    if isinstance(event, AudioStats):
        listed["undecryptable"] = sum(event.undecryptable.values())
        listed["frames_concealed"] = sum(stream.frames_concealed for stream in event.streams)
        listed["worst_loss_percent"] = max((stream.loss_percent for stream in event.streams), default=0.0)
    return listed


def _plain(value: object) -> Value:
    """What of a value may be written."""
    match value:
        case None | bool() | int() | float():
            return value
        case Person(leaf=leaf):
            return leaf
        case tuple():
            return len(value)
        case str() if value in _WORDS or value in _codes(TuiconfError) or value in _codes(RelayError):
            return str(value)
    return _ANOTHER_WORD


def _codes(error: type[TuiconfError] | type[RelayError]) -> Iterator[str]:
    """The codes of an error type and of all that are derived from it. Those of single errors are not among them."""
    if isinstance(code := vars(error).get("code"), str):
        yield code
    for derived in error.__subclasses__():
        yield from _codes(derived)
