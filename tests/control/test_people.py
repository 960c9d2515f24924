"""Whom a name, a number or a fingerprint means, and that nobody is meant by mistake."""

from __future__ import annotations

import pytest

from tuiconf.conference.events import Caller, Person
from tuiconf.control.people import NobodyMeant, leaf_of, ref_of

ANN = Person(leaf=0, name="Ann", fingerprint="abcd-efgh-2345", host=True)
BO = Person(leaf=1, name="Bo", fingerprint="abcd-zzzz-2345", host=False)
SECOND_BO = Person(leaf=2, name="Bo", fingerprint="mmmm-zzzz-2345", host=False)
THREE = Person(leaf=4, name="3", fingerprint="nnnn-zzzz-2345", host=False)
LIKE_ANN = Person(leaf=5, name="abcd-efgh-2345", fingerprint="oooo-zzzz-2345", host=False)
PEOPLE = (ANN, BO, SECOND_BO, THREE)


@pytest.mark.parametrize(
    ("wanted", "leaf"),
    [(0, 0), (4, 4), ("Ann", 0), ("3", 4), ("abcd-e", 0), ("ABCD-EFGH-2345", 0), ("mmmm", 2), ("nnnn-zzzz-2345", 4)],
)
def test_who_is_meant(wanted: int | str, leaf: int) -> None:
    assert leaf_of(PEOPLE, wanted) == leaf


@pytest.mark.parametrize("wanted", [3, 7, "ann", "An", "", "nobody", "mmm", "-", "Ann ", "0"])
def test_nobody_is_meant(wanted: int | str) -> None:
    with pytest.raises(NobodyMeant, match="nobody") as refused:
        leaf_of(PEOPLE, wanted)
    assert refused.value.code == "no_such_participant"


@pytest.mark.parametrize("wanted", ["Bo", "abcd", "ABCD-"])
def test_whoever_several_are_called_is_not_chosen(wanted: str) -> None:
    with pytest.raises(NobodyMeant, match="several"):
        leaf_of(PEOPLE, wanted)


@pytest.mark.parametrize("wanted", ["mara", "Mara", "MARA"])
def test_a_key_made_to_begin_like_a_name_is_not_taken_for_whom_the_name_means(wanted: str) -> None:
    mara = Person(leaf=6, name="Mara", fingerprint="pppp-zzzz-2345", host=False)
    eve = Person(leaf=7, name="Helper", fingerprint="mara-zzzz-2345", host=False)
    with pytest.raises(NobodyMeant, match="several"):
        leaf_of((mara, eve), wanted)
    assert leaf_of((mara, eve), "Helper") == leaf_of((mara, eve), "mara-z") == 7


def test_whoever_calls_themselves_as_another_s_fingerprint_takes_nothing_from_them() -> None:
    with pytest.raises(NobodyMeant, match="several"):
        leaf_of((*PEOPLE, LIKE_ANN), "abcd-efgh-2345")
    assert leaf_of((*PEOPLE, LIKE_ANN), 0) == 0


def test_a_caller_is_meant_by_reference_name_or_fingerprint() -> None:
    cleo = Caller(ref="r1", name="Cleo", fingerprint="cccc-dddd", known=False)
    liar = Caller(ref="r2", name="r1", fingerprint="ffff-dddd", known=False)
    assert ref_of((cleo,), "r1") == ref_of((cleo,), "Cleo") == ref_of((cleo,), "cccc") == "r1"
    with pytest.raises(NobodyMeant):
        ref_of((cleo,), "r2")
    with pytest.raises(NobodyMeant, match="several"):
        ref_of((cleo, liar), "r1")
    assert ref_of((cleo, liar), "r2") == "r2"
