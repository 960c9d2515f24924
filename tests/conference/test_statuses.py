"""What people tell of themselves: muted, a hand raised, recording, willing to be recorded."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import Guest, World, agree
from tuiconf.conference import content
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.events import Joined, RecordingAnnounced, RecordingRefused, StatusChanged
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.refusals import NotAllowed, NotInCall
from tuiconf.conference.statuses import ANSWER_PAUSE_S, SAY_PAUSE_S
from tuiconf.identity.keys import Identity


def told(guest: Guest, name: str) -> list[tuple[bool, bool, bool, bool]]:
    """What was told of someone: muted, hand, recording, recordable."""
    people = [event.participant for event in guest.of(StatusChanged) if event.participant.name == name]
    return [(who.muted, who.hand, who.recording, who.recordable) for who in people]


def shown(guest: Guest, name: str) -> tuple[bool, bool, bool, bool]:
    who = next(person for person in guest.membership.people() if person.name == name)
    return who.muted, who.hand, who.recording, who.recordable


def statuses_sent(guest: Guest) -> int:
    return len([message for message in guest.sent if isinstance(message, wire.Publish)])


DEFAULT = (False, False, False, True)
HAND = (False, True, False, True)
RECORDING = (False, False, True, True)


def test_a_raised_hand_is_seen_by_all_the_one_who_raises_it_included() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.set_status(hand=True)
    assert told(ben, "Ben") == [HAND]
    world.run(1.0)
    assert told(ann, "Ben") == [HAND]
    assert shown(ann, "Ben") == shown(ben, "Ben") == HAND
    ben.set_status(hand=True)
    world.run(1.0)
    assert statuses_sent(ben) == 1 + 1  # the first is its presence
    ben.set_status(hand=False)
    world.run(1.0)
    assert told(ann, "Ben") == [HAND, DEFAULT]


def test_what_changes_quickly_is_said_twice_a_second_and_the_last_word_counts() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.sent.clear()
    for number in range(41):
        ben.set_status(muted=number % 2 == 0)
        world.run(0.05)
    world.run(1.0)
    assert statuses_sent(ben) <= 2.0 / SAY_PAUSE_S + 2
    assert shown(ann, "Ben")[0]


def test_a_status_set_before_joining_is_told_on_joining_and_one_set_without_a_connection_on_return() -> None:
    world = World()
    [ann] = world.party("Ann")
    ben = world.guest("Ben", recordable=False)
    ben.set_status(muted=True)
    world.run(2.0)
    assert shown(ann, "Ben") == (True, False, False, False)
    assert ben.of(Joined)[0].me.muted
    ben.cut()
    ben.set_status(muted=False, hand=True)
    world.run(2.0)
    ben.back()
    world.run(1.0)
    assert shown(ann, "Ben") == (False, True, False, False)


def test_newcomers_are_told_of_whoever_is_not_as_everybody_is() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.set_status(hand=True)
    ben.set_status(muted=True)
    world.run(1.0)
    cyd.sent.clear()
    dee = world.guest("Dee")
    world.run(2.0)
    assert shown(dee, "Ann") == HAND
    assert shown(dee, "Ben") == (True, False, False, True)
    assert cyd.sent == []


def test_a_status_goes_with_its_owner_and_a_leaf_begins_anew() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.set_status(hand=True)
    world.run(1.0)
    leaf = ben.leaf
    ben.leave()
    cyd = world.guest("Cyd")
    world.run(2.0)
    assert cyd.leaf == leaf
    assert shown(ann, "Cyd") == shown(cyd, "Cyd") == DEFAULT


def without_commits(message: wire.RelayMessage) -> list[wire.RelayMessage]:
    return [] if isinstance(message, wire.Ordered) and message.kind is wire.Kind.COMMIT else [message]


def test_after_a_return_by_knocking_all_see_the_same_of_each_other() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.set_status(hand=True)
    ben.set_status(muted=True, hand=True)
    world.run(1.0)
    ben.tamper = without_commits
    dee = world.guest("Dee")
    world.run(0.5)
    ben.tamper = lambda message: [message]
    ann.set_status(hand=False)
    world.run(10.0)
    agree([ann, ben, cyd, dee])
    for guest in (ann, ben, cyd, dee):
        assert shown(guest, "Ben") == (True, True, False, True)
        assert shown(guest, "Ann") == DEFAULT
    assert told(ben, "Ann")[-1] == DEFAULT


# --- recording


def test_who_may_be_recorded_is_who_has_said_so_since_the_announcement() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    cyd = world.guest("Cyd", recordable=False)
    world.run(1.0)
    ann.delay_s = 0.2
    assert not ann.session.may_record(ben.leaf)
    ann.set_status(recording=True)
    world.run(0.3)
    assert ann.of(RecordingAnnounced) == []
    assert not ann.session.may_record(ann.leaf)
    world.run(0.15)
    assert len(ann.of(RecordingAnnounced)) == 1
    assert ann.session.may_record(ann.leaf)
    world.run(6.0)
    assert ann.session.may_record(ben.leaf)
    assert not ann.session.may_record(cyd.leaf)
    assert not ann.session.may_record(99)
    assert shown(ben, "Ann") == shown(cyd, "Ann") == RECORDING
    cyd.set_status(recordable=True)
    ben.set_status(recordable=False)
    world.run(6.0)
    assert not ann.session.may_record(ben.leaf)
    assert ann.session.may_record(cyd.leaf)
    ann.set_status(recording=False)
    assert not ann.session.may_record(cyd.leaf)
    assert not ben.session.may_record(cyd.leaf)


def test_a_newcomer_is_recorded_once_they_have_agreed() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.set_status(recording=True)
    world.run(1.0)
    cyd = world.guest("Cyd")
    world.run_until(lambda: cyd.is_member)
    assert not ann.session.may_record(cyd.leaf)
    assert ann.session.may_record(ben.leaf)
    world.run(6.0)
    assert ann.session.may_record(cyd.leaf)
    assert shown(cyd, "Ann") == RECORDING
    leaf = cyd.leaf
    cyd.leave()
    dee = world.guest("Dee", recordable=False)
    world.run(6.0)
    assert dee.leaf == leaf
    assert not ann.session.may_record(leaf)


def test_an_announcement_that_the_relay_takes_late_is_late() -> None:
    world = World()
    ann, _ = world.party("Ann", "Ben")
    ann.cut()
    ann.set_status(recording=True)
    world.run(10.0)
    assert ann.of(RecordingAnnounced) == []
    ann.back()
    world.run(1.0)
    assert len(ann.of(RecordingAnnounced)) == 1


def test_an_announcement_whose_answer_was_lost_is_found_in_the_replay() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.drop_after_sending = lambda message: isinstance(message, wire.Publish)
    ann.set_status(recording=True)
    world.run(10.0)
    assert len(ann.of(RecordingAnnounced)) == 1
    assert ann.session.may_record(ben.leaf)


def test_who_stops_and_begins_again_in_one_breath_is_told_that_it_may() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.set_status(recording=True)
    world.run(6.0)
    ann.set_status(recording=False)
    ann.set_status(recording=True)
    world.run(6.0)
    assert len(ann.of(RecordingAnnounced)) == 2
    assert ann.session.may_record(ben.leaf)
    ann.set_status(recording=False)
    world.run(1.0)
    ann.set_status(recording=True)
    world.run(6.0)
    assert len(ann.of(RecordingAnnounced)) == 3
    assert ann.session.may_record(ben.leaf)


def test_a_recorder_who_comes_back_by_knocking_announces_itself_again_and_is_answered() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.set_status(recording=True)
    world.run(6.0)
    assert ben.session.may_record(cyd.leaf)
    ben.cut()
    world.run(VANISH_S + 20.0)
    ben.back()
    world.run_until(lambda: "Ben" in ann.names)
    assert not ben.session.may_record(cyd.leaf)
    world.run(10.0)
    agree([ann, ben, cyd])
    assert len(ben.of(RecordingAnnounced)) == 2
    assert ben.session.may_record(cyd.leaf)
    assert shown(cyd, "Ben") == RECORDING


def test_one_who_comes_back_by_knocking_is_recorded_after_having_agreed_again() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ben.set_status(recording=True)
    world.run(6.0)
    cyd.tamper = without_commits
    world.guest("Dee")
    world.run(0.5)
    cyd.tamper = lambda message: [message]
    cyd.set_status(recordable=False)
    world.run(12.0)
    assert not ben.session.may_record(cyd.leaf)
    cyd.set_status(recordable=True)
    world.run(6.0)
    assert ben.session.may_record(cyd.leaf)
    assert ben.session.may_record(ann.leaf)


@pytest.mark.parametrize(("record", "host_may"), [("hosts", True), ("nobody", False)])
def test_where_recording_is_not_for_all_nobody_else_can_even_say_that_they_do(record: str, host_may: bool) -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=RoomRules(record=record))
    with pytest.raises(NotAllowed):
        ben.set_status(recording=True)
    if host_may:
        ann.set_status(recording=True)
        world.run(6.0)
        assert ann.session.may_record(ben.leaf)
        assert ben.of(RecordingRefused) == []
    else:
        with pytest.raises(NotAllowed):
            ann.set_status(recording=True)


def test_nobody_records_from_outside() -> None:
    world = World()
    ben = world.guest("Ben")
    with pytest.raises(NotInCall):
        ben.set_status(recording=True)


def test_one_who_records_without_the_right_is_shown_to_all_and_gets_nobodys_word() -> None:
    world = World()
    ann, ben, mal = world.party("Ann", "Ben", "Mal", rules=RoomRules(record="hosts"))
    ben.sent.clear()
    said = content.Status(muted=False, hand=False, recording=True, recordable=True)
    for _ in range(3):
        data = mal.membership.group.protect(content.encode(said), rng=world.rng)
        mal.inject(wire.Publish(request=5, handshake=False, data=data))
    world.run(10.0)
    for guest in (ann, ben):
        assert [event.participant.name for event in guest.of(RecordingRefused)] == ["Mal"]
        assert shown(guest, "Mal") == RECORDING
    assert ben.sent == []


def test_a_host_who_hands_over_where_only_hosts_record_stops_recording() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben", rules=RoomRules(record="hosts"))
    ann.set_status(recording=True)
    world.run(6.0)
    ann.hand_over(ben)
    world.run(2.0)
    assert not ann.session.status.recording
    assert not ann.session.may_record(ben.leaf)
    assert told(ann, "Ann")[-1] == told(ben, "Ann")[-1] == DEFAULT
    assert ben.of(RecordingRefused) == []


def test_one_who_begins_to_record_again_and_again_makes_the_others_talk_every_five_seconds_only() -> None:
    world = World()
    _, ben, mal = world.party("Ann", "Ben", "Mal")
    ben.sent.clear()
    for number in range(60):
        said = content.Status(muted=False, hand=False, recording=number % 2 == 0, recordable=True)
        data = mal.membership.group.protect(content.encode(said), rng=world.rng)
        mal.inject(wire.Publish(request=5, handshake=False, data=data))
        world.run(0.5)
    assert statuses_sent(ben) <= 30.0 / ANSWER_PAUSE_S + 1


def test_the_status_of_one_who_is_gone_is_not_given_to_who_sits_there_now() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    said = content.Status(muted=True, hand=True, recording=True, recordable=False)
    late = cyd.membership.group.protect(content.encode(said), rng=world.rng)
    cyd.leave()
    dee = world.guest("Dee", identity=Identity.create("Dee", world.rng))
    world.run(1.0)
    ben.inject(wire.Publish(request=9999, handshake=False, data=late))
    world.run(1.0)
    assert shown(ann, "Dee") == DEFAULT
    assert dee.is_member
