"""The lobby and the lock: who waits, who decides, and what becomes of those who wait."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tuiconf.conference.acquaintances import NobodyKnown
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.callers import DENIED_S, MAX_DENIED, Callers, caller_ref
from tuiconf.conference.entering import SOLITUDE_S
from tuiconf.conference.events import Failed, Knocked, KnockEnded, ParticipantJoined, PolicyChanged, Waiting
from tuiconf.conference.policy import RoomRules, RulesRefused
from tuiconf.conference.refusals import NoSuchCaller, NotAllowed, NotInCall
from tuiconf.identity.keys import Identity, fingerprint

EVERYONE = RoomRules(lobby="everyone")
UNKNOWN = RoomRules(lobby="unknown")


def ended(guest: Guest) -> list[tuple[str, str]]:
    return [(event.caller.name, event.reason) for event in guest.of(KnockEnded)]


def knocked(guest: Guest) -> list[str]:
    return [event.caller.name for event in guest.of(Knocked)]


def test_who_comes_to_a_lobby_waits_until_a_host_lets_them_in() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(70.0)
    assert not cyd.is_member
    assert len(cyd.of(Waiting)) == 1
    assert knocked(ann) == ["Cyd"]
    assert knocked(ben) == []
    [caller] = ann.session.callers
    assert ben.session.callers == ()
    assert (caller.name, caller.fingerprint, caller.known) == ("Cyd", fingerprint(cyd.identity.public_key), False)
    ann.perform(ann.session.admit(caller.ref, world.at))
    world.run(0.5)
    agree([ann, ben, cyd])
    assert ended(ann) == [("Cyd", "admitted")]
    assert ann.session.callers == ()


def test_since_when_someone_waits_is_known_also_if_they_came_before_one_could_admit() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=EVERYONE)
    before = world.at.unix
    world.guest("Cyd")
    world.run(2.0)
    since = ann.caller("Cyd").since
    assert before <= since <= before + 1.0
    ann.hand_over(ben)
    world.run(5.0)
    assert before <= ben.caller("Cyd").since <= before + 1.0
    world.run(40.0)
    assert ben.caller("Cyd").since == pytest.approx(since, abs=0.5)  # who knocks again has waited all the time


def test_an_admission_is_committed_at_once() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(5.0)
    ann.admit("Cyd")
    assert world.run_until(lambda: cyd.is_member) < 0.1


def test_who_is_known_to_one_who_may_admit_is_let_in_by_itself_and_others_wait() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=UNKNOWN)
    cyd, dee = world.guest("Cyd"), world.guest("Dee")
    ann.knows(cyd)
    ben.knows(dee)  # who may not admit
    world.run(5.0)
    agree_without(dee, [ann, ben, cyd])
    assert knocked(ann) == ["Dee"]
    assert knocked(ben) == []


def test_whoever_becomes_known_while_they_wait_is_let_in() -> None:
    world = World()
    [ann] = world.party("Ann", rules=UNKNOWN)
    cyd = world.guest("Cyd")
    world.run(2.0)
    assert [caller.known for caller in ann.session.callers] == [False]
    ann.knows(cyd)
    world.run(15.0)
    agree([ann, cyd])
    assert ended(ann) == [("Cyd", "admitted")]


def test_when_all_may_admit_everybody_is_told_and_anybody_can() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=RoomRules(lobby="everyone", admit="members"))
    cyd = world.guest("Cyd")
    world.run(1.0)
    assert knocked(ann) == knocked(ben) == ["Cyd"]
    ben.admit("Cyd")
    world.run(0.5)
    agree([ann, ben, cyd])
    assert ended(ann) == ended(ben) == [("Cyd", "admitted")]


def test_one_who_goes_away_while_they_wait_is_gone_from_the_lobby() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(1.0)
    ref = ann.caller("Cyd").ref
    cyd.leave()
    world.run(1.0)
    assert ended(ann) == [("Cyd", "gone")]
    with pytest.raises(NoSuchCaller):
        ann.session.admit(ref, world.at)
    with pytest.raises(NoSuchCaller):
        ann.session.deny(ref, world.at)


def test_one_who_loses_the_connection_after_being_admitted_is_let_in_on_return() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(1.0)
    cyd.cut()
    ann.admit("Cyd")
    world.run(3.0)
    assert not cyd.is_member
    cyd.back()
    world.run(20.0)
    agree([ann, cyd])


def test_one_who_waited_before_the_relay_was_started_anew_is_not_taken_for_who_has_that_connection_now() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(1.0)
    number = cyd.connection
    cyd.vanish()
    ann.away = True
    world.kill_relay()
    world.start_relay()
    ann.back()
    world.run(1.0)
    dee = world.guest("Dee")
    world.run(1.0)
    assert dee.connection == number
    assert [caller.name for caller in ann.session.callers] == ["Dee"]
    ann.set_lobby("off")
    world.run(2.0)
    agree([ann, dee])


def test_one_who_stops_knocking_is_gone_after_a_minute() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    stranger = world.stranger()
    stranger.knock(stranger.package(Identity.create("Eve", world.rng)).key_package)
    world.run(59.0)
    assert knocked(ann) == ["Eve"]
    assert ended(ann) == []
    world.run(2.0)
    ann.handle_timer()
    assert ended(ann) == [("Eve", "gone")]


def test_one_who_waits_under_another_name_than_before_is_shown_anew_and_not_admitted_as_the_old() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    eve = Identity.create("Eve", world.rng)
    stranger = world.stranger()
    stranger.knock(stranger.package(eve).key_package)
    world.run(0.1)
    ann.session._call.commits.hold(world.now + 1.0)  # as after a refusal for haste
    ann.admit("Eve")
    stranger.knock(stranger.package(Identity(name="Ann's brother", seed=eve.seed)).key_package)
    world.run(5.0)
    assert ann.names == ["Ann"]
    assert knocked(ann) == ["Eve", "Ann's brother"]
    assert ended(ann) == [("Eve", "gone")]


def test_a_denial_is_told_to_the_one_who_waits_who_goes_on_waiting_unseen_for_ten_minutes() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=RoomRules(lobby="everyone", admit="members"))
    cyd = world.guest("Cyd")
    world.run(1.0)
    ann.deny("Cyd")
    world.run(1.0)
    assert ended(ann) == ended(ben) == [("Cyd", "denied")]
    assert ben.session.callers == ()
    assert [(event.code, event.fatal) for event in cyd.of(Failed)] == [("denied", False)]
    world.run(DENIED_S - 30.0)
    assert knocked(ann) == knocked(ben) == ["Cyd"]
    assert cyd.finished is None
    world.run(120.0)
    assert knocked(ann) == knocked(ben) == ["Cyd", "Cyd"]
    ben.admit("Cyd")
    world.run(1.0)
    agree([ann, ben, cyd])


def test_of_a_denial_and_an_admission_at_once_all_take_the_same() -> None:
    for ben_delay in (0.0, 0.001, 0.05, 0.3):
        world = World()
        ann, ben = world.party("Ann", "Ben", rules=RoomRules(lobby="everyone", admit="members"))
        cyd = world.guest("Cyd")
        world.run(1.0)
        ann.delay_s, ben.delay_s = 0.1, 0.1 + ben_delay
        ann.deny("Cyd")
        ben.admit("Cyd")
        world.run(5.0)
        agree([ann, ben, cyd])
        assert ended(ann)[-1][1] in ("denied", "admitted")
        assert ann.session.callers == ben.session.callers == ()


def test_an_admission_that_a_denial_overtakes_is_not_made() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=RoomRules(lobby="everyone", admit="members"))
    cyd = world.guest("Cyd")
    world.run(1.0)
    ben.session._call.commits.hold(world.now + 1.0)
    ben.admit("Cyd")
    ann.deny("Cyd")
    world.run(10.0)
    agree_without(cyd, [ann, ben])
    assert ended(ben) == [("Cyd", "denied")]


def test_a_denial_that_a_commit_overtakes_is_said_again() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd", rules=RoomRules(lobby="everyone", admit="members"))
    eve = world.guest("Eve")
    world.run(1.0)
    ben.sent.clear()
    ben.delay_s = 0.3
    cyd.leave()
    ben.deny("Eve")
    world.run(0.5)
    assert ann.membership.epoch == 3
    assert ended(ann) == []
    world.run(2.0)
    agree_without(eve, [ann, ben])
    assert ended(ann) == [("Eve", "denied")]
    assert len([message for message in ben.sent if isinstance(message, wire.Publish)]) == 2


def test_a_denied_one_is_not_let_in_for_being_known() -> None:
    world = World()
    [ann] = world.party("Ann", rules=UNKNOWN)
    cyd = world.guest("Cyd")
    world.run(1.0)
    ann.deny("Cyd")
    ann.knows(cyd)
    world.run(60.0)
    assert not cyd.is_member


def test_a_member_who_comes_back_does_not_wait() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=EVERYONE)

    def without_commits(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        return [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]

    ben.tamper = without_commits
    cyd = world.guest("Cyd")
    world.run(0.5)
    ann.admit("Cyd")
    world.run(0.5)
    ben.tamper = lambda message: [message]
    world.run(8.0)
    agree([ann, ben, cyd])
    assert knocked(ann) == ["Cyd"]


def test_a_host_who_was_removed_for_being_gone_does_not_wait_in_the_lobby_of_the_successor() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=EVERYONE)
    ann.cut()
    world.run(VANISH_S + 20.0)
    assert ben.hosts == ["Ben"]
    ann.back()
    world.run(10.0)
    agree([ann, ben])
    assert ben.hosts == ["Ann", "Ben"]


def test_guests_who_made_a_group_for_want_of_company_wait_in_the_creators_lobby() -> None:
    world = World()
    ben, cyd = world.guest("Ben"), world.guest("Cyd")
    world.run(SOLITUDE_S + 2.0)
    agree([ben, cyd])
    ann = world.guest("Ann", creator=True, rules=EVERYONE)
    world.run(35.0)
    for _ in range(2):
        world.run_until(lambda: bool(ann.session.callers), at_most_s=60.0)
        ann.admit(ann.session.callers[0].name)
    world.run(10.0)
    agree([ann, ben, cyd])
    assert ann.hosts == ["Ann"]


def test_a_lobby_that_is_opened_lets_in_all_who_wait_and_one_that_is_closed_nobody_more() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(1.0)
    ann.set_lobby("off")
    world.run(1.0)
    agree([ann, cyd])
    assert ended(ann) == [("Cyd", "admitted")]
    ann.set_lobby("everyone")
    world.run(1.0)
    dee = world.guest("Dee")
    world.run(5.0)
    assert not dee.is_member
    assert [event.lobby for event in cyd.of(PolicyChanged)] == ["everyone"]
    assert knocked(cyd) == []


def test_nobody_comes_into_a_locked_room_until_it_is_unlocked() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.lock()
    world.run(1.0)
    assert [event.locked for event in ben.of(PolicyChanged)] == [True]
    cyd = world.guest("Cyd")
    world.run(5.0)
    assert not cyd.is_member
    assert knocked(ann) == ["Cyd"]
    with pytest.raises(NotAllowed):
        ann.admit("Cyd")
    ann.lock(False)
    world.run(2.0)
    agree([ann, ben, cyd])


def test_who_is_a_member_comes_back_into_a_locked_room_and_who_was_removed_does_not() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.tamper = lambda message: (
        [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]
    )
    ann.lock()
    world.run(1.0)
    ben.tamper = lambda message: [message]
    world.run(35.0)  # the heartbeat tells it that it missed something
    agree([ann, ben, cyd])
    assert [event.locked for event in ben.of(PolicyChanged)] == [True]
    ann.kick(cyd)
    world.run(1.0)
    again = world.guest("Cyd", identity=cyd.identity)
    world.run(20.0)
    assert not again.is_member


def test_those_who_knock_while_the_lock_is_under_way_stay_outside() -> None:
    world = World()
    [ann] = world.party("Ann")
    ann.delay_s = 0.3
    ann.lock()
    cyd = world.guest("Cyd")
    world.run(10.0)
    assert not cyd.is_member
    assert ann.membership.policy.locked


def test_only_those_with_the_right_can_even_ask_to() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=EVERYONE)
    cyd = world.guest("Cyd")
    world.run(1.0)
    ref = ann.caller("Cyd").ref
    for command in (
        lambda: ben.session.admit(ref, world.at),
        lambda: ben.session.deny(ref, world.at),
        ben.lock,
        lambda: ben.set_lobby("off"),
        lambda: ben.hand_over(ann),
        lambda: ben.ask_to_mute(ann),
        lambda: ben.kick(ann),
    ):
        with pytest.raises(NotAllowed) as refusal:
            command()
        assert refusal.value.code == "not_allowed"
    with pytest.raises(NotInCall):
        cyd.lock()
    with pytest.raises(NotInCall):
        cyd.session.admit(ref, world.at)
    with pytest.raises(RulesRefused):
        ann.set_lobby("shut")


def test_those_denied_are_remembered_up_to_a_number() -> None:
    callers = Callers(lambda _: False, NobodyKnown())
    for number in range(3 * MAX_DENIED):
        callers.denied(caller_ref(number.to_bytes(32, "big")), float(number))
    assert len(callers._denied) == MAX_DENIED


def test_a_flood_in_the_lobby_is_told_once_for_each_and_capped() -> None:
    world = World()
    [ann] = world.party("Ann", rules=EVERYONE)
    strangers = [world.stranger() for _ in range(70)]
    for _ in range(3):
        for number, stranger in enumerate(strangers):
            stranger.knock(
                stranger.package(Identity(name=f"Flood {number}", seed=number.to_bytes(32, "big"))).key_package
            )
        world.run(5.0)
    assert len(ann.of(Knocked)) == len(ann.session.callers) == 64
    assert len(ann.of(ParticipantJoined)) == 0


def agree_without(outside: Guest, inside: list[Guest]) -> None:
    agree(inside)
    assert not outside.is_member
