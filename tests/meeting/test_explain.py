"""What --dry-run prints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tuiconf.meeting.explain import explain, minutes
from tuiconf.meeting.script import parse

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)

FULL = """
title = "Weekly"
[room]
link = "tuiconf://relay.example.org/weekly#SECRET"
name = "Minutes"
[when]
cron = "0 10 * * TUE"
zone = "Europe/Berlin"
early_minutes = 2
[wait]
participants = 2
too_few = "leave"
[[announce]]
when = "present"
participants = 3
play = "three.ogg"
[[announce]]
when = "every"
minutes = 30
say = "half an hour"
[record]
mix = true
encrypt_to = "age1x"
[end]
silence_minutes = 0.5
maximum_minutes = 120
[[hook]]
on = ["ended"]
command = ["notify", "PRIVATE"]
[[hook]]
url = "https://example.org/TOKEN"
secret_file = "s"
"""


def test_it_says_what_would_happen_in_order_and_nothing_secret() -> None:
    script = parse(FULL, path=Path("m.toml")).script
    starts = [datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 8, 9, tzinfo=UTC)]
    assert explain(script, starts, now=NOW) == (
        "title        'Weekly'\n"
        "when         Tue 2026-12-01 10:00:00 CET, in 1 h 0 min\n"
        "             then Tue 2026-12-08 10:00:00 CET\n"
        "             joining 2 min before\n"
        "             not at all if that is more than 15 min late\n"
        "room         that of the link in the script\n"
        "as           'Minutes'\n"
        "start        when 2 others are here\n"
        "             if only some are here after 15 min: leave\n"
        "             if nobody came after 15 min: leave\n"
        "announce     when 3 others are here, the first time: play three.ogg\n"
        "             every 30 min: say 'half an hour'\n"
        "record       when the meeting starts, where the settings say, each in a file of their own; everyone is told\n"
        "             and all together in one more\n"
        "             encrypted to an age recipient\n"
        "end          1 min after everyone left\n"
        "             or after 30 s of silence\n"
        "             or after 2 h in any case\n"
        "attendance   attendance.jsonl\n"
        "hooks        run notify: ended\n"
        "             POST to its url, signed: everything\n"
    )


def test_a_new_room_and_no_time() -> None:
    script = parse('[room]\nhost = "relay"\nwrite_link = "l"\nlobby = "everyone"', path=Path("m.toml")).script
    text = explain(script, [], now=NOW)
    assert "when         at once\n" in text
    assert "room         a new one, made here; lobby: everyone\n             its link goes to l\n" in text
    assert "record       nothing\n" in text


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=3, hours=5), "in 3 d 5 h"),
        (timedelta(seconds=59), "in 0 h 0 min"),
        (timedelta(seconds=-1), "which is now"),
    ],
)
def test_how_long_until_then(left: timedelta, words: str) -> None:
    script = parse('[room]\nlink = "x"\n[when]\nat = 2026-12-01T10:00+01:00', path=Path("m.toml")).script
    assert words in explain(script, [NOW + left], now=NOW)
    assert "never: none is planned" in explain(script, [], now=NOW)


def test_lengths_of_time_are_said_as_people_do() -> None:
    assert [minutes(value) for value in (0.05, 0.5, 1, 1.5, 90, 60, 480)] == [
        *("3 s", "30 s", "1 min", "1.5 min", "90 min", "1 h", "8 h")
    ]


def test_control_characters_of_a_script_reach_no_terminal() -> None:
    script = parse('title = "a\\u001b[2J"\n[room]\nlink = "x"\nname = "\\u001b"', path=Path("m.toml")).script
    assert "\x1b" not in explain(script, [], now=NOW)
