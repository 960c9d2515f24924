"""Everyone in the call, however many they are."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from tests.tui.showing import shown
from tests.tui.support import ADA, BEN, MARA, ME, POLICY, FakeControl, state, stats, until
from tuiconf.control import schema
from tuiconf.control.events import ParticipantJoined, ParticipantLeft, Person, StatusChanged
from tuiconf.tui.screens.participants import ParticipantsScreen, describe, matches, person_row
from tuiconf.tui.screens.question import Question
from tuiconf.tui.screens.safety import SafetyScreen
from tuiconf.tui.widgets.rows import Rows


def _as_host(**changes: Any) -> FakeControl:
    me = msgspec.structs.replace(ME, host=True)
    return FakeControl(state=state(me=me, participants=(ADA, BEN, MARA, me), **changes))


async def test_each_has_a_line_and_whoever_is_under_the_cursor_is_described() -> None:
    async with shown("participants") as there:
        for words in ("Ada", "verified", "host", "muted, hand up", "CHANGED", "you", "5 people"):
            assert words in there.text
        await there.press("down", "down")
        assert MARA.fingerprint in there.text
        assert "Never met before this call" in there.text


async def test_what_is_typed_after_a_slash_makes_the_list_short_and_escape_long_again() -> None:
    async with shown("participants") as there:
        await there.press("slash", "m", "a", "r")
        assert "1 of 5 people" in there.text
        assert "Ben" not in there.text
        await there.press("enter", "v")
        await until(there.pilot, lambda: isinstance(there.app.screen, SafetyScreen))
        await there.press("escape", "escape")
        assert isinstance(there.app.screen, ParticipantsScreen)
        assert "Ben" in there.text
        await there.press("escape")
        assert there.results == [None]


async def test_nobody_found_is_said() -> None:
    async with shown("participants") as there:
        await there.press("slash", "q", "q")
        assert "Nobody is called that" in there.text


async def test_someone_is_heard_louder_less_loud_or_not_at_all() -> None:
    quiet = schema.Volume(leaf=BEN.leaf, volume_db=-3.0, muted=True)
    async with shown("participants", FakeControl(state=state(volumes=(quiet,)))) as there:
        assert "silenced" in there.text
        await there.press("plus", "minus", "x", "down", "x", "minus")
        asked = there.control.asked_for(schema.AudioSet)
        assert [(one.participant, one.volume_db, one.muted) for one in asked] == [
            (ADA.fingerprint, 3.0, None),
            (ADA.fingerprint, -3.0, None),
            (ADA.fingerprint, None, True),
            (BEN.fingerprint, None, False),
            (BEN.fingerprint, -6.0, None),
        ]


async def test_someone_is_removed_only_when_asked_twice() -> None:
    async with shown("participants", _as_host()) as there:
        await there.press("down", "r")
        assert isinstance(there.app.screen, Question)
        assert "Remove Ben from the call?" in there.text
        await there.press("r", "enter", "n")
        assert there.control.asked_for(schema.Remove) == []
        await there.press("r", "y")
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.Remove)))
        assert there.control.asked_for(schema.Remove)[0].participant == BEN.fingerprint


async def test_the_room_is_handed_over_only_when_asked_twice_and_with_who_they_are() -> None:
    async with shown("participants", _as_host()) as there:
        await there.press("down", "down", "o")
        assert "Never met before this call" in there.text
        await there.press("y")
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.HandOver)))
        assert there.control.asked_for(schema.HandOver)[0].participant == MARA.fingerprint


@pytest.mark.parametrize("key", ["r", "o"])
async def test_whoever_comes_to_sit_where_someone_sat_is_not_meant_by_what_was_asked_of_them(key: str) -> None:
    async with shown("participants", _as_host()) as there:
        await there.press("down", "down", key)
        assert "Mara" in there.text
        eve = msgspec.structs.replace(MARA, name="Eve", fingerprint="eeee-2222-3333-4444-5555-6666-7777-eeee")
        there.control.happen(ParticipantLeft(participant=MARA, epoch=8, reason="left"))
        there.control.happen(ParticipantJoined(participant=eve, epoch=9))
        await until(there.pilot, lambda: eve in there.app.model.people)
        await there.press("y")
        await until(there.pilot, lambda: "Mara has gone meanwhile" in there.text)
        assert not there.control.asked_for(schema.Remove)
        assert not there.control.asked_for(schema.HandOver)


async def test_someone_is_asked_for_quiet() -> None:
    async with shown("participants", _as_host()) as there:
        await there.press("a")
        assert [one.participant for one in there.control.asked_for(schema.MuteRequest)] == [ADA.fingerprint]
        assert "Ada was asked to be quiet." in there.text


async def test_nothing_is_done_to_oneself() -> None:
    async with shown("participants") as there:
        await there.press("end", "r", "a", "x", "plus")
        assert "This is you." in there.text
        assert not isinstance(there.app.screen, Question)
        assert there.control.asked_for(schema.AudioSet) == []


async def test_the_keys_of_a_host_are_shown_to_hosts_alone() -> None:
    async with shown("participants") as there:
        assert "remove" not in there.text
    async with shown("participants", _as_host()) as there:
        assert "r remove" in there.text
    members = msgspec.structs.replace(POLICY, remove="members")
    async with shown("participants", FakeControl(state=state(policy=members))) as there:
        assert "r remove" in there.text
        assert "hand over" not in there.text


async def test_a_thousand_are_listed_found_and_changed_without_being_waited_for() -> None:
    people = tuple(
        Person(leaf=leaf, name=f"Person {leaf:03}", fingerprint=f"aaaa-{leaf:04}", host=leaf == 0)
        for leaf in range(1000)
    )
    control = FakeControl(state=state(participants=people, me=people[7]))
    async with shown("participants", control) as there:
        assert "1000 people" in there.text
        await there.press("end")
        assert "Person 999" in there.text
        control.happen(StatusChanged(participant=msgspec.structs.replace(people[999], hand=True)))
        await until(there.pilot, lambda: "hand up" in there.text)
        page = there.app.screen
        assert isinstance(page, ParticipantsScreen)
        begun = time.process_time()
        for _ in range(10):
            page._list()
        assert time.process_time() - begun < 1.0  # 10 ms each here; a list of widgets takes a second


async def test_in_a_small_window_the_list_and_the_fingerprint_are_there() -> None:
    async with shown("participants", size=(40, 12)) as there:
        for words in ("Ada", "verified", ADA.fingerprint, "Esc back"):
            assert words in there.text


async def test_muting_oneself_works_here_as_everywhere() -> None:
    async with shown("participants") as there:
        await there.press("m")
        assert there.control.asked_for(schema.Mute)
        assert there.app.screen.query_one(Rows).has_focus


def test_people_are_found_by_any_part_of_the_name_or_the_beginning_of_the_fingerprint() -> None:
    assert matches(MARA, "AR")
    assert matches(MARA, "mara-22")
    assert matches(MARA, " ")
    assert not matches(MARA, "2222")


def test_how_someone_is_and_how_they_come_through_is_told_in_words() -> None:
    who = msgspec.structs.replace(BEN, muted=True, recording=True, recordable=False)
    told = " ".join(describe(who, schema.Volume(leaf=1, volume_db=6.0, muted=False), stats()))
    for words in ("muted", "RECORDS", "does not want to be recorded", "+6 dB", "loss 2.5 %", "buffer 40 ms"):
        assert words in told
    assert person_row(who, None).cells[2].text == "muted, RECORDS"
