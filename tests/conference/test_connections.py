"""Connections come and go, relays are restarted; the group and the chat go on."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.commits import TAKE_OVER_S
from tuiconf.conference.entering import SOLITUDE_S
from tuiconf.conference.events import (
    ChatReceived,
    CommitRefused,
    EpochChanged,
    Failed,
    ParticipantJoined,
    ParticipantLeft,
    Reconnected,
    Reconnecting,
)
from tuiconf.conference.outbox import MAX_WAITING
from tuiconf.errors import LocalProtocolError


def heard(guest: Guest) -> list[str]:
    return [event.text for event in guest.of(ChatReceived)]


def came_and_went(guest: Guest) -> int:
    return len(guest.of(ParticipantJoined)) + len(guest.of(ParticipantLeft))


def test_a_relay_that_tells_of_connections_without_end_makes_nothing_grow() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    for invented in range(1000, 1000 + 2 * wire.MAX_CONNECTIONS_LISTED):
        assert ann.session.receive(wire.Came(connection=invented), world.at) == []
    assert len(ann.session._call.attendance.connections) == wire.MAX_CONNECTIONS_LISTED
    ann.say("still here")
    world.run(1.0)
    assert heard(ben) == ["still here"]


def test_a_short_absence_is_resumed_in_the_same_epoch() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    world.run(20.0)
    ben.back()
    world.run(1.0)
    agree([ann, ben])
    assert [type(event) for event in ben.take()] == [Reconnecting, Reconnected]
    assert ann.take() == []


def test_commits_missed_are_caught_up_with_on_resumption() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.cut()
    world.run(1.0)
    dee = world.guest("Dee")
    world.run(1.0)
    cyd.leave()
    world.run(1.0)
    ann.say("while you were away")
    world.run(1.0)
    ben.back()
    world.run(1.0)
    agree([ann, ben, dee])
    assert ben.of(Reconnected) == [Reconnected(epoch=2, rejoined=False)]
    assert heard(ben) == ["while you were away"]


def test_who_was_away_for_more_than_a_minute_comes_back_by_knocking() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.cut()
    world.run(VANISH_S + 20.0)
    assert ann.names == ["Ann", "Cyd"]
    ben.back()
    world.run(5.0)
    agree([ann, ben, cyd])
    assert [event.rejoined for event in ben.of(Reconnected)] == [True]
    assert came_and_went(ben) == 0


def test_who_comes_back_by_knocking_is_told_who_came_and_went_meanwhile() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.cut()
    world.run(10.0)
    cyd.leave()
    dee = world.guest("Dee")
    world.run(VANISH_S + 20.0)
    ben.back()
    world.run(5.0)
    agree([ann, ben, dee])
    assert [event.participant.name for event in ben.of(ParticipantLeft)] == ["Cyd"]
    assert [event.participant.name for event in ben.of(ParticipantJoined)] == ["Dee"]


def test_a_resumption_that_finds_us_removed_for_being_gone_is_not_taken_for_a_kick() -> None:
    """The host is the committer, so its commit removes those who vanished; they may come back."""
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    world.run_until(lambda: ann.names == ["Ann"], at_most_s=70.0)
    ben.back()
    world.run(10.0)
    agree([ann, ben])


def test_one_who_is_back_just_before_the_commit_that_removes_it_stays_for_everyone() -> None:
    """The committer judges its own commit where it stands in the order, as the others do."""
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    cyd.cut()
    world.run(VANISH_S + 0.1)
    ann.delay_s = 1000.0  # a host may remove anyone, gone or not; so the next one commits
    world.run(TAKE_OVER_S - 0.05)
    ben.delay_s = 0.5
    world.run(0.35)  # its commit is under way
    cyd.back()
    world.run(3.0)
    ann.cut()
    ann.delay_s = 0.002
    ann.back()
    world.run(3.0)
    agree([ann, ben, cyd, dee])
    assert [event.reason for event in dee.of(CommitRefused)] == ["remove_not_allowed"]
    assert ben.of(CommitRefused) == dee.of(CommitRefused)


def test_one_who_is_back_just_before_the_host_removes_it_for_being_gone_does_not_take_that_for_a_kick() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.cut()
    world.run(VANISH_S + 0.1)
    ann.delay_s = 0.5
    world.run(0.35)
    cyd.back()
    world.run(10.0)
    agree([ann, ben, cyd])


def test_a_host_who_was_away_for_long_comes_back_as_the_host() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.cut()
    world.run(VANISH_S + 30.0)
    ann.back()
    world.run(10.0)
    agree([ann, ben, cyd])
    ann.kick(cyd)
    world.run(1.0)
    agree([ann, ben])


def test_a_restart_of_the_relay_keeps_the_group_and_its_epoch() -> None:
    world = World()
    guests = world.party("Ann", "Ben", "Cyd", "Dee")
    epoch = guests[0].membership.epoch
    world.kill_relay()
    world.run(1.0)
    world.start_relay()
    world.run(10.0)
    agree(guests)
    assert guests[0].membership.epoch == epoch
    for guest in guests:
        assert [type(event) for event in guest.take()] == [Reconnecting, Reconnected]
    world.run(VANISH_S + 20.0)
    agree(guests)
    assert [guest.take() for guest in guests] == [[], [], [], []]


def test_who_does_not_come_back_after_a_restart_is_removed() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.away = True
    world.kill_relay()
    world.start_relay()
    world.run(VANISH_S + 10.0)
    agree([ann, ben])


def test_a_newcomer_who_is_first_after_a_restart_joins_the_old_group() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.away = ben.away = True
    world.kill_relay()
    world.start_relay()
    dee = world.guest("Dee")
    eve = world.guest("Eve")
    world.run(SOLITUDE_S + 2.0)
    assert dee.names == eve.names == ["Dee", "Eve"]
    ann.back()
    world.run(1.0)
    ben.back()
    world.run(10.0)
    agree([ann, ben, dee, eve])
    assert came_and_went(ann) == 2


def test_a_newcomer_who_comes_between_the_old_members_is_let_in() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.away = True
    world.kill_relay()
    world.start_relay()
    world.run(0.35)
    dee = world.guest("Dee")
    world.run(1.0)
    ben.back()
    world.run(10.0)
    agree([ann, ben, dee])


def test_a_commit_whose_answer_was_lost_is_found_in_the_replay() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.drop_after_sending = lambda message: isinstance(message, wire.Commit)
    cyd = world.guest("Cyd")
    world.run(5.0)
    agree([ann, ben, cyd])
    assert len([message for message in ann.sent if isinstance(message, wire.Commit)]) == 2  # Ben's, and this one
    assert ann.membership.epoch == 2


def test_a_commit_that_never_arrived_is_made_again() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    cyd = world.guest("Cyd")
    world.run_until(lambda: len([m for m in ann.sent if isinstance(m, wire.Commit)]) == 2)
    ann.cut(away=False)
    world.run(5.0)
    agree([ann, ben, cyd])


def test_of_two_commits_at_once_the_loser_takes_the_winners() -> None:
    """The committer is slow, so the next one takes over, and both arrive."""
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.delay_s = 0.9
    dee = world.guest("Dee")
    world.run(10.0)
    ann.delay_s = 0.002
    world.run(5.0)
    agree([ann, ben, cyd, dee])
    assert len(world.codes) == 4


def test_one_who_missed_a_commit_is_replaced_without_coming_or_going() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    leaf = ben.leaf

    def without_commits(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        lost = isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT
        return [] if lost else [message]

    ben.tamper = without_commits
    dee = world.guest("Dee")
    world.run(0.5)
    ben.tamper = lambda message: [message]
    world.run(8.0)
    agree([ann, ben, cyd, dee])
    assert leaf == 1
    assert ben.of(Reconnected) == [Reconnected(epoch=ben.membership.epoch, rejoined=True)]
    for other in (ann, cyd):
        assert [event.participant.name for event in other.of(ParticipantJoined)] == ["Dee"]
        assert other.of(ParticipantLeft) == []
    assert [event.participant.name for event in ben.of(ParticipantJoined)] == ["Dee"]


def test_a_commit_that_only_its_maker_saw_before_the_relay_died_splits_nobody_off() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    for other in (ben, cyd):
        other.tamper = lambda message: [] if isinstance(message, wire.Ordered) else [message]
    dee = world.guest("Dee")
    world.run_until(lambda: ann.membership.epoch == 3)
    world.kill_relay()
    for other in (ben, cyd):
        other.tamper = lambda message: [message]
    world.start_relay()
    world.run(20.0)
    agree([ann, ben, cyd, dee])
    assert ben.membership.epoch > 3


def test_two_parts_of_a_group_with_one_epoch_number_find_each_other_in_the_hosts_part() -> None:
    """The relay died with a commit that only Ann saw; while she was away, the others made another in its place."""
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    for other in (ben, cyd):
        other.tamper = lambda message: [] if isinstance(message, wire.Ordered) else [message]
    dee = world.guest("Dee")
    world.run_until(lambda: ann.membership.epoch == 3)
    dee.vanish()
    ann.away = True
    world.kill_relay()
    for other in (ben, cyd):
        other.tamper = lambda message: [message]
    world.start_relay()
    eve = world.guest("Eve")
    world.run(6.0)
    assert ben.membership.epoch == ann.membership.epoch == 3
    assert ben.code != ann.code
    ann.back()
    world.run(100.0)
    agree([ann, ben, cyd, eve])
    assert ann.membership.is_host


def test_a_quiet_room_is_told_by_one_member_every_half_minute_that_it_goes_on() -> None:
    world = World()
    guests = world.party("Ann", "Ben", "Cyd")
    for guest in guests:
        guest.sent.clear()
    world.run(600.0)
    assert 19 <= len(guests[0].sent) <= 21
    assert guests[1].sent == guests[2].sent == []


# --- chat


def test_chat_arrives_once_in_order_and_with_its_author() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    for number in range(20):
        ben.say(f"line {number}")
    world.run(2.0)
    for other in (ann, cyd):
        assert heard(other) == [f"line {number}" for number in range(20)]
        assert {event.participant.name for event in other.of(ChatReceived)} == {"Ben"}
    assert heard(ben) == []


def test_what_is_said_before_joining_is_heard_by_those_who_let_us_in() -> None:
    world = World()
    [ann] = world.party("Ann")
    ben = world.guest("Ben")
    ben.say("hello")
    world.run(2.0)
    assert heard(ann) == ["hello"]


@pytest.mark.parametrize("answered", [True, False])
def test_a_line_whose_answer_was_lost_is_shown_once(answered: bool) -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    if answered:
        ben.drop_after_sending = lambda message: isinstance(message, wire.Publish)
    ben.say("hello")
    if not answered:
        ben.cut(away=False)
    world.run(3.0)
    ben.say("again")
    world.run(1.0)
    assert heard(ann) == ["hello", "again"]


def test_a_line_taken_by_a_relay_that_died_is_shown_once() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.tamper = lambda message: [] if isinstance(message, wire.Accepted) else [message]
    ben.say("hello")
    world.run(0.5)
    assert heard(ann) == ["hello"]
    world.kill_relay()
    ben.tamper = lambda message: [message]
    world.start_relay()
    world.run(5.0)
    ben.say("and on")
    world.run(1.0)
    assert heard(ann) == ["hello", "and on"]


def test_what_is_said_without_a_connection_is_heard_when_there_is_one() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    ben.say("one")
    ben.say("two")
    world.run(5.0)
    ben.back()
    world.run(1.0)
    assert heard(ann) == ["one", "two"]


def test_what_waited_for_so_long_that_its_author_was_removed_is_heard_after_the_return() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    ben.say("patience")
    world.run(VANISH_S + 20.0)
    ben.back()
    world.run(5.0)
    assert heard(ann) == ["patience"]


def test_a_line_of_the_epoch_before_is_shown_as_its_authors() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.delay_s = 0.5  # so that it says this before it knows of the commit
    cyd = world.guest("Cyd")
    world.run_until(lambda: cyd.is_member)
    ben.say("late")
    world.run(3.0)
    assert [(e.participant.name, e.text) for e in ann.of(ChatReceived)] == [("Ben", "late")]


def test_a_line_of_one_who_has_gone_is_not_put_into_the_mouth_of_who_sits_there_now() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    group, leaf = cyd.membership.group, cyd.leaf
    late = cyd.membership.group.protect(_chat("I was here"), rng=world.rng)
    assert group is cyd.membership.group
    cyd.leave()
    dee = world.guest("Dee")
    world.run(1.0)
    assert dee.leaf == leaf
    ben.inject(wire.Publish(request=9999, handshake=False, data=late))
    world.run(1.0)
    assert [(e.participant.name, e.text) for e in ann.of(ChatReceived)] == [("Cyd", "I was here")]


def _chat(text: str) -> bytes:
    from tuiconf.conference.content import Chat, encode

    return encode(Chat(number=1, text=text))


def test_a_full_outbox_says_so() -> None:
    world = World()
    _, ben = world.party("Ann", "Ben")
    ben.cut()
    for number in range(MAX_WAITING):
        ben.say(str(number))
    with pytest.raises(LocalProtocolError, match="too many"):
        ben.say("one more")


@pytest.mark.parametrize("text", ["", "x" * 4001, "half a \ud800 character"])
def test_what_is_not_a_line_is_refused(text: str) -> None:
    _, ben = World().party("Ann", "Ben")
    with pytest.raises(LocalProtocolError):
        ben.say(text)


def test_lines_the_relay_refuses_for_haste_are_sent_again_in_order() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    refuse = iter([True, False, True, True] + [False] * 100)

    def hasty(message: wire.RelayMessage) -> list[wire.RelayMessage]:
        if isinstance(message, wire.Accepted) and next(refuse):
            return [wire.Refused(request=message.request, reason=wire.RefusalCode.RATE)]
        return [message]

    ben.tamper = hasty
    for number in range(5):
        ben.say(str(number))
    world.run(10.0)
    assert heard(ann) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("speaker", ["Ann", "Ben"])
def test_whoever_was_just_let_in_hears_what_is_said_from_then_on_and_the_others_hear_it_once(speaker: str) -> None:
    """A line can be sealed before a commit, the speaker's own or another's, and placed after it."""
    world = World()
    ann, ben = world.party("Ann", "Ben")
    saying, listening = (ann, ben) if speaker == "Ann" else (ben, ann)
    cyd = world.guest("Cyd")
    saying.delay_s = 0.1
    while not cyd.is_member:
        world.run(0.005)
    epoch = saying.membership.epoch
    saying.say("welcome")
    saying.say("how are you?")
    world.run(5.0)
    assert cyd.membership.epoch == epoch + 1, "the speaker did not know of the commit yet"
    assert heard(cyd) == heard(listening) == ["welcome", "how are you?"]


# --- goodbyes


@pytest.mark.parametrize(
    "reason", [wire.GoodbyeCode.BAD_PROOF, wire.GoodbyeCode.ROOM_FULL, wire.GoodbyeCode.RELAY_FULL]
)
def test_a_goodbye_that_cannot_change_ends_a_call_that_never_began(reason: wire.GoodbyeCode) -> None:
    world = World()
    ben = world.guest("Ben")
    ben.receive(wire.Goodbye(reason=reason))
    assert ben.finished == "failed"
    assert [(event.code, event.fatal) for event in ben.of(Failed)] == [(reason.value, True)]


@pytest.mark.parametrize("reason", list(wire.GoodbyeCode))
def test_no_goodbye_ends_a_call_that_has_begun(reason: wire.GoodbyeCode) -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.receive(wire.Goodbye(reason=reason))
    world.run(10.0)
    agree([ann, ben])
    assert ben.of(EpochChanged) == []
