"""What our user, a host, wants the room's policy to be, until a commit of ours has made it so. Pure.

The policy may change while a commit is under way, so it is the wish that is kept: it is applied to whatever the
policy is when we commit.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from tuiconf.conference.policy import Lobby, Policy


@dataclass(slots=True)
class Wishes:
    """None: no wish. `since` is when the last was uttered."""

    since: float = 0.0
    locked: bool | None = None
    lobby: Lobby | None = None
    heir: bytes | None = None  # who is to be host
    staying_host: bool = False  # beside them

    @property
    def any(self) -> bool:
        """Whether there is a wish."""
        return not (self.locked is None and self.lobby is None and self.heir is None)

    def applied(self, policy: Policy, own_key: bytes, here: Collection[bytes]) -> Policy:
        """The policy as we want it; `here` are those who are in the group with it."""
        wanted = replace(
            policy,
            locked=policy.locked if self.locked is None else self.locked,
            lobby=policy.lobby if self.lobby is None else self.lobby,
        )
        if self.heir is None or self.heir not in here:
            return wanted
        wanted = wanted.with_host(self.heir, here)
        return wanted if self.staying_host else replace(wanted, hosts=wanted.hosts - {own_key})

    def settle(self, policy: Policy, own_key: bytes, here: Collection[bytes]) -> None:
        """After a commit: drop what has come true, and what cannot any more."""
        if own_key not in policy.hosts:
            self.clear()
            return
        if policy.locked is self.locked:
            self.locked = None
        if policy.lobby is self.lobby:
            self.lobby = None
        if self.heir not in here or (self.staying_host and self.heir in policy.hosts):
            self.heir = None

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self.locked = self.lobby = self.heir = None
