"""What MLS costs in a group of 1,000, in units of one Ed25519 verification measured in the same run.

Joining verifies 1,000 leaf signatures, so its unit is 1,000 of them and 1 is the floor. The joiner, and those who
process the Add and the Remove, are real members that came in by a Welcome.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import replace
from time import perf_counter
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tuiconf.crypto.mls import Group, KeyPackage, KeyPackageBundle, Staged, new_key_package, parse_key_package
from tuiconf.crypto.mls.nodes import LeafTemplate

MEMBERS: Final = 1000
ROUNDS: Final = 5
_NOW: Final = 1_000_000


def run() -> dict[str, object]:
    """The ratios the design sets limits for, and the times in milliseconds they were made from."""
    figures: dict[str, object] = {}
    verify = statistics.median(_verify_s() for _ in range(ROUNDS))
    figures["ed25519_verify_us"] = round(verify * 1e6, 1)
    for name, filled in (("flat", False), ("filled", True)):
        measured = _measure(filled=filled)
        figures |= {f"{what}_{name}_ms": round(seconds * 1e3, 3) for what, seconds in measured.items()}
        figures |= {
            f"join_1000_{name}": round(measured["join"] / verify / MEMBERS, 2),
            f"add_1000_{name}": round(measured["add"] / verify, 1),
            f"remove_1000_{name}": round(measured["remove"] / verify, 1),
        }
    # A Remove from a tree without keys must be sealed to everybody; the limit is for a well-filled tree.
    figures["join_1000"] = figures["join_1000_filled"]
    figures["add_1000"] = figures["add_1000_filled"]
    figures["remove_1000"] = figures["remove_1000_filled"]
    return figures


def _verify_s() -> float:
    """Seconds for one verification, over 1,000 signatures by as many keys that are loaded already."""
    signed = []
    for number in range(MEMBERS):
        key, message = Ed25519PrivateKey.generate(), number.to_bytes(200, "big")
        signed.append((key.public_key(), key.sign(message), message))
    start = perf_counter()
    for public, signature, message in signed:
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


def _measure(*, filled: bool) -> dict[str, float]:
    world = _World(MEMBERS - 1)
    if filled:
        world.fill()
    package, bundle, signing_key = _newcomer(MEMBERS - 1)
    # The newcomer's neighbour does everything, so that the newcomer has the whole path to derive: the worst case.
    group = world.speaking(MEMBERS - 2)
    joining = group.commit(add=[package], with_path=filled, psks={}, rng=os.urandom, now=_NOW)
    group = joining.merge()
    joins, receivers = [], []
    for _ in range(ROUNDS):
        copy = KeyPackageBundle(*bundle.private)
        start = perf_counter()
        receivers.append(Group.join(joining.welcome or b"", copy, signing_key, psks={}, now=_NOW))
        joins.append(perf_counter() - start)
    adding = group.commit(add=[_newcomer(MEMBERS)[0]], with_path=False, psks={}, rng=os.urandom, now=_NOW)
    removing = group.commit(remove=[MEMBERS // 2], psks={}, rng=os.urandom, now=_NOW)
    return {
        "join": statistics.median(joins),
        "add": statistics.median(_process_s(receiver, adding) for receiver in receivers),
        "remove": statistics.median(_process_s(receiver, removing) for receiver in receivers),
    }


def _process_s(receiver: Group, staged: Staged) -> float:
    """Seconds from the message to the next epoch's secrets."""
    start = perf_counter()
    receiver.process(staged.commit, psks={}, now=_NOW)
    return perf_counter() - start
