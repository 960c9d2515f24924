"""How far the terminal is behind what was written for it. Pure.

A tty takes what is written long before anybody sees it: sshd alone holds two megabytes for a slow link, which at
30 kbit/s is the picture of nine minutes ago. So after some output the terminal is asked for something it answers at
once (DA1); its answer says that it has seen all before. While too much is unanswered, nothing new is drawn.
"""

from __future__ import annotations

from collections import deque

# How much may be under way unanswered: a full screen in 256 colours. At 30 kbit/s that is shown 2 s late; a quarter of
# it would let a screen be painted only in parts on links whose round trip is long.
WINDOW_BYTES = 8_192

# How often an answer is asked for. The question is 3 bytes, the answer about 30, against the stream.
FENCE_EVERY_BYTES = 2_048

# How long an answer may take before it counts as lost (it went to another terminal that was attached meanwhile) and
# one more window is sent. A link that stands still gets one window in this time, not a frame every 50 ms.
PATIENCE_S = 10.0

# A write that the kernel does not take within this time waits for a terminal, not for the processor.
STUCK_S = 0.1

# What may wait to be written, before frames are dropped: two full screens.
MAX_PENDING_BYTES = 16_384


class Pace:
    """Counts what is written and what is answered."""

    def __init__(self) -> None:
        self._written = 0
        self._answered = 0
        self._fences: deque[tuple[int, float]] = deque()

    @property
    def under_way_bytes(self) -> int:
        return self._written - self._answered

    def wrote(self, size: int) -> None:
        self._written += size

    def wants_fence(self) -> bool:
        """Has there been so much output since the last question that it is time for another?"""
        last = self._fences[-1][0] if self._fences else self._answered
        return self._written - last >= FENCE_EVERY_BYTES

    def fenced(self, *, now: float) -> None:
        self._fences.append((self._written, now))

    def answered(self) -> None:
        """The terminal has seen all that was written before its oldest unanswered question."""
        if self._fences:
            self._answered = self._fences.popleft()[0]

    def is_behind(self, *, now: float) -> bool:
        if self._fences and now - self._fences[-1][1] > PATIENCE_S:
            self._fences.clear()
            self._answered = self._written
        return bool(self._fences) and self.under_way_bytes > WINDOW_BYTES
