"""Going: by one's own wish, a host's, or because the connection is gone for good."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import World, agree
from tuiconf.conference.attendance import VANISH_S
from tuiconf.conference.events import EpochChanged, ParticipantLeft
from tuiconf.conference.session import LEAVE_S
from tuiconf.errors import LocalProtocolError


def test_who_leaves_proposes_its_own_removal_and_the_committer_commits_it() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.sent.clear()
    ann.sent.clear()
    cyd.leave()
    world.run(0.5)
    assert [type(message) for message in cyd.sent] == [wire.Publish, wire.Leave]
    assert isinstance(cyd.sent[0], wire.Publish)
    assert cyd.sent[0].handshake
    assert [type(message) for message in ann.sent] == [wire.Commit]
    assert cyd.finished == "left"
    agree([ann, ben])
    assert [(e.participant.name, e.reason) for e in ben.of(ParticipantLeft)] == [("Cyd", "left")]


def test_those_who_leave_within_a_fifth_of_a_second_share_an_epoch() -> None:
    world = World()
    ann, ben, cyd, dee = world.party("Ann", "Ben", "Cyd", "Dee")
    cyd.leave()
    world.run(0.1)
    dee.leave()
    world.run(1.0)
    agree([ann, ben])
    assert len(ann.of(EpochChanged)) == 1


def test_a_join_and_a_leave_at_once_share_an_epoch() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.leave()
    cyd = world.guest("Cyd")
    world.run(1.0)
    agree([ann, cyd])
    assert len(ann.of(EpochChanged)) == 1


def test_the_host_can_leave_and_the_call_goes_on() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.leave()
    world.run(1.0)
    assert ann.finished == "left"
    agree([ben, cyd])
    dee = world.guest("Dee")
    world.run(1.0)
    agree([ben, cyd, dee])


def test_the_last_one_leaves_at_once() -> None:
    world = World()
    [ann] = world.party("Ann")
    ann.leave()
    assert ann.finished == "left"
    assert isinstance(ann.sent[-1], wire.Leave)


def test_who_has_no_connection_leaves_at_once_and_is_removed_by_the_others_later() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    ben.leave()
    assert ben.finished == "left"
    world.run(VANISH_S + 2.0)
    assert ann.names == ["Ann"]
    assert [event.reason for event in ann.of(ParticipantLeft)] == ["vanished"]


def test_who_is_not_let_go_leaves_soon_anyway() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.delay_s = 30.0
    began = world.now
    ben.leave()
    world.run_until(lambda: ben.finished == "left")
    assert world.now - began == pytest.approx(LEAVE_S, abs=0.1)


def test_a_connection_lost_while_leaving_ends_the_call() -> None:
    world = World()
    _, ben = world.party("Ann", "Ben")
    ben.leave()
    ben.cut()
    assert ben.finished == "left"


def test_the_creator_can_remove_someone() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.kick(cyd)
    world.run(0.5)
    assert cyd.finished == "removed"
    agree([ann, ben])
    assert [(e.participant.name, e.reason) for e in ben.of(ParticipantLeft)] == [("Cyd", "removed")]


def test_nobody_else_can_even_ask_to() -> None:
    world = World()
    _, ben, cyd = world.party("Ann", "Ben", "Cyd")
    with pytest.raises(LocalProtocolError):
        ben.kick(cyd)


def test_a_host_can_remove_only_others_who_are_there() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    with pytest.raises(LocalProtocolError):
        ann.kick(ann)
    ben.leave()
    world.run(1.0)
    with pytest.raises(LocalProtocolError):
        ann.perform(ann.session.remove(1, world.at))


def test_a_removal_asked_for_while_offline_meets_the_right_person() -> None:
    """The leaf of the one to be removed may be another's by the time the host is back."""
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    leaf = cyd.leaf
    ann.cut()
    world.run(2.0)
    ann.kick(cyd)
    cyd.leave()
    world.run(5.0)
    dee = world.guest("Dee")
    world.run(5.0)
    assert dee.leaf == leaf
    ann.back()
    world.run(5.0)
    agree([ann, ben, dee])


def test_one_whose_connection_is_gone_for_good_is_removed_after_a_minute_by_one_commit() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    cyd.vanish()
    world.run(VANISH_S - 1.0)
    assert ann.names == ["Ann", "Ben", "Cyd"]
    world.run(3.0)
    agree([ann, ben])
    assert [event.reason for event in ben.of(ParticipantLeft)] == ["vanished"]
    assert len(ben.of(EpochChanged)) == 1


def test_when_the_committer_is_gone_the_next_one_commits() -> None:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    ann.vanish()
    dee = world.guest("Dee")
    took = world.run_until(lambda: dee.is_member)
    assert took < 1.0
    assert ben.code == cyd.code == dee.code


def test_when_the_committer_is_silent_the_next_one_takes_over_in_two_seconds() -> None:
    world = World()
    ann, ben, _ = world.party("Ann", "Ben", "Cyd")
    ann.delay_s = 1000.0
    dee = world.guest("Dee")
    took = world.run_until(lambda: dee.is_member)
    assert 1.5 < took < 2.5
    assert ben.code == dee.code
