"""Waiting for the next meeting."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tuiconf.meeting.calendar_file import CalendarError
from tuiconf.meeting.script import When
from tuiconf.meeting.waiting import Missed, Plan


def soon(seconds: float) -> datetime:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)


def write_calendar(path: Path, *starts: datetime) -> None:
    events = [f"BEGIN:VEVENT\nUID:{start}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nEND:VEVENT\n" for start in starts]
    path.write_text(f"BEGIN:VCALENDAR\n{''.join(events)}END:VCALENDAR\n")
    os.utime(path, ns=(0, len(path.read_bytes())))  # another version, however quickly it was written


async def test_it_waits_for_the_moment_and_tells_for_which() -> None:
    start = soon(2)
    told: list[datetime | None] = []
    plan = Plan(When(at=start), report=pytest.fail)
    assert not plan.repeats
    assert await plan.wait(asyncio.Event(), told.append) == start
    assert datetime.now(UTC) >= start
    assert told == [start]


async def test_it_joins_early_and_is_late_within_bounds() -> None:
    ahead, begun = soon(600), soon(-600)
    stop = asyncio.Event()
    assert await Plan(When(at=ahead, early_minutes=11), report=pytest.fail).wait(stop, lambda _: None) == ahead
    assert await Plan(When(at=begun, late_minutes=11), report=pytest.fail).wait(stop, lambda _: None) == begun
    with pytest.raises(Missed):
        await Plan(When(at=begun, late_minutes=9), report=pytest.fail).wait(stop, lambda _: None)


async def test_a_stop_ends_the_wait() -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(Plan(When(at=soon(3600)), report=pytest.fail).wait(stop, lambda _: None))
    await asyncio.sleep(0)
    stop.set()
    assert await waiting is None


async def test_a_calendar_is_read_again_when_it_changes_and_never_twice_for_the_same_meeting(tmp_path: Path) -> None:
    path = tmp_path / "c.ics"
    first, second = soon(-60), soon(3600)
    write_calendar(path, first)
    said: list[str] = []
    plan = Plan(When(calendar=path), report=said.append)
    assert await plan.next() == first
    plan.done(first)
    assert await plan.next() is None
    write_calendar(path, first, second)
    assert await plan.next() == second
    path.write_text("somebody is writ")
    assert await plan.next() == second
    assert await plan.next() == second
    assert len(said) == 1
    assert said[0].startswith(f"{path}: not an iCalendar file")


async def test_a_calendar_that_never_could_be_used_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalendarError):
        await Plan(When(calendar=tmp_path / "c.ics"), report=pytest.fail).next()
