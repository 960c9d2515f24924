"""The one clock of a participant: a tick for every 20 ms, on an absolute schedule.

`Schedule` is the arithmetic, and pure. `Ticker` is the thin shell that sleeps until a tick is due.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

TICK_S: Final = 0.02

# How far the loop may fall behind before ticks are given up: 200 ms. Frames that much older than their time are
# past every listener's jitter buffer, so catching up on more would only send what is thrown away.
MAX_BEHIND_TICKS: Final = 10


# Loops round sleeps to milliseconds and would wake up early by a part of one, to turn again until the time has come:
# three turns and more for each tick. One that is a millisecond late, on a schedule that does not drift, harms nobody.
ROUNDING_S: Final = 0.001


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A tick that is to be run, and when: at once if `at` is past. `at` is in seconds of the caller's clock."""

    tick: int
    at: float


class Schedule:
    """Tick n is due at `start + n × period_s`, whatever happened before: nothing adds up, so nothing drifts.

    A late tick runs as soon as it can, and the ones after it follow at least half a period apart until the
    schedule is met again: the caller catches up at double speed at most, and never bursts. Ticks more than
    `MAX_BEHIND_TICKS` late are skipped and counted. Pure: the caller passes `now`.
    """

    __slots__ = ("_next", "_not_before", "period_s", "skipped", "start")

    def __init__(self, *, start: float, period_s: float = TICK_S) -> None:
        self.start = start
        self.period_s = period_s
        self.skipped = 0
        self._next = 0
        self._not_before = start

    def upcoming(self, *, now: float) -> Due:
        """The tick to run next. Asking changes nothing but `skipped`."""
        oldest = int((now - self.start) / self.period_s) - MAX_BEHIND_TICKS
        if oldest > self._next:
            self.skipped += oldest - self._next
            self._next = oldest
        return Due(tick=self._next, at=max(self.start + self._next * self.period_s, self._not_before))

    def ran(self, due: Due, *, now: float) -> None:
        """The tick `due` was started at `now`."""
        self._next = due.tick + 1
        self._not_before = now + self.period_s / 2

    def leave_out(self, ticks: int) -> None:
        """The caller does without so many of the next ones: they are neither run nor counted as skipped."""
        self._next += ticks


class Ticker:
    """Tick numbers, from 0 and ascending; a gap in them is what was skipped.

    The schedule begins when the first tick is asked for. One task iterates one ticker, or lets it `run`.
    """

    def __init__(
        self,
        *,
        period_s: float = TICK_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._period_s = period_s
        self._clock = clock
        self._sleep = sleep
        self._schedule: Schedule | None = None

    @property
    def skipped(self) -> int:
        """How many ticks were given up because the loop was too late for them."""
        return self._schedule.skipped if self._schedule else 0

    def leave_out(self, ticks: int) -> None:
        """Do without so many of the next ticks, once: to be called within a tick."""
        if self._schedule is not None:
            self._schedule.leave_out(ticks)

    def __aiter__(self) -> Ticker:
        return self

    async def __anext__(self) -> int:
        # Even a late tick sleeps (for nothing): a loop that is always late must still run its other tasks.
        await self._sleep(self._pause_s())
        while (tick := self._begin()) is None:
            await self._sleep(self._pause_s())
        return tick

    async def run(self, step: Callable[[int], None]) -> None:
        """Call `step` with each tick's number, until it raises or this is cancelled.

        The loop's timer calls it: to wake up a task from there takes the loop another turn, which is a third of what
        an idle participant costs. `clock` is the loop's own here, and nothing sleeps.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        timer: asyncio.TimerHandle

        def turn() -> None:
            nonlocal timer
            try:
                if (tick := self._begin()) is not None:
                    step(tick)
            except Exception as error:  # noqa: BLE001 - raised where `run` is awaited
                if not over.done():
                    over.set_exception(error)
            else:
                timer = loop.call_later(self._pause_s(), turn)

        timer = loop.call_later(self._pause_s(), turn)
        try:
            await over
        finally:
            timer.cancel()

    def _pause_s(self) -> float:
        """How long to sleep for the next tick."""
        now = self._clock()
        if self._schedule is None:
            self._schedule = Schedule(start=now, period_s=self._period_s)
        due = self._schedule.upcoming(now=now)
        return due.at - now + ROUNDING_S if due.at > now else 0.0

    def _begin(self) -> int | None:
        """The tick that is due, which begins now; None when it is too early for it."""
        now = self._clock()
        if self._schedule is None or (due := self._schedule.upcoming(now=now)).at > now:
            return None
        self._schedule.ran(due, now=now)
        return due.tick
