"""Whether the group has gone on without us. Pure.

A message of a later epoch says that we missed a commit, but the epoch in its header is not authenticated: whoever
holds the link can make one up. So it is a *suspicion*: we hold our own commits and chat back, knock after a while,
and if nobody lets us back in, go on as before. (A message of another group is one as well, where there is no host.)
What the relay says when we return too late, or a commit that
removes us, makes us *cut off*: then we knock until we are let in.
"""

from __future__ import annotations

import math
from typing import Final

# A missed commit may still arrive in this time.
STRANDED_S: Final = 1.0

# How long a member who only seems stranded knocks. Nothing of ours is said or committed meanwhile.
FALSE_ALARM_S: Final = 10.0

# After a false alarm others are not believed for so long: whoever makes them up delays us for a fourth of the time
# at most. Longer, and one who is then really stranded finds out later.
DEAF_S: Final = 30.0


class Stranding:
    """What we know of having been left behind."""

    def __init__(self) -> None:
        self._suspected_at: float | None = None
        self._deaf_until = -math.inf
        self.cut_off = False
        self.room_went_on = False  # for so long that it may even be another group by now

    @property
    def behind(self) -> bool:
        """Whether what we would say now might be for an epoch that is over."""
        return self.cut_off or self._suspected_at is not None

    def suspect(self, now: float) -> None:
        """There was a message of a later epoch."""
        if not self.behind and now >= self._deaf_until:
            self._suspected_at = now

    def cut(self, *, room_went_on: bool) -> None:
        """We are no longer a member, or cannot catch up."""
        self.cut_off = True
        self.room_went_on = self.room_went_on or room_went_on

    def keeping_up(self) -> None:
        """We are in the group's present epoch."""
        self._suspected_at, self.cut_off, self.room_went_on = None, False, False

    def false_alarm(self, now: float) -> None:
        """Nobody let us back in: there is probably nowhere to go."""
        self.keeping_up()
        self._deaf_until = now + DEAF_S

    def due(self, *, knocking: bool) -> float | None:
        """When to begin knocking, or, while we knock, to take it for a false alarm; None: never."""
        if self.cut_off:
            return None if knocking else -math.inf
        if self._suspected_at is None:
            return None
        return self._suspected_at + (STRANDED_S + FALSE_ALARM_S if knocking else STRANDED_S)
