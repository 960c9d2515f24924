"""Lines are the same however their bytes come, and one that is too long is never kept."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.control.support import patient
from tuiconf.control.framing import LineCutter
from tuiconf.control.rpc import MAX_LINE_BYTES, ControlError

TOO_LONG = "too long"


def _take_all(cutter: LineCutter) -> list[bytes | str]:
    taken: list[bytes | str] = []
    while True:
        try:
            line = cutter.take()
        except ControlError:
            taken.append(TOO_LONG)
            continue
        if line is None:
            return taken
        taken.append(line)


def _cut(data: bytes, cuts: list[int]) -> list[bytes | str]:
    cutter, taken = LineCutter(), []
    for begin, end in pairwise([0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]):
        cutter.feed(data[begin:end])
        taken += _take_all(cutter)
    return taken


lengths = st.sampled_from([0, 1, 2, MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES])


@patient
@given(
    lines=st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b" ")) | lengths.map(bytes), max_size=6),
    half=st.binary(max_size=5).map(lambda line: line.replace(b"\n", b" ")),
    cuts=st.lists(st.integers(min_value=0), max_size=12),
)
def test_any_chunks_give_the_same_lines(lines: list[bytes], half: bytes, cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines) + half
    assert _cut(data, cuts) == [line if len(line) <= MAX_LINE_BYTES else TOO_LONG for line in lines]


@patient
@given(st.lists(st.integers(min_value=0), max_size=5))
def test_what_follows_the_lines_is_given_back(cuts: list[int]) -> None:
    cutter = LineCutter()
    for part in (b"one\ntw", b"o\n\x00\x01"):
        cutter.feed(part)
    assert [cutter.take(), cutter.take()] == [b"one", b"two"]
    assert cutter.rest() == b"\x00\x01"
    assert cutter.rest() == b""


def test_of_a_line_without_an_end_only_the_beginning_is_held() -> None:
    cutter = LineCutter()
    for _ in range(1000):
        cutter.feed(bytes(10_000))
        assert cutter.take() is None
    assert len(cutter.rest()) <= MAX_LINE_BYTES


def test_the_line_after_one_that_was_too_long_is_whole() -> None:
    cutter = LineCutter()
    cutter.feed(bytes(MAX_LINE_BYTES + 1))
    assert cutter.take() is None
    cutter.feed(b"the end of it\nthe next\n")
    assert _take_all(cutter) == [TOO_LONG, b"the next"]
