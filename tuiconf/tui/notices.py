"""What is worth a sentence when it happens, and is over then. What goes on is in `warnings`. Pure."""

from __future__ import annotations

from typing import Literal

from tuiconf.control.events import (
    CallEvent,
    CommitRefused,
    Failed,
    Joined,
    Knocked,
    KnockEnded,
    MuteRequested,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    Reconnected,
    RecordingChanged,
    SourceEnded,
)

Severity = Literal["information", "warning", "error"]

_TRUST = {"new": "new", "known": "known, not verified", "verified": "verified", "changed": "not who they were"}
_GONE = {"left": "left", "removed": "was removed", "vanished": "is gone"}


def notice(event: CallEvent) -> tuple[str, Severity] | None:
    """The sentence, and how bad it is; None for what every screen shows anyway."""
    match event:
        case ParticipantJoined(participant=who):
            severity: Severity = "warning" if who.trust == "changed" else "information"
            return f"{who.name} joined, {_TRUST.get(who.trust, who.trust)}", severity
        case ParticipantLeft(participant=who, reason=reason):
            return f"{who.name} {_GONE[reason]}", "information"
        case Joined(me=me, created=True) if not me.host:
            return "Alone in a new room: nobody was there to let you in. Is it the right link?", "warning"
        case Knocked(caller=caller):
            return f"{caller.name} knocks", "information"
        case KnockEnded(caller=caller, reason="gone"):
            return f"{caller.name} no longer knocks", "information"
        case MuteRequested(by=who):
            return f"{who.name} asked for quiet: you are muted", "warning"
        case CommitRefused(reason=reason):
            return f"A change to the group was refused ({reason}); nothing has changed", "warning"
        case Reconnected():
            return "Back in the call", "information"
        case RecordingChanged(active=True, folder=folder):
            return f"Recording into {folder}", "information"
        case RecordingChanged(active=False, reason=reason):
            return f"Not recording any more ({reason})", "information"
        case SourceEnded():
            return "What you were sending is over", "warning"
        case Notice(message=message):
            return message, "information"
        case Failed(message=message):
            return message, "error"
        case _:
            return None
