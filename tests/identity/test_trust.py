"""Who someone is to us: every rule of the pins, and every way from one state to another."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.identity import trust
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.trust import (
    SAME_MEETING_S,
    Accepted,
    Change,
    Compared,
    Finding,
    Forgotten,
    Met,
    Pin,
    Pins,
    TooManyPeers,
    look,
)

MARA, STRANGER, BEN = (bytes((number,)) * 32 for number in range(1, 4))
NOW: Final = 1_790_000_000.0


def met(key: bytes, name: str, at: float = NOW) -> Met:
    return Met(key=key, name=name, at=at)


def compared(key: bytes, name: str, *, matches: bool = True, at: float = NOW) -> Compared:
    return Compared(key=key, name=name, finding=Finding(at=at, how="safety_number", matches=matches))


def accepted(key: bytes, name: str) -> Accepted:
    return Accepted(key=key, name=name, at=NOW)


def after(*changes: Change) -> Pins:
    pins = Pins()
    for change in changes:
        pins.apply(change)
    return pins


# --- the four states


def test_nobody_was_met_before_they_are() -> None:
    assert Pins().trust(MARA, "Mara") == "new"


def test_whoever_was_met_is_known() -> None:
    assert after(met(MARA, "Mara")).trust(MARA, "Mara") == "known"


def test_whoever_was_compared_with_is_verified_and_stays_so_at_the_next_meeting() -> None:
    pins = after(met(MARA, "Mara"), compared(MARA, "Mara"), met(MARA, "Mara", NOW + 1e6))
    assert pins.trust(MARA, "Mara") == "verified"
    assert pins.get(MARA) == Pin(
        key=MARA,
        name="Mara",
        first_met=NOW,
        last_met=NOW + 1e6,
        finding=Finding(at=NOW, how="safety_number", matches=True),
    )


def test_another_key_under_a_name_that_was_met_is_changed_and_not_pinned() -> None:
    pins = after(met(MARA, "Mara"))
    assert pins.trust(STRANGER, "Mara") == "changed"
    assert pins.apply(met(STRANGER, "Mara")) is False
    assert pins.get(STRANGER) is None
    assert pins.trust(MARA, "Mara") == "known"


def test_of_two_strangers_under_one_name_the_first_has_it() -> None:
    pins = after(met(MARA, "pi"), met(STRANGER, "pi"))
    assert (pins.trust(MARA, "pi"), pins.trust(STRANGER, "pi")) == ("known", "changed")


def test_a_comparison_that_failed_makes_anyone_changed_under_any_name() -> None:
    for before in ([], [met(MARA, "Mara")], [met(MARA, "Mara"), compared(MARA, "Mara")]):
        pins = after(*before, compared(MARA, "Mara", matches=False))
        assert pins.trust(MARA, "Mara") == pins.trust(MARA, "somebody else") == "changed"


def test_who_was_found_out_does_not_come_back_under_that_name_with_a_new_key() -> None:
    pins = after(compared(STRANGER, "Mara", matches=False))
    assert pins.trust(BEN, "Mara") == "changed"


# --- names


def test_someone_known_may_take_a_name_that_is_nobodys() -> None:
    pins = after(met(MARA, "Mara"), compared(MARA, "Mara"), met(MARA, "Mara K."))
    assert pins.trust(MARA, "Mara K.") == "verified"
    assert pins.get(MARA).name == "Mara K."  # type: ignore[union-attr]
    assert pins.trust(STRANGER, "Mara") == "new"  # a name that is given up is free


def test_someone_known_or_verified_under_the_name_of_another_is_changed_and_keeps_their_own() -> None:
    for more in ([], [compared(BEN, "Ben")]):
        pins = after(met(MARA, "Mara"), met(BEN, "Ben"), *more)
        own = pins.trust(BEN, "Ben")
        assert pins.trust(BEN, "Mara") == "changed"
        assert pins.apply(met(BEN, "Mara")) is False
        assert pins.trust(BEN, "Ben") == own
        assert pins.trust(MARA, "Mara") == "known"


@pytest.mark.parametrize("name", ["mara", "MARA", "М\u0430ra", "Mаrа", "Ｍara", "ma\u1d3fa", "Mara\ufe0f", "𝓜𝓪𝓻𝓪"])
def test_what_looks_like_a_name_is_that_name(name: str) -> None:
    assert after(met(MARA, "Mara")).trust(STRANGER, name) == "changed"


@pytest.mark.parametrize(
    ("one", "other"), [("Bob", "B0b"), ("Paul", "Pau1"), ("Peter", "Реtеr"), ("Straße", "STRASSE")]
)
def test_digits_and_other_scripts_do_not_spell_a_name_anew(one: str, other: str) -> None:
    assert look(one) == look(other)


@pytest.mark.parametrize(("one", "other"), [("Zoe", "Zoë"), ("Mara", "Mara K"), ("Ali", "All"), ("Ann", "Anna")])
def test_names_of_different_people_look_different(one: str, other: str) -> None:
    assert look(one) != look(other)


@given(st.text(max_size=64))
def test_a_name_looks_like_itself_however_it_is_written(name: str) -> None:
    assert look(name) == look(name.casefold())
    assert look(look(name)) == look(name)


# --- what a person decides


def test_whoever_is_accepted_is_known_beside_the_one_who_had_the_name() -> None:
    pins = after(met(MARA, "Mara"), compared(MARA, "Mara"), accepted(STRANGER, "Mara"))
    assert pins.trust(STRANGER, "Mara") == "known"
    assert pins.trust(MARA, "Mara") == "verified"
    assert pins.trust(BEN, "Mara") == "changed"
    assert pins.apply(met(STRANGER, "Mara", NOW + 2 * SAME_MEETING_S))


def test_accepting_is_not_verifying_even_of_one_who_was() -> None:
    pins = after(met(MARA, "Mara"), met(BEN, "Ben"), compared(BEN, "Ben"), accepted(BEN, "Mara"))
    assert pins.trust(BEN, "Mara") == "known"


def test_a_failed_comparison_is_undone_by_accepting_or_by_one_that_matches() -> None:
    found_out = (met(MARA, "Mara"), compared(MARA, "Mara", matches=False))
    assert after(*found_out, accepted(MARA, "Mara")).trust(MARA, "Mara") == "known"
    assert after(*found_out, compared(MARA, "Mara")).trust(MARA, "Mara") == "verified"


def test_whoever_is_changed_can_be_verified() -> None:
    assert after(met(MARA, "Mara"), compared(STRANGER, "Mara")).trust(STRANGER, "Mara") == "verified"


def test_forgetting_someone_frees_the_name() -> None:
    pins = after(met(MARA, "Mara"), Forgotten(key=MARA))
    assert pins.trust(MARA, "Mara") == pins.trust(STRANGER, "Mara") == "new"
    assert pins.apply(Forgotten(key=MARA)) is False
    assert len(pins) == 0


def test_a_decision_is_no_meeting() -> None:
    pins = after(met(MARA, "Mara"), compared(MARA, "Mara", at=NOW + 1e6))
    assert pins.get(MARA).last_met == NOW  # type: ignore[union-attr]


# --- when, and how many


def test_coming_back_soon_is_the_same_meeting() -> None:
    pins = after(met(MARA, "Mara"))
    assert pins.apply(met(MARA, "Mara", NOW + SAME_MEETING_S - 1)) is False
    assert pins.apply(met(MARA, "Mara", NOW + SAME_MEETING_S)) is True
    assert pins.get(MARA).last_met == NOW + SAME_MEETING_S  # type: ignore[union-attr]


def test_a_clock_that_was_set_back_makes_no_meeting_earlier() -> None:
    pins = after(met(MARA, "Mara"), met(MARA, "Mara K.", NOW - 1e6))
    assert pins.get(MARA).last_met == NOW  # type: ignore[union-attr]


def test_when_it_is_full_the_one_not_met_for_longest_goes_and_never_one_who_was_decided_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "MAX_PINS", 3)
    pins = after(compared(MARA, "Mara", at=1.0), met(BEN, "Ben", 3.0), met(STRANGER, "Cy", 2.0))
    assert pins.apply(met(b"d" * 32, "Di", 4.0))
    assert {pin.name for pin in pins} == {"Mara", "Ben", "Di"}
    assert pins.trust(STRANGER, "Cy") == "new"


def test_a_decision_for_which_there_is_no_room_can_be_held_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "MAX_PINS", 1)
    pins = after(compared(MARA, "Mara"))
    assert pins.hold(compared(BEN, "Ben", matches=False))
    assert pins.hold(met(STRANGER, "Cy")) is False
    assert [pins.trust(key, name) for key, name in ((MARA, "Mara"), (BEN, "Ben"))] == ["verified", "changed"]
    assert pins.hold(Forgotten(key=MARA))
    assert pins.trust(MARA, "Mara") == "new"


def test_when_it_is_full_of_decisions_strangers_stay_new_and_the_next_decision_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "MAX_PINS", 1)
    pins = after(compared(MARA, "Mara"))
    assert pins.apply(met(BEN, "Ben")) is False
    assert pins.trust(BEN, "Ben") == "new"
    with pytest.raises(TooManyPeers, match="forget one"):
        pins.apply(compared(BEN, "Ben"))
    pins.apply(compared(MARA, "Mara", matches=False))
    assert pins.trust(MARA, "Mara") == "changed"


# --- all of it

KEYS = st.sampled_from([bytes((number,)) * 32 for number in range(5)])
NAMES = st.sampled_from(["Mara", "MARA", "Ben", "Cy"])
CHANGES = st.one_of(
    st.builds(met, KEYS, NAMES, st.floats(0, 1e5)),
    st.builds(compared, KEYS, NAMES, matches=st.booleans()),
    st.builds(accepted, KEYS, NAMES),
    st.builds(lambda key: Forgotten(key=key), KEYS),
)


@given(st.lists(CHANGES, max_size=25))
def test_nobody_takes_a_name_from_another_without_a_decision(changes: list[Change]) -> None:
    pins = Pins()
    for change in changes:
        before = pins.copy()
        pins.apply(change)
        if isinstance(change, Met):
            was = before.trust(change.key, change.name)
            assert pins.trust(change.key, change.name) == ("known" if was == "new" else was)
            assert pins.get(change.key) == before.get(change.key) or was != "changed"
        for pin in before:
            if pin.key != change.key:
                assert pins.get(pin.key) == pin


@given(st.lists(CHANGES, max_size=25))
def test_a_copy_is_the_same_and_changes_by_itself(changes: list[Change]) -> None:
    pins = after(*changes)
    copy = pins.copy()
    assert sorted(copy, key=lambda pin: pin.key) == sorted(pins, key=lambda pin: pin.key)
    for pin in list(copy):
        copy.apply(Forgotten(key=pin.key))
        assert pins.get(pin.key) == pin
    assert all(not copy.namesakes(b"z" * 32, name) for name in ("Mara", "Ben", "Cy"))


def test_nothing_that_is_shown_of_them_holds_a_name_or_a_key() -> None:
    shown = repr([Pin(key=MARA, name="Mara", first_met=0, last_met=0), met(MARA, "Mara"), compared(MARA, "Mara")])
    shown += repr([accepted(MARA, "Mara"), Forgotten(key=MARA)])
    assert "Mara" not in shown
    assert fingerprint(MARA) not in shown
    assert repr(MARA) not in shown
