"""Whom our user knows, during one call: what is stored of people, what is yet to be stored, and who is new here. Pure.

The session asks it who people are, and says who was met; the shell stores the changes, and says what is stored. Between
the two a change counts already: of two strangers under one name who come at once, the second is `changed`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from tuiconf.identity.trust import MAX_PINS, Change, Met, Pins, Trust

# Changes that wait to be stored, where that is impossible. Whoever comes and goes under ever new keys makes them, so
# there must be an end; what goes first is that someone was met, never what a person has decided. 300 bytes each.
MAX_UNSTORED: Final = MAX_PINS


class Judge(Protocol):
    """Says who people are to our user."""

    def meet(self, people: Iterable[tuple[bytes, str]], *, unix: float) -> None:
        """These, by key and name, are in the group with us from now on."""
        ...

    def judge(self, key: bytes, name: str) -> Trust:
        """Who someone with this key, under this name, is to us."""
        ...


class NobodyKnown:
    """The judge of one who has no memory: everybody is new."""

    def meet(self, people: Iterable[tuple[bytes, str]], *, unix: float) -> None:
        """They are not remembered."""

    def judge(self, key: bytes, name: str) -> Trust:
        """New, whoever it is."""
        return "new"


class Acquaintances:
    """The judge of one call. `stored` is what is in the store when the call begins."""

    def __init__(self, own_key: bytes, stored: Pins) -> None:
        self._own_key = own_key
        self._pins = stored.copy()
        self._unstored: list[Change] = []
        self._new: set[bytes] = set()  # met for the first time in this call

    @property
    def pins(self) -> Pins:
        """All that is known, stored or not. To be looked at only."""
        return self._pins

    @property
    def unstored(self) -> tuple[Change, ...]:
        """The changes that are not in the store, in the order they were made."""
        return tuple(self._unstored)

    def judge(self, key: bytes, name: str) -> Trust:
        """Who that is to us. New is who was first met in this call, until it ends or a person decides."""
        if key == self._own_key:
            return "self"
        trust = self._pins.trust(key, name)
        return "new" if trust == "known" and key in self._new else trust

    def meet(self, people: Iterable[tuple[bytes, str]], *, unix: float) -> None:
        """Pin those whom we did not know, in the order given, and note when we met the others."""
        for key, name in people:
            if key == self._own_key:
                continue
            if self._pins.trust(key, name) == "new":
                self._remember_as_new(key)
            met = Met(key=key, name=name, at=float(int(unix)))  # the store keeps whole seconds
            if self._pins.apply(met):
                self._unstored.append(met)
        self._bound_unstored()

    def decide(self, change: Change) -> None:
        """Our user has decided about someone. It holds in this call, whether or not the store will have room for it."""
        self._pins.hold(change)
        self._unstored.append(change)
        self._new.discard(change.key)

    def stored(self, pins: Pins, *, written: Iterable[Change] = ()) -> None:
        """The store holds these now, and with them what was `written` of `unstored`.

        By what they are and not by how many: while they were on their way, others may have come, and some been dropped.
        """
        done = {id(change) for change in written}
        self._unstored = [change for change in self._unstored if id(change) not in done]
        self._pins = pins.copy()
        # What the store had no room for holds in this call all the same.
        self._unstored = [change for change in self._unstored if self._pins.hold(change)]
        # Whoever was found to be another, wherever that was, is nobody new any more.
        self._new = {key for key in self._new if (pin := self._pins.get(key)) is None or pin.finding is None}

    def is_mismatch(self, mark: str) -> bool:
        """Whether our user has compared something with the one of this fingerprint, and it was not the same."""
        return any(pin.fingerprint == mark and pin.trust == "changed" for pin in self._pins)

    def _remember_as_new(self, key: bytes) -> None:
        if len(self._new) >= MAX_PINS:  # as many as there are pins: the others are forgotten altogether
            self._new = {other for other in self._new if self._pins.get(other) is not None}
        self._new.add(key)

    def _bound_unstored(self) -> None:
        over = len(self._unstored) - MAX_UNSTORED
        if over > 0:
            dropped = {id(change) for change in [met for met in self._unstored if isinstance(met, Met)][:over]}
            self._unstored = [change for change in self._unstored if id(change) not in dropped]
