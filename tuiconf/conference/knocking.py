"""Our own knocking: one KeyPackage, shown again and again until someone lets us in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuiconf.conference import policy
from tuiconf.conference.membership import Instant, Self
from tuiconf.crypto.mls import KeyPackageBundle, new_key_package

# A package is of use for as long as someone may take to open the door; clocks may differ by half of it.
LIFETIME_S: Final = 2 * 3600

# A package that was shown for this long is replaced by a fresh one.
RENEW_S: Final = 600.0

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 15.0


@dataclass(slots=True, kw_only=True, repr=False)
class Knocking:
    """The package being shown, and when to show it next."""

    bundle: KeyPackageBundle
    since: float
    next_at: float
    pause_s: float = FIRST_PAUSE_S
    denied: bool = False

    @classmethod
    def begin(cls, me: Self, at: Instant) -> Knocking:
        """With a fresh package, to be shown at once."""
        return cls(bundle=_fresh(me, at), since=at.now, next_at=at.now)

    def knocked(self, at: Instant, me: Self) -> bytes:
        """The package to show now; the next time is further away each time."""
        if at.now - self.since >= RENEW_S:
            self.bundle, self.since, self.denied = _fresh(me, at), at.now, False
        self.next_at = at.now + self.pause_s
        self.pause_s = min(self.pause_s * 1.5, LONGEST_PAUSE_S)
        return self.bundle.key_package

    def spoiled(self, at: Instant, me: Self) -> None:
        """The package was answered with something unusable: packages are single use, so take a fresh one."""
        self.bundle, self.since = _fresh(me, at), at.now
        self.next_at = at.now + self.pause_s


def _fresh(me: Self, at: Instant) -> KeyPackageBundle:
    return new_key_package(
        me.identity.seed,
        me.credential,
        extension_types=(policy.EXTENSION_TYPE,),
        rng=me.rng,
        now=int(at.unix),
        lifetime_s=LIFETIME_S,
    )
