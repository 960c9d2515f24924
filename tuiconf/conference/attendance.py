"""Which members are reachable: what the relay says of connections, applied to whom members say they are. Pure.

This is the only thing the relay's word is taken for. It cannot add anyone; and whom it declares gone, it could
as well have cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from relay_quic.wire import MAX_CONNECTIONS_LISTED
from tuiconf.conference.membership import Membership

# A member whose connection is gone may come back for as long as the relay lets it resume; then it is removed.
VANISH_S: Final = 60.0


class Attendance:
    """The room's connections, and since when which members have none."""

    def __init__(self) -> None:
        self.own: int | None = None
        self.connections: set[int] = set()
        self.absent_since: dict[int, float] = {}  # by leaf

    def entered(self, own: int, connections: Iterable[int]) -> None:
        """The relay has let us in as connection `own`, beside these."""
        self.own = own
        self.connections = {*connections, own}

    def came(self, connection: int) -> None:
        """The relay tells of another. More than a room can have it invents: they are nobody's, and not kept."""
        if len(self.connections) < MAX_CONNECTIONS_LISTED:
            self.connections.add(connection)

    def is_gone(self, membership: Membership, leaf: int) -> bool:
        """Whether the relay has no connection of this member."""
        who = membership.roster.by_leaf.get(leaf)
        return leaf != membership.own_leaf and who is not None and who.connection not in self.connections

    def others(self) -> int:
        """How many connections there are beside our own."""
        return len(self.connections - {self.own})

    def is_oldest(self) -> bool:
        """Whether ours is the oldest connection: the relay gives ascending numbers."""
        return self.own is not None and self.own == min(self.connections, default=self.own)

    def settle(self, membership: Membership | None, now: float) -> None:
        """Bring the absences up to date after any change of connections or members."""
        leaves = membership.roster.by_leaf if membership is not None else {}
        absent = {leaf for leaf in leaves if membership is not None and self.is_gone(membership, leaf)}
        self.absent_since = {leaf: self.absent_since.get(leaf, now) for leaf in absent}

    def will_not_return(self, membership: Membership, connection: int, now: float) -> None:
        """The connection ended by its own wish: its member has no way back but to knock."""
        for leaf in self.absent_since:
            if membership.roster.by_leaf[leaf].connection == connection:
                self.absent_since[leaf] = now - VANISH_S
