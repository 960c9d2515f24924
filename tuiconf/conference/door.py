"""Those who knock, until they are let in: kept by everyone in the room, so that whoever commits next can. Pure.

A KeyPackage may be shown from several connections: whoever holds the link can play back what another has shown. Its
Welcome goes to all of them, because only who made the package can open it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from tuiconf.crypto.mls import KeyPackage

# Knocks come from whoever holds the link, and cost a verified signature and about 1 kB each. A class of 1,000
# that arrives at once is let in 64 at a time; those who did not fit knock again.
MAX_KNOCKS: Final = 64

# Whoever waits knocks twice a minute at least, and forgets the keys of its packages a minute after it has stopped.
SILENT_S: Final = 60.0

# KeyPackages are single use. A knock is repeated every few seconds until it is answered, so a package already
# used comes back within seconds or was captured by someone: 1,024 are many minutes of joins. 32 bytes each.
MAX_USED: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Knocker:
    """One who asks to be let in, from these connections."""

    connections: frozenset[int]
    key_package: KeyPackage
    since: float

    @property
    def key(self) -> bytes:
        """Who it is."""
        return self.key_package.signature_key


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Knock:
    key_package: KeyPackage
    ref: bytes
    since: float
    heard_at: float


class Door:
    """Pending knocks by connection, and the KeyPackages that were used."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, _Knock] = OrderedDict()
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self, connection: int) -> bool:
        """Whether a knock from there could be noted: ask before the cost of verifying it."""
        return connection in self._waiting or len(self._waiting) < MAX_KNOCKS

    def knock(self, connection: int, key_package: KeyPackage, *, now: float) -> bool:
        """Note a knock; one who knocks again keeps its turn. False: refused, as a used package or one too many."""
        ref = key_package.ref
        if ref in self._used or not self.has_room(connection):
            return False
        before = self._waiting.get(connection)
        same_person = before is not None and before.key_package.signature_key == key_package.signature_key
        since = before.since if before is not None and same_person else now
        self._waiting[connection] = _Knock(key_package=key_package, ref=ref, since=since, heard_at=now)
        return True

    def expire(self, now: float) -> None:
        """Forget those who have stopped knocking."""
        for connection in [c for c, waiting in self._waiting.items() if now >= waiting.heard_at + SILENT_S]:
            del self._waiting[connection]

    def gone(self, connection: int) -> None:
        """The connection ended: nobody waits there any more."""
        self._waiting.pop(connection, None)

    def keep(self, connections: set[int]) -> None:
        """Forget those whose connection is not among these."""
        for connection in [c for c in self._waiting if c not in connections]:
            del self._waiting[connection]

    def withdraw(self, keys: Collection[bytes]) -> None:
        """Those with these keys are members and keep up, so they need not be let in; if they must, they knock again."""
        for connection in [c for c, waiting in self._waiting.items() if waiting.key_package.signature_key in keys]:
            del self._waiting[connection]

    def use(self, ref: bytes) -> None:
        """The package with this reference was let in, or cannot be: forget it, and never take it again."""
        for connection in [c for c, waiting in self._waiting.items() if waiting.ref == ref]:
            del self._waiting[connection]
        self._used[ref] = None
        if len(self._used) > MAX_USED:
            self._used.popitem(last=False)

    def waiting(self) -> list[Knocker]:
        """Those to let in, one for each key (the latest package counts), first come first."""
        latest: dict[bytes, _Knock] = {}
        for knock in self._waiting.values():
            known = latest.get(knock.key_package.signature_key)
            latest[knock.key_package.signature_key] = knock if known is None else replace(knock, since=known.since)
        knockers = [
            Knocker(
                connections=frozenset(c for c, other in self._waiting.items() if other.ref == knock.ref),
                key_package=knock.key_package,
                since=knock.since,
            )
            for knock in latest.values()
        ]
        return sorted(knockers, key=lambda who: who.since)
