"""Hosts: what they may, how there come to be others, and that a room that has one is never without."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.entering import SOLITUDE_S
from tuiconf.conference.events import CommitRefused, EpochChanged, Failed, MuteRequested, PolicyChanged, Reconnected
from tuiconf.conference.hosting import MUTE_REQUEST_PAUSE_S
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.refusals import NoSuchParticipant, NotAllowed
from tuiconf.identity.keys import Identity, fingerprint


def told_hosts(guest: Guest) -> list[list[str]]:
    return [[host.name for host in event.hosts] for event in guest.of(PolicyChanged)]


# --- handing over


def test_a_host_hands_over_and_is_none_any_more() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(cyd)
    world.run(1.0)
    agree([ann, ben, cyd])
    assert told_hosts(ann) == told_hosts(ben) == told_hosts(cyd) == [["Cyd"]]
    with pytest.raises(NotAllowed):
        ann.kick(ben)
    cyd.kick(ann)
    world.run(1.0)
    agree([ben, cyd])


def test_a_host_can_have_another_beside_them() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    assert ben.hosts == ["Ann", "Ben"]
    ann.hand_over(ben)  # who is one already: this is stepping down
    world.run(1.0)
    assert ben.hosts == ["Ben"]
    agree([ann, ben])


def test_a_host_whom_a_host_removes_is_no_host_on_return() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ann.kick(ben)
    world.run(1.0)
    again = world.guest("Ben", identity=ben.identity)
    world.run(2.0)
    agree([ann, again])
    assert again.hosts == ["Ann"]


def test_when_two_hosts_change_the_policy_at_once_both_changes_are_made() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ann.lock()
    ben.set_lobby("everyone")
    world.run(2.0)
    agree([ann, ben, cyd])
    policy = cyd.membership.policy
    assert policy.locked
    assert policy.lobby == "everyone"
    assert cyd.of(CommitRefused) == []


def test_of_two_hosts_who_contradict_each_other_the_last_has_it_and_all_agree() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ann.lock(True)
    world.run(1.0)
    ann.lock(True)
    ben.lock(False)
    world.run(2.0)
    agree([ann, ben, cyd])
    assert not cyd.membership.policy.locked


def test_two_hosts_who_hand_over_at_once_leave_the_room_with_a_host() -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ann.hand_over(cyd)
    ben.hand_over(dee)
    world.run(2.0)
    agree([ann, ben, cyd, dee])
    assert ann.hosts == ["Cyd", "Dee"]


def test_two_hosts_who_remove_each_other_at_once_leave_one() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ben.delay_s = 0.004
    ann.kick(ben)
    ben.kick(ann)
    world.run(2.0)
    agree([ann, cyd])
    assert ben.finished == "removed"
    assert cyd.hosts == ["Ann"]


def test_handing_over_to_one_who_leaves_at_that_moment_changes_nothing() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.leave()
    world.run(0.05)
    ann.hand_over(cyd)
    world.run(2.0)
    agree([ann, ben])
    assert ann.hosts == ["Ann"]
    assert ann.of(Failed) == []


def test_handing_over_takes_somebody_else_who_is_there() -> None:
    world = World()
    ann, _ = world.party("Ann", "Ben")
    for leaf in (ann.leaf, 7):
        with pytest.raises(NoSuchParticipant) as refusal:
            ann.session.hand_over(leaf, world.at)
        assert refusal.value.code == "no_such_participant"


# --- leaving, and being gone


def test_a_host_who_leaves_is_succeeded_by_the_one_who_has_been_there_longest() -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    ben.leave()
    world.run(1.0)
    eve = world.guest("Eve")  # at Ben's leaf, which is lower than Cyd's
    world.run(1.0)
    assert eve.leaf < cyd.leaf
    for guest in (cyd, dee, eve):
        guest.take()
    ann.leave()
    world.run(1.0)
    agree([cyd, dee, eve])
    assert told_hosts(cyd) == told_hosts(dee) == told_hosts(eve) == [["Cyd"]]
    assert len(cyd.of(EpochChanged)) == 1
    assert ann.finished == "left"


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_host_can_leave_a_room_of_any_size(others: int) -> None:
    world = World()
    ann, *rest = world.party("Ann", "Ben", "Cyd", "Dee")[: 1 + others] if others else world.party("Ann")
    for guest in world.guests[1 + others :]:
        guest.leave()
        world.run(1.0)
    ann.leave()
    world.run(2.0)
    assert ann.finished == "left"
    for guest in rest:
        assert guest.hosts == ["Ben"]
    if rest:
        agree(rest)


def test_a_host_who_vanishes_is_succeeded_after_a_minute() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.vanish()
    world.run(VANISH_S - 1.0)
    assert ben.hosts == ["Ann"]
    world.run(3.0)
    agree([ben, cyd])
    assert told_hosts(ben) == told_hosts(cyd) == [["Ben"]]
    ben.kick(cyd)
    world.run(1.0)
    assert cyd.finished == "removed"


def test_the_successor_is_one_of_those_the_policy_names() -> None:
    world = World()
    dee_identity = Identity.create("Dee", world.rng)
    rules = RoomRules(successors=(fingerprint(dee_identity.public_key),))
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd", rules=rules)
    dee = world.guest("Dee", identity=dee_identity)
    world.run(1.0)
    ann.leave()
    world.run(1.0)
    agree([ben, cyd, dee])
    assert ben.hosts == ["Dee"]
    dee.leave()  # nobody who is named is left
    world.run(1.0)
    agree([ben, cyd])
    assert ben.hosts == ["Ben"]


def test_another_host_who_stays_needs_no_successor() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(cyd, stay=True)
    world.run(1.0)
    ann.leave()
    world.run(1.0)
    agree([ben, cyd])
    assert ben.hosts == ["Cyd"]
    assert len(told_hosts(ben)) == 1


def test_a_group_without_a_host_gets_none_by_anyones_leaving() -> None:
    world = World()
    ben, cyd, dee = world.guest("Ben"), world.guest("Cyd"), world.guest("Dee")
    world.run(SOLITUDE_S + 2.0)
    ben.leave()
    world.run(2.0)
    agree([cyd, dee])
    assert cyd.hosts == []
    assert cyd.of(PolicyChanged) == []


def test_newcomers_are_told_since_when_the_others_are_there() -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    for guest in (ann, ben, cyd, dee):
        since = {who.name: who.here_since for who in guest.membership.roster.by_leaf.values()}
        assert since == {"Ann": 0, "Ben": 1, "Cyd": 2, "Dee": 3}
        assert guest.membership.roster.is_complete


def test_whoever_comes_back_has_been_here_all_the_time_and_whoever_comes_anew_has_not() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.tamper = lambda message: (
        [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]
    )
    dee = world.guest("Dee")
    world.run(0.5)
    ben.tamper = lambda message: [message]
    world.run(8.0)
    agree([ann, ben, cyd, dee])
    for guest in (ann, ben, cyd, dee):
        since = {who.name: who.here_since for who in guest.membership.roster.by_leaf.values()}
        assert since == {"Ann": 0, "Ben": 1, "Cyd": 2, "Dee": 3}
        assert guest.membership.roster.is_complete
    ben.cut()
    world.run(VANISH_S + 20.0)
    ben.back()
    world.run(10.0)
    agree([ann, ben, cyd, dee])
    ann.leave()
    world.run(1.0)
    assert dee.hosts == ["Cyd"]


def test_one_who_was_not_told_since_when_the_others_are_there_asks_and_is_answered_by_the_committer() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.tamper = lambda message: [] if isinstance(message, wire.Accepted) else [message]  # it never sends the table
    cyd = world.guest("Cyd")
    world.run_until(lambda: cyd.is_member)
    ann.cut()
    ann.tamper = lambda message: [message]
    ann.session._call.outbox._unsent.clear()
    world.run(1.0)
    ann.session._call.presences.tell_newcomers = lambda membership: None  # type: ignore[method-assign]
    ann.back()
    world.run(1.0)
    del ann.session._call.presences.tell_newcomers
    world.run(40.0)
    agree([ann, ben, cyd])
    assert cyd.membership.roster.is_complete


@pytest.mark.parametrize("moment_s", [0.0, 0.15, 0.21, 0.25, 0.3, 0.5])
def test_the_relay_dies_while_the_host_leaves_and_all_find_together_under_one_host(moment_s: float) -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    cyd.delay_s = 0.05
    ann.leave()
    world.run(moment_s)
    world.kill_relay()
    world.run(1.0)
    world.start_relay()
    world.run(VANISH_S + 40.0)
    agree([ben, cyd, dee])
    assert ben.hosts == ["Ben"]


def test_a_succession_that_only_its_maker_saw_before_the_relay_died_leaves_one_host() -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    ann.leave()
    for other in (cyd, dee):
        other.tamper = lambda message: (
            [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]
        )
    world.run_until(lambda: ben.hosts == ["Ben"])
    world.kill_relay()
    for other in (cyd, dee):
        other.tamper = lambda message: [message]
    world.start_relay()
    world.run(VANISH_S + 60.0)
    agree([ben, cyd, dee])
    assert len(cyd.hosts) == 1


def test_a_handing_over_that_one_missed_is_believed_of_the_new_host_after_a_restart() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.tamper = lambda message: (
        [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]
    )
    ann.hand_over(ben)
    world.run(0.1)
    world.kill_relay()
    cyd.tamper = lambda message: [message]
    world.start_relay()
    world.run(60.0)
    agree([ann, ben, cyd])
    assert cyd.hosts == ["Ben"]
    assert [event.rejoined for event in cyd.of(Reconnected)][-1:] == [True]


# --- muting


def test_a_host_asks_one_to_mute_and_nobody_else_is_told() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.ask_to_mute(cyd)
    world.run(0.5)
    assert [event.by.name for event in cyd.of(MuteRequested)] == ["Ann"]
    assert ben.of(MuteRequested) == ann.of(MuteRequested) == []
    assert not cyd.session.status.muted


def test_who_is_asked_again_and_again_hears_it_every_two_seconds() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    for _ in range(40):
        ann.ask_to_mute(ben)
        world.run(0.1)
    assert len(ben.of(MuteRequested)) == int(4.0 / MUTE_REQUEST_PAUSE_S)


def test_a_request_that_a_commit_overtakes_is_made_again() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.hand_over(ben, stay=True)
    world.run(1.0)
    ben.delay_s = 0.3
    cyd.leave()
    ben.ask_to_mute(ann)
    world.run(0.5)
    assert ann.of(MuteRequested) == []
    world.run(1.0)
    assert [event.by.name for event in ann.of(MuteRequested)] == ["Ben"]
    agree([ann, ben])
