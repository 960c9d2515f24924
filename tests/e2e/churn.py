"""A call in which everything happens all the time, and a participant that has to outlive it.

Used small by the tests, and in full by `python -m tests.bench churn`.
"""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.e2e.processes import Participant, World, agree, at_port
from tests.e2e.proxy import Network

# Joiners that are there at once: Python takes a second of a core to start.
AT_ONCE: Final = 2

# How long a cut lasts: less and more than what the client takes for one.
CUTS_S: Final = (0.6, 4.0)


# An attempt to reach a relay is given up after 10 s, with its socket; twice that on a machine under load.
SETTLED_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much happens."""

    joins: int
    restarts: int
    cuts: int
    moves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the participant uses, as it says itself."""

    rss_bytes: int
    tasks: int
    file_descriptors: int

    def holds_more_than(self, before: Usage | None) -> bool:
        """Whether there are tasks or descriptors that were not there before."""
        return before is not None and (self.tasks > before.tasks or self.file_descriptors > before.file_descriptors)


class Churn:
    """Ann hosts, the bot is behind a bad network, and others come and go."""

    def __init__(self, world: World, *, seed: int = 1) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._relay = world.relay()
        self._network = Network(self._relay.address)
        self._joined = 0
        self._next_address = 2
        self._first: Usage | None = None

    def run(self, amount: Amount, *, settle_s: float) -> Iterator[Usage]:
        """Yields the bot's usage `settle_s` after it all began, and again at the end; then everybody agrees."""
        with self._network:
            ann = self._world.host("Ann", self._relay.to_type, "--audio-in", "tone:300")
            through = at_port(ann.link(), self._network.port)
            bot = self._world.join("Bot", through, "--audio-in", "tone:500", "--audio-out", "null")
            bot.joined()
            began = time.monotonic()
            told = False
            for happen in self._programme(amount, ann.link()):
                happen()
                if not told and time.monotonic() - began >= settle_s:
                    told = True
                    self._first = usage(self._world, bot)
                    yield self._first
            self._calm(ann, bot)
            yield self._settled(bot)

    def _programme(self, amount: Amount, link: str) -> list[Callable[[], None]]:
        """Everything, in a random order."""
        happenings: list[Callable[[], None]] = [
            *(lambda: self._visit(link) for _ in range(-(-amount.joins // AT_ONCE))),
            *(self._restart for _ in range(amount.restarts)),
            *(self._cut for _ in range(amount.cuts)),
            *(self._move for _ in range(amount.moves)),
        ]
        self._rng.shuffle(happenings)
        return happenings

    def _visit(self, link: str) -> None:
        """Some come, and go: with a goodbye, or without."""
        visitors = []
        for _ in range(AT_ONCE):
            self._joined += 1
            visitors.append(self._world.join(f"Visitor{self._joined}", link, "--audio-in", "tone:700"))
        for visitor in visitors:
            visitor.joined()
        for visitor in visitors:
            if self._rng.random() < 0.5:
                visitor.signal(signal.SIGTERM)
                visitor.wait()
            visitor.destroy()

    def _restart(self) -> None:
        self._relay.kill()
        self._relay = self._world.restarted(self._relay)

    def _cut(self) -> None:
        self._network.proxy.blackout = True
        time.sleep(self._rng.uniform(*CUTS_S))
        self._network.proxy.blackout = False

    def _move(self) -> None:
        """The bot's address changes, as the relay sees it."""
        self._network.rebind(f"127.0.0.{self._next_address}")
        self._next_address += 1

    def _calm(self, ann: Participant, bot: Participant) -> None:
        """Both are in one group, and hear each other."""
        ann.hears("Bot", more_than=ann.hears("Bot") + 100)
        bot.hears("Ann", more_than=bot.hears("Ann") + 100)
        agree(ann, bot)

    def _settled(self, bot: Participant) -> Usage:
        """The bot's usage once an attempt of before that was overtaken by another has given up. A leak never does."""
        deadline = time.monotonic() + SETTLED_S
        while (now := usage(self._world, bot)).holds_more_than(self._first) and time.monotonic() < deadline:
            time.sleep(0.5)
        return now


def usage(world: World, participant: Participant) -> Usage:
    """What a participant's engine says of itself, over its control socket."""
    home = participant.home.name
    asked = world.command("tuiconf", "ctl", "stats.get", home=home)
    assert asked.wait() == 0, asked.transcript()
    stats = json.loads(asked.lines[0])
    return Usage(rss_bytes=stats["rss_bytes"], tasks=stats["tasks"], file_descriptors=stats["file_descriptors"])
