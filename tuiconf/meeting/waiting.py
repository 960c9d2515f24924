"""Waits for the next meeting: the shell around `schedule`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuiconf.errors import TuiconfError, UsageError
from tuiconf.meeting import calendar_process
from tuiconf.meeting.schedule import CronRule, OnceAt, Schedule, look_from
from tuiconf.meeting.script import When

# Clocks are set and machines are suspended, and calendar files change, so nobody sleeps until the meeting.
LOOK_AGAIN_S: Final = 20.0


class Missed(UsageError):
    """The time of the meeting is past."""

    code = "meeting_missed"


class Plan:
    """When a script's meetings are, one after the other."""

    def __init__(self, when: When, *, report: Callable[[str], None]) -> None:
        self.repeats = when.at is None
        self._when = when
        self._report = report
        self._done: datetime | None = None
        self._known: tuple[object, datetime | None] | None = None  # of a calendar: which version, and what it said

    def done(self, start: datetime) -> None:
        """The meeting that started then is over."""
        self._done = start

    async def next(self) -> datetime | None:
        """The start of the next one, in UTC; None when none is planned.

        Raises:
            CalendarError, FileError: the calendar cannot be used.
        """
        now = datetime.now(UTC)
        after = look_from(now, late=self._when.late, done=self._done)
        if self._when.calendar is not None:
            return await self._next_in_calendar(self._when.calendar, after)
        return _schedule(self._when).next(after)

    async def wait(self, stop: asyncio.Event, tell: Callable[[datetime | None], None]) -> datetime | None:
        """Sleep until it is time to join; the start, or None when `stop` came first. `tell` is told what is waited for.

        Raises:
            Missed: there is no other.
            TuiconfError: the calendar cannot be used, and never could.
        """
        told: list[datetime | None] = []
        while not stop.is_set():
            start = await self.next()
            if start is None and not self._when.calendar:
                raise Missed("the time of this meeting is past")
            if told != [start]:
                told = [start]
                tell(start)
            left_s = LOOK_AGAIN_S if start is None else (start - self._when.early - datetime.now(UTC)).total_seconds()
            if start is not None and left_s <= 0:
                return start
            await wait_for(stop, min(left_s, LOOK_AGAIN_S))
        return None

    async def _next_in_calendar(self, path: Path, after: datetime) -> datetime | None:
        """Asked again when the file has changed, or its next meeting is past."""
        version = _version(path)
        if self._known is not None and self._known[0] == version and _is_ahead(self._known[1], after):
            return self._known[1]
        try:
            start = await calendar_process.next_start(path, after, zone=self._when.zone)
        except TuiconfError as error:
            if self._known is None:
                raise
            # Somebody is writing it, or has broken it: what it said before is better than nothing.
            self._report(str(error))
            start = self._known[1] if _is_ahead(self._known[1], after) else None
        self._known = version, start
        return start


async def wait_for(stop: asyncio.Event, seconds: float) -> None:
    """Sleep for so long, or until then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def _schedule(when: When) -> Schedule:
    if when.start is not None:
        return OnceAt(when.start)
    return CronRule(when.cron or "", when.zone or "")


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_ahead(start: datetime | None, after: datetime) -> bool:
    return start is None or start > after
