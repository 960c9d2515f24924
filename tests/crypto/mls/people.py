"""Members for the tests: real keys from a seeded source, and a room that delivers what they send."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tuiconf.crypto.mls import (
    POLICY_EXTENSION,
    Application,
    Group,
    KeyPackage,
    KeyPackageBundle,
    Staged,
    new_key_package,
    parse_key_package,
)

NOW = 1_800_000_000
LINK = b"link"
PSKS = {LINK: b"what the link says".ljust(32)}


def seeded(seed: object) -> Callable[[int], bytes]:
    """A repeatable source of random bytes."""
    state = hashlib.shake_256(repr(seed).encode())
    counter = iter(range(1 << 62))

    def draw(size: int) -> bytes:
        fork = state.copy()
        fork.update(next(counter).to_bytes(8, "big"))
        return fork.digest(size)

    return draw


@dataclass
class Person:
    """Someone with an identity key, in a group or not."""

    name: str
    signing_key: bytes
    rng: Callable[[int], bytes]
    inside: Group | None = None
    bundle: KeyPackageBundle | None = None

    @property
    def group(self) -> Group:
        assert self.inside is not None, f"{self.name} is in no group"
        return self.inside

    def new_bundle(self, *, lifetime_s: int = 600, now: int = NOW) -> KeyPackageBundle:
        self.bundle = new_key_package(
            self.signing_key, self.name.encode(), rng=self.rng, now=now, lifetime_s=lifetime_s
        )
        return self.bundle

    def offer(self) -> KeyPackage:
        return parse_key_package(self.new_bundle().key_package, now=NOW)

    def hear(self, message: bytes, now: int = NOW) -> object:
        return self.group.process(message, psks=PSKS, now=now)

    def hear_commit(self, message: bytes, now: int = NOW) -> Staged:
        staged = self.hear(message, now)
        assert isinstance(staged, Staged)
        return staged

    def hear_text(self, message: bytes, now: int = NOW) -> Application:
        said = self.hear(message, now)
        assert isinstance(said, Application)
        return said

    def join(self, welcome: bytes | None) -> None:
        assert welcome is not None
        assert self.bundle is not None
        self.inside = Group.join(welcome, self.bundle, self.signing_key, psks=PSKS, required_psk=LINK, now=NOW)

    def say(self, text: bytes) -> bytes:
        return self.group.protect(text, rng=self.rng)


def person(name: str) -> Person:
    rng = seeded(name)
    return Person(name, rng(32), rng)


@dataclass
class Room:
    """People who all process every commit. `add` and `remove` are by the first of them unless said otherwise."""

    people: list[Person] = field(default_factory=list)

    def take_up(self, committer: Person, staged: Staged, newcomers: Iterable[Person] = ()) -> None:
        """Deliver a commit to everybody and the Welcome to those it is for."""
        for other in list(self.people):
            if other is committer:
                other.inside = staged.merge()
                continue
            theirs = other.hear_commit(staged.commit)
            assert theirs.changes == staged.changes, "everybody sees the same changes"
            assert theirs.committer == staged.committer
            if theirs.own_removed:
                self.people.remove(other)
            else:
                other.inside = theirs.merge()
        for newcomer in newcomers:
            newcomer.join(staged.welcome)
            self.people.append(newcomer)

    def add(self, *newcomers: Person, by: Person | None = None, with_path: bool | None = None) -> None:
        committer = by or self.people[0]
        staged = committer.group.commit(
            add=[newcomer.offer() for newcomer in newcomers],
            psk=[LINK],
            with_path=with_path,
            psks=PSKS,
            rng=committer.rng,
            now=NOW,
        )
        self.take_up(committer, staged, newcomers)

    def agree(self) -> bool:
        return len({each.group.epoch_authenticator for each in self.people}) == 1


def room(*names: str, extensions: dict[int, bytes] | None = None) -> Room:
    """A room with these people in it, the first of whom created it."""
    first, *others = [person(name) for name in names]
    first.inside = Group.create(
        b"a room",
        first.signing_key,
        first.name.encode(),
        extensions={POLICY_EXTENSION: b"policy"} if extensions is None else extensions,
        rng=first.rng,
        now=NOW,
    )
    found = Room([first])
    if others:
        found.add(*others)
    return found
