"""What waits to be read by one client of the control API: bounded, whoever reads slowly. Pure.

Answers are never left out: a client that does not read them is not listened to any more (`full`). Of events the
frequent ones go first, then the oldest, and in their place comes a line that says how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

# About 1,000 events, or half a minute of statistics of a room of 50. Doubling it doubles what a client that
# never reads makes us hold.
MAX_BYTES: Final = 1 << 18


class Outbox:
    """Lines for one client, in order."""

    def __init__(self, missed: Callable[[int, int], bytes]) -> None:
        """`missed(events, levels)` gives the line that tells of so many left out."""
        self._missed = missed
        self._lines: deque[tuple[bytes, bool | None]] = deque()  # (line, frequent; None: an answer)
        self._bytes = 0
        self._events = self._levels = 0  # left out since it was told

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        """Whether the client should be answered nothing more until it has read."""
        return self._bytes >= MAX_BYTES

    def answer(self, line: bytes) -> None:
        """Add an answer."""
        self._lines.append((line, None))
        self._bytes += len(line)

    def event(self, line: bytes, *, frequent: bool) -> None:
        """Add an event; where there is no room, others go."""
        self._lines.append((line, frequent))
        self._bytes += len(line)
        if self._bytes > MAX_BYTES:
            self._leave_out(frequent=True)
        if self._bytes > MAX_BYTES:
            self._leave_out(frequent=False)

    def take(self) -> bytes | None:
        """The next line to write, or None."""
        if not self._lines:
            return None
        if self._lines[0][1] is not None and (self._events or self._levels):
            line = self._missed(self._events, self._levels)
            self._events = self._levels = 0
            return line
        line, _ = self._lines.popleft()
        self._bytes -= len(line)
        return line

    def _leave_out(self, *, frequent: bool) -> None:
        """All the frequent ones, or the oldest events down to half of the room: one by one would cost much more."""
        kept: deque[tuple[bytes, bool | None]] = deque()
        spare = 0 if frequent else MAX_BYTES // 2
        excess = self._bytes - spare
        for line, kind in self._lines:
            if kind is None or (frequent and not kind) or (not frequent and excess <= 0):
                kept.append((line, kind))
                continue
            excess -= len(line)
            self._bytes -= len(line)
            self._levels += bool(kind)
            self._events += not kind
        self._lines = kept
