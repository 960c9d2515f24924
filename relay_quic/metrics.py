"""What a relay counts: plain numbers, no names, addresses or rooms, for whoever operates it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay_quic.wire import GoodbyeCode, RefusalCode


@dataclass(slots=True, kw_only=True)
class Metrics:
    """Counters since the relay started."""

    connections: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    datagrams_received: int = 0
    datagrams_forwarded: int = 0
    dropped_malformed: int = 0  # no datagram of the protocol, or from a connection that is in no room
    dropped_over_rate: int = 0  # of the sender
    dropped_not_selected: int = 0  # of a room over 8, not among the loudest; or a report too many for the room
    dropped_stale: int = 0  # pushed out of a receiver's queue, or over the receiver's rate
    dropped_unsendable: int = 0  # to a receiver that has gone silent
    tick_faults: int = 0  # bugs of the relay
    goodbyes: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)

    def goodbye(self, reason: GoodbyeCode) -> None:
        """Count a connection that the relay closed."""
        self.goodbyes[reason.value] = self.goodbyes.get(reason.value, 0) + 1

    def refused(self, reason: RefusalCode) -> None:
        """Count a request that changed nothing."""
        self.refusals[reason.value] = self.refusals.get(reason.value, 0) + 1


def as_line(figures: Mapping[str, object]) -> str:
    """Figures as one line of JSON."""
    return json.dumps(figures, separators=(", ", ": "))
