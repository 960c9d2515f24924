"""How lines say people, numbers and times, worded once. Pure but for the time zone of the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from tuiconf.commands import SHORT_FINGERPRINT
from tuiconf.control.events import Caller, Person
from tuiconf.untrusted import visible

TRUST: Final[Mapping[str, str]] = {
    "self": "you",
    "new": "not verified, new",
    "known": "not verified, known",
    "verified": "verified",
    "changed": "CHANGED",
}
"""Four states that are never merged. Whether someone is verified comes first; new is who was never met before."""

HOW: Final[Mapping[str, str]] = {
    "room_code": "by room code",
    "safety_number": "by safety number",
    "fingerprint": "by fingerprint",
}

# What these mean in a line, a name must not: "Mara is verified: hello" would be someone who goes by a strange name.
_OUR_WORDS: Final = frozenset(
    (
        *("accept", "admit", "asked", "call", "changed", "code", "connecting", "deny", "error", "forget", "gone"),
        *("hand", "here", "host", "is", "joined", "key", "keys", "knocks", "known", "left", "link", "muted", "new"),
        *("no", "not", "notice", "number", "ready", "recording", "records", "removed", "room", "safety", "silenced"),
        *("the", "trust", "type", "unmute", "verified", "verify", "waiting", "was", "you", "your"),
    )
)

# Letters of any script and what stands within names; whatever else is in one sets it in quotation marks.
_NOT_IN_PLAIN_NAMES: Final = re.compile(r"[^\w .'’·-]")

# Names that are said one after the other before it is "and 30 more".
MAX_NAMES: Final = 10

# In dBFS, of the loudest moment while one speaks: below the first there is no voice, above the last it is distorted.
_LEVELS: Final = (
    (-60.0, "nothing is heard"),
    (-42.0, "very quiet"),
    (-30.0, "quiet"),
    (-6.0, "good"),
    (-1.0, "loud"),
)


def name_of(who: Person | Caller) -> str:
    """Someone's name, harmless; in quotation marks where a listener could take part of it for our words."""
    name = visible(who.name)
    words = re.split(r"\W+", name.casefold())
    if _NOT_IN_PLAIN_NAMES.search(name) or not _OUR_WORDS.isdisjoint(words):
        return '"' + name.replace('"', "'") + '"'
    return name


def names(people: Sequence[Person | Caller], nobody: str) -> str:
    """The names in a row."""
    if not people:
        return nobody
    more = f" and {len(people) - MAX_NAMES} more" if len(people) > MAX_NAMES else ""
    return ", ".join(map(name_of, people[:MAX_NAMES])) + more


def decide(who: Person) -> str:
    """What one can do about someone who is `changed`: by their fingerprint, as the name is also another's.

    Not said is /forget: of the two it would forget the one who is stored, and the other would be heard.
    """
    typed = who.fingerprint[:SHORT_FINGERPRINT]
    return f"silenced until you decide: /verify {typed} or /accept {typed}"


def sayer(who: Person) -> str:
    """Whose chat it is. Whoever is `changed` can write what the one would have written whose name it is."""
    return f"{name_of(who)} ({TRUST[who.trust]})" if who.trust == "changed" else name_of(who)


def standing(who: Person) -> str:
    """All that is so about someone, in a row: trust first."""
    marks = (
        (TRUST[who.trust], True),
        ("host", who.host),
        ("muted", who.muted),
        ("hand up", who.hand),
        ("RECORDING", who.recording),
        ("may not be recorded", not who.recordable),
    )
    return ", ".join(word for word, so in marks if so)


def spelled(digits: str) -> str:
    """Digits one by one, with a pause after each group: "12345" would be read as twelve thousand and so on."""
    return ", ".join(" ".join(group) for group in digits.split())


def in_fours(words: Sequence[str]) -> str:
    """Words in groups of four, with a pause in between."""
    return ", ".join(" ".join(words[start : start + 4]) for start in range(0, len(words), 4))


def level(dbfs: float | None) -> str:
    """How loud a microphone is, in words."""
    if dbfs is None:
        return "nothing is heard"
    return next((words for below, words in _LEVELS if dbfs < below), "too loud")


def day(ts: float) -> str:
    """A day as people say it, the same in every locale: 7 March 2026."""
    at = datetime.fromtimestamp(ts).astimezone()
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def clock(ts: float) -> str:
    """The time of day, 14:05."""
    return f"{datetime.fromtimestamp(ts).astimezone():%H:%M}"


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
