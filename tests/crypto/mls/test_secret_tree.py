"""One key for one message, and then none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.crypto.mls import MlsError
from tuiconf.crypto.mls.secret_tree import MAX_FORWARD, MAX_KEPT, RatchetKind, SecretTree

KIND = RatchetKind.APPLICATION


def code_of(tree: SecretTree, generation: int) -> str | None:
    """How asking for a generation of leaf 0 fails, or None."""
    try:
        tree.find(0, KIND, generation)
    except MlsError as error:
        return error.code
    return None


def take(tree: SecretTree, generation: int) -> bytes:
    found, after = tree.find(0, KIND, generation)
    tree.use(0, KIND, after)
    return found.key


@given(st.permutations(range(12)))
def test_generations_come_in_any_order_and_each_once(order: list[int]) -> None:
    tree, straight = SecretTree(4, b"s" * 32), SecretTree(4, b"s" * 32)
    expected = [straight.next_to_send(0, KIND)[1].key for _ in range(12)]
    for generation in order:
        assert take(tree, generation) == expected[generation]
        assert code_of(tree, generation) == "replayed"
    assert len(set(expected)) == 12


def test_looking_for_a_key_does_not_use_it_up() -> None:
    tree = SecretTree(4, b"s" * 32)
    first, _ = tree.find(0, KIND, 5)
    again, _ = tree.find(0, KIND, 5)
    assert first == again
    assert code_of(tree, 0) is None


def test_a_generation_too_far_ahead_is_refused() -> None:
    tree = SecretTree(1, b"s" * 32)
    assert code_of(tree, MAX_FORWARD) is None
    assert code_of(tree, MAX_FORWARD + 1) == "limit"
    assert code_of(tree, (1 << 32) - 1) == "limit"


def test_only_the_newest_skipped_keys_are_kept() -> None:
    tree = SecretTree(1, b"s" * 32)
    take(tree, 100)
    assert code_of(tree, 100 - MAX_KEPT) is None
    assert code_of(tree, 99 - MAX_KEPT) == "replayed"
    take(tree, 200)
    assert code_of(tree, 99) == "replayed", "those of the first gap made room"


def test_members_and_kinds_have_different_keys() -> None:
    tree = SecretTree(8, b"s" * 32)
    keys = {tree.find(leaf, kind, 0)[0].key for leaf in range(8) for kind in RatchetKind}
    assert len(keys) == 16


def test_a_place_outside_the_tree_has_no_keys() -> None:
    tree = SecretTree(4, b"s" * 32)
    for leaf in (4, 1 << 31):
        with pytest.raises(MlsError):
            tree.find(leaf, KIND, 0)
