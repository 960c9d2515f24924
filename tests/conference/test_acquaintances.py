"""Whom our user knows, in one call: what counts before it is stored, and what others have stored meanwhile."""

from __future__ import annotations

from typing import Final

import pytest

from tuiconf.conference import acquaintances
from tuiconf.conference.acquaintances import Acquaintances
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.trust import Accepted, Change, Compared, Finding, Forgotten, Met, Pins

ME, MARA, STRANGER, BEN = (bytes((number,)) * 32 for number in range(1, 5))
NOW: Final = 1_790_000_000.0


def pins(*changes: Change) -> Pins:
    result = Pins()
    for change in changes:
        result.apply(change)
    return result


def met(key: bytes, name: str) -> Met:
    return Met(key=key, name=name, at=NOW)


def compared(key: bytes, name: str, *, matches: bool) -> Compared:
    return Compared(key=key, name=name, finding=Finding(at=NOW, how="fingerprint", matches=matches))


def test_one_is_oneself_under_any_name_and_is_not_met() -> None:
    people = Acquaintances(ME, pins(met(MARA, "Mara")))
    people.meet([(ME, "Mara"), (ME, "Me")], unix=NOW)
    assert people.judge(ME, "Mara") == people.judge(ME, "Me") == "self"
    assert people.unstored == ()


def test_another_device_under_ones_own_name_is_a_stranger_like_any_other() -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(ME, "Me"), (BEN, "Me")], unix=NOW)
    assert people.judge(BEN, "Me") == "new"
    assert people.judge(STRANGER, "Me") == "changed"  # the name is the other device's by now


def test_whoever_is_met_here_for_the_first_time_is_new_until_the_call_is_over() -> None:
    people = Acquaintances(ME, pins(met(BEN, "Ben")))
    people.meet([(MARA, "Mara"), (BEN, "Ben")], unix=NOW + 0.7)
    assert (people.judge(MARA, "Mara"), people.judge(BEN, "Ben")) == ("new", "known")
    people.stored(pins(met(BEN, "Ben"), met(MARA, "Mara")), written=people.unstored)
    assert people.judge(MARA, "Mara") == "new"
    assert Acquaintances(ME, people.pins).judge(MARA, "Mara") == "known"


def test_of_two_strangers_under_one_name_who_come_at_once_the_first_has_it_before_anything_is_stored() -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(MARA, "Mara"), (STRANGER, "Mara")], unix=NOW)
    assert (people.judge(MARA, "Mara"), people.judge(STRANGER, "Mara")) == ("new", "changed")
    assert people.unstored == (met(MARA, "Mara"),)


def test_being_judged_is_not_being_met() -> None:
    people = Acquaintances(ME, Pins())
    assert people.judge(MARA, "Mara") == people.judge(STRANGER, "Mara") == "new"
    assert people.unstored == ()


@pytest.mark.parametrize(
    ("change", "trust"),
    [
        (compared(MARA, "Mara", matches=True), "verified"),
        (compared(MARA, "Mara", matches=False), "changed"),
        (Accepted(key=MARA, name="Mara", at=NOW), "known"),
        (Forgotten(key=MARA), "new"),
    ],
)
def test_a_decision_counts_at_once_and_waits_to_be_stored(change: Change, trust: str) -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(MARA, "Mara")], unix=NOW)
    people.decide(change)
    assert people.judge(MARA, "Mara") == trust
    assert people.unstored == (met(MARA, "Mara"), change)


def test_whoever_was_found_to_be_another_and_is_accepted_elsewhere_is_known_and_not_new() -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(MARA, "Mara")], unix=NOW)
    people.stored(pins(compared(MARA, "Mara", matches=False)), written=people.unstored)
    assert people.judge(MARA, "Mara") == "changed"
    people.stored(pins(Accepted(key=MARA, name="Mara", at=NOW)))
    assert people.judge(MARA, "Mara") == "known"


def test_whoever_another_call_has_met_under_that_name_before_has_it() -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(STRANGER, "Mara")], unix=NOW)
    people.stored(pins(met(MARA, "Mara")), written=people.unstored)
    assert people.judge(STRANGER, "Mara") == "changed"


def test_what_happened_while_the_store_was_written_is_still_to_be_stored() -> None:
    people = Acquaintances(ME, Pins())
    people.meet([(MARA, "Mara")], unix=NOW)
    under_way = people.unstored
    people.meet([(BEN, "Ben")], unix=NOW)
    people.stored(pins(*under_way), written=under_way)
    assert people.unstored == (met(BEN, "Ben"),)
    assert people.judge(BEN, "Ben") == "new"


def test_a_decision_made_while_the_store_was_written_is_not_taken_for_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquaintances, "MAX_UNSTORED", 2)
    people = Acquaintances(ME, Pins())
    people.meet([(MARA, "Mara"), (BEN, "Ben")], unix=NOW)
    under_way = people.unstored
    people.meet([(bytes((number,)) * 32, f"guest {number}") for number in range(10, 13)], unix=NOW)  # drops the first
    decision = compared(MARA, "Mara", matches=False)
    people.decide(decision)
    people.stored(pins(*under_way), written=under_way)
    assert people.unstored[-1] == decision
    assert people.judge(MARA, "Mara") == "changed"


def test_a_mismatch_is_found_by_fingerprint() -> None:
    people = Acquaintances(ME, pins(compared(MARA, "Mara", matches=False), compared(BEN, "Ben", matches=True)))
    assert people.is_mismatch(fingerprint(MARA))
    assert not people.is_mismatch(fingerprint(BEN))
    assert not people.is_mismatch(fingerprint(STRANGER))


def test_where_nothing_can_be_stored_meetings_are_dropped_and_decisions_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquaintances, "MAX_UNSTORED", 3)
    people = Acquaintances(ME, Pins())
    decision = compared(MARA, "Mara", matches=True)
    people.decide(decision)
    people.meet([(bytes((number,)) * 32, f"guest {number}") for number in range(10, 20)], unix=NOW)
    assert len(people.unstored) == 3
    assert people.unstored[0] == decision
    assert people.judge(b"\x0a" * 32, "guest 10") == "new"


def test_who_is_new_here_is_remembered_for_as_many_as_there_can_be_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquaintances, "MAX_PINS", 4)
    people = Acquaintances(ME, Pins())
    for number in range(10, 30):
        key = bytes((number,)) * 32
        people.meet([(key, f"guest {number}")], unix=NOW)
        people.decide(Forgotten(key=key))
    people.meet([(MARA, "Mara")], unix=NOW)
    assert people.judge(MARA, "Mara") == "new"
