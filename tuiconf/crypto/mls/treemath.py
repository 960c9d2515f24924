"""Indices of a full binary tree in an array (RFC 9420 Appendix C). Leaves are the even numbers.

An index stays the same node when the tree doubles or halves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator


def level(x: int) -> int:
    """How far node `x` is above the leaves."""
    return (~x & (x + 1)).bit_length() - 1


def left(x: int) -> int:
    """The left child of a parent node."""
    return x ^ (1 << (level(x) - 1))


def right(x: int) -> int:
    """The right child of a parent node."""
    return x ^ (3 << (level(x) - 1))


def parent(x: int) -> int:
    """The node above `x`; the caller knows that `x` is not the root."""
    k = level(x)
    return (x | (1 << k)) & ~(1 << (k + 1))


def sibling(x: int) -> int:
    """The other child of `x`'s parent."""
    p = parent(x)
    return right(p) if x < p else left(p)


def root(width: int) -> int:
    """The root of a tree with `width` leaves, a power of two."""
    return width - 1


def direct_path(leaf: int, width: int) -> Iterator[tuple[int, int]]:
    """From leaf `leaf` up: each ancestor, with its child that is *not* on the way (the copath)."""
    x, top = 2 * leaf, root(width)
    while x != top:
        other = sibling(x)
        x = parent(x)
        yield x, other


def leaf_range(x: int) -> tuple[int, int]:
    """The leaves below node `x`: the first, and the one after the last."""
    span = (1 << level(x)) - 1
    return (x - span) // 2, (x + span) // 2 + 1


def below(x: int, leaf: int) -> bool:
    """Whether leaf `leaf` is in the subtree of node `x`."""
    first, after = leaf_range(x)
    return first <= leaf < after


def within(leaves: tuple[int, ...], x: int) -> tuple[int, ...]:
    """Those of the ascending `leaves` that are below node `x`."""
    first, after = leaf_range(x)
    return leaves[bisect_left(leaves, first) : bisect_left(leaves, after)]


def width_for(nodes: int) -> int:
    """The least power of two of leaves that `nodes` array entries need."""
    return 1 << max(0, (nodes // 2)).bit_length()
