"""Whatever members do to a group, in whatever order, they end up with the same secrets."""

from __future__ import annotations

import random

from tests.crypto.mls.people import LINK, NOW, PSKS, Person, Room, person, room
from tuiconf.crypto.mls import KeyPackage, ProposalReceived

STEPS = 500
LARGEST = 9


class Walk:
    """A room in which random members do random things."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.room: Room = room("founder")
        self.gone: list[Person] = []
        self.names = 0

    @property
    def people(self) -> list[Person]:
        return self.room.people

    def newcomer(self) -> Person:
        """Somebody new, or somebody back from before."""
        if self.gone and self.choice.random() < 0.4:
            return self.gone.pop()
        self.names += 1
        return person(f"person {self.names}")

    def step(self) -> None:
        committer = self.choice.choice(self.people)
        leaving: set[int] = set()
        for other in self.people:
            if other is not committer and self.choice.random() < 0.15:
                self.propose(other, leaving)
        newcomers = [self.newcomer() for _ in range(self.choice.randint(0, 2)) if len(self.people) < LARGEST]
        others = [p.group.own_leaf for p in self.people if p is not committer]
        remove = [leaf for leaf in others if leaf not in leaving and self.choice.random() < 0.1]
        self.commit(committer, [newcomer.offer() for newcomer in newcomers], newcomers, remove)

    def propose(self, proposer: Person, leaving: set[int]) -> None:
        group, public = proposer.group, self.choice.random() < 0.5
        kind = self.choice.choice(["update", "update", "leave", "psk"])
        if kind == "update":
            message = group.propose_update(public=public, rng=proposer.rng)
        elif kind == "leave":
            message = group.propose_remove(group.own_leaf, public=public, rng=proposer.rng)
            leaving.add(group.own_leaf)
        else:
            message = group.propose_psk(LINK, public=public, rng=proposer.rng)
        for other in self.people:
            if other is not proposer:
                assert isinstance(other.hear(message), ProposalReceived)

    def commit(self, committer: Person, add: list[KeyPackage], newcomers: list[Person], remove: list[int]) -> None:
        before = list(self.people)
        staged = committer.group.commit(
            add=add,
            remove=remove,
            psk=[LINK] if add else [],
            with_path=True if self.choice.random() < 0.3 else None,
            public=self.choice.random() < 0.3,
            psks=PSKS,
            rng=committer.rng,
            now=NOW,
        )
        self.room.take_up(committer, staged, newcomers)
        self.gone += [each for each in before if each not in self.people]
        removed = {each.member.leaf for each in staged.changes.removed}
        assert removed == {each.group.own_leaf for each in before if each not in self.people}


def test_members_agree_after_each_of_500_random_steps() -> None:
    walk = Walk(seed=9420)
    sizes = set()
    for number in range(STEPS):
        walk.step()
        assert walk.room.agree(), f"step {number}"
        sizes.add(len(walk.people))
        speaker = walk.choice.choice(walk.people)
        text = speaker.say(b"after step %d" % number)
        assert all(p.hear_text(text).data == b"after step %d" % number for p in walk.people if p is not speaker)
        assert len({p.group.ratchet_tree for p in walk.people}) == 1
    assert max(sizes) >= LARGEST - 1, "the group has been large"
    assert min(sizes) <= 2, "the group has been small"
