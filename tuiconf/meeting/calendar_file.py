"""Meetings from an iCalendar file (RFC 5545), by the `icalendar` library and dateutil's rules. Pure.

Every event in the file is a meeting, but for what takes whole days and what is cancelled. Rules, exceptions, further
dates and changed single occurrences are followed; `RANGE=THISANDFUTURE` and `EXRULE`, which hardly anything writes,
are refused. Times that a change of clocks skips are taken with the offset from before it, as RFC 5545 says: half past
two is half past three then. Of times that come twice the first is meant.

recurring-ical-events does more of this, but needs a dateutil before 3, and has no bound on what a rule may cost. Files
come from outside, and dateutil visits every day between a rule's start and its end, whether anything happens on it
or not. So every rule is looked at first, and what it can cost is counted; `calendar_process` bounds the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from tuiconf.errors import UsageError

if TYPE_CHECKING:
    from icalendar import Calendar, Component

# What somebody exports who has had a calendar for years. The library takes about a second for it on a Raspberry Pi.
MAX_FILE_BYTES: Final = 1 << 20

# How far ahead meetings are looked for: whoever plans for longer will have restarted the machine.
AHEAD: Final = timedelta(days=2 * 366)

# Days that all rules of a file together make dateutil visit, at 5 to 20 µs each: four seconds at worst, for a file
# with thirty daily meetings that began twenty years ago. Raising it lets a file from outside hold us up for longer.
MAX_DAYS: Final = 200_000

# Single dates of all events together: a daily meeting for ten years, written out.
MAX_DATES: Final = 4000

# Time zones are defined by some twenty lines each, or three hundred when their history is written out. The library
# follows these rules while it reads, and for some files in quadratic time.
MAX_ZONE_LINES: Final = 2000

# Rules may name hours and minutes: this many times a day are meetings, and more are not.
MAX_TIMES_A_DAY: Final = 24

# A rule that leaves out more days, weeks, months or years than this at a time never comes again.
MAX_INTERVAL: Final = 1000

_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS: Final = frozenset(
    {
        *("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "BYSETPOS"),
        *("BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE"),
    }
)
_FOLD: Final = re.compile(r"(?:\r?\n)+[ \t]")
_BOUNDARY: Final = re.compile(r"\s*(BEGIN|END)\b[^:]*:\s*VTIMEZONE", re.IGNORECASE)
_ZONE_RULE_PART: Final = re.compile(
    r"(RRULE:)?(FREQ=YEARLY|BYMONTH=\d+|BYDAY=[-+\w]+|BYMONTHDAY=[-\d,]+|UNTIL=\w+|WKST=\w+)"
)
_TIMED: Final = ("DTSTART", "RECURRENCE-ID", "RRULE", "EXRULE", "RDATE", "EXDATE")


class CalendarError(UsageError):
    """The calendar file cannot be used."""

    code = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """When it begins is local time, as everything a rule says."""

    text: str  # without UNTIL and COUNT
    until: datetime | None
    count: int | None
    times_a_day: int


@dataclass(slots=True, kw_only=True)
class _Series:
    """What the events with one UID say together."""

    start: datetime | None = None  # of the event itself, with its zone; None: the file has only changed occurrences
    rules: list[_Rule] = field(default_factory=list)
    further: list[datetime] = field(default_factory=list)
    without: set[datetime] = field(default_factory=set)  # in UTC
    without_days: set[date] = field(default_factory=set)
    changed: dict[datetime, datetime | None] = field(default_factory=dict)  # in UTC; None: cancelled

    def starts(self, until: datetime) -> Iterator[datetime]:
        """All of them up to then, in UTC, in no order."""
        for start in self._planned(until):
            at = _utc(start)
            if at in self.changed or at in self.without or start.date() in self.without_days:
                continue
            yield at
        yield from (at for at in self.changed.values() if at is not None)

    def _planned(self, until: datetime) -> Iterator[datetime]:
        if self.start is None:
            return
        if not self.rules:
            yield self.start
        for rule in self.rules:
            yield from _occurrences(rule, self.start, until)
        yield from self.further

    def cost(self, until: datetime) -> int:
        """How many days dateutil visits for it."""
        if self.start is None:
            return 0
        days = max(0, (until.date() - self.start.date()).days)
        return sum(days * rule.times_a_day for rule in self.rules)


class CalendarFile:
    """The meetings of one file."""

    def __init__(self, data: bytes, *, zone: str | None) -> None:
        """`zone` is for times without one.

        Raises:
            CalendarError: it is not an iCalendar file, or holds what cannot be followed.
        """
        if len(data) > MAX_FILE_BYTES:
            raise CalendarError("larger than a calendar can be here")
        text = _text(data)
        _check_zones(text)
        self._zone = None if zone is None else ZoneInfo(zone)
        self._series: dict[str, _Series] = {}
        for number, event in enumerate(_events(text)):
            self._add(event, f"{event.get('UID', number)}")

    def next(self, after: datetime) -> datetime | None:
        """The first start after that moment, in UTC, within the next two years.

        Raises:
            CalendarError: the rules would take too long to follow.
        """
        until = after + AHEAD
        if sum(series.cost(until) for series in self._series.values()) > MAX_DAYS:
            raise CalendarError("its rules began too long ago, or are too many, to be followed")
        starts = (start for series in self._series.values() for start in series.starts(until))
        return min((start for start in starts if after < start <= until), default=None)

    def _add(self, event: Component, uid: str) -> None:
        _check_event(event)
        start = self._moment(event, "DTSTART")
        if start is None:
            return
        series = self._series.setdefault(uid, _Series())
        cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
        if "RECURRENCE-ID" in event:
            if any("RANGE" in original.params for original in _listed(event, "RECURRENCE-ID")):
                raise CalendarError("it changes an occurrence and all after it (RANGE), which is not understood here")
            if (original := self._moment(event, "RECURRENCE-ID")) is not None:
                series.changed[_utc(original)] = None if cancelled else _utc(start)
        elif not cancelled:
            series.start = start
            series.rules += [_rule(rule, start) for rule in _listed(event, "RRULE")]
            self._add_dates(event, series)

    def _add_dates(self, event: Component, series: _Series) -> None:
        series.further += [moment for _, moment in self._dates(event, "RDATE") if moment is not None]
        for day, moment in self._dates(event, "EXDATE"):
            if moment is not None:
                series.without.add(_utc(moment))
            elif isinstance(day, date):
                series.without_days.add(day)

    def _dates(self, event: Component, name: str) -> Iterator[tuple[object, datetime | None]]:
        """Each as it stands there and, unless it is a whole day, the moment it means."""
        for dates in _listed(event, name):
            for one in dates.dts:
                begin = one.dt[0] if isinstance(one.dt, tuple) else one.dt  # of a period
                yield begin, self._with_zone(begin, dates.params)

    def _moment(self, event: Component, name: str) -> datetime | None:
        """When; None for a whole day, or nothing."""
        values = _listed(event, name)
        if len(values) > 1:
            raise CalendarError(f"an event has several of {name}")
        return self._with_zone(values[0].dt, values[0].params) if values else None

    def _with_zone(self, moment: object, params: Mapping[str, str]) -> datetime | None:
        if not isinstance(moment, datetime):
            return None
        if not 1 < moment.year < 9999:  # there is room for any offset on both sides
            raise CalendarError("it has a year that is out of reach")
        if moment.tzinfo is not None:
            return moment
        if "TZID" in params:
            raise CalendarError("it names a time zone that it does not define, and nobody else does")
        if self._zone is None:
            raise CalendarError('it has times without a time zone: say which is meant (zone = "Europe/Berlin")')
        return moment.replace(tzinfo=self._zone)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CalendarError("not text in UTF-8") from error


def _events(text: str) -> list[Component]:
    from icalendar import Calendar

    try:
        calendars: list[Calendar] = Calendar.from_ical(text, multiple=True)
        if not calendars:
            raise CalendarError("there is no calendar in it")
        return [event for calendar in calendars for event in calendar.walk("VEVENT")]
    except CalendarError:
        raise
    except Exception as error:  # it raises a dozen kinds, and not all are documented
        raise CalendarError(f"not an iCalendar file ({type(error).__name__})") from error


def _listed(event: Component, name: str) -> list[Any]:
    """The values of a property, which may be there several times."""
    value = event.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def _check_zones(text: str) -> None:
    """The library follows the rules of time zones as it reads them, so they are looked at before."""
    inside, lines = False, 0
    for line in _FOLD.sub("", text).splitlines():
        if boundary := _BOUNDARY.match(line):
            inside = boundary[1].upper() == "BEGIN"
        lines += inside * (1 + line.count(","))
        rule = line.strip().upper()
        if inside and rule.startswith("RRULE") and not all(map(_ZONE_RULE_PART.fullmatch, rule.split(";"))):
            raise CalendarError("it defines a time zone by more than yearly rules")
    if lines > MAX_ZONE_LINES:
        raise CalendarError("it defines too many time zones, or too much of them")


def _check_event(event: Component) -> None:
    """What the library could not read, it has left out: a meeting would be at the wrong time."""
    for name, _ in event.errors:
        if str(name).upper() in _TIMED:
            raise CalendarError(f"an event has a {str(name).upper()} that cannot be read")
    if "EXRULE" in event:
        raise CalendarError("an event has an EXRULE, which the standard has dropped")
    dates = sum(len(dates.dts) for name in ("RDATE", "EXDATE") for dates in _listed(event, name))
    if dates > MAX_DATES:
        raise CalendarError("an event has too many dates")


def _rule(rule: Mapping[str, list[Any]], start: datetime) -> _Rule:
    parts = {name.upper(): values for name, values in rule.items()}
    if unknown := parts.keys() - _PARTS:
        raise CalendarError(f"a rule has a part that is not understood here: {min(unknown)[:20]}")
    if parts.get("FREQ", [""])[0] not in _FREQUENCIES:
        raise CalendarError("a rule repeats more often than daily, or does not say how often")
    if not 1 <= int(parts.get("INTERVAL", [1])[0]) <= MAX_INTERVAL:
        raise CalendarError("a rule has an INTERVAL that is out of reach")
    times_a_day = len(parts.get("BYHOUR", [0])) * len(parts.get("BYMINUTE", [0]))
    if times_a_day > MAX_TIMES_A_DAY:
        raise CalendarError("a rule names too many times of the day")
    count = parts.get("COUNT")
    return _Rule(
        text=_without(rule, "UNTIL", "COUNT"),
        until=_until(parts["UNTIL"][0], start) if "UNTIL" in parts else None,
        count=min(int(count[0]), MAX_DAYS) if count else None,
        times_a_day=times_a_day,
    )


def _without(rule: Any, *names: str) -> str:
    parts = rule.to_ical().decode().split(";")
    return ";".join(part for part in parts if part.partition("=")[0].upper() not in names)


def _until(until: object, start: datetime) -> datetime:
    """The last moment of a rule, as local time of its event."""
    if isinstance(until, datetime):
        return until if until.tzinfo is None else until.astimezone(start.tzinfo).replace(tzinfo=None)
    if isinstance(until, date):
        return datetime.combine(until, time.max)
    raise CalendarError("a rule has an UNTIL that cannot be read")


def _occurrences(rule: _Rule, start: datetime, until: datetime) -> Iterator[datetime]:
    from dateutil.rrule import rrulestr

    end = (until.astimezone(start.tzinfo) + timedelta(days=1)).replace(tzinfo=None)
    if rule.until is not None:
        end = min(end, rule.until)
    try:
        found = rrulestr(f"{rule.text};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=start.replace(tzinfo=None))
        for local in islice(found, rule.count):
            yield local.replace(tzinfo=start.tzinfo)
    except (ValueError, TypeError, OverflowError) as error:
        raise CalendarError("a rule cannot be followed") from error


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
