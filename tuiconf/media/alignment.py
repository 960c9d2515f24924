"""When what is in a sender's frames was said, on the time line of a recording. Pure.

A sender's reports say when a frame was captured. Between two of them frames follow each other without a gap, but for
pauses; so each frame was captured no earlier than the report before it makes it, and no later than the one after it.
Where in between there was a pause, or when no report comes any more, arrivals tell: a frame's arrival minus its number
times its length is constant but for jitter and pauses, which only add to it. The smallest such value of the frames to
come is free of nearly all jitter, and by how much it has grown since the report is how long the pauses were.

So tracks of different senders line up as well as their wall clocks do: a few milliseconds with NTP. A sender whose
clock cannot be right is placed by arrival alone, and is then late by its delay, which nobody can know.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from tuiconf.media.ogg_opus import SLOT_S, SLOT_SAMPLES
from tuiconf.media.opus import FRAME_LENGTHS_MS
from tuiconf.media.opus_packet import packet_samples

# Frames are placed this long after they came: a sender reports once a second, frames of an epoch not yet known wait for
# half a second, and this is also what a killed recording has lost. Longer would withstand longer jitter.
HOLD_S: Final = 1.2

# Twice what comes in that time in the shortest frames. More per sender would be memory that a member could make us use.
MAX_HELD: Final = 256

# A clock that shows a frame captured later than it came, by more than NTP errs, or so long before, is a wrong clock.
EARLIEST_S: Final = -0.05
LATEST_S: Final = 2.0

# How far a track may be from where it belongs before it is moved; two tracks are then at most 20 ms apart.
TOLERANCE_SLOTS: Final = 1.0

# A sender says so when it goes on after a pause of this or more. Of shorter ones arrivals say less than of jitter, so
# the next report, within a second, is waited for; without reports, tracks are up to this far from where they belong.
SHORT_PAUSE_S: Final = 0.1

# A track that runs ahead of time leaves out one frame in so many slots (1 s): not a word is lost to a clock being set.
SKIP_SLOTS: Final = 100

# Nobody's frames are later in the recording than they came. What a sender sends faster than time passes is refused.
MAX_AHEAD_S: Final = 0.5

# Those about frames that are held, and one before, from a sender who reports more often than it should.
REMEMBERED_REPORTS: Final = 8

_LENGTHS_SLOTS: Final = frozenset(length // 10 for length in FRAME_LENGTHS_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A packet and where it belongs, in slots of 10 ms since the recording began."""

    slot: int
    slots: int
    packet: bytes
    lost: int  # frames sent before it that did not come


@dataclass(slots=True, kw_only=True)
class Refused:
    """Frames not written, by reason."""

    malformed: int = 0  # no Opus packet of the sender's frame length
    late: int = 0  # after what follows it was written
    crowded: int = 0  # more than a sender can have meant
    fast: int = 0  # more than time has passed for
    skipped: int = 0  # left out to bring the track back in line


@dataclass(slots=True, kw_only=True)
class _Report:
    """Frame `counter` was captured then, and came `delay` later, jitter apart, once that is known."""

    counter: int
    captured: float
    delay: float | None = None


class Aligner:
    """One sender's frames. All times are seconds since the recording began."""

    __slots__ = ("_delay", "_end", "_frame", "_held", "_last", "_reports", "_skipped_at", "refused")

    def __init__(self) -> None:
        self._held: dict[int, tuple[float, bytes]] = {}
        self._reports: deque[_Report] = deque(maxlen=REMEMBERED_REPORTS)
        self._delay: float | None = None
        self._frame = 0  # slots in each frame, once there was one
        self._last: int | None = None
        self._end = 0
        self._skipped_at = -SKIP_SLOTS
        self.refused = Refused()

    @property
    def delay_s(self) -> float | None:
        """How long the sender's frames took lately, by its clock; None when they are placed by arrival."""
        return self._delay

    @property
    def waiting(self) -> bool:
        """Whether frames are held."""
        return bool(self._held)

    def push(self, counter: int, packet: bytes, *, at: float) -> None:
        """A frame that came at `at`; what is no packet of this sender's frame length is counted and left out."""
        samples = packet_samples(packet)
        slots = samples // SLOT_SAMPLES if samples and samples % SLOT_SAMPLES == 0 else 0
        if slots not in _LENGTHS_SLOTS or self._frame not in (0, slots):
            self.refused.malformed += 1
        elif counter in self._held or (self._last is not None and counter <= self._last):
            self.refused.late += 1
        elif len(self._held) >= MAX_HELD:
            self.refused.crowded += 1
        else:
            self._frame = slots
            self._held[counter] = (at, packet)

    def told(self, counter: int, captured: float, *, at: float) -> None:
        """A report that came at `at`: frame `counter` was captured at `captured`. An implausible one is ignored."""
        if EARLIEST_S <= at - captured <= LATEST_S:
            self._reports.append(_Report(counter=counter, captured=captured))

    def take(self, *, until: float) -> list[Placed]:
        """The packets that came until then, which is `HOLD_S` ago or the end, in order and without overlap."""
        due = max((counter for counter, (at, _) in self._held.items() if at <= until), default=None)
        if due is None:
            return []
        earliest = self._earliest()
        self._measure(earliest)
        placed = []
        for counter in sorted(counter for counter in self._held if counter <= due):
            at, packet = self._held.pop(counter)
            slot = self._place(counter, self._captured(counter, earliest[counter]), at)
            if slot is not None:
                placed.append(self._advance(counter, slot, packet))
        return placed

    def _earliest(self) -> dict[int, float]:
        """For each frame held, the smallest arrival of it and those after it, as if each had been sent in time."""
        smallest, result = math.inf, {}
        for counter in sorted(self._held, reverse=True):
            smallest = min(smallest, self._held[counter][0] - self._since_zero(counter))
            result[counter] = smallest
        return result

    def _measure(self, earliest: dict[int, float]) -> None:
        """How long frames took after each report, as long as there may be more that took less."""
        first = min(earliest)
        for report in list(self._reports):
            since = min((counter for counter in earliest if counter >= report.counter), default=None)
            if since is not None and (report.delay is None or report.counter >= first):
                report.delay = earliest[since] - self._zero(report)
                if not EARLIEST_S <= report.delay <= LATEST_S:
                    self._reports.remove(report)

    def _captured(self, counter: int, earliest: float) -> float:
        """When frame `counter` was captured, in slots."""
        measured = [report for report in self._reports if report.delay is not None]
        before = max((r for r in measured if r.counter <= counter), key=lambda r: r.counter, default=None)
        after = min((r for r in measured if r.counter >= counter), key=lambda r: r.counter, default=None)
        nearest = before or after
        if nearest and nearest.delay is not None:
            self._delay = nearest.delay
            earliest -= nearest.delay
        else:
            earliest -= self._frame * SLOT_S  # it took no less than the frame itself
        if before and earliest < self._zero(before) + SHORT_PAUSE_S:
            earliest = self._zero(before)
        if after:
            earliest = min(earliest, *(self._zero(report) for report in measured if report.counter >= counter))
        return (earliest + self._since_zero(counter)) / SLOT_S

    def _zero(self, report: _Report) -> float:
        """When the sender's frame 0 would have been captured, had it never paused."""
        return report.captured - self._since_zero(report.counter)

    def _since_zero(self, counter: int) -> float:
        return counter * self._frame * SLOT_S

    def _place(self, counter: int, wanted: float, at: float) -> int | None:
        """The slot of the next frame, or None: it is left out."""
        if self._last is None:
            return round(wanted) if wanted > -0.5 else None  # what was said before the recording began is not in it
        in_turn = self._end + (counter - self._last - 1) * self._frame
        off = wanted - in_turn
        tolerance = TOLERANCE_SLOTS if self._delay is not None else SHORT_PAUSE_S / SLOT_S
        slot = in_turn if abs(off) <= tolerance else max(self._end, round(wanted))
        if slot * SLOT_S > at + MAX_AHEAD_S:
            self.refused.fast += 1
            return None
        if off < -TOLERANCE_SLOTS and slot > wanted + TOLERANCE_SLOTS and self._may_skip():
            self.refused.skipped += 1
            self._skipped_at, self._last = self._end, counter
            return None
        return slot

    def _may_skip(self) -> bool:
        return self._delay is not None and self._end - self._skipped_at >= SKIP_SLOTS

    def _advance(self, counter: int, slot: int, packet: bytes) -> Placed:
        lost = 0 if self._last is None else counter - self._last - 1
        self._last, self._end = counter, slot + self._frame
        return Placed(slot=slot, slots=self._frame, packet=packet, lost=lost)
