"""Whom one has met, and what that says of who is here now: the decisions, like those of SSH's `known_hosts`. Pure.

An identity is pinned when it is met for the first time: its key, with the name it went by. From then on that name,
and what looks like it, is that key's: whoever comes under it with another key is `changed`, until a person decides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from tuiconf.errors import TuiconfError
from tuiconf.identity.keys import fingerprint

Standing = Literal["new", "known", "verified", "changed"]
"""What our user knows of somebody else: never met before; met; met and verified; or not who the name stood for. Four
states that are never merged, in whatever is made of them."""

Trust = Literal["self"] | Standing
"""The same of anybody."""

How = Literal["room_code", "safety_number", "fingerprint"]
"""What two people compared."""

# Pins that are kept. Whoever can come into a room can come as many, so there must be an end; this is four times the
# largest room. Doubling it doubles the file (1.7 MB when full of the longest names), and the time that reading it
# takes whenever another process has changed it.
MAX_PINS: Final = 4096

# Coming back so soon is the same meeting, and need not be written down: whoever has a bad connection comes back every
# minute, and SD cards wear out.
SAME_MEETING_S: Final = 600.0

# Letters, after case folding, that a terminal shows like a Latin one: so many that most people's names cannot be
# spelled a second time in Cyrillic or Greek, or with digits. All that look alike would be thousands; and real names
# differ by accents. Left out is what looks like one letter when small and like another as a capital (Greek nu).
_LOOK_ALIKE: Final = {
    **str.maketrans("авеӏкмнорстухіјѕԁԛԝһαβεικορτχωϲ01ıɡɑ", "abelkmhopctyxijsdqwhabeikoptxwcoliga"),
    # What `untrusted.visible` leaves out: whether a symbol is a picture, and its skin tone.
    **dict.fromkeys((*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)), None),
}


class TooManyPeers(TuiconfError):
    """With everyone in the store somebody has compared, so nobody can be forgotten for another."""

    code = "too_many_peers"

    def __init__(self) -> None:
        super().__init__(f"{MAX_PINS} people were compared with: forget one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Two people have compared, and it matched, or it did not."""

    at: float  # seconds since 1970
    how: How
    matches: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pin:
    """An identity that was met. Times are seconds since 1970."""

    key: bytes
    name: str  # at the last meeting
    first_met: float
    last_met: float
    finding: Finding | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint(self.key))

    @property
    def trust(self) -> Literal["known", "verified", "changed"]:
        """What is known of it under the name it had."""
        if self.finding is None:
            return "known"
        return "verified" if self.finding.matches else "changed"

    def __repr__(self) -> str:
        """Without name and key."""
        return "<Pin>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Met:
    """Someone is in the same group as we are."""

    key: bytes
    name: str
    at: float

    def __repr__(self) -> str:
        return "<Met>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Compared:
    """A person has compared something with someone."""

    key: bytes
    name: str
    finding: Finding

    def __repr__(self) -> str:
        return "<Compared>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Accepted:
    """A person takes someone who is `changed` for whom they say they are, without having compared anything."""

    key: bytes
    name: str
    at: float

    def __repr__(self) -> str:
        return "<Accepted>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Forgotten:
    """A person wants nothing to be known of someone."""

    key: bytes

    def __repr__(self) -> str:
        return "<Forgotten>"


Change = Met | Compared | Accepted | Forgotten
"""What can become of the pins. Each says what happened, so that it can be done again upon what others have written."""


class Pins:
    """The identities that were met, by key and by what their names look like."""

    def __init__(self, pins: Iterable[Pin] = ()) -> None:
        self._by_key: dict[bytes, Pin] = {}
        self._by_look: dict[str, set[bytes]] = {}
        for pin in pins:
            self._put(pin)

    def __iter__(self) -> Iterator[Pin]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: bytes) -> Pin | None:
        """The pin of this key."""
        return self._by_key.get(key)

    def namesakes(self, key: bytes, name: str) -> list[Pin]:
        """The others who are called that, or what looks like it."""
        return [self._by_key[other] for other in sorted(self._by_look.get(look(name), ())) if other != key]

    def trust(self, key: bytes, name: str) -> Standing:
        """What is known of someone with this key who goes by this name.

        One rule for the name: it may be taken by a key that is pinned under it already, and by any if nobody else's is.
        So a name is taken from its owner neither by a stranger nor by someone who is known under another.
        """
        pin = self._by_key.get(key)
        if pin is not None and pin.trust == "changed":
            return "changed"
        ours = pin is not None and (pin.name == name or look(pin.name) == look(name))
        if not ours and self.namesakes(key, name):
            return "changed"
        return "new" if pin is None else pin.trust

    def copy(self) -> Pins:
        """The same, to be changed by itself."""
        other = Pins()
        other._by_key = self._by_key.copy()
        other._by_look = {looks: keys.copy() for looks, keys in self._by_look.items()}  # no name is looked at again
        return other

    def apply(self, change: Change) -> bool:
        """Make the change; False if there was nothing to change.

        Raises:
            TooManyPeers: a decision cannot be kept, since all others are findings.
        """
        match change:
            case Met():
                return self._meet(change)
            case Compared(key=key, name=name, finding=finding):
                self._decide(key, name, finding.at, finding)
            case Accepted(key=key, name=name, at=at):
                self._decide(key, name, at, None)
            case Forgotten(key=key):
                return self._drop(key) is not None
        return True

    def hold(self, change: Change) -> bool:
        """As `apply`; and a decision for which there is no room is kept beyond it: by a call, not by a store.

        Else somebody who was found to be another would be heard again once the store is full.
        """
        try:
            return self.apply(change)
        except TooManyPeers:
            match change:
                case Compared(key=key, name=name, finding=finding):
                    self._put(Pin(key=key, name=name, first_met=finding.at, last_met=finding.at, finding=finding))
                case Accepted(key=key, name=name, at=at):
                    self._put(Pin(key=key, name=name, first_met=at, last_met=at))
        return True

    def _meet(self, met: Met) -> bool:
        """Whoever is `changed` is not pinned, and a name that is another's is not theirs, until someone decides."""
        if self.trust(met.key, met.name) == "changed":
            return False
        pin = self._by_key.get(met.key)
        if pin is None:
            if not self._make_room():
                return False
            self._put(Pin(key=met.key, name=met.name, first_met=met.at, last_met=met.at))
            return True
        if pin.name == met.name and met.at < pin.last_met + SAME_MEETING_S:
            return False
        self._put(replace(pin, name=met.name, last_met=max(met.at, pin.last_met)))
        return True

    def _decide(self, key: bytes, name: str, at: float, finding: Finding | None) -> None:
        pin = self._by_key.get(key)
        if pin is None and not self._make_room():
            raise TooManyPeers
        first_met, last_met = (at, at) if pin is None else (pin.first_met, pin.last_met)
        self._put(Pin(key=key, name=name, first_met=first_met, last_met=last_met, finding=finding))

    def _make_room(self) -> bool:
        """For one more, by forgetting who was not met for longest: never one with whom something was compared."""
        while len(self._by_key) >= MAX_PINS:
            not_compared = [pin for pin in self._by_key.values() if pin.finding is None]
            if not not_compared:
                return False
            self._drop(min(not_compared, key=lambda pin: pin.last_met).key)
        return True

    def _put(self, pin: Pin) -> None:
        before = self._by_key.get(pin.key)
        if before is not None and before.name != pin.name:
            self._unlook(before)
        self._by_key[pin.key] = pin
        self._by_look.setdefault(look(pin.name), set()).add(pin.key)

    def _drop(self, key: bytes) -> Pin | None:
        pin = self._by_key.pop(key, None)
        if pin is not None:
            self._unlook(pin)
        return pin

    def _unlook(self, pin: Pin) -> None:
        keys = self._by_look[look(pin.name)]
        keys.discard(pin.key)
        if not keys:
            del self._by_look[look(pin.name)]


def look(name: str) -> str:
    """What a name looks like: equal for names that people take for the same.

    By the running Python's tables, which may differ from another's: nobody else has to agree with what it gives.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return folded.translate(_LOOK_ALIKE)
