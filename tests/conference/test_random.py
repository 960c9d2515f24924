"""Whatever people, networks and the relay do, for hundreds of steps: afterwards all who are there are in one call."""

from __future__ import annotations

import pytest

from tests.conference.world import Guest, World, agree
from tuiconf.conference.events import (
    ChatReceived,
    EpochChanged,
    Joined,
    ParticipantJoined,
    ParticipantLeft,
    Reconnected,
    Reconnecting,
)

STEPS = 120
MOST = 7


class Chaos:
    """Does one random thing after the other, and remembers what must come of it."""

    def __init__(self, seed: int, *, restarts: bool = True) -> None:
        self.world = World(seed)
        self.restarts = restarts
        self.random = self.world.random
        self.host = self.world.guest("Host", creator=True)
        self.lines: list[tuple[str, str]] = []  # who said what, while in the call
        self.names = 0
        self.world.run(0.5)

    def step(self) -> None:
        usual = [self.join, self.join, self.leave, self.kick, self.say, self.say]
        act = self.random.choice([*usual, self.cut, self.flicker, self.slow, self.slow, self.restart])
        act()
        self.world.run(self.random.choice([0.0, 0.05, 0.3, 1.0, 3.0]))
        for guest in self.world.present():
            if guest.away and self.random.random() < 0.3:
                guest.back()

    def others(self) -> list[Guest]:
        return [guest for guest in self.world.present() if guest is not self.host]

    def join(self) -> None:
        if len(self.world.present()) < MOST:
            self.names += 1
            self.world.guest(f"Guest {self.names}")

    def leave(self) -> None:
        if others := self.others():
            self.random.choice(others).leave()

    def kick(self) -> None:
        members = self.host.session.membership
        if members is None or self.host.session.phase.value != "member":
            return
        if leaves := sorted(set(members.roster.by_leaf) - {members.own_leaf}):
            self.host.perform(self.host.session.remove(self.random.choice(leaves), self.world.at))

    def cut(self) -> None:
        """For some seconds, mostly."""
        self.random.choice(self.world.present()).cut()

    def flicker(self) -> None:
        self.random.choice(self.world.present()).cut(away=False)

    def slow(self) -> None:
        self.random.choice(self.world.present()).delay_s = self.random.choice([0.001, 0.05, 0.2, 0.7])

    def say(self) -> None:
        guest = self.random.choice(self.world.present())
        text = f"line {len(self.lines)}"
        guest.say(text)
        self.lines.append((guest.identity.name, text))

    def restart(self) -> None:
        if self.restarts and self.random.random() < 0.3:
            self.world.kill_relay()
            self.world.run(self.random.choice([0.1, 1.0, 4.0]))
            self.world.start_relay()

    def settle(self) -> None:
        for guest in self.world.present():
            guest.delay_s = 0.005
            guest.back()
        self.world.run(150.0)


def check_events(guest: Guest) -> None:
    """The events tell one story: who is here is what was told, and nothing is told twice."""
    here: set[str] = set()
    offline = False
    for event in guest.events:
        match event:
            case Joined():
                assert not here
                here = {person.name for person in event.participants}
                offline = False
            case ParticipantJoined():
                assert event.participant.name not in here
                here.add(event.participant.name)
            case ParticipantLeft():
                here.remove(event.participant.name)
            case Reconnecting():
                assert not offline
                offline = True
            case Reconnected():
                offline = False
            case _:
                pass
    assert sorted(here) == guest.names
    shown = [(event.participant.name, event.text) for event in guest.of(ChatReceived)]
    assert len(set(shown)) == len(shown)


def check_bounds(guest: Guest) -> None:
    """Nothing is left waiting after a quiet time."""
    timer = guest.session.next_timer()
    assert timer is None or timer > guest.world.now


@pytest.mark.parametrize("seed", range(6))
def test_after_any_trouble_all_who_are_there_are_in_one_call(seed: int) -> None:
    chaos = Chaos(seed)
    for _ in range(STEPS):
        chaos.step()
    chaos.settle()
    present = chaos.world.present()
    assert chaos.host in present
    agree(present)
    for guest in present:
        check_events(guest)
        check_bounds(guest)
    last = [guest.of(EpochChanged)[-1].security_code for guest in present if guest.of(EpochChanged)]
    assert len(set(last)) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_while_one_relay_lives_an_epoch_never_has_two_codes(seed: int) -> None:
    chaos = Chaos(200 + seed, restarts=False)
    for _ in range(STEPS):
        chaos.step()
    chaos.settle()
    agree(chaos.world.present())
    assert {len(codes) for codes in chaos.world.codes.values()} == {1}


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_in_a_quiet_room_after_any_trouble_is_heard_once_by_all(seed: int) -> None:
    chaos = Chaos(100 + seed)
    for _ in range(40):
        chaos.step()
    chaos.settle()
    present = chaos.world.present()
    for guest in present:
        guest.take()
        guest.say(f"{guest.identity.name} was here")
    chaos.world.run(2.0)
    for guest in present:
        heard = sorted(event.text for event in guest.of(ChatReceived))
        assert heard == sorted(f"{other.identity.name} was here" for other in present if other is not guest)
