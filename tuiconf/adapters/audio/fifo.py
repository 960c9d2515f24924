"""Samples on their way between a clock that is not ours and our tick."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np

from tuiconf.adapters.audio.base import SAMPLE_RATE, Frame

# A splice is blended over 5 ms, which turns the click of a cut into nothing one hears.
BLEND_SAMPLES: Final = SAMPLE_RATE // 200


class SampleFifo:
    """First in, first out, in blocks of any size. Safe between one thread that pushes and one that takes.

    It does not limit itself: whoever pushes looks at `level` first, or calls `shorten`.
    """

    __slots__ = ("_blocks", "_lock", "level")

    def __init__(self) -> None:
        self._blocks: deque[Frame] = deque()
        self._lock = threading.Lock()
        self.level = 0

    def push(self, samples: Frame) -> None:
        """Add a block. It is kept, not copied."""
        if len(samples):
            with self._lock:
                self._blocks.append(samples)
                self.level += len(samples)

    def take(self, count: int, *, pad: bool = False) -> Frame | None:
        """The oldest `count` samples, or None while there are fewer; with `pad`, what there is and zeros after it."""
        with self._lock:
            if self.level < count and not (pad and self.level):
                return None
            return self._take(count)

    def shorten(self, to: int) -> int:
        """Drop the oldest samples until `to` are left; blends over the cut. Returns how many were dropped."""
        with self._lock:
            excess = self.level - to
            if excess <= 0:
                return 0
            before = self._take(excess)
            blend = min(BLEND_SAMPLES, to, excess)
            after = self._take(blend)
            rising = np.linspace(0, 1, blend, dtype=np.float32)
            self._blocks.appendleft(before[:blend] * (1 - rising) + after * rising)
            self.level += blend
            return excess

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._blocks.clear()
            self.level = 0

    def _take(self, count: int) -> Frame:
        if self._blocks and len(first := self._blocks[0]) > count:
            self._blocks[0] = first[count:]
            self.level -= count
            return first[:count].copy()
        out = np.zeros(count, dtype=np.float32)
        filled = 0
        while filled < count and self._blocks:
            block = self._blocks.popleft()
            part = block[: count - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) < len(block):
                self._blocks.appendleft(block[len(part) :])
        self.level -= filled
        return out


class BacklogWatch:
    """Finds the delay that has piled up between a producer that keeps its own time and our tick.

    A sound card or `arecord` runs a few parts in 10⁵ faster than we do, or began before we did; what that leaves
    in the buffer is heard as delay for ever. A program that writes as fast as it is read must lose nothing, and
    is told apart by keeping the buffer full. So: when over a whole window the level never was under `high`,
    and the buffer never was full, everything above `keep` is delay and nothing else. Pure.
    """

    __slots__ = ("_full", "_high", "_keep", "_lowest", "_seen", "_was_full", "_window")

    def __init__(self, *, high: int, keep: int, full: int, window: int) -> None:
        """`high`, `keep` and `full` are in samples, `window` in calls of `observe`."""
        self._high = high
        self._keep = keep
        self._full = full
        self._window = window
        self._begin()

    def _begin(self) -> None:
        self._seen = 0
        self._lowest = self._full
        self._was_full = False

    def observe(self, level: int) -> int:
        """One tick's level before its frame is taken. Returns by how much to shorten the buffer now: mostly 0."""
        self._seen += 1
        self._lowest = min(self._lowest, level)
        self._was_full = self._was_full or level >= self._full
        if self._seen < self._window:
            return 0
        excess = self._lowest - self._keep if self._lowest > self._high and not self._was_full else 0
        self._begin()
        return excess
