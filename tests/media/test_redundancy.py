"""Bundles are strict, repeat what was asked for, and the policy asks for it when receivers report loss."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.errors import LocalProtocolError
from tuiconf.media.redundancy import (
    HOLD_S,
    MAX_BUNDLE_BYTES,
    MAX_FRAMES,
    MAX_OFFSET,
    MAX_RECEIVERS,
    REPORT_LIFETIME_S,
    BundleError,
    Bundler,
    RedundancyPolicy,
    unbundle,
    unbundle_with_offsets,
)


def _frames(count: int, size: int = 100) -> list[bytes]:
    return [bytes([index]) * size for index in range(count)]


def test_without_offsets_a_bundle_is_one_frame() -> None:
    assert unbundle(Bundler().bundle(b"sealed")) == [b"sealed"]


@pytest.mark.parametrize("offsets", [(1,), (1, 2), (1, 3), (3, 1), (2, 5, 8)])
def test_a_bundle_repeats_the_chosen_frames_byte_for_byte(offsets: tuple[int, ...]) -> None:
    bundler, frames = Bundler(offsets), _frames(20)
    for index, frame in enumerate(frames):
        expected = [(0, frame)] + [(back, frames[index - back]) for back in sorted(offsets) if back <= index]
        assert unbundle_with_offsets(bundler.bundle(frame)) == expected


def test_offsets_can_change_between_frames() -> None:
    bundler, frames = Bundler(), _frames(6)
    for frame in frames[:5]:
        bundler.bundle(frame)
    bundler.set_offsets((1, 3))
    assert unbundle(bundler.bundle(frames[5])) == [frames[5], frames[4], frames[2]]
    bundler.set_offsets(())
    assert unbundle(bundler.bundle(frames[0])) == [frames[0]]


def test_a_cleared_bundler_repeats_nothing_from_before() -> None:
    bundler = Bundler((1,))
    bundler.bundle(b"before")
    bundler.clear()
    assert unbundle(bundler.bundle(b"after")) == [b"after"]


@pytest.mark.parametrize("offsets", [(0,), (-1,), (MAX_OFFSET + 1,), (1, 1), (1, 2, 3, 4)])
def test_offsets_that_cannot_be_are_refused(offsets: tuple[int, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        Bundler(offsets)


def test_what_does_not_fit_is_left_out_and_the_newest_frame_never() -> None:
    bundler, frames = Bundler((1, 2, 3)), _frames(8, size=400)
    for index, frame in enumerate(frames):
        bundle = bundler.bundle(frame)
        assert len(bundle) <= MAX_BUNDLE_BYTES
        assert unbundle(bundle) == ([frame, frames[index - 1]] if index else [frame])


@pytest.mark.parametrize("frame", [b"", bytes(MAX_BUNDLE_BYTES - 1), bytes(5000)])
def test_a_frame_that_can_never_fit_is_our_own_mistake(frame: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        Bundler().bundle(frame)
    assert len(Bundler().bundle(bytes(MAX_BUNDLE_BYTES - 2))) == MAX_BUNDLE_BYTES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00\x02a",  # cut off
        b"\x00\x01a\x00",  # half a head
        b"\x10\x01a",  # begins with a copy
        b"\x00\x01a\x00\x01b",  # two newest
        b"\x00\x01a\x20\x01b\x10\x01c",  # out of order
        b"\x00\x01a\x10\x01b\x10\x01c",  # twice the same
        b"\x00\x01a\x90\x01b",  # too far back
        b"\x00\x01a\x10\x01b\x20\x01c\x30\x01d\x40\x01e",  # too many
        b"\x00\x01a" + bytes(MAX_BUNDLE_BYTES),
    ],
)
def test_what_is_not_a_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        unbundle(data)


@given(st.binary(max_size=1200))
def test_no_bytes_bring_anything_but_frames_or_the_one_error(data: bytes) -> None:
    try:
        frames = unbundle(data)
    except BundleError:
        return
    assert 1 <= len(frames) <= MAX_FRAMES
    assert all(frames)
    assert sum(map(len, frames)) + 2 * len(frames) == len(data)


@given(
    offsets=st.sets(st.integers(1, MAX_OFFSET), max_size=3),
    frames=st.lists(st.binary(min_size=1, max_size=MAX_BUNDLE_BYTES - 2), max_size=20),
    at=st.integers(0, 2000),
    bit=st.integers(0, 7),
)
def test_a_damaged_bundle_is_frames_or_the_one_error(offsets: set[int], frames: list[bytes], at: int, bit: int) -> None:
    bundler = Bundler(tuple(offsets))
    for frame in frames:
        bundle = bytearray(bundler.bundle(frame))
        assert unbundle(bytes(bundle))[0] == frame
        bundle[at % len(bundle)] ^= 1 << bit
        try:
            unbundle(bytes(bundle))
        except BundleError:
            continue


# --- the policy


def test_nothing_is_repeated_while_nothing_is_lost() -> None:
    policy = RedundancyPolicy()
    assert policy.offsets(now=0.0) == ()
    policy.report(1, 0.01, now=0.0)
    assert policy.offsets(now=0.0) == ()


@pytest.mark.parametrize(
    ("loss", "burst", "offsets"),
    [
        (0.03, None, (1,)),
        (0.03, 1.0, (1,)),
        (0.03, 2.5, (1, 3)),
        (0.1, None, (1, 3)),
        (5.0, 1.0, (1, 3)),
        (-1, 3.0, ()),
    ],
)
def test_loss_asks_for_copies_and_bursts_for_distant_ones(
    loss: float, burst: float | None, offsets: tuple[int, ...]
) -> None:
    policy = RedundancyPolicy()
    policy.report(1, loss, now=0.0, burst_frames=burst)
    assert policy.offsets(now=0.0) == offsets


def test_the_receiver_that_is_worst_off_decides_until_it_leaves() -> None:
    policy = RedundancyPolicy()
    for now in itertools.takewhile(lambda now: now < 3 * HOLD_S, itertools.count()):
        policy.report(1, 0.0, now=now)
        policy.report(2, 0.1, now=now)
        assert policy.offsets(now=now) == (1, 3)
    policy.forget(2)
    for now in range(int(3 * HOLD_S), int(6 * HOLD_S)):
        policy.report(1, 0.0, now=now)
        result = policy.offsets(now=now)
    assert result == ()


def test_repeating_ends_step_by_step_only_after_a_while_without_loss() -> None:
    policy = RedundancyPolicy()
    policy.report(1, 0.1, now=0.0)
    seen = []
    for now in range(60):
        if now:
            policy.report(1, 0.0, now=float(now))
        seen.append(policy.offsets(now=float(now)))
    changes = [(now, offsets) for now, offsets in enumerate(seen) if now == 0 or offsets != seen[now - 1]]
    assert [offsets for _, offsets in changes] == [(1, 3), (1,), ()]
    assert all(later - earlier >= HOLD_S for (earlier, _), (later, _) in itertools.pairwise(changes))


def test_loss_around_a_threshold_does_not_make_it_flicker() -> None:
    policy, seen = RedundancyPolicy(), []
    for now in range(200):
        policy.report(1, 0.06 if now % 3 == 0 else 0.04, now=float(now))
        seen.append(policy.offsets(now=float(now)))
    assert set(seen) == {(1, 3)}


def test_a_report_is_forgotten_after_a_while() -> None:
    policy = RedundancyPolicy()
    policy.report(1, 0.5, now=0.0)
    assert policy.offsets(now=REPORT_LIFETIME_S - 1) == (1, 3)
    policy.offsets(now=REPORT_LIFETIME_S + HOLD_S)
    assert policy.offsets(now=REPORT_LIFETIME_S + 3 * HOLD_S) == ()


@pytest.mark.parametrize("forced", [(), (1, 2)])
def test_forced_offsets_hold_whatever_is_reported(forced: tuple[int, ...]) -> None:
    policy = RedundancyPolicy(forced=forced)
    policy.report(1, 0.5, now=0.0)
    assert policy.offsets(now=0.0) == forced


def test_more_receivers_than_a_room_holds_push_out_the_oldest_report() -> None:
    policy = RedundancyPolicy()
    policy.report(0, 0.5, now=0.0)
    for receiver in range(1, MAX_RECEIVERS + 1):
        policy.report(receiver, 0.0, now=0.0)
    assert policy.offsets(now=0.0) == ()
