"""What waits to be read by one client of the control API: bounded, whoever reads slowly. Pure.

Answers are never left out: a client that does not read them is not listened to any more (`full`). Of events the
frequent ones go first, then the oldest, and in their place comes a line that says how many. The newest always stays,
however long it is: a client that reads gets the roster of a room of any size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

# About 1,000 events, or half a minute of statistics of a room of 50. Doubling it doubles what a client that
# never reads makes us hold.
MAX_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class _Event:
    """An event that waits."""

    line: bytes
    seq: int
    frequent: bool


class Outbox:
    """Lines for one client, in order."""

    def __init__(self, missed: Callable[[int, int, int], bytes]) -> None:
        """`missed(seq, events, levels)` gives the line that tells of so many left out before the one after `seq`."""
        self._missed = missed
        self._waiting: deque[_Event | bytes] = deque()  # bytes: an answer
        self._bytes = 0
        self._events = self._levels = 0  # left out since it was told
        self._newest_out = 0  # the number of the last of them

    def __len__(self) -> int:
        """How many lines there are to take."""
        return len(self._waiting) + self._has_missed

    @property
    def full(self) -> bool:
        """Whether the client should be answered nothing more until it has read."""
        return self._bytes >= MAX_BYTES

    def answer(self, line: bytes) -> None:
        """Add an answer."""
        self._waiting.append(line)
        self._bytes += len(line)

    def event(self, line: bytes, *, seq: int, frequent: bool) -> None:
        """Add an event; where there is no room, others go."""
        for only_frequent in (True, False):
            if self._bytes + len(line) > MAX_BYTES:
                self._leave_out(only_frequent=only_frequent)
        self._waiting.append(_Event(line, seq, frequent))
        self._bytes += len(line)

    def missed(self, events: int, *, seq: int) -> None:
        """The client missed so many events before it was there, up to the number `seq`."""
        self._events += events
        self._newest_out = max(self._newest_out, seq)

    def take(self) -> bytes | None:
        """The next line to write, or None."""
        first = self._waiting[0] if self._waiting else None
        if self._has_missed and not isinstance(first, bytes):
            return self._tell_missed(self._newest_out if first is None else first.seq - 1)
        if first is None:
            return None
        self._waiting.popleft()
        line = first if isinstance(first, bytes) else first.line
        self._bytes -= len(line)
        return line

    @property
    def _has_missed(self) -> bool:
        return self._events + self._levels > 0

    def _tell_missed(self, seq: int) -> bytes:
        line = self._missed(seq, self._events, self._levels)
        self._events = self._levels = 0
        return line

    def _leave_out(self, *, only_frequent: bool) -> None:
        """All the frequent ones, or the oldest events down to half of the room: one by one would cost much more."""
        kept: deque[_Event | bytes] = deque()
        enough = 0 if only_frequent else MAX_BYTES // 2
        for waiting in self._waiting:
            if isinstance(waiting, bytes) or (only_frequent and not waiting.frequent) or self._bytes <= enough:
                kept.append(waiting)
                continue
            self._bytes -= len(waiting.line)
            self._levels += waiting.frequent
            self._events += not waiting.frequent
            self._newest_out = max(self._newest_out, waiting.seq)
        self._waiting = kept
