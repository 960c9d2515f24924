"""When the next meeting starts: at a moment, by a rule, by a calendar; and where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.meeting.schedule import CronRule, OnceAt, look_from
from tuiconf.meeting.tables import Unusable

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def starts(rule: str, zone: str, after: str, count: int) -> list[str]:
    schedule = CronRule(rule, zone)
    moment, found = datetime.fromisoformat(after), []
    for _ in range(count):
        moment = schedule.next(moment) or pytest.fail("no start")
        found.append(moment.strftime("%m-%d %H:%MZ"))
    return found


def test_a_rule_goes_by_the_clock_of_its_zone_before_and_after_a_change() -> None:
    assert starts("0 10 * * TUE", "Europe/Berlin", "2026-03-20T00:00Z", 2) == ["03-24 09:00Z", "03-31 08:00Z"]
    assert starts("0 10 * * TUE", "Europe/Berlin", "2026-10-20T12:00Z", 1) == ["10-27 09:00Z"]


def test_what_would_start_in_the_hour_that_is_skipped_starts_right_after_it() -> None:
    assert starts("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", 2) == ["03-29 01:00Z", "03-30 00:30Z"]


def test_what_would_start_in_the_hour_that_comes_twice_starts_once() -> None:
    assert starts("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 2) == ["10-25 00:30Z", "10-26 01:30Z"]
    between = "2026-10-25T00:45Z"  # 02:45, the first time
    assert starts("30 2 * * *", "Europe/Berlin", between, 1) == ["10-26 01:30Z"]


def test_a_rule_with_a_star_goes_by_real_time() -> None:
    assert starts("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 4) == [
        *("10-25 00:00Z", "10-25 00:30Z", "10-25 01:00Z", "10-25 01:30Z")
    ]


def test_half_hour_changes_are_followed_as_well() -> None:
    assert starts("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00Z", 2) == ["04-04 14:45Z", "04-05 15:15Z"]


@pytest.mark.parametrize("rule", ["", "* * * *", "0 0 10 * * *", "61 * * * *", "0 0 31 2 *", "@daily", "0 0 * * XYZ"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(Unusable) as refused:
        CronRule(rule, "UTC")
    assert refused.value.path == ("cron",)


@given(st.text("0123456789*/-,#LWMONTUE \t", max_size=40))
def test_whatever_a_rule_says_it_is_refused_or_gives_starts_in_the_future(rule: str) -> None:
    try:
        schedule = CronRule(rule, "Europe/Berlin")
    except Unusable:
        return
    start = schedule.next(NEW_YEAR)
    assert start is None or start > NEW_YEAR


def test_a_moment_comes_once() -> None:
    at = datetime.fromisoformat("2026-12-01T10:00+01:00")
    schedule = OnceAt(at)
    assert schedule.next(NEW_YEAR) == at
    assert schedule.next(at) is None


def test_a_meeting_that_began_a_moment_ago_is_still_joined_and_not_twice() -> None:
    schedule = CronRule("0 10 * * *", "UTC")
    begun = NEW_YEAR + timedelta(hours=10)
    now, late = begun + timedelta(minutes=10), timedelta(minutes=15)
    assert schedule.next(look_from(now, late=late, done=None)) == begun
    assert schedule.next(look_from(now, late=late, done=begun)) == begun + timedelta(days=1)
    assert schedule.next(look_from(now, late=late / 3, done=None)) == begun + timedelta(days=1)
