"""What screens say about people and times, worded once. Pure but for the time zone of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from tuiconf.control.schema import Peer
from tuiconf.tui.widgets.rows import Tone

TRUST_WORDS: Final[Mapping[str, str]] = {
    "self": "you",
    "new": "new",
    "known": "known",
    "verified": "verified",
    "changed": "CHANGED",
}
"""One word for each state; no two share one."""

TRUST_SENTENCES: Final[Mapping[str, str]] = {
    "self": "This is you.",
    "new": "Never met before this call, and not verified.",
    "known": "Met before with the same key, and never verified.",
    "verified": "Verified: you compared, and it matched.",
    "changed": "CHANGED: not the key you knew, or a comparison failed. You do not hear them until you decide.",
}

TRUST_TONES: Final[Mapping[str, Tone]] = {
    "self": "quiet",
    "new": "notice",
    "known": "plain",
    "verified": "good",
    "changed": "bad",
}

_HOW: Final = {"room_code": "by room code", "safety_number": "by safety number", "fingerprint": "by fingerprint"}


def day(ts: float) -> str:
    """A day as people write it, the same in every locale: 7 Mar 2026."""
    at = datetime.fromtimestamp(ts).astimezone()
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def clock(ts: float) -> str:
    """The time of day, 14:05."""
    return f"{datetime.fromtimestamp(ts).astimezone():%H:%M}"


def verified_words(peer: Peer) -> str:
    """Since when and how someone is verified; empty when they are not."""
    if peer.verified_at is None:
        return ""
    how = _HOW[peer.verified_how] if peer.verified_how else ""
    return f"since {day(peer.verified_at)} {how}".rstrip()


def lasting(seconds: float) -> str:
    """A duration, as coarse as it matters: 40 s, 12 min, 2 h 05 min."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def ago(seconds: float) -> str:
    """How long something is over, as coarse as a person would say it."""
    days = int(seconds // 86_400)
    if days >= 1:
        return "yesterday" if days == 1 else f"{days} days ago"
    return (
        "just now" if seconds < 60 else f"{lasting(seconds)} ago" if seconds < 3600 else f"{int(seconds // 3600)} h ago"
    )


def people(count: int) -> str:
    """So many people, or the one."""
    return "1 person" if count == 1 else f"{count} people"


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
