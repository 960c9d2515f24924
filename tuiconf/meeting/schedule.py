"""When the next meeting starts. Pure: the caller says after which moment.

Where clocks change: a rule (`cron`) does as Debian's cron, so what would start in the hour that is skipped starts
right after it, and what would start in the hour that comes twice starts once, the first time; but a rule whose
minutes or hours are a `*` goes by real time, and starts in both. An `at` without an offset that falls into one of
these hours is refused by the script. Calendar files follow RFC 5545: see `calendar_file`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from cronsim import CronSim

from tuiconf.meeting.tables import Unusable


class Schedule(Protocol):
    """When meetings are."""

    def next(self, after: datetime) -> datetime | None:
        """The first start after that moment, in UTC; None when there is none, or none that anybody could plan for."""
        ...


class OnceAt:
    """At one moment."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)

    def next(self, after: datetime) -> datetime | None:
        """As `Schedule`."""
        return self._at if self._at > after else None


class CronRule:
    """By a rule of five fields, as in a crontab, in a time zone. cronsim reads it, as it does for healthchecks.io."""

    def __init__(self, rule: str, zone: str) -> None:
        """A rule, and the name of the zone.

        Raises:
            Unusable: it is no such rule.
        """
        if len(rule.split()) != len(_FIELDS):
            raise Unusable(("cron",), f"a rule has five fields: {', '.join(_FIELDS)}")
        self._rule = rule
        self._zone = ZoneInfo(zone)
        self._after(datetime(2026, 1, 1, tzinfo=UTC))

    def next(self, after: datetime) -> datetime | None:
        """As `Schedule`."""
        found = next(self._after(after), None)
        return None if found is None else found.astimezone(UTC)

    def _after(self, after: datetime) -> CronSim:
        from cronsim import CronSim, CronSimError

        try:
            return CronSim(self._rule, after.astimezone(self._zone))
        except (CronSimError, ValueError) as error:  # ValueError: a number of thousands of digits
            raise Unusable(("cron",), f"not a rule: {str(error).lower()}") from error


_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")


def look_from(now: datetime, *, late: timedelta, done: datetime | None) -> datetime:
    """After which moment the next meeting starts: one that began a moment ago is still joined, but not twice.

    `done` is the start of the one that is over.
    """
    begin = now - late
    return begin if done is None else max(begin, done)
