"""How long a sender's sound takes from their microphone to our loudspeaker, by both machines' wall clocks. Pure.

Right to within what the two clocks differ: exact on one machine, a few milliseconds with NTP, nonsense without.
"""

from __future__ import annotations

from collections import deque
from typing import Final

FRAME_S: Final = 0.020

# 10 s of frames.
REMEMBERED: Final = 500

# A longer delay is a wrong clock, not a delay: it is not shown.
MOST_S: Final = 10.0


class SenderClock:
    """When a sender captured its frames, as its reports tell, and how long each took to be played here."""

    __slots__ = ("_captured", "_counter", "_delays")

    def __init__(self) -> None:
        self._counter: int | None = None
        self._captured = 0.0
        self._delays: deque[float] = deque(maxlen=REMEMBERED)

    def told(self, counter: int, captured: float) -> None:
        """Frame `counter` was captured at that Unix time; 0 says that nothing was sent yet."""
        if captured > 0 and (self._counter is None or counter >= self._counter):
            self._counter, self._captured = counter, captured

    def played(self, counter: int, unix: float) -> None:
        """Frame `counter` begins to play now. Frames before the last report belong to what is over."""
        if self._counter is None or counter < self._counter:
            return
        delay = unix - (self._captured + (counter - self._counter) * FRAME_S)
        if 0 <= delay <= MOST_S:
            self._delays.append(delay)

    def percentiles_ms(self) -> tuple[float | None, float | None]:
        """The median and the 95th percentile of the last 10 s, in milliseconds."""
        if not self._delays:
            return None, None
        ordered = sorted(self._delays)
        last = len(ordered) - 1
        return round(1000 * ordered[last // 2], 1), round(1000 * ordered[last * 95 // 100], 1)
