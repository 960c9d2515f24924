"""A link that loses, delays, overtakes and doubles, on a virtual clock. What it does is data and a seed."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProfile:
    """How a link behaves. Fractions are of the datagrams put in; times in seconds."""

    loss: float = 0.0
    burst: int = 1  # lost ones come in runs of this many, at the same total `loss`
    delay_s: float = 0.030
    jitter_s: float = 0.0  # up to this is added, evenly
    reorder: float = 0.0  # held back by `reorder_s`, so that later ones overtake
    reorder_s: float = 0.025
    duplicate: float = 0.0
    lose_exactly: frozenset[int] = frozenset()  # these, counted from 0, whatever else
    stalls: tuple[tuple[float, float], ...] = ()  # from, until: all that would arrive between arrives at the end


PERFECT = LinkProfile()
LOOPBACK = LinkProfile(delay_s=0.0002, jitter_s=0.002)


class LossyLink:
    """One direction of a link. `send` puts a datagram in, `receive` takes out what has arrived by then."""

    def __init__(self, profile: LinkProfile, *, seed: int) -> None:
        self._profile = profile
        self._random = random.Random(seed)
        self._under_way: list[tuple[float, int, bytes]] = []
        self._sent = 0
        self._burst_left = 0
        self.lost = 0

    def send(self, datagram: bytes, *, now: float) -> None:
        """Put a datagram in at `now`."""
        index = self._sent
        self._sent += 1
        if self._loses(index):
            self.lost += 1
            return
        copies = 2 if self._random.random() < self._profile.duplicate else 1
        for _ in range(copies):
            heapq.heappush(self._under_way, (self._arrival(now), index, datagram))

    def receive(self, *, now: float) -> list[tuple[float, bytes]]:
        """(when, datagram) of everything that arrived up to `now`, in the order it did."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            at, _, datagram = heapq.heappop(self._under_way)
            arrived.append((at, datagram))
        return arrived

    def _loses(self, index: int) -> bool:
        if index in self._profile.lose_exactly:
            return True
        if self._burst_left:
            self._burst_left -= 1
            return True
        if self._random.random() >= self._start_of_burst():
            return False
        self._burst_left = self._profile.burst - 1
        return True

    def _start_of_burst(self) -> float:
        """The chance, outside a burst, of one beginning, for `loss` of all to be lost in the end."""
        loss, burst = self._profile.loss, self._profile.burst
        return loss / (burst - loss * (burst - 1)) if loss else 0.0

    def _arrival(self, now: float) -> float:
        profile = self._profile
        at = now + profile.delay_s + self._random.random() * profile.jitter_s
        if self._random.random() < profile.reorder:
            at += profile.reorder_s
        return next((until for begin, until in profile.stalls if begin <= at < until), at)
