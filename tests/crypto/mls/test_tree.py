"""The ratchet tree's shape, hashes and the rules a joiner checks."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.crypto.mls.people import NOW, Person, person, room
from tuiconf.crypto.mls import MlsError, codec
from tuiconf.crypto.mls.nodes import Capabilities, LeafNode, LeafTemplate, ParentNode
from tuiconf.crypto.mls.tree import MAX_MEMBERS, RatchetTree
from tuiconf.crypto.mls.treecheck import check_tree
from tuiconf.crypto.primitives import hpke_derive_key_pair


def leaf_of(name: str) -> LeafNode:
    somebody = person(name)
    template = LeafTemplate(signing_key=somebody.signing_key, identity=name.encode(), capabilities=Capabilities())
    return template.for_key_package(hpke_derive_key_pair(somebody.rng(32))[1], (NOW, NOW + 600))


def tree_of(size: int) -> RatchetTree:
    tree = RatchetTree()
    for number in range(size):
        assert tree.add(leaf_of(f"member {number}")) == number
    return tree


def test_the_tree_doubles_and_halves_with_its_members() -> None:
    tree = tree_of(5)
    assert tree.width == 8
    tree.remove(4)
    assert tree.width == 4
    tree.remove(1)
    assert tree.width == 4
    assert tree.add(leaf_of("somebody")) == 1, "the leftmost free place is taken"
    for leaf in (3, 2, 1):
        tree.remove(leaf)
    assert tree.width == 1


def test_cached_hashes_are_those_of_a_tree_that_is_hashed_anew() -> None:
    choice, tree = random.Random(1), tree_of(3)
    for number in range(200):
        members = [leaf for leaf, _ in tree.leaves()]
        if choice.random() < 0.55 or len(members) < 2:
            tree.add(leaf_of(f"later {number}"))
        elif choice.random() < 0.5:
            tree.remove(choice.choice(members))
        else:
            tree.update(choice.choice(members), leaf_of(f"changed {number}"))
        anew = codec.decode(tree.encode(), RatchetTree.decode)
        assert tree.root_hash() == anew.root_hash()


def test_a_copy_does_not_change_with_the_original() -> None:
    tree = tree_of(4)
    other, before = tree.copy(), tree.encode()
    other.remove(2)
    other.add(leaf_of("somebody"))
    assert tree.encode() == before
    assert tree.root_hash() != other.root_hash()


def test_a_key_cannot_be_in_the_tree_twice() -> None:
    tree = tree_of(3)
    with pytest.raises(MlsError) as caught:
        tree.add(leaf_of("member 1"))
    assert caught.value.code == "duplicate_key"


def test_an_encryption_key_cannot_have_two_owners() -> None:
    tree, other = tree_of(3), person("somebody else")
    node = tree.leaf(1)
    assert node is not None
    template = LeafTemplate(signing_key=other.signing_key, identity=b"", capabilities=Capabilities())
    with pytest.raises(MlsError) as caught:
        tree.add(template.for_key_package(node.encryption_key, (NOW, NOW + 600)))
    assert caught.value.code == "duplicate_key"


def test_a_tree_does_not_grow_for_ever() -> None:
    tree = RatchetTree()
    blank = codec.opaque(b"\x00" * (2 * MAX_MEMBERS) + b"\x01\x01" + leaf_of("last").raw)
    with pytest.raises(MlsError) as caught:
        codec.decode(blank, RatchetTree.decode)
    assert caught.value.code == "limit"
    assert tree.width == 1


def test_trees_that_end_with_a_blank_or_have_nodes_in_wrong_places_are_refused() -> None:
    leaf = b"\x01\x01" + leaf_of("one").raw
    parent = b"\x01\x02" + ParentNode(encryption_key=bytes(32), parent_hash=b"").encode()
    for nodes in (b"", leaf + b"\x00", leaf + b"\x00\x00", parent, leaf + leaf + leaf):
        with pytest.raises(MlsError):
            codec.decode(codec.opaque(nodes), RatchetTree.decode)


def filled() -> tuple[Person, RatchetTree]:
    """A tree of five in which parents have keys, and one member is unmerged."""
    found = room("Alice", "Bob", "Carol", "Dave")
    for somebody in found.people:
        staged = somebody.group.commit(psks={}, rng=somebody.rng, now=NOW)
        found.take_up(somebody, staged)
    found.add(person("Eve"))
    for gone in (found.people[1],):
        staged = found.people[0].group.commit(remove=[gone.group.own_leaf], psks={}, rng=found.people[0].rng, now=NOW)
        found.take_up(found.people[0], staged)
    carol = found.people[1]
    staged = carol.group.commit(psks={}, rng=carol.rng, now=NOW)
    found.take_up(carol, staged)
    found.add(person("Frank"), with_path=False)
    alice = found.people[0]
    return alice, codec.decode(alice.group.ratchet_tree, RatchetTree.decode)


def check(alice: Person, tree: RatchetTree) -> None:
    check_tree(tree, alice.group.group_id, alice.group.extensions)


def test_a_real_tree_is_valid_and_has_unmerged_leaves() -> None:
    alice, tree = filled()
    check(alice, tree)
    assert any(parent.unmerged for _, parent in tree.parents())


def test_a_changed_parent_is_not_vouched_for() -> None:
    alice, tree = filled()
    for x, parent in list(tree.parents()):
        for changed in (
            replace(parent, encryption_key=hpke_derive_key_pair(bytes(32))[1]),
            replace(parent, parent_hash=bytes(32)),
        ):
            other = tree.copy()
            other.put(x, changed)
            with pytest.raises(MlsError) as caught:
                check(alice, other)
            assert caught.value.code == "invalid_tree"


def test_unmerged_leaves_that_are_blank_elsewhere_out_of_order_or_merged_below_are_refused() -> None:
    alice, tree = filled()
    cases = 0
    for x, parent in list(tree.parents()):
        for unmerged in ((1000,), (*parent.unmerged, *parent.unmerged), (3, 2), (7,), (2**32 - 1,), (0,)):
            if unmerged == parent.unmerged:
                continue
            other = tree.copy()
            other.put(x, replace(parent, unmerged=unmerged))
            with pytest.raises(MlsError) as caught:
                check(alice, other)
            assert caught.value.code == "invalid_tree"
            cases += 1
    assert cases > 5


def test_a_leaf_moved_to_another_place_is_refused() -> None:
    alice, tree = filled()
    moved, other = tree.member(0), tree.copy()
    other.remove(0)
    other.put(2, moved)
    with pytest.raises(MlsError):
        check(alice, other)


def test_a_leaf_that_is_unmerged_above_but_merged_below_is_refused() -> None:
    found = room("Alice", "Bob", "Carol", "Dave")
    alice = found.people[0]
    found.take_up(alice, alice.group.commit(psks={}, rng=alice.rng, now=NOW))
    tree = codec.decode(alice.group.ratchet_tree, RatchetTree.decode)
    root, below = tree[3], tree[1]
    assert isinstance(root, ParentNode)
    assert isinstance(below, ParentNode)
    check(alice, tree)
    # No parent hash covers this list, so only the rule itself can find it.
    tree.put(3, replace(root, unmerged=(1,)))
    with pytest.raises(MlsError) as caught:
        check(alice, tree)
    assert caught.value.code == "invalid_tree"
