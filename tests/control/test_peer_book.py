"""Whom a request about people means, what it is answered, and what a decision changes."""

from __future__ import annotations

from typing import Final

import pytest

from tuiconf.control.peer_book import EpochOver, NotChanged, PeerBook, Someone
from tuiconf.control.people import NobodyMeant
from tuiconf.control.verifying import How, Peer, VerifyPeer
from tuiconf.errors import UsageError
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.safety import qr_text, safety_number
from tuiconf.identity.trust import Accepted, Change, Compared, Finding, Forgotten, Met, Pins, Standing

ME, MARA, IMPOSTOR, BEN = (bytes((number,)) * 32 for number in range(1, 5))
NOW: Final = 1_790_000_000.0


def pins(*changes: Change) -> Pins:
    result = Pins()
    for change in changes:
        result.apply(change)
    return result


def met(key: bytes, name: str, at: float = NOW) -> Met:
    return Met(key=key, name=name, at=at)


def finding(how: How = "safety_number", *, matches: bool = True) -> Finding:
    return Finding(at=NOW, how=how, matches=matches)


def here(key: bytes, name: str, trust: Standing, leaf: int | None = None) -> Someone:
    return Someone(key=key, name=name, trust=trust, leaf=leaf)


KNOWN: Final = pins(met(MARA, "Mara", NOW - 5), met(BEN, "Ben"))
CHANGED: Final = PeerBook(ME, KNOWN, [here(IMPOSTOR, "Mara", "changed", 7), here(BEN, "Ben", "known", 3)])


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        ("Mara", MARA),
        ("mara", MARA),
        ("Mаrа", MARA),
        (fingerprint(MARA), MARA),
        (fingerprint(MARA)[:4].upper(), MARA),
        (3, BEN),
        ("Benjamin", BEN),
        ("Ben", BEN),
    ],
)
def test_a_person_is_meant_by_leaf_fingerprint_or_any_name_they_go_or_went_by(wanted: int | str, key: bytes) -> None:
    assert PeerBook(ME, KNOWN, [here(BEN, "Benjamin", "known", 3)]).find(wanted).key == key


@pytest.mark.parametrize("wanted", ["Nobody", "Mar", "", 4, -1, fingerprint(MARA)[:3], "Ben "])
def test_nobody_is_meant_by_mistake(wanted: int | str) -> None:
    with pytest.raises(NobodyMeant, match="nobody"):
        PeerBook(ME, KNOWN, [here(BEN, "Ben", "known", 3)]).find(wanted)


def test_one_is_told_that_it_is_oneself() -> None:
    with pytest.raises(NobodyMeant, match="that is you"):
        PeerBook(ME, KNOWN).find(fingerprint(ME))


def test_a_name_that_stands_for_two_keys_means_nobody_and_their_fingerprints_are_said() -> None:
    for name in ("Mara", "MARA", "Маrа"):
        with pytest.raises(NobodyMeant, match="several") as error:
            CHANGED.find(name)
        assert fingerprint(MARA) in str(error.value)
        assert fingerprint(IMPOSTOR) in str(error.value)
    assert CHANGED.find(7).key == IMPOSTOR
    assert CHANGED.find(fingerprint(MARA)).key == MARA


def test_whoever_calls_themselves_by_anothers_fingerprint_takes_nothing_from_them() -> None:
    book = PeerBook(ME, KNOWN, [here(IMPOSTOR, fingerprint(MARA), "new", 7)])
    assert book.find(fingerprint(MARA)).key == MARA


def test_all_are_listed_who_was_met_last_first() -> None:
    pinned = pins(met(MARA, "Mara", NOW - 5), Compared(key=BEN, name="Ben", finding=finding()))
    book = PeerBook(ME, pinned, [here(MARA, "Ben", "changed", 1)])
    ben, mara = book.all().peers
    assert ben == Peer(
        fingerprint=fingerprint(BEN),
        name="Ben",
        trust="verified",
        first_met=NOW,
        last_met=NOW,
        verified_at=NOW,
        verified_how="safety_number",
    )
    assert (mara.name, mara.trust, mara.verified_at) == ("Mara", "changed", None)  # as she goes by another's name now


def test_what_is_shown_of_someone_new_is_what_both_can_compare() -> None:
    shown = PeerBook(ME, Pins(), [here(MARA, "Mara", "new", 1)]).show(1)
    assert (shown.name, shown.trust, shown.stored, shown.others) == ("Mara", "new", None, ())
    assert shown.safety_number == safety_number(MARA, ME)
    assert shown.qr == qr_text(shown.safety_number)


def test_what_is_shown_of_someone_changed_is_whom_the_name_stood_for() -> None:
    shown = CHANGED.show(7)
    assert (shown.trust, shown.stored) == ("changed", None)
    assert [other.fingerprint for other in shown.others] == [fingerprint(MARA)]
    assert CHANGED.show(fingerprint(MARA)).others == ()


def test_what_was_compared_is_of_that_key_and_time() -> None:
    change = CHANGED.verify(VerifyPeer(peer=7, how="fingerprint"), at=NOW + 0.7, epoch=None)
    assert change == Compared(key=IMPOSTOR, name="Mara", finding=finding("fingerprint"))
    change = CHANGED.verify(VerifyPeer(peer="Ben", how="safety_number", matches=False), at=NOW, epoch=None)
    assert change == Compared(key=BEN, name="Ben", finding=finding(matches=False))


def test_a_room_code_counts_in_its_epoch_and_for_those_in_the_room() -> None:
    book = PeerBook(ME, KNOWN, [here(BEN, "Ben", "known", 3)])
    change = book.verify(VerifyPeer(peer=3, how="room_code", epoch=5), at=NOW, epoch=5)
    assert change.finding == finding("room_code")
    for epoch, now in ((4, 5), (5, 6), (5, None)):
        with pytest.raises(EpochOver, match="compare the new one"):
            book.verify(VerifyPeer(peer=3, how="room_code", epoch=epoch), at=NOW, epoch=now)
    with pytest.raises(UsageError, match="epoch"):
        book.verify(VerifyPeer(peer=3, how="room_code"), at=NOW, epoch=5)
    with pytest.raises(UsageError, match="in the call"):
        book.verify(VerifyPeer(peer="Mara", how="room_code", epoch=5), at=NOW, epoch=5)


def test_only_who_is_changed_is_accepted_also_by_a_name_that_others_have() -> None:
    assert CHANGED.accept("Mara", at=NOW) == Accepted(key=IMPOSTOR, name="Mara", at=NOW)
    for wanted in ("Ben", 3, fingerprint(MARA)):
        with pytest.raises(NotChanged):
            CHANGED.accept(wanted, at=NOW)
    with pytest.raises(NobodyMeant):
        CHANGED.accept("Nobody", at=NOW)
    two = PeerBook(ME, KNOWN, [here(key, "Mara", "changed", leaf) for leaf, key in enumerate((IMPOSTOR, b"x" * 32))])
    with pytest.raises(NobodyMeant, match="several"):
        two.accept("Mara", at=NOW)
    assert two.accept(1, at=NOW).key == b"x" * 32


def test_only_who_is_stored_is_forgotten() -> None:
    assert CHANGED.forget(fingerprint(MARA)) == Forgotten(key=MARA)
    assert CHANGED.forget(3) == CHANGED.forget("Ben") == Forgotten(key=BEN)
    with pytest.raises(NobodyMeant, match="nothing is stored"):
        CHANGED.forget(7)


def test_the_friend_is_not_forgotten_by_a_name_that_an_impostor_uses() -> None:
    with pytest.raises(NobodyMeant, match="several"):
        CHANGED.forget("Mara")


def test_who_is_new_in_this_call_is_not_known_in_the_list_of_all() -> None:
    book = PeerBook(ME, KNOWN, [here(BEN, "Ben", "new", 3), here(IMPOSTOR, "Mara", "changed", 7)])
    assert {peer.name: peer.trust for peer in book.all().peers} == {"Ben": "new", "Mara": "known"}


def test_nothing_that_is_shown_of_someone_holds_a_name() -> None:
    assert repr(here(MARA, "Mara", "new")) == "<Someone>"
