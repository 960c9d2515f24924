"""Sealing and opening media: who may, in which epoch, once."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.crypto import media_keys, sframe
from tuiconf.crypto.media_keys import (
    MAX_COUNTER,
    MAX_EPOCHS,
    MAX_READY_KEYS,
    MAX_WAITING_BYTES,
    MAX_WAITING_FRAMES,
    WINDOW,
    Opened,
    OpeningKeys,
    Reason,
    SealingKeys,
    Stream,
    Undecryptable,
    Waiting,
)
from tuiconf.errors import LocalProtocolError

ALICE, BOB, CAROL = 0, 1, 2
EVERYONE = (ALICE, BOB, CAROL)


def base_key(epoch: int) -> bytes:
    return epoch.to_bytes(16, "big")


def sender(leaf: int, epoch: int = 1) -> SealingKeys:
    keys = SealingKeys()
    keys.install(epoch, base_key(epoch), leaf)
    return keys


def enter(
    keys: OpeningKeys,
    epoch: int,
    *,
    now: float = 0.0,
    own_leaf: int = ALICE,
    leaves: Collection[int] = EVERYONE,
    removal: bool = False,
) -> list[Opened]:
    return keys.install(epoch, base_key(epoch), own_leaf=own_leaf, leaves=leaves, removal=removal, now=now)


def receiver(epoch: int = 1) -> OpeningKeys:
    keys = OpeningKeys()
    enter(keys, epoch)
    return keys


def audio(keys: SealingKeys, payload: bytes = b"frame") -> bytes:
    return keys.seal(Stream.AUDIO, payload)[1]


def refusal(keys: OpeningKeys, sealed: bytes, *, stream: Stream = Stream.AUDIO, now: float = 0.0) -> Reason:
    """Why `sealed` stays closed; that it was counted is checked here, for every test."""
    before = keys.failures
    with pytest.raises(Undecryptable) as caught:
        keys.open(stream, sealed, now=now)
    reason = caught.value.code
    assert {**before, reason: before[reason] + 1} == keys.failures
    return reason


def opened(keys: OpeningKeys, sealed: bytes, *, now: float = 0.0) -> Opened:
    frame = keys.open(Stream.AUDIO, sealed, now=now)
    assert isinstance(frame, Opened)
    return frame


def test_a_sealed_frame_opens_at_another_member_and_says_whose_it_is() -> None:
    bob, alice = sender(BOB), receiver()
    for expected in range(300):
        counter, sealed = bob.seal(Stream.REPORT, b"frame %d" % expected)
        assert counter == expected
        assert alice.open(Stream.REPORT, sealed, now=0.0) == Opened(
            epoch=1, leaf=BOB, stream=Stream.REPORT, counter=expected, payload=b"frame %d" % expected
        )
    assert not any(alice.failures.values())


def test_the_kid_is_laid_out_as_context_leaf_and_low_epoch_bits() -> None:
    keys = SealingKeys()
    keys.install(0x1234, bytes(16), 0xABC)
    assert sframe.decode_header(keys.seal(Stream.AUDIO, b"")[1])[0] == 0x0ABC34
    assert sframe.decode_header(keys.seal(Stream.REPORT, b"")[1])[0] == 0x1ABC34


def test_the_call_uses_full_tags_and_one_gcm_suite() -> None:
    assert media_keys.SUITE is sframe.AES_128_GCM_SHA256_128
    assert len(audio(sender(ALICE, epoch=0), bytes(60))) == 60 + 16 + 1


def test_each_stream_and_sender_is_counted_and_opened_by_itself() -> None:
    bob, carol, alice = sender(BOB), sender(CAROL), receiver()
    for keys in (bob, carol):
        for stream in Stream:
            frame = alice.open(stream, keys.seal(stream, b"x")[1], now=0.0)
            assert isinstance(frame, Opened)
            assert frame.counter == 0


def test_a_frame_of_one_stream_does_not_open_as_another() -> None:
    assert refusal(receiver(), sender(BOB).seal(Stream.REPORT, b"x")[1]) is Reason.MALFORMED


def test_a_frame_sealed_without_the_streams_metadata_is_not_authentic() -> None:
    key = sframe.FrameKey(
        media_keys.SUITE, sframe.extract(media_keys.SUITE, base_key(1)), media_keys.kid(Stream.AUDIO, BOB, 1)
    )
    assert refusal(receiver(), key.seal(0, b"", b"x")) is Reason.AUTHENTICATION


def test_each_streams_metadata_names_it_and_the_version() -> None:
    assert media_keys.metadata(Stream.AUDIO) == b"tuiconf v1 audio"
    assert media_keys.metadata(Stream.REPORT) == b"tuiconf v1 report"


def test_ones_own_kid_is_refused() -> None:
    assert refusal(receiver(), audio(sender(ALICE))) is Reason.OWN_LEAF


def test_a_leaf_that_may_not_send_is_refused() -> None:
    assert refusal(receiver(), audio(sender(CAROL + 1))) is Reason.UNKNOWN_SENDER


def test_a_frame_under_another_key_is_not_authentic() -> None:
    stranger = SealingKeys()
    stranger.install(1, b"not the base key", BOB)
    assert refusal(receiver(), audio(stranger)) is Reason.AUTHENTICATION


def test_a_repeat_is_replayed_and_frames_out_of_order_are_not() -> None:
    bob, alice = sender(BOB), receiver()
    frames = [audio(bob) for _ in range(10)]
    order = [3, 0, 9, 5, 4, 1, 2, 8, 6, 7]
    assert [opened(alice, frames[i]).counter for i in order] == order
    assert {refusal(alice, frame) for frame in frames} == {Reason.REPLAYED}


def test_the_window_ends_where_it_says() -> None:
    bob, alice = sender(BOB), receiver()
    frames = [audio(bob) for _ in range(WINDOW + 1)]
    opened(alice, frames[WINDOW])
    assert refusal(alice, frames[0]) is Reason.TOO_OLD
    assert opened(alice, frames[1]).counter == 1
    assert refusal(alice, frames[1]) is Reason.REPLAYED


def test_only_an_authentic_frame_moves_the_window() -> None:
    bob, alice = sender(BOB), receiver()
    first, second = audio(bob), audio(bob)
    opened(alice, first)
    forged = sframe.encode_header(media_keys.kid(Stream.AUDIO, BOB, 1), MAX_COUNTER) + bytes(20)
    assert refusal(alice, forged) is Reason.AUTHENTICATION
    assert refusal(alice, second[:-1] + bytes((second[-1] ^ 1,))) is Reason.AUTHENTICATION
    assert opened(alice, second).counter == 1


def test_a_member_that_jumps_to_the_last_counter_costs_no_memory_and_only_itself() -> None:
    secret = sframe.extract(media_keys.SUITE, base_key(1))
    bob = sframe.FrameKey(media_keys.SUITE, secret, media_keys.kid(Stream.AUDIO, BOB, 1))
    metadata = media_keys.metadata(Stream.AUDIO)
    alice = receiver()
    for counter in (0, MAX_COUNTER):
        assert opened(alice, bob.seal(counter, metadata, b"x")).counter == counter
    assert refusal(alice, bob.seal(1, metadata, b"x")) is Reason.TOO_OLD
    assert refusal(alice, bob.seal(MAX_COUNTER + 1, metadata, b"x")) is Reason.MALFORMED
    assert opened(alice, audio(sender(CAROL))).leaf == CAROL


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60))
def test_the_window_agrees_with_a_set_of_all_counters_seen(counters: list[int]) -> None:
    secret = sframe.extract(media_keys.SUITE, base_key(1))
    bob = sframe.FrameKey(media_keys.SUITE, secret, media_keys.kid(Stream.AUDIO, BOB, 1))
    alice, seen = receiver(), set[int]()
    for counter in counters:
        sealed = bob.seal(counter, b"tuiconf v1 audio", b"x")
        if counter <= max(seen, default=0) - WINDOW:
            assert refusal(alice, sealed) is Reason.TOO_OLD
        elif counter in seen:
            assert refusal(alice, sealed) is Reason.REPLAYED
        else:
            assert opened(alice, sealed).counter == counter
            seen.add(counter)


def test_counters_go_on_across_epochs_leaves_and_installing_again() -> None:
    keys, pairs = SealingKeys(), list[tuple[int, int]]()
    for epoch, leaf in [(1, 4), (1, 4), (2, 4), (1, 4), (257, 4), (1, 5), (1, 4)]:
        keys.install(epoch, base_key(1), leaf)
        for _ in range(3):
            counter, sealed = keys.seal(Stream.AUDIO, b"x")
            pairs.append((sframe.decode_header(sealed)[0], counter))
    assert [counter for _, counter in pairs] == list(range(len(pairs)))
    assert len(set(pairs)) == len(pairs)


def test_sealing_before_a_key_or_for_a_leaf_no_kid_can_name_is_our_own_error() -> None:
    keys = SealingKeys()
    with pytest.raises(LocalProtocolError):
        keys.seal(Stream.AUDIO, b"x")
    for leaf in (-1, media_keys.MAX_LEAVES):
        with pytest.raises(LocalProtocolError):
            keys.install(1, base_key(1), leaf)
        with pytest.raises(LocalProtocolError):
            enter(OpeningKeys(), 1, leaves=(leaf,))


def test_a_new_epoch_opens_at_once_and_the_old_one_for_five_seconds_after_a_join() -> None:
    bob, new_bob, alice = sender(BOB), sender(BOB, epoch=2), receiver()
    frames = [audio(bob) for _ in range(2)]
    enter(alice, 2, now=10.0)
    assert opened(alice, audio(new_bob), now=10.0).epoch == 2
    assert opened(alice, frames[0], now=14.99).epoch == 1
    assert refusal(alice, frames[1], now=15.0) is Reason.TOO_OLD


def test_after_a_removal_all_older_epochs_last_one_second() -> None:
    alice = receiver()
    enter(alice, 2, now=10.0)
    enter(alice, 3, now=10.5, removal=True, leaves=(ALICE, BOB))
    assert opened(alice, audio(sender(BOB)), now=11.49).epoch == 1
    assert refusal(alice, audio(sender(BOB)), now=11.5) is Reason.TOO_OLD
    assert refusal(alice, audio(sender(CAROL, epoch=2)), now=11.5) is Reason.TOO_OLD


def test_a_later_join_does_not_lengthen_the_second_after_a_removal() -> None:
    alice = receiver()
    enter(alice, 2, now=10.0, removal=True)
    enter(alice, 3, now=10.5)
    assert refusal(alice, audio(sender(BOB)), now=11.0) is Reason.TOO_OLD
    assert opened(alice, audio(sender(BOB, epoch=2)), now=11.0).epoch == 2


def test_a_removed_members_leaf_cannot_be_opened_in_the_new_epoch() -> None:
    alice = receiver()
    enter(alice, 2, leaves=(ALICE, BOB), removal=True)
    assert refusal(alice, audio(sender(CAROL, epoch=2))) is Reason.UNKNOWN_SENDER


def test_a_leaf_used_again_by_a_new_member_has_its_own_window() -> None:
    alice, old = receiver(), sender(CAROL)
    for _ in range(1000):
        last = audio(old)
    opened(alice, last)
    enter(alice, 2, leaves=(ALICE, BOB), removal=True)
    enter(alice, 3)
    frame = opened(alice, audio(sender(CAROL, epoch=3)))
    assert (frame.epoch, frame.counter) == (3, 0)
    assert refusal(alice, last) is Reason.REPLAYED


def test_a_frame_whose_epoch_comes_in_time_is_opened_then() -> None:
    bob, alice = sender(BOB, epoch=2), receiver()
    frames = [audio(bob, b"%d" % i) for i in range(3)]
    for frame in [*frames, frames[0]]:
        assert alice.open(Stream.AUDIO, frame, now=1.0) == Waiting()
    assert [frame.payload for frame in enter(alice, 2, now=1.4)] == [b"0", b"1", b"2"]
    assert refusal(alice, frames[0], now=1.4) is Reason.REPLAYED


def test_frames_wait_before_the_first_epoch_too() -> None:
    alice = OpeningKeys()
    assert alice.open(Stream.AUDIO, audio(sender(BOB, epoch=200)), now=0.0) == Waiting()
    assert [frame.epoch for frame in enter(alice, 200)] == [200]


def test_frames_for_the_epoch_after_next_go_on_waiting() -> None:
    alice = receiver()
    assert alice.open(Stream.AUDIO, audio(sender(BOB, epoch=3)), now=0.0) == Waiting()
    assert enter(alice, 2, now=0.1) == []
    assert [frame.epoch for frame in enter(alice, 3, now=0.2)] == [3]


def test_a_frame_that_waited_too_long_is_forgotten_and_counted() -> None:
    alice = receiver()
    alice.open(Stream.AUDIO, audio(sender(BOB, epoch=2)), now=1.0)
    alice.expire(now=1.49)
    assert alice.failures[Reason.UNKNOWN_EPOCH] == 0
    assert enter(alice, 2, now=1.5) == []
    assert alice.failures[Reason.UNKNOWN_EPOCH] == 1


def test_a_waiting_frame_that_turns_out_forged_is_dropped_and_counted() -> None:
    alice, stranger = receiver(), SealingKeys()
    stranger.install(2, b"not the base key", BOB)
    alice.open(Stream.AUDIO, audio(stranger), now=0.0)
    assert enter(alice, 2) == []
    assert alice.failures[Reason.AUTHENTICATION] == 1


def test_waiting_frames_are_bounded_in_number() -> None:
    alice, bob = receiver(), sender(BOB, epoch=2)
    for _ in range(MAX_WAITING_FRAMES):
        assert alice.open(Stream.AUDIO, audio(bob), now=0.0) == Waiting()
    assert refusal(alice, audio(bob)) is Reason.UNKNOWN_EPOCH
    assert len(enter(alice, 2)) == MAX_WAITING_FRAMES


def test_waiting_frames_are_bounded_in_bytes() -> None:
    alice, bob = receiver(), sender(BOB, epoch=2)
    large = MAX_WAITING_BYTES // 4 - 30
    for _ in range(4):
        assert alice.open(Stream.AUDIO, audio(bob, bytes(large)), now=0.0) == Waiting()
    assert refusal(alice, audio(bob, bytes(large))) is Reason.UNKNOWN_EPOCH


def test_repeats_take_no_room_and_what_has_left_makes_room_again() -> None:
    alice, bob = receiver(), sender(BOB, epoch=2)
    quarter = bytes(MAX_WAITING_BYTES // 4 - 30)
    frames = [audio(bob, quarter) for _ in range(4)]
    for frame in [*frames, *frames, *frames]:
        assert alice.open(Stream.AUDIO, frame, now=0.0) == Waiting()
    alice.expire(now=0.5)
    for frame in frames:
        assert alice.open(Stream.AUDIO, frame, now=0.5) == Waiting()
    assert len(enter(alice, 2, now=0.5)) == 4
    bob.install(3, base_key(3), BOB)
    for _ in frames:
        assert alice.open(Stream.AUDIO, audio(bob, quarter), now=0.5) == Waiting()


def test_an_epoch_long_past_is_too_old_and_one_long_to_come_waits() -> None:
    alice = receiver(epoch=1000)
    assert refusal(alice, audio(sender(BOB, epoch=999))) is Reason.TOO_OLD
    assert refusal(alice, audio(sender(BOB, epoch=900))) is Reason.TOO_OLD
    assert alice.open(Stream.AUDIO, audio(sender(BOB, epoch=1100)), now=0.0) == Waiting()


def test_the_low_epoch_bits_come_round() -> None:
    alice = OpeningKeys()
    for epoch in range(600):
        enter(alice, epoch, now=float(epoch))
        assert opened(alice, audio(sender(BOB, epoch)), now=float(epoch)).epoch == epoch
        if epoch:
            assert opened(alice, audio(sender(CAROL, epoch - 1)), now=float(epoch)).epoch == epoch - 1


def test_an_epoch_is_installed_once_and_in_order() -> None:
    alice = receiver(epoch=5)
    for epoch in (5, 4):
        with pytest.raises(LocalProtocolError):
            enter(alice, epoch)


def test_no_more_than_so_many_epochs_are_kept_however_fast_they_come() -> None:
    alice = OpeningKeys()
    for epoch in range(MAX_EPOCHS + 1):
        enter(alice, epoch)
    assert refusal(alice, audio(sender(BOB, epoch=0))) is Reason.TOO_OLD
    assert opened(alice, audio(sender(BOB, epoch=1))).epoch == 1


def test_more_senders_than_keys_are_kept_ready_all_go_on_being_opened_once() -> None:
    leaves = range(1, MAX_READY_KEYS + 20)
    alice = OpeningKeys()
    enter(alice, 1, leaves=leaves)
    senders = [sender(leaf) for leaf in leaves]
    for turn in range(2):
        for keys in senders:
            sealed = audio(keys)
            assert opened(alice, sealed).counter == turn
            assert refusal(alice, sealed) is Reason.REPLAYED


def keys_in_memory() -> int:
    gc.collect()  # what `pytest.raises` caught refers to frames of the stack, and they to keys
    return sum(isinstance(thing, sframe.FrameKey) for thing in gc.get_objects())


def test_keys_kept_ready_are_bounded_and_deleted_with_their_epoch() -> None:
    frames = [audio(sender(leaf)) for leaf in range(1, MAX_READY_KEYS + 20)]
    before = keys_in_memory()
    alice = OpeningKeys()
    enter(alice, 1, leaves=range(1, MAX_READY_KEYS + 20))
    for frame in frames:
        opened(alice, frame)
    assert keys_in_memory() - before == MAX_READY_KEYS
    enter(alice, 2, now=0.0)
    alice.expire(now=5.0)
    assert keys_in_memory() == before


def test_an_epoch_with_the_same_low_bits_takes_the_place_of_the_old_one() -> None:
    last, before = audio(sender(BOB)), keys_in_memory()
    alice = receiver()
    opened(alice, last)
    enter(alice, 257)
    assert refusal(alice, audio(sender(BOB))) is Reason.AUTHENTICATION
    assert keys_in_memory() == before
    assert opened(alice, audio(sender(BOB, epoch=257))).epoch == 257


@given(st.binary(max_size=60), st.sampled_from(Stream))
def test_any_bytes_wait_or_are_undecryptable(data: bytes, stream: Stream) -> None:
    alice = receiver()
    with contextlib.suppress(Undecryptable):
        assert alice.open(stream, data, now=0.0) == Waiting()


@given(st.data())
def test_a_changed_frame_never_opens(data: st.DataObject) -> None:
    sealed = bytearray(audio(sender(BOB)))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    alice = receiver()
    with contextlib.suppress(Undecryptable):
        assert alice.open(Stream.AUDIO, bytes(sealed), now=0.0) == Waiting()
    assert enter(alice, 2) == []


def test_an_opened_frame_shows_nothing_of_its_payload() -> None:
    assert "frame" not in repr(opened(receiver(), audio(sender(BOB))))
