"""Whatever hosts decide, whoever comes, goes and is cut off: all who are there have one policy and the same hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from tests.conference.test_random import check_events
from tests.conference.world import Guest, World, agree
from tuiconf.conference.events import Knocked, KnockEnded, PolicyChanged
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.session import Phase
from tuiconf.errors import LocalProtocolError

STEPS = 120
MOST = 7

RULES = [
    RoomRules(),
    RoomRules(lobby="everyone"),
    RoomRules(lobby="everyone", admit="members", remove="members", record="hosts"),
    RoomRules(lobby="unknown", remove="members"),
]


class Chaos:
    """Everybody tries everything; who may not is told so, and nothing comes of it."""

    def __init__(self, seed: int, *, restarts: bool) -> None:
        self.world = World(seed)
        self.random = self.world.random
        self.restarts = restarts
        self.world.guest("Guest 0", creator=True, rules=RULES[seed % len(RULES)])
        self.names = 0
        self.world.run(0.5)

    def step(self) -> None:
        acts = [self.join, self.join, self.leave, self.remove, self.cut, self.slow, self.restart, self.lobby]
        acts += [self.lock, self.hand_over, self.status, self.ask_to_mute, self.decide, self.decide, self.decide]
        if not self.world.present():
            self.join()
        with contextlib.suppress(LocalProtocolError):
            self.random.choice(acts)()
        self.world.run(self.random.choice([0.0, 0.05, 0.3, 1.0, 3.0, 20.0]))
        for guest in self.world.present():
            if guest.away and self.random.random() < 0.3:
                guest.back()

    def anyone(self) -> Guest:
        return self.random.choice(self.world.present())

    def with_another(self) -> tuple[Guest, int]:
        members = [guest for guest in self.world.present() if guest.is_member]
        if not members:
            raise LocalProtocolError("nobody is a member")
        guest = self.random.choice(members)
        return guest, self.random.choice(sorted(guest.membership.roster.by_leaf))

    def join(self) -> None:
        if len(self.world.present()) < MOST:
            self.names += 1
            self.world.guest(f"Guest {self.names}")

    def leave(self) -> None:
        if len(self.world.present()) > 1:
            self.anyone().leave()

    def remove(self) -> None:
        guest, leaf = self.with_another()
        guest.perform(guest.session.remove(leaf, self.world.at))

    def hand_over(self) -> None:
        guest, leaf = self.with_another()
        guest.perform(guest.session.hand_over(leaf, self.world.at, stay=self.random.random() < 0.5))

    def ask_to_mute(self) -> None:
        guest, leaf = self.with_another()
        guest.perform(guest.session.request_mute(leaf, self.world.at))

    def lock(self) -> None:
        self.anyone().lock(self.random.random() < 0.3)

    def lobby(self) -> None:
        self.anyone().set_lobby(self.random.choice(["off", "unknown", "everyone"]))

    def status(self) -> None:
        self.anyone().set_status(hand=self.random.random() < 0.5, recording=self.random.random() < 0.3)

    def decide(self) -> None:
        for guest in self.world.present():
            for caller in guest.session.callers:
                act: Callable[..., None] = guest.deny if self.random.random() < 0.2 else guest.admit
                act(caller.name)

    def cut(self) -> None:
        self.anyone().cut(away=self.random.random() < 0.7)

    def slow(self) -> None:
        self.anyone().delay_s = self.random.choice([0.001, 0.05, 0.2, 0.7])

    def restart(self) -> None:
        if self.restarts and self.random.random() < 0.4:
            self.world.kill_relay()
            self.world.run(self.random.choice([0.1, 1.0, 4.0]))
            self.world.start_relay()

    def settle(self) -> None:
        """The hosts open the room, and all who want to come in do."""
        if not self.world.present():
            self.join()
        for guest in self.world.present():
            guest.delay_s = 0.005
            guest.back()
        for _ in range(3):
            self.world.run(100.0)
            for guest in self.world.present():
                with contextlib.suppress(LocalProtocolError):
                    guest.lock(False)
                    guest.set_lobby("off")
        self.world.run(100.0)


def check_stories(guest: Guest) -> None:
    """What was told of the lobby and the policy ends where things are."""
    waiting: set[str] = set()
    policy = None
    for event in guest.events:
        match event:
            case Knocked():
                assert event.caller.ref not in waiting
                waiting.add(event.caller.ref)
            case KnockEnded():
                waiting.remove(event.caller.ref)
            case PolicyChanged():
                policy = event
            case _:
                pass
    assert waiting == {caller.ref for caller in guest.session.callers}
    if policy is not None:
        now = guest.membership.policy_event()
        assert (policy.lobby, policy.locked) == (now.lobby, now.locked)


def check_statuses(guests: list[Guest]) -> None:
    for guest in guests:
        seen = {person.name: (person.hand, person.recording) for person in guest.membership.people()}
        assert seen == {
            other.identity.name: (other.session.status.hand, other.session.status.recording) for other in guests
        }


@pytest.mark.parametrize("seed", range(8))
def test_after_any_trouble_all_have_one_policy_and_the_same_hosts(seed: int) -> None:
    chaos = Chaos(1000 + seed, restarts=seed % 2 == 0)
    for _ in range(STEPS):
        chaos.step()
    chaos.settle()
    present = chaos.world.present()
    assert present
    assert all(guest.session.phase is Phase.MEMBER for guest in present)
    agree(present)
    assert len({tuple(guest.hosts) for guest in present}) == 1
    assert bool(present[0].hosts) is bool(present[0].membership.policy.hosts)
    check_statuses(present)
    for guest in present:
        check_events(guest)
        check_stories(guest)
