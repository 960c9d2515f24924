"""Who people are to one participant: in all that is told of them, and in the lobby. Nobody else is affected."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from tests.conference.world import UNIX, Guest, World, agree
from tuiconf.conference.events import (
    Caller,
    ChatReceived,
    Event,
    Joined,
    Knocked,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    PolicyChanged,
    StatusChanged,
)
from tuiconf.conference.policy import RoomRules
from tuiconf.identity.keys import Identity, fingerprint
from tuiconf.identity.trust import Compared, Finding, Met, Pins

UNKNOWN: Final = RoomRules(lobby="unknown")


def someone(name: str) -> Identity:
    return Identity(name=name, seed=name.encode().ljust(32, b"."))


MARA, BEN = someone("Mara"), someone("Ben")
IMPOSTOR: Final = Identity(name="Mara", seed=b"i" * 32)


def pins(
    *, known: tuple[Identity, ...] = (), verified: tuple[Identity, ...] = (), found_out: tuple[Identity, ...] = ()
) -> Pins:
    result = Pins()
    for who in known:
        result.apply(Met(key=who.public_key, name=who.name, at=UNIX))
    for matches, those in ((True, verified), (False, found_out)):
        for who in those:
            finding = Finding(at=UNIX, how="fingerprint", matches=matches)
            result.apply(Compared(key=who.public_key, name=who.name, finding=finding))
    return result


def people_in(event: Event) -> list[Person | Caller]:
    """Everyone an event speaks of."""
    found: list[Person | Caller] = []
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Person | Caller):
                found.append(item)
    return found


def trusts(guest: Guest) -> dict[str, str]:
    return {who.name: who.trust for who in guest.membership.people()}


def test_the_four_states_and_oneself_are_told_apart_in_every_event() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, met=pins(known=(MARA, someone("Kim")), verified=(BEN,)))
    world.run(0.5)
    others = [world.guest(who.name, identity=who) for who in (BEN, someone("Kim"), someone("Nia"), IMPOSTOR)]
    world.run(2.0)
    for guest in others:
        guest.say("hello")
        guest.perform(guest.session.set_status(world.at, hand=True))
    world.run(1.0)
    ann.hand_over(others[0], stay=True)
    world.run(1.0)
    for guest in others:
        guest.leave()
    world.run(3.0)
    expected = {"Ann": "self", "Ben": "verified", "Kim": "known", "Nia": "new", "Mara": "changed"}
    told: dict[type[Event], set[str]] = {}
    for event in ann.events:
        for who in people_in(event):
            assert who.trust == expected[who.name], event
            told.setdefault(type(event), set()).add(who.name)
    for kind in (ParticipantJoined, ChatReceived, StatusChanged, ParticipantLeft):
        assert told[kind] >= {"Ben", "Kim", "Nia", "Mara"}
    assert told[PolicyChanged] == {"Ann", "Ben"}


def test_who_comes_into_a_call_meets_all_who_are_there_and_the_second_of_a_name_is_changed() -> None:
    world = World()
    world.guest("Ann", creator=True)
    for who in (MARA, IMPOSTOR):
        world.guest(who.name, identity=who)
        world.run(1.0)
    dee = world.guest("Dee", met=pins(known=(someone("Ann"),)))
    world.run(1.0)
    [joined] = dee.of(Joined)
    assert [who.trust for who in joined.participants] == ["changed", "new", "changed", "self"]
    assert joined.me.trust == "self"
    assert [pin.name for pin in dee.people.pins] == ["Ann", "Mara"]


def test_what_one_thinks_of_another_changes_nothing_for_the_others() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, met=pins(known=(MARA,)))
    world.run(0.5)
    mara, ben = world.guest("Mara", identity=IMPOSTOR), world.guest("Ben", identity=BEN)
    world.run(2.0)
    agree([ann, mara, ben])
    assert trusts(ann)["Mara"] == "changed"
    assert trusts(ben)["Mara"] == "new"
    mara.say("hello")
    world.run(0.5)
    [heard] = ann.of(ChatReceived)
    assert (heard.text, heard.participant.trust) == ("hello", "changed")


def test_who_comes_back_after_a_broken_connection_is_who_they_were() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    world.run(70.0)
    assert [event.participant.trust for event in ann.of(ParticipantLeft)] == ["new"]
    ben.back()
    world.run(10.0)
    agree([ann, ben])
    assert trusts(ann) == {"Ann": "self", "Ben": "new"}
    assert trusts(ben) == {"Ann": "new", "Ben": "self"}


# --- the lobby


def test_whoever_is_verified_need_not_wait() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN, met=pins(verified=(MARA,)))
    world.run(0.5)
    mara = world.guest("Mara", identity=MARA)
    world.run(1.0)
    agree([ann, mara])
    assert ann.of(Knocked) == []


def test_having_been_met_before_is_not_enough_to_come_in() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN, met=pins(known=(MARA,)))
    world.run(0.5)
    mara = world.guest("Mara", identity=MARA)
    world.run(5.0)
    assert not mara.is_member
    [caller] = ann.session.callers
    assert (caller.trust, caller.known) == ("known", False)


@pytest.mark.parametrize(("who", "trust"), [(IMPOSTOR, "changed"), (someone("Nia"), "new")])
def test_who_knocks_is_judged_and_not_met(who: Identity, trust: str) -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN, met=pins(verified=(MARA,)))
    world.run(0.5)
    world.guest(who.name, identity=who)
    world.run(5.0)
    assert [(event.caller.trust, event.caller.known) for event in ann.of(Knocked)] == [(trust, False)]
    assert [(key, caller.trust) for key, caller in ann.session.waiting] == [(who.public_key, trust)]
    assert ann.people.unstored == ()


def test_someone_verified_waits_under_the_name_of_another() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN, met=pins(known=(MARA,), verified=(BEN,)))
    world.run(0.5)
    ben = world.guest("Mara", identity=Identity(name="Mara", seed=BEN.seed))
    world.run(5.0)
    assert not ben.is_member
    assert [caller.trust for caller in ann.session.callers] == ["changed"]


def test_whoever_is_verified_while_they_wait_is_let_in() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN)
    world.run(0.5)
    mara = world.guest("Mara", identity=MARA)
    world.run(2.0)
    assert not mara.is_member
    finding = Finding(at=UNIX, how="safety_number", matches=True)
    ann.people.decide(Compared(key=MARA.public_key, name="Mara", finding=finding))
    world.run(15.0)
    agree([ann, mara])
    assert trusts(ann)["Mara"] == "verified"


def test_who_waits_and_turns_out_to_use_the_name_of_another_is_told_of_again() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN)
    world.run(0.5)
    world.guest("Mara", identity=IMPOSTOR)
    world.run(5.0)
    ann.people.stored(pins(known=(MARA,)))  # as another call of Ann's has met her
    world.run(5.0)
    told = [event.caller for event in ann.of(Knocked)]
    assert [caller.trust for caller in told] == ["new", "changed"]
    assert {caller.ref for caller in told} == {ann.session.callers[0].ref}


def test_those_on_the_list_need_not_wait_and_are_new_all_the_same() -> None:
    world = World()
    ann = world.guest("Ann", creator=True, rules=UNKNOWN)
    world.run(0.5)
    ann.known = {fingerprint(MARA.public_key)}
    mara = world.guest("Mara", identity=MARA)
    world.run(1.0)
    agree([ann, mara])
    assert trusts(ann)["Mara"] == "new"
