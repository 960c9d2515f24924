"""Our own knocking: a KeyPackage, shown again and again until someone lets us in. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from tuiconf.conference import policy
from tuiconf.conference.membership import Instant, Membership, Self
from tuiconf.crypto.mls import KeyPackageBundle, MlsError, new_key_package

# A package is of use for as long as someone may take to open the door; clocks may differ by half of it.
LIFETIME_S: Final = 2 * 3600

# A package that was shown for this long is replaced: it may have been used for a Welcome that never reached us.
RENEW_S: Final = 60.0

# A Welcome may answer a package that has been replaced since. Four minutes of them; each holds two private keys.
KEPT_PACKAGES: Final = 4

# A Welcome that is still under way when we no longer need it arrives within seconds. After this the private keys go:
# with them and a recording, a thief could open the epoch that a package was welcomed into.
FORGET_S: Final = 60.0

# Packages of ours are recognised for hours, so that whoever plays an old one back cannot pass for «the same identity
# from elsewhere». 32 bytes each.
KEPT_REFS: Final = 256

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 15.0

# One who was denied knocks on, in case the denial was made up by someone with the link: often enough to be taken for
# waiting (`door.SILENT_S`), and no more often.
DENIED_PAUSE_S: Final = 25.0


class Knocking:
    """The packages shown, the newest last, and when to show the newest again (`next_at` None: not knocking)."""

    def __init__(self, me: Self) -> None:
        self._me = me
        self._bundles: deque[KeyPackageBundle] = deque(maxlen=KEPT_PACKAGES)
        self._refs: deque[bytes] = deque(maxlen=KEPT_REFS)
        self._fresh_since = 0.0
        self._forget_at: float | None = None
        self._pause_s = FIRST_PAUSE_S
        self.next_at: float | None = None
        self.refused = False  # the members told us so, and we told our user

    @property
    def active(self) -> bool:
        """Whether we are knocking."""
        return self.next_at is not None

    def begin(self, at: Instant, *, after_s: float = 0.0) -> None:
        """With a fresh package, to be shown in `after_s`."""
        self._renew(at)
        self._pause_s, self.next_at, self._forget_at = FIRST_PAUSE_S, at.now + after_s, None

    def stop(self) -> None:
        """There is no need any more. A Welcome that is under way can still be opened."""
        self.next_at = None

    def expire(self, now: float) -> None:
        """Forget the packages some time after the last knock. To be called about once a second."""
        if self.active or not self._bundles:
            self._forget_at = None
        elif self._forget_at is None:
            self._forget_at = now + FORGET_S
        elif now >= self._forget_at:
            for bundle in self._bundles:
                bundle.forget()
            self._bundles.clear()

    def deny(self, now: float) -> None:
        """We were told that we are not wanted."""
        self.refused, self._pause_s = True, DENIED_PAUSE_S
        if self.next_at is not None:
            self.next_at = max(self.next_at, now + DENIED_PAUSE_S)

    def hasten(self, now: float) -> None:
        """Someone came who may let us in. Not at once: when a thousand come, each would knock a thousand times."""
        if self.next_at is not None:
            self.next_at = min(self.next_at, now + FIRST_PAUSE_S)

    def knocked(self, at: Instant) -> bytes:
        """The package to show now; the next time is further away each time."""
        if at.now - self._fresh_since >= RENEW_S:
            self._renew(at)
        self.next_at = at.now + self._pause_s
        self._pause_s = max(self._pause_s, min(self._pause_s * 1.5, LONGEST_PAUSE_S))
        return self._bundles[-1].key_package

    def made(self, ref: bytes) -> bool:
        """Whether this is the reference of a package of ours."""
        return ref in self._refs

    def join(self, welcome: bytes, at: Instant) -> Membership:
        """The membership a Welcome gives for any of the packages shown.

        Raises:
            MlsError, PolicyError, NotAPerson: as `Membership.join`.
        """
        for bundle in list(reversed(self._bundles)):
            try:
                membership = Membership.join(self._me, welcome, bundle, at)
            except MlsError as error:
                if error.code != "not_for_us":
                    raise
            else:
                return membership
            finally:
                if bundle.used:  # also by a Welcome into a group we want nothing of
                    self._bundles.remove(bundle)
        raise MlsError("not_for_us", "a Welcome is for somebody else")

    def spoiled(self, at: Instant) -> None:
        """A Welcome could not be used, so the members may think us in: show a fresh package next time.

        The one before is kept: whoever holds the link can send a bad Welcome, and the good one may be behind it.
        """
        if self.next_at is not None:
            self._renew(at)
            self.next_at = at.now + self._pause_s

    def _renew(self, at: Instant) -> None:
        bundle = new_key_package(
            self._me.identity.seed,
            self._me.credential,
            extension_types=(policy.EXTENSION_TYPE,),
            rng=self._me.rng,
            now=int(at.unix),
            lifetime_s=LIFETIME_S,
        )
        self._bundles.append(bundle)
        self._refs.append(bundle.ref)
        self._fresh_since, self.refused = at.now, False
