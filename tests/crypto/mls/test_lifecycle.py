"""Keys and nonces: none is used for two things, and none stays when its time is over."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

from tests.crypto.mls import attacker
from tests.crypto.mls.people import LINK, NOW, PSKS, Person, Room, person, room
from tests.crypto.mls.test_attacks import refused
from tuiconf.crypto.mls import Group, Staged, codec
from tuiconf.crypto.mls.commit import LAST_EPOCH, enter_epoch
from tuiconf.crypto.mls.group import PAST_EPOCH_S
from tuiconf.crypto.mls.messages import Welcome
from tuiconf.crypto.mls.schedule import GroupContext
from tuiconf.crypto.mls.tree import RatchetTree
from tuiconf.errors import LocalProtocolError


def reachable(*roots: object) -> Iterator[object]:
    """Everything that can be got at from these, as a thief of the memory would."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        yield each
        waiting += gc.get_referents(each)


def holds(secret: bytes, *roots: object) -> bool:
    return any(isinstance(each, bytes) and each == secret for each in reachable(*roots))


def next_epoch(found: Room, committer: Person) -> Staged:
    staged = committer.group.commit(psks=PSKS, rng=committer.rng, now=NOW)
    found.take_up(committer, staged)
    return staged


def test_whoever_keeps_an_epoch_that_is_over_or_its_commit_keeps_no_secret_of_it() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    alice.group.propose_update(rng=alice.rng)
    old = [each.group for each in found.people]
    state, own_update = attacker.state_of(alice), next(iter(alice.group._own_updates.values()))
    before = [state.secrets.init, state.secrets.exporter, state.secrets.confirmation_key, state.keys[0], own_update]
    assert all(holds(secret, *old) for secret in before[:3]), "the search finds what is there"
    staged = alice.group.commit(psks=PSKS, rng=alice.rng, now=NOW)
    theirs = bob.hear_commit(staged.commit)
    alice.inside = staged.merge()
    after = attacker.state_of(alice).secrets.init
    assert holds(after, alice.group)
    del state
    assert not any(holds(secret, *old[:1], staged) for secret in [*before, after])
    assert not any(holds(secret, alice.group) for secret in before)
    bob.inside = theirs.merge()
    assert not any(holds(secret, old[1], theirs) for secret in before)


def test_a_commit_is_merged_once() -> None:
    found = room("Alice", "Bob")
    staged = next_epoch(found, found.people[0])
    with pytest.raises(LocalProtocolError):
        staged.merge()
    assert not staged.own_removed


def test_message_keys_of_a_past_epoch_are_gone_when_its_time_is_over() -> None:
    found = room("Alice", "Bob")
    alice, bob = found.people
    secret = attacker.state_of(bob).messages.sender_data_secret
    next_epoch(found, alice)
    bob.group.expire(NOW + PAST_EPOCH_S - 1)
    assert holds(secret, bob.group)
    bob.group.expire(NOW + PAST_EPOCH_S)
    assert not holds(secret, bob.group)


def test_a_joined_key_package_has_no_private_key_left() -> None:
    alice, bob = room("Alice").people[0], person("Bob")
    package = bob.offer()
    assert bob.bundle is not None
    _, init_private, _ = bob.bundle.private
    staged = alice.group.commit(add=[package], psk=[LINK], psks=PSKS, rng=alice.rng, now=NOW)
    assert holds(init_private, bob.bundle)
    bob.join(staged.welcome)
    assert not holds(init_private, bob.bundle, bob.group)


def test_no_key_and_nonce_of_a_ratchet_are_used_twice_by_commits_that_are_thrown_away() -> None:
    """Sealed with the same reuse guard, so that nothing but the ratchet keeps the nonces apart."""
    alice, bob = room("Alice", "Bob").people
    sealed = [alice.group.commit(psk=[LINK], psks=PSKS, rng=bytes, now=NOW).commit for _ in range(3)]
    opened = [attacker.state_of(bob).messages.open_private(each, own_leaf=1) for each in sealed]
    assert [each._after.generation for each in opened] == [1, 2, 3]


def test_a_welcome_of_a_commit_made_once_more_seals_the_same_or_is_not_made() -> None:
    """A commit that only adds is the same when it is made again, and so are the key and nonce of its Welcome."""
    alice, bob = room("Alice").people[0], person("Bob")
    package = bob.offer()

    def again(*, tree: bool) -> bytes:
        staged = alice.group.commit(add=[package], tree_in_welcome=tree, psks={}, rng=alice.rng, now=NOW)
        assert staged.welcome is not None
        return codec.decode(staged.welcome, Welcome.decode).group_info

    assert again(tree=True) == again(tree=True)
    with pytest.raises(LocalProtocolError):
        again(tree=False)
    alice.inside = alice.group.commit(psks={}, rng=alice.rng, now=NOW).merge()
    assert again(tree=False)


def test_a_group_in_its_last_epoch_stays_there() -> None:
    """Whoever makes a group and welcomes somebody into it chooses the number."""
    alice, bob = room("Alice", "Bob").people
    for each in (alice, bob):
        each.inside = at_epoch(each, LAST_EPOCH)
    for with_path in (False, True):
        refused(
            "limit",
            lambda with_path=with_path: alice.group.commit(  # type: ignore[misc]
                psk=[LINK], with_path=with_path, psks=PSKS, rng=alice.rng, now=NOW
            ),
        )
    for each in (alice, bob):
        each.inside = at_epoch(each, LAST_EPOCH - 1)
    staged = alice.group.commit(psks=PSKS, rng=alice.rng, now=NOW)
    assert staged.epoch == LAST_EPOCH
    assert bob.hear_commit(staged.commit).merge().epoch == LAST_EPOCH


def at_epoch(somebody: Person, epoch: int) -> Group:
    """The same group, had it begun long ago."""
    state = attacker.state_of(somebody)
    tree: RatchetTree = state.tree
    context = GroupContext(
        group_id=b"old", epoch=epoch, tree_hash=tree.root_hash(), confirmed_transcript_hash=b"", extensions={}
    )
    old, _ = enter_epoch(context, tree, bytes(32), own_leaf=state.own_leaf, keys=state.keys, template=state.template)
    return Group(old)
