"""The attendance log."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.meeting.support import came, joined, person, stats, went
from tuiconf.adapters.private_files import FileError
from tuiconf.control.events import ParticipantJoined, TrustChanged
from tuiconf.identity.trust import Trust
from tuiconf.meeting.attendance import Attendance, Line, is_verified, timestamp
from tuiconf.meeting.attendance_log import AttendanceLog
from tuiconf.meeting.people import People

# 2026-12-01T09:00:00Z
NINE = 1_796_115_600.0


def test_each_interval_has_a_line_when_it_begins_and_one_when_it_ends() -> None:
    attendance = Attendance()
    (begun,) = attendance.happened(joined(person(1)), at=NINE)
    assert begun == Line(
        name="P1",
        fingerprint="print-of-P1",
        verified=False,
        joined="2026-12-01T09:00:00.000Z",
        left=None,
        spoke_s=0.0,
        was_here=True,
        reason=None,
    )
    (second,) = attendance.happened(came(2), at=NINE + 1.0004)
    assert (second.joined, second.was_here) == ("2026-12-01T09:00:01.000Z", False)
    assert attendance.happened(stats((person(1), 1.5), (person(2), 0.25)), at=NINE + 2) == []
    (ended,) = attendance.happened(went(1), at=NINE + 61.25)
    assert (ended.joined, ended.left, ended.spoke_s) == (begun.joined, "2026-12-01T09:01:01.250Z", 1.5)
    assert ended.reason == "left"
    (last,) = attendance.close(at=NINE + 100)
    assert (last.name, last.left, last.spoke_s, last.reason) == ("P2", "2026-12-01T09:01:40.000Z", 0.25, "meeting_over")
    assert attendance.close(at=NINE + 101) == []


def test_who_comes_again_has_another_interval_and_speaks_anew() -> None:
    attendance = Attendance()
    attendance.happened(joined(), at=NINE)
    attendance.happened(came(1), at=NINE)
    attendance.happened(stats((person(1), 5.0)), at=NINE + 9)
    attendance.happened(went(1), at=NINE + 10)
    attendance.happened(came(1), at=NINE + 20)
    attendance.happened(stats((person(1), 6.0)), at=NINE + 21)  # the statistics went on where they were
    assert [line.spoke_s for line in attendance.happened(went(1), at=NINE + 22)] == [1.0]
    attendance.happened(stats(), at=NINE + 23)
    attendance.happened(came(1), at=NINE + 30)
    attendance.happened(stats((person(1), 0.5)), at=NINE + 31)  # or began anew
    assert [line.spoke_s for line in attendance.happened(went(1), at=NINE + 32)] == [0.5]


def test_someone_else_at_the_same_place_is_someone_else() -> None:
    attendance = Attendance()
    attendance.happened(joined(person(1, "Ann")), at=NINE)
    attendance.happened(stats((person(1, "Ann"), 3.0)), at=NINE + 1)
    ended, begun = attendance.happened(came(1, "Ben"), at=NINE + 2)
    assert (ended.name, ended.spoke_s, ended.reason) == ("Ann", 3.0, "vanished")
    assert (begun.name, begun.spoke_s) == ("Ben", 0.0)
    attendance.happened(stats((person(1, "Ann"), 4.0)), at=NINE + 3)
    assert [line.spoke_s for line in attendance.close(at=NINE + 4)] == [0.0]


def test_this_participant_is_not_in_it() -> None:
    attendance = Attendance()
    assert attendance.happened(joined(), at=NINE) == []
    assert attendance.happened(came(5, "Me"), at=NINE) == []


def test_a_name_becomes_verified_when_the_engine_says_so() -> None:
    attendance = Attendance()
    ann = structs.replace(person(1, "Ann"), trust="known")
    [came_line] = attendance.happened(ParticipantJoined(participant=ann, epoch=1), at=NINE)
    attendance.happened(TrustChanged(participant=structs.replace(ann, trust="verified")), at=NINE + 1)
    [gone_line] = attendance.close(at=NINE + 2)
    assert (came_line.verified, gone_line.verified) == (False, True)


def test_what_is_said_of_someone_else_at_the_same_place_is_not_about_those_who_are_here() -> None:
    attendance = Attendance()
    attendance.happened(came(1, "Ann"), at=NINE)
    attendance.happened(TrustChanged(participant=structs.replace(person(1, "Bob"), trust="verified")), at=NINE + 1)
    [line] = attendance.close(at=NINE + 2)
    assert (line.name, line.verified) == ("Ann", False)


@pytest.mark.parametrize("trust", get_args(Trust))
def test_of_all_that_can_be_known_of_someone_only_verified_is_verified(trust: Trust) -> None:
    assert is_verified(structs.replace(person(1), trust=trust)) is (trust == "verified")


actions = st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.floats(0, 5)), max_size=40)


@given(actions)
def test_every_interval_that_begins_ends_once_and_not_before_it_began(steps: list[tuple[bool, int, float]]) -> None:
    attendance, at = Attendance(), NINE
    lines = attendance.happened(joined(person(1)), at=at)
    for comes, leaf, pause in steps:
        at += pause
        lines += attendance.happened(came(leaf) if comes else went(leaf), at=at)
    lines += attendance.close(at=at + 1)
    begun = [line for line in lines if line.left is None]
    ended = [line for line in lines if line.left is not None]
    assert sorted((line.fingerprint, line.joined) for line in begun) == sorted(
        (line.fingerprint, line.joined) for line in ended
    )
    assert all(line.joined <= line.left for line in ended if line.left is not None)


def test_what_was_missed_is_found_out_by_who_is_there() -> None:
    people = People()
    people.happened(joined(person(1), person(2, "Ann")))
    for event in people.corrected([person(0, "Me"), person(2, "Ben"), person(3)], epoch=9):
        people.happened(event)
    assert {(who.leaf, who.name) for who in people.others} == {(2, "Ben"), (3, "P3")}
    assert people.corrected([person(2, "Ben"), person(3)], epoch=9) == []


# --- on the disk


def line(name: str) -> Line:
    return Attendance().happened(joined(person(1, name)), at=NINE)[0]


def test_lines_are_added_to_a_file_of_its_owner_and_names_are_escaped(tmp_path: Path) -> None:
    log = AttendanceLog(tmp_path / "new" / "log.jsonl")
    log.prepare()
    log.add([line('Eve\n{"name":"Bob"}\x1b[2J\u2028')])
    log.add([line("Ann"), line("Ben")])
    text = log.path.read_bytes()
    assert text.count(b"\n") == 3
    assert b"\x1b" not in text
    assert [json.loads(row)["name"] for row in text.splitlines()][1:] == ["Ann", "Ben"]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    log = AttendanceLog(tmp_path / "log.jsonl")
    log.path.write_text('{"name": "An')
    log.add([line("Ben")])
    rows = log.path.read_text().splitlines()
    assert json.loads(rows[1])["name"] == "Ben"


def test_others_can_be_let_read_it(tmp_path: Path) -> None:
    log = AttendanceLog(tmp_path / "log.jsonl")
    log.prepare()
    log.path.chmod(0o640)
    log.add([line("Ben")])
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="could not be written: is a directory"):
        AttendanceLog(tmp_path).add([])
    full = AttendanceLog(Path("/dev/full"))
    with pytest.raises(FileError, match="the disk is full"):
        full.add([line("Ben")])


def test_times_are_utc_to_the_millisecond() -> None:
    assert timestamp(NINE + 0.12345) == "2026-12-01T09:00:00.123Z"
