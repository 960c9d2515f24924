"""The memory of used key packages alone."""

from __future__ import annotations

import pytest

from tests.crypto.mls.people import NOW, person, room
from tests.crypto.mls.test_attacks import refused
from tuiconf.crypto.mls import codec, parse_key_package
from tuiconf.crypto.mls.codec import opaque, u64
from tuiconf.crypto.mls.keypackage import CLOCK_LEEWAY_S
from tuiconf.crypto.mls.spent import MAX_SPENT, Spent
from tuiconf.crypto.mls.tree import RatchetTree


def test_a_key_package_is_remembered_until_its_lifetime_is_over() -> None:
    carol = person("Carol")
    package = parse_key_package(carol.new_bundle(lifetime_s=600).key_package, now=NOW)
    spent = Spent().and_those_of([package.leaf_node], now=NOW)
    last = NOW + 600 + CLOCK_LEEWAY_S
    assert package not in Spent()
    assert package in spent.and_those_of([], now=last)
    assert package not in spent.and_those_of([], now=last + 1)
    package.check_lifetime(now=last)
    refused("lifetime", lambda: package.check_lifetime(now=last + 1))


def test_a_newcomer_is_told_of_those_that_are_not_in_the_tree() -> None:
    one, other = (person(name).offer() for name in ("Carol", "Dave"))
    spent = Spent().and_those_of([one.leaf_node, other.leaf_node], now=NOW)
    tree = RatchetTree()
    tree.add(one.leaf_node)
    told = Spent.decode(spent.encode_for(tree))
    assert one not in told
    assert other in told
    assert Spent.decode(spent.encode_for(RatchetTree())) == spent


def test_beyond_as_many_as_there_can_be_members_the_oldest_is_forgotten() -> None:
    package = person("Carol").offer()
    full = Spent({number.to_bytes(32, "big"): NOW for number in range(MAX_SPENT)})
    one_more = full.and_those_of([package.leaf_node], now=NOW)
    assert list(one_more.until) == [*list(full.until)[1:], package.leaf_node.encryption_key]
    data = full.encode_for(RatchetTree())
    assert Spent.decode(data) == full
    entries = codec.decode(data, lambda reader: reader.opaque())
    refused("limit", lambda: Spent.decode(opaque(entries + opaque(bytes(32)) + u64(NOW))))


@pytest.mark.parametrize(
    "data", [b"", opaque(opaque(bytes(31)) + u64(0)), opaque(opaque(bytes(32)) + bytes(7)), opaque(b"") + b"x"]
)
def test_what_is_no_list_of_used_key_packages_is_refused(data: bytes) -> None:
    refused("malformed", lambda: Spent.decode(data))


def test_a_used_key_package_is_refused_as_expired_when_it_is_forgotten() -> None:
    alice, carol = room("Alice", "Carol").people
    assert carol.bundle is not None
    package = parse_key_package(carol.bundle.key_package, now=NOW)
    late = NOW + 600 + CLOCK_LEEWAY_S + 1
    alice.inside = alice.group.commit(remove=[1], psks={}, rng=alice.rng, now=late).merge()
    group = alice.group
    refused("lifetime", lambda: group.commit(add=[package], psks={}, rng=alice.rng, now=late))
