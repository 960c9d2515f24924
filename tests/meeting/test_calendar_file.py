"""Meetings from iCalendar files, also from hostile ones."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiconf.meeting.calendar_file import MAX_FILE_BYTES, CalendarError, CalendarFile
from tuiconf.meeting.calendar_process import next_start

AFTER = datetime(2026, 9, 1, tzinfo=UTC)

# Far more than any file may take, here and on a machine that is busy with other tests.
PATIENCE_S = 30.0

ZONE = """BEGIN:VTIMEZONE
TZID:Office
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
END:VTIMEZONE"""

WEEKLY = """BEGIN:VEVENT
UID:weekly
DTSTART;TZID=Europe/Berlin:20261001T100000
DURATION:PT1H
RRULE:FREQ=WEEKLY;UNTIL=20261112T090000Z
END:VEVENT"""


def calendar(*parts: str, zone: str | None = None) -> CalendarFile:
    text = "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *parts, "END:VCALENDAR", ""))
    return CalendarFile(text.replace("\n", "\r\n").encode(), zone=zone)


def event(*lines: str, uid: str = "weekly") -> str:
    return "\n".join(("BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"))


def starts(file: CalendarFile, after: str = "2026-09-01T00:00Z", most: int = 20) -> list[str]:
    moment, found = datetime.fromisoformat(after), list[str]()
    while len(found) < most and (start := file.next(moment)) is not None:
        assert start > moment
        moment = start
        found.append(start.strftime("%m-%d %H:%M"))
    return found


def test_one_event_is_one_meeting() -> None:
    assert starts(calendar(event("DTSTART:20261201T090000Z"))) == ["12-01 09:00"]


def test_a_rule_goes_by_local_time_through_a_change_of_clocks_to_its_end() -> None:
    assert starts(calendar(WEEKLY)) == [
        *("10-01 08:00", "10-08 08:00", "10-15 08:00", "10-22 08:00"),
        *("10-29 09:00", "11-05 09:00", "11-12 09:00"),
    ]


def test_exceptions_further_dates_and_changed_and_cancelled_occurrences_are_followed() -> None:
    changed = WEEKLY.replace(
        "END:VEVENT",
        "EXDATE;TZID=Europe/Berlin:20261008T100000\nEXDATE;VALUE=DATE:20261015\n"
        "RDATE;TZID=Europe/Berlin:20261009T120000,20261010T120000\nRDATE;VALUE=PERIOD:20261011T100000Z/PT1H\nEND:VEVENT",
    )
    moved = event("RECURRENCE-ID;TZID=Europe/Berlin:20261022T100000", "DTSTART;TZID=Europe/Berlin:20261023T150000")
    off = event("RECURRENCE-ID:20261029T090000Z", "DTSTART;TZID=Europe/Berlin:20261029T100000", "STATUS:CANCELLED")
    assert starts(calendar(changed, moved, off)) == [
        *("10-01 08:00", "10-09 10:00", "10-10 10:00", "10-11 10:00"),
        *("10-23 13:00", "11-05 09:00", "11-12 09:00"),
    ]


def test_a_count_counts_from_the_first() -> None:
    file = calendar(event("DTSTART:20260101T100000Z", "RRULE:FREQ=DAILY;COUNT=5"))
    assert starts(file, "2026-01-03T12:00Z") == ["01-04 10:00", "01-05 10:00"]


def test_whole_days_and_cancelled_events_are_no_meetings() -> None:
    holiday = event("DTSTART;VALUE=DATE:20261003", uid="holiday")
    cancelled = event("DTSTART:20261004T100000Z", "STATUS:CANCELLED", "RRULE:FREQ=DAILY", uid="off")
    assert starts(calendar(holiday, cancelled)) == []


def test_a_time_zone_that_the_file_defines_is_used() -> None:
    file = calendar(ZONE, event("DTSTART;TZID=Office:20261024T100000", "RRULE:FREQ=DAILY;COUNT=2"))
    assert starts(file) == ["10-24 08:00", "10-25 09:00"]


def test_times_without_a_zone_need_one() -> None:
    floating = event("DTSTART:20261201T100000")
    assert starts(calendar(floating, zone="Europe/Berlin")) == ["12-01 09:00"]
    with pytest.raises(CalendarError, match="zone = "):
        calendar(floating)


def test_a_skipped_time_is_taken_with_the_offset_from_before_and_of_a_repeated_one_the_first() -> None:
    daily = event("DTSTART;TZID=Europe/Berlin:20260328T023000", "RRULE:FREQ=DAILY;COUNT=2")
    assert starts(calendar(daily), "2026-01-01T00:00Z") == ["03-28 01:30", "03-29 01:30"]
    twice = event("DTSTART;TZID=Europe/Berlin:20261024T023000", "RRULE:FREQ=DAILY;COUNT=3")
    assert starts(calendar(twice)) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_meetings_in_the_year_3000_are_not_waited_for() -> None:
    assert starts(calendar(event("DTSTART:30000101T100000Z", "RRULE:FREQ=DAILY"))) == []


def test_whatever_the_library_could_not_read_is_not_just_left_out() -> None:
    with pytest.raises(CalendarError, match="EXDATE"):
        calendar(WEEKLY.replace("END:VEVENT", "EXDATE:soon\nEND:VEVENT"))


@pytest.mark.parametrize(
    "lines",
    [
        ("RRULE:FREQ=SECONDLY",),
        ("RRULE:FREQ=MINUTELY;INTERVAL=10",),
        ("RRULE:FREQ=DAILY;INTERVAL=0",),
        ("RRULE:FREQ=DAILY;INTERVAL=-1",),
        ("RRULE:FREQ=DAILY;BYSECOND=1,2,3",),
        ("RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5",),
        ("RRULE:FREQ=YEARLY;RSCALE=CHINESE",),
        ("RRULE:COUNT=5",),
        ("RRULE:FREQ=DAILY;INTERVAL=99999999999999999999",),
        ("EXRULE:FREQ=DAILY",),
        ("DTSTART:20261001T100000Z",),
        ("DTSTART:99991231T235959Z",),
        ("RECURRENCE-ID;RANGE=THISANDFUTURE:20261001T100000Z",),
        ("RDATE:" + ",".join(["20261001T100000Z"] * 5000),),
    ],
)
def test_what_cannot_be_followed_is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(CalendarError):
        starts(calendar(event("DTSTART:20261001T100000Z", *lines)))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",  # never
        "FREQ=DAILY;UNTIL=99991231T235959Z",
        "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6",
    ],
)
@pytest.mark.parametrize("since", ["19700101T000000Z", "00020101T000000Z", "20260101T000000Z"])
def test_rules_without_end_end(rule: str, since: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(CalendarError):  # began too long ago
        starts(calendar(event(f"DTSTART:{since}", f"RRULE:{rule}")), most=2)
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize(
    "file",
    [
        [event(f"DTSTART:20000101T{n % 24:02}0000Z", "RRULE:FREQ=DAILY", uid=str(n)) for n in range(2000)],
        [event("DTSTART:20261001T100000Z", uid=str(n)) for n in range(3000)],
        [ZONE.replace("RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "RRULE:FREQ=SECONDLY"), WEEKLY],
        [ZONE.replace("RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "rrule;x=y:freq=secondly"), WEEKLY],
        [ZONE.replace("RRULE:FREQ", "RR\n ULE:FREQ").replace("YEARLY", "MINUTELY"), WEEKLY],
        [ZONE.replace("19701025", "00020101"), WEEKLY.replace("Europe/Berlin", "Office")],
        [ZONE.replace("Office", f"Office{n}") for n in range(2000)],
        [ZONE.replace("RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "RDATE:" + ",".join(["19700329T020000"] * 60_000))],
        ["BEGIN:VEVENT"] * 20_000,
        ["RRULE:" + "FREQ=DAILY;" * 50_000],
        ["X:" + "A" * (MAX_FILE_BYTES + 1)],
    ],
    ids=range(11),
)
def test_no_file_holds_us_up(file: list[str]) -> None:
    began = time.monotonic()
    with contextlib.suppress(CalendarError):
        starts(calendar(*file), most=1)
    assert time.monotonic() - began < PATIENCE_S


lines = st.sampled_from(
    [
        *WEEKLY.split("\n"),
        *ZONE.split("\n"),
        *("BEGIN:VEVENT", "END:VEVENT", "DTSTART:20261001T100000", "DTSTART;VALUE=DATE:20261001", "RRULE:FREQ=DAILY"),
        *("RECURRENCE-ID:20261001T080000Z", "EXDATE:20261001T080000Z", "RDATE:20261002T080000Z", "RRULE:", "EXDATE;A:"),
        *("RRULE:FREQ=MONTHLY;BYDAY=1MO;BYSETPOS=9", "RRULE:FREQ=YEARLY;BYMONTHDAY=99", "RRULE:FREQ=DAILY;COUNT=0"),
        *("RDATE;VALUE=PERIOD:20261002T080000Z/20261001T080000Z", "DURATION:-P1D", "BEGIN:VCALENDAR", "é\ufeff", " x"),
    ]
)


@given(st.lists(lines, max_size=14))
@settings(max_examples=300, deadline=None)
def test_whatever_is_in_a_file_it_is_refused_or_gives_a_start_in_the_future(file: list[str]) -> None:
    try:
        start = calendar(*file, zone="Europe/Berlin").next(AFTER)
    except CalendarError:
        return
    assert start is None or AFTER < start <= AFTER + timedelta(days=800)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_calendar_are_refused(data: bytes) -> None:
    with pytest.raises(CalendarError):
        CalendarFile(data, zone=None).next(AFTER)


async def test_a_file_is_read_by_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "meetings.ics"
    path.write_text(f"BEGIN:VCALENDAR\n{WEEKLY}\nEND:VCALENDAR\n")
    start = await next_start(path, AFTER, zone=None)
    assert start == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert await next_start(path, datetime(2027, 1, 1, tzinfo=UTC), zone=None) is None


async def test_rules_that_would_take_minutes_to_come_to_nothing_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "meetings.ics"
    rule = ("DTSTART:20260101T100000Z", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
    never = [event(*rule, uid=f"{number}") for number in range(99)]
    path.write_text("\n".join(["BEGIN:VCALENDAR", *never, "END:VCALENDAR", ""]))
    with pytest.raises(CalendarError, match="too long"):
        await next_start(path, AFTER, zone=None, cpu_s=2)


async def test_errors_in_a_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "meetings.ics"
    with pytest.raises(CalendarError, match=r"meetings\.ics: there is no such file"):
        await next_start(path, AFTER, zone=None)
    path.write_text("hello")
    with pytest.raises(CalendarError, match=r"meetings\.ics: not an iCalendar file"):
        await next_start(path, AFTER, zone=None)
