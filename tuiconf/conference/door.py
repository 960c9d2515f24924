"""Those who knock, until they are let in: kept by everyone in the room, so that whoever commits next can. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from tuiconf.crypto.mls import KeyPackage

# Knocks come from whoever holds the link, and cost a verified signature and about 1 kB each. A class of 1,000
# that arrives at once is let in 64 at a time; those who did not fit knock again.
MAX_KNOCKS: Final = 64

# KeyPackages are single use. A knock is repeated every few seconds until it is answered, so a package already
# used comes back within seconds or was captured by someone: 1,024 are many minutes of joins. 32 bytes each.
MAX_USED: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Knocker:
    """One who asks to be let in."""

    connection: int
    key_package: KeyPackage
    since: float


class Door:
    """Pending knocks by connection, and the KeyPackages that were used."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Knocker] = OrderedDict()
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def knock(self, connection: int, key_package: KeyPackage, *, now: float) -> bool:
        """Note a knock; a repeated one keeps its place. False: refused, as a used package or one too many."""
        waiting = self._waiting.get(connection)
        if key_package.ref in self._used or (waiting is None and len(self._waiting) >= MAX_KNOCKS):
            return False
        same = waiting is not None and waiting.key_package.ref == key_package.ref
        if not same:
            self._waiting[connection] = Knocker(connection=connection, key_package=key_package, since=now)
        return True

    def gone(self, connection: int) -> None:
        """The connection ended: nobody waits there any more."""
        self._waiting.pop(connection, None)

    def keep(self, connections: set[int]) -> None:
        """Forget those whose connection is not among these."""
        for connection in [c for c in self._waiting if c not in connections]:
            del self._waiting[connection]

    def answered(self, signature_key: bytes) -> None:
        """The one with this key was let in, by whichever package."""
        for connection, who in list(self._waiting.items()):
            if who.key_package.signature_key == signature_key:
                self._use(who.key_package.ref)
                del self._waiting[connection]

    def refuse(self, knocker: Knocker) -> None:
        """This package cannot be let in: forget it, and never take it again."""
        self._use(knocker.key_package.ref)
        self._waiting.pop(knocker.connection, None)

    def waiting(self) -> list[Knocker]:
        """Those to let in, one for each key (the latest knock counts), first come first."""
        by_key: dict[bytes, Knocker] = {}
        for who in self._waiting.values():
            by_key[who.key_package.signature_key] = who
        return list(by_key.values())

    def _use(self, ref: bytes) -> None:
        self._used[ref] = None
        while len(self._used) > MAX_USED:
            self._used.popitem(last=False)
