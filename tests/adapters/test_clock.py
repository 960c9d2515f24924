"""The tick: no drift, no burst, no loop that starves the others."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.clock import MAX_BEHIND_TICKS, ROUNDING_S, TICK_S, Schedule, Ticker


class VirtualClock:
    """A clock that moves when it is slept on, or told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def ticker(clock: VirtualClock) -> Ticker:
    return Ticker(clock=clock, sleep=clock.sleep)


async def test_ticks_are_numbered_from_zero_and_the_first_is_at_once() -> None:
    clock = VirtualClock()
    ticks = ticker(clock)
    assert [await anext(ticks) for _ in range(3)] == [0, 1, 2]
    assert clock.now == pytest.approx(1000.0 + 2 * TICK_S)


async def test_an_hour_of_slow_and_uneven_work_does_not_make_the_tick_drift() -> None:
    clock = VirtualClock()
    ticks = ticker(clock)
    for n in range(180_000):
        assert await anext(ticks) == n
        lateness = clock.now - (1000.0 + n * TICK_S)
        assert -1e-6 < lateness < ROUNDING_S + 1e-6
        clock.now += (n % 19) / 1000  # up to 18 ms of each 20 are used up
    assert ticks.skipped == 0


async def test_a_sleep_that_returns_early_does_not_make_a_tick_early() -> None:
    clock = VirtualClock()

    async def impatient(seconds: float) -> None:
        await clock.sleep(seconds * 0.9 if seconds > 0.001 else seconds)

    ticks = Ticker(clock=clock, sleep=impatient)
    for n in range(50):
        await anext(ticks)
        assert clock.now >= 1000.0 + n * TICK_S - 1e-9


async def test_a_short_stall_is_caught_up_without_losing_a_tick_and_never_faster_than_double_speed() -> None:
    clock = VirtualClock()
    ticks = ticker(clock)
    await anext(ticks)
    clock.now += 0.1
    ran: list[tuple[int, float]] = [(await anext(ticks), clock.now) for _ in range(20)]
    assert [n for n, _ in ran] == list(range(1, 21))
    assert all(b[1] - a[1] >= TICK_S / 2 - 1e-9 for a, b in itertools.pairwise(ran))
    assert ran[-1][1] == pytest.approx(1000.0 + 20 * TICK_S)
    assert ticks.skipped == 0


async def test_a_long_stall_costs_the_oldest_ticks_and_counts_them() -> None:
    clock = VirtualClock()
    ticks = ticker(clock)
    await anext(ticks)
    clock.now += 10.0
    first = await anext(ticks)
    assert first == 500 - MAX_BEHIND_TICKS
    assert ticks.skipped == first - 1
    for _ in range(40):
        last = await anext(ticks)
    assert clock.now == pytest.approx(1000.0 + last * TICK_S)


async def test_a_loop_that_is_always_late_still_lets_other_tasks_run() -> None:
    clock = VirtualClock()
    ticks = ticker(clock)
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(100):
        await anext(ticks)
        clock.now += 0.05
    task.cancel()
    assert others >= 100


@given(st.lists(st.floats(min_value=0, max_value=2), max_size=200))
def test_whatever_the_delays_ticks_ascend_keep_half_a_period_and_are_never_early(delays: list[float]) -> None:
    schedule = Schedule(start=5.0)
    now, seen = 5.0, -1
    last_ran = float("-inf")
    for delay in delays:
        now += delay
        due = schedule.upcoming(now=now)
        now = max(now, due.at)
        due = schedule.upcoming(now=now)
        schedule.ran(due, now=now)
        assert due.tick > seen
        assert now >= 5.0 + due.tick * TICK_S - 1e-9
        assert now - last_ran >= TICK_S / 2 - 1e-9
        seen, last_ran = due.tick, now
    assert seen + 1 == len(delays) + schedule.skipped


def test_ticks_that_are_left_out_are_neither_run_nor_skipped_and_nothing_drifts() -> None:
    schedule = Schedule(start=5.0)
    now, seen = 5.0, []
    for _ in range(50):
        due = schedule.upcoming(now=now)
        now = max(now, due.at)
        schedule.ran(due, now=now)
        seen.append(due.tick)
        schedule.leave_out(1)
    assert seen == list(range(0, 100, 2))
    assert schedule.skipped == 0
    assert now == pytest.approx(5.0 + 98 * TICK_S)


async def test_a_step_can_leave_out_the_next_tick() -> None:
    ticks, seen = Ticker(period_s=0.001), list[int]()

    def step(tick: int) -> None:
        seen.append(tick)
        ticks.leave_out(1)

    running = asyncio.create_task(ticks.run(step))
    while len(seen) < 5:  # noqa: ASYNC110 - what is waited for is a tick
        await asyncio.sleep(0.001)
    running.cancel()
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(seen))


async def test_the_real_clock_gives_ticks_too() -> None:
    ticks = Ticker(period_s=0.001)
    seen = [await anext(ticks) for _ in range(5)]
    assert seen == sorted(set(seen))


async def test_the_loop_itself_can_call_for_each_tick_until_it_is_cancelled() -> None:
    ticks, seen = Ticker(period_s=0.001), list[int]()
    running = asyncio.create_task(ticks.run(seen.append))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    count = len(seen)
    assert count >= 3
    assert seen == sorted(set(seen))
    await asyncio.sleep(0.02)
    assert len(seen) == count


async def test_a_call_that_fails_ends_the_ticks_and_is_raised() -> None:
    seen: list[int] = []

    def step(tick: int) -> None:
        seen.append(tick)
        if len(seen) == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        await Ticker(period_s=0.001).run(step)
    await asyncio.sleep(0.02)
    assert len(seen) == 3


async def test_called_ticks_are_not_early_and_do_not_drift() -> None:
    ticks = Ticker(period_s=0.01)
    late: list[float] = []
    start = time.monotonic()

    def step(tick: int) -> None:
        late.append(time.monotonic() - start - 0.01 * tick)

    running = asyncio.create_task(ticks.run(step))
    await asyncio.sleep(0.3)
    running.cancel()
    assert min(late) >= 0
    assert min(late[-10:]) < 0.008
