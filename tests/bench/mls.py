"""What MLS costs in a group of 1,000, in units of one Ed25519 verification measured in the same run.

Joining verifies 1,000 leaf signatures, so its unit is 1,000 of them and 1 is the floor. The joiner, and those who
process the Add and the Remove, are real members that came in by a Welcome.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tuiconf.crypto.mls import Group, KeyPackage, KeyPackageBundle, new_key_package, parse_key_package
from tuiconf.crypto.mls.nodes import LeafTemplate

MEMBERS: Final = 1000
ROUNDS: Final = 5
_NOW: Final = 1_000_000


def run() -> dict[str, object]:
    """The ratios the design sets limits for, and the times in milliseconds they were made from."""
    figures: dict[str, object] = {}
    ratios: dict[str, float] = {}
    for name, filled in (("flat", False), ("filled", True)):
        for what, (seconds, verify) in _measure(filled=filled).items():
            unit = MEMBERS if what == "join" else 1
            figures[f"{what}_{name}_ms"] = round(seconds * 1e3, 3)
            figures[f"{what}_{name}_verify_us"] = round(verify * 1e6, 1)
            ratios[f"{what}_1000_{name}"] = round(seconds / verify / unit, 2)
    figures |= ratios
    # A tree without keys (flat) is what a group is after everybody was added at once; one where everybody has made a
    # path (filled) is the other extreme. The limits hold for the worse of the two, but for a Remove from a flat tree,
    # which must be sealed to everybody.
    for what in ("join", "add"):
        figures[f"{what}_1000"] = max(ratios[f"{what}_1000_flat"], ratios[f"{what}_1000_filled"])
    figures["remove_1000"] = ratios["remove_1000_filled"]
    return figures


class _Signed:
    """1,000 signatures by as many keys that are loaded already."""

    def __init__(self) -> None:
        self._signed = []
        for number in range(MEMBERS):
            key, message = Ed25519PrivateKey.generate(), number.to_bytes(200, "big")
            self._signed.append((key.public_key(), key.sign(message), message))

    def verify_s(self) -> float:
        """Seconds for one verification."""
        start = perf_counter()
        for public, signature, message in self._signed:
            public.verify(signature, message)
        return (perf_counter() - start) / MEMBERS


def _newcomer(number: int) -> tuple[KeyPackage, KeyPackageBundle, bytes]:
    signing_key = os.urandom(32)
    bundle = new_key_package(signing_key, b"member %d" % number, rng=os.urandom, now=_NOW, lifetime_s=600)
    return parse_key_package(bundle.key_package, now=_NOW), bundle, signing_key


class _World:
    """A group with everybody's private keys, so that any member can be made to speak: `speaking(leaf)`."""

    def __init__(self, count: int) -> None:
        signing_key = os.urandom(32)
        group = Group.create(b"bench", signing_key, b"creator", rng=os.urandom, now=_NOW)
        newcomers = [_newcomer(number) for number in range(1, count)]
        group = _commit(group, add=[package for package, _, _ in newcomers])
        self._signing_keys = [signing_key, *(key for _, _, key in newcomers)]
        leaf_keys = {2 * leaf: bundle.private[2] for leaf, (_, bundle, _) in enumerate(newcomers, 1)}
        self.state = replace(group._state, keys={**group._state.keys, **leaf_keys})

    def speaking(self, leaf: int) -> Group:
        """The group as the member at `leaf` would have it, but for keys too many."""
        signing_key, node = self._signing_keys[leaf], self.state.tree.member(leaf)
        template = LeafTemplate(signing_key=signing_key, identity=node.identity, capabilities=node.capabilities)
        return Group(replace(self.state, own_leaf=leaf, template=template))

    def fill(self) -> None:
        """Every other member makes a commit with a path: afterwards no parent is blank."""
        for leaf in range(1, len(self._signing_keys), 2):
            self.state = _commit(self.speaking(leaf), with_path=True)._state


def _commit(group: Group, *, add: list[KeyPackage] | None = None, with_path: bool | None = None) -> Group:
    return group.commit(add=add or [], with_path=with_path, psks={}, rng=os.urandom, now=_NOW).merge()


def _measure(*, filled: bool) -> dict[str, tuple[float, float]]:
    """For a join, an Add and a Remove: seconds, and those of one verification just before (medians)."""
    world = _World(MEMBERS - 1)
    if filled:
        world.fill()
    package, bundle, signing_key = _newcomer(MEMBERS - 1)
    # The newcomer's neighbour does everything, so that the newcomer has the whole path to derive: the worst case.
    group = world.speaking(MEMBERS - 2)
    joining = group.commit(add=[package], with_path=filled, psks={}, rng=os.urandom, now=_NOW)
    group = joining.merge()
    adding = group.commit(add=[_newcomer(MEMBERS)[0]], with_path=False, psks={}, rng=os.urandom, now=_NOW)
    removing = group.commit(remove=[MEMBERS // 2], psks={}, rng=os.urandom, now=_NOW)
    signed, receivers = _Signed(), []

    def join() -> None:
        copy = KeyPackageBundle(*bundle.private)
        receivers.append(Group.join(joining.welcome or b"", copy, signing_key, psks={}, now=_NOW))

    joins = [_timed(join, signed) for _ in range(ROUNDS)]
    adds = [_timed(partial(receiver.process, adding.commit, psks={}, now=_NOW), signed) for receiver in receivers]
    removes = [_timed(partial(receiver.process, removing.commit, psks={}, now=_NOW), signed) for receiver in receivers]
    return {"join": _median(joins), "add": _median(adds), "remove": _median(removes)}


def _timed(work: Callable[[], object], signed: _Signed) -> tuple[float, float]:
    verify = signed.verify_s()
    start = perf_counter()
    work()
    return perf_counter() - start, verify


def _median(measured: list[tuple[float, float]]) -> tuple[float, float]:
    """The round with the median ratio."""
    return sorted(measured, key=lambda pair: pair[0] / pair[1])[len(measured) // 2]
