"""The session as a state machine: what may follow what, and what is asked of the shell."""

from __future__ import annotations

import pytest

from relay_quic import wire
from tests.conference.world import RETRY_S, World, agree
from tuiconf.conference.effects import Emit, Finish, InstallKeys, Send
from tuiconf.conference.events import EpochChanged, LeftReason, Reconnecting, Waiting
from tuiconf.conference.knocking import RENEW_S
from tuiconf.conference.session import LinkState, Phase
from tuiconf.errors import LocalProtocolError


def test_a_move_that_is_not_in_the_table_is_an_error_of_ours() -> None:
    world = World()
    [ann] = world.party("Ann")
    with pytest.raises(LocalProtocolError, match="cannot become entering"):
        ann.session.connected(world.at)
    ann.leave()
    with pytest.raises(LocalProtocolError, match="cannot become member"):
        ann.session._call.move(Phase.MEMBER)


def test_after_the_end_nothing_is_done_and_nothing_waits() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.leave()
    world.run(1.0)
    assert ben.session.phase is Phase.ENDED
    assert ben.session.leave(world.at) == []
    assert ben.session.receive(wire.Came(connection=9), world.at) == []
    assert ben.session.handle_timer(world.at) == []
    assert ben.session.disconnected(world.at) == []
    assert ben.session.next_timer() is None
    assert ann.names == ["Ann"]


def test_without_a_connection_nothing_waits() -> None:
    world = World()
    _, ben = world.party("Ann", "Ben")
    ben.cut()
    assert ben.session.link_state is LinkState.OFFLINE
    ben.say("later")
    assert ben.session.next_timer() is None
    assert ben.session.handle_timer(world.at) == []


def test_leaving_before_having_entered_says_nothing_to_anyone() -> None:
    world = World()
    world.relay_up = False
    ben = world.guest("Ben")
    ben.effects.clear()
    ben.leave()
    assert ben.effects == [Finish(reason=LeftReason.LEFT)]


def test_a_loss_is_told_once_however_often_it_happens() -> None:
    world = World()
    _, ben = world.party("Ann", "Ben")
    ben.cut()
    for _ in range(5):
        ben.perform(ben.session.disconnected(world.at))
    assert ben.of(Reconnecting) == [Reconnecting()]


def test_a_timer_that_is_early_does_nothing() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    for guest in (ann, ben):
        assert guest.session.handle_timer(world.at) == []
        timer = guest.session.next_timer()
        assert timer is None or timer > world.now


def test_the_effects_of_a_kick_come_in_this_order() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ann.effects.clear()
    ben.effects.clear()
    ann.kick(ben)
    world.run(0.5)
    shape = [type(e.message if isinstance(e, Send) else e.event if isinstance(e, Emit) else e) for e in ann.effects]
    assert shape[:3] == [wire.Commit, InstallKeys, EpochChanged]
    assert ben.effects[0] == Send(message=wire.Leave())
    assert ben.effects[1:] == [Finish(reason=LeftReason.REMOVED)]
    keys = next(effect for effect in ann.effects if isinstance(effect, InstallKeys))
    assert keys.removal
    assert set(keys.members) == {0}
    assert repr(keys) == f"<InstallKeys epoch={keys.epoch}>"


def test_one_who_waits_long_shows_fresh_packages_and_is_let_in_by_the_last() -> None:
    world = World()
    stranger = world.stranger()
    ben = world.guest("Ben")
    world.run(3 * RENEW_S)
    assert 3 <= len(set(stranger.knocks_heard())) <= 4
    assert len(ben.of(Waiting)) == 1
    ann = world.guest("Ann", creator=True)
    world.run(20.0)
    agree([ann, ben])


def test_a_welcome_to_the_package_before_the_last_still_lets_in() -> None:
    world = World()
    [ann] = world.party("Ann")
    ann.delay_s = 0.6
    ben = world.guest("Ben")
    world.run(0.1)
    ben.session._call.knocking.spoiled(world.at)
    world.run(3.0)
    agree([ann, ben])


def test_who_is_away_when_the_relay_dies_and_starts_comes_back_into_the_same_group() -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    ben.cut()
    world.kill_relay()
    world.start_relay()
    world.run(10.0)
    ben.back()
    world.run(RETRY_S + 1.0)
    agree([ann, ben])
    assert ann.membership.epoch == 1
