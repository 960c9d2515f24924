"""Sound between three: real speech, real Opus, the keys of a real group, and datagrams by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay_quic.wire import DatagramKind, datagram_prefix, parse_datagram_prefix
from tests.conference.world import Guest, World
from tests.speech import speech_frames
from tuiconf.conference import sound as sound_module
from tuiconf.conference.eavesdrop import Eavesdropper
from tuiconf.conference.effects import InstallKeys
from tuiconf.conference.sound import FRAME_S, MAX_RECEIVERS, Sound
from tuiconf.crypto.media_keys import KEEP_AFTER_REMOVAL_S, SealingKeys, Stream
from tuiconf.media.opus import Opus, Pcm, load
from tuiconf.media.redundancy import Bundler

UNIX = 1_790_000_000.0


@pytest.fixture(scope="module")
def opus() -> Opus:
    return load()


class Room:
    """Sounds that follow their guests' keys, and hear each other without delay."""

    def __init__(self, world: World, opus: Opus, *, delay_s: float = 0.0) -> None:
        self.world = world
        self.opus = opus
        self.delay_s = delay_s
        self.now = 100.0
        self.sounds: dict[Guest, Sound] = {}
        self.taken: dict[Guest, int] = {}
        self.lose = 0.0
        self.eavesdroppers: dict[Guest, Eavesdropper] = {}

    def enter(self, *guests: Guest) -> None:
        for guest in guests:
            self.sounds[guest] = Sound(self.opus, complexity=0)
            self.taken[guest] = 0

    def keys(self, *guests: Guest) -> None:
        """These install the keys their sessions have given out since the last time."""
        for guest in guests or self.sounds:
            effects = guest.effects[self.taken[guest] :]
            self.taken[guest] = len(guest.effects)
            for keys in effects:
                if isinstance(keys, InstallKeys):
                    self.sounds[guest].install(keys, now=self.now)
                    if guest in self.eavesdroppers:
                        self.eavesdroppers[guest].install(keys)

    def talk(self, speaker: Guest, frames: Iterable[Pcm], hearers: list[Guest]) -> dict[Guest, list[Pcm]]:
        """One speaks, the others hear; what each of them played."""
        played: dict[Guest, list[Pcm]] = {guest: [] for guest in hearers}
        for frame in frames:
            self.now += FRAME_S
            datagrams = self.sounds[speaker].capture(frame, now=self.now, unix=UNIX + self.now)
            datagrams += self.sounds[speaker].report_due(now=self.now)
            for guest in hearers:
                for datagram in datagrams:
                    if self.world.random.random() >= self.lose:
                        self.deliver(guest, datagram)
                unix = UNIX + self.now + self.delay_s
                played[guest].append(self.sounds[guest].play(now=self.now, unix=unix))
        return played

    def deliver(self, guest: Guest, datagram: bytes) -> None:
        self.sounds[guest].receive(datagram, now=self.now)
        if guest in self.eavesdroppers:
            self.eavesdroppers[guest].hear(datagram)


class Tape:
    """A recorder that only counts."""

    def __init__(self) -> None:
        self.leaves: list[int] = []

    def packet(self, leaf: int, counter: int, payload: bytes, *, now: float) -> None:
        self.leaves.append(leaf)

    def clock(self, leaf: int, counter: int, unix: float, *, now: float) -> None:
        pass

    def gone(self, leaf: int) -> None:
        pass


def loud(frames: list[Pcm]) -> int:
    """How many frames have something to hear."""
    return sum(bool(np.abs(frame).max() > 0.003) for frame in frames)


def received(sound: Sound, leaf: int) -> int:
    [stream] = sound.streams({leaf: ("name", "fingerprint")})
    return stream.frames_received


@pytest.fixture
def three(opus: Opus) -> tuple[Room, Guest, Guest, Guest]:
    world = World()
    ann, ben, cyd = world.party("Ann", "Ben", "Cyd")
    room = Room(world, opus)
    room.enter(ann, ben, cyd)
    room.keys()
    return room, ann, ben, cyd


SPEECH = speech_frames(4.0)


def test_what_one_says_all_others_hear(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, cyd = three
    played = room.talk(ann, SPEECH[:100], [ben, cyd])
    for guest in (ben, cyd):
        assert loud(played[guest]) > 50
        assert received(room.sounds[guest], ann.leaf) == 100
        assert room.sounds[guest].undecryptable == {}
    assert not np.array_equal(played[ben][50], np.zeros(960, dtype=np.float32))


def test_who_is_silenced_is_heard_by_nobody_here_and_is_still_in_a_recording(
    three: tuple[Room, Guest, Guest, Guest],
) -> None:
    room, ann, ben, _ = three
    hearing, tape = room.sounds[ben], Tape()
    hearing.tape = tape
    hearing.silenced = frozenset({ann.leaf})
    for frame in SPEECH[:60]:
        assert loud(room.talk(ann, [frame], [ben])[ben]) == 0
        assert hearing.voice_frame(ann.leaf) is None
    assert tape.leaves == [ann.leaf] * 60
    assert [leaf for leaf, _, _ in hearing.levels(now=room.now)] == [ann.leaf]  # it is seen that they speak
    hearing.silenced = frozenset()
    assert loud(room.talk(ann, SPEECH[60:120], [ben])[ben]) > 30


def test_no_frame_is_lost_when_someone_joins_in_the_middle(three: tuple[Room, Guest, Guest, Guest]) -> None:
    """Whoever is a little late with the new keys is heard, and hears."""
    room, ann, ben, cyd = three
    room.talk(ann, SPEECH[:20], [ben, cyd])
    dee = room.world.guest("Dee")
    room.world.run(1.0)
    room.enter(dee)
    room.keys(ann, dee)  # not yet Ben and Cyd: these frames wait for their epoch
    room.talk(ann, SPEECH[20:30], [ben, cyd, dee])
    room.keys(ben)
    room.talk(ann, SPEECH[30:40], [ben, cyd, dee])
    room.keys(cyd)
    room.talk(ann, SPEECH[40:60], [ben, cyd, dee])
    for guest in (ben, cyd):
        assert received(room.sounds[guest], ann.leaf) == 60
        assert room.sounds[guest].undecryptable == {}
    assert received(room.sounds[dee], ann.leaf) == 40


def test_a_sender_who_has_not_seen_a_join_is_heard_by_those_who_have(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, cyd = three
    room.world.guest("Dee")
    room.world.run(1.0)
    room.keys(ben, cyd)
    room.talk(ann, SPEECH[:20], [ben, cyd])
    assert received(room.sounds[ben], ann.leaf) == 20


def test_a_removed_member_opens_nothing_of_the_next_epoch(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, cyd = three
    room.eavesdroppers[cyd] = Eavesdropper()
    for keys in cyd.effects:
        if isinstance(keys, InstallKeys):
            room.eavesdroppers[cyd].install(keys)
    room.talk(ann, SPEECH[:20], [ben, cyd])
    assert room.eavesdroppers[cyd].frames_tried == 0
    ann.kick(cyd)
    room.world.run(1.0)
    room.keys(ann, ben)
    room.eavesdroppers[cyd].removed = True
    before = received(room.sounds[cyd], ann.leaf)
    played = room.talk(ann, SPEECH[20:120], [ben, cyd])
    assert loud(played[ben]) > 50
    assert room.eavesdroppers[cyd].frames_tried >= 100
    assert room.eavesdroppers[cyd].frames_opened == 0
    assert received(room.sounds[cyd], ann.leaf) == before
    room.now += 1.0
    room.sounds[cyd].housekeep(now=room.now)
    assert sum(room.sounds[cyd].undecryptable.values()) >= 100


def test_an_eavesdropper_would_notice_if_it_could_open_something(three: tuple[Room, Guest, Guest, Guest]) -> None:
    """The proof above is worth something only if it can fail: here the keys were not changed."""
    room, ann, _, cyd = three
    spy = Eavesdropper()
    for keys in cyd.effects:
        if isinstance(keys, InstallKeys):
            spy.install(keys)
    spy.removed = True
    for frame in SPEECH[:10]:
        for datagram in room.sounds[ann].capture(frame, now=room.now, unix=UNIX):
            spy.hear(datagram)
    assert spy.frames_opened == 10


def test_a_removed_member_is_not_heard_any_more_and_cannot_be_opened_a_second_later(
    three: tuple[Room, Guest, Guest, Guest],
) -> None:
    room, ann, ben, cyd = three
    room.talk(cyd, SPEECH[:10], [ben])
    ann.kick(cyd)
    room.world.run(1.0)
    room.keys(ann, ben)
    room.talk(cyd, SPEECH[10:20], [ben])
    assert room.sounds[ben].streams({2: ("", "")}) == ()
    assert room.sounds[ben].undecryptable == {}
    room.now += KEEP_AFTER_REMOVAL_S
    room.talk(cyd, SPEECH[20:30], [ben])
    assert room.sounds[ben].undecryptable["too_old"] == 11  # and a report


def test_who_takes_a_leaf_over_starts_from_silence(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, cyd = three
    leaf = cyd.leaf
    room.talk(cyd, SPEECH[:50], [ben])
    late = room.sounds[cyd].capture(SPEECH[50], now=room.now, unix=UNIX)
    cyd.leave()
    dee = room.world.guest("Dee")
    room.world.run(1.0)
    room.enter(dee)
    room.keys(ann, ben, dee)
    assert dee.leaf == leaf
    for datagram in late:  # authentic, of the epoch before, and not Dee's
        room.deliver(ben, datagram)
    assert room.sounds[ben].streams({leaf: ("Dee", "")}) == ()
    room.talk(dee, SPEECH[:30], [ben])
    assert received(room.sounds[ben], leaf) == 30


def test_our_own_frames_sent_back_stay_closed(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, _, _ = three
    for datagram in room.sounds[ann].capture(SPEECH[0], now=room.now, unix=UNIX):
        room.deliver(ann, datagram)
    assert room.sounds[ann].undecryptable == {"own_leaf": 2}  # the frame, and the report before it


def test_silence_sends_nothing(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, _, _ = three
    assert room.sounds[ann].capture(None, now=room.now, unix=UNIX) == []
    assert room.sounds[ann].report_due(now=room.now) == []
    assert room.sounds[ann].frames_sent == 0


def test_who_has_no_keys_yet_sends_nothing(opus: Opus) -> None:
    sound = Sound(opus)
    assert sound.capture(SPEECH[0], now=1.0, unix=UNIX) == []
    assert sound.report_due(now=1.0) == []
    sound.receive(b"\x01\x00\x05hello", now=1.0)


def test_reports_of_loss_make_the_sender_repeat_and_their_end_makes_it_stop(
    three: tuple[Room, Guest, Guest, Guest],
) -> None:
    room, ann, ben, _ = three
    room.lose = 0.10
    for round_ in range(4):
        room.talk(ann, SPEECH[round_ * 50 : round_ * 50 + 50], [ben])
        room.lose, lose = 0.0, room.lose
        room.talk(ben, SPEECH[:2], [ann])
        for datagram in room.sounds[ben].report_due(now=room.now):
            room.deliver(ann, datagram)
        room.lose = lose
        room.sounds[ann].housekeep(now=room.now)
    assert room.sounds[ann].repeats == (1, 3)
    for _ in range(60):
        room.now += 1.0
        room.sounds[ann].housekeep(now=room.now)
    assert room.sounds[ann].repeats == ()


def test_one_who_only_listens_reports_what_it_lost(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, _ = three
    room.lose = 0.3
    room.talk(ann, SPEECH[:60], [ben])
    room.now += 1.0
    [datagram] = room.sounds[ben].report_due(now=room.now)
    assert parse_datagram_prefix(datagram)[0] is DatagramKind.SIDE
    assert room.sounds[ben].report_due(now=room.now) == []


def test_forced_repeats_are_not_decided_by_reports(opus: Opus, three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, cyd = three
    forced = room.sounds[ann] = Sound(opus, repeats=(1, 3))
    room.taken[ann] = 0
    room.keys(ann)
    forced.housekeep(now=room.now)
    assert forced.repeats == (1, 3)
    room.lose = 0.1
    room.talk(ann, SPEECH[:100], [ben, cyd])
    assert received(room.sounds[ben], ann.leaf) >= 97
    assert room.sounds[ben].undecryptable == {}


def test_the_delay_is_measured_from_capture_to_play_out(opus: Opus) -> None:
    world = World()
    ann, ben = world.party("Ann", "Ben")
    room = Room(world, opus, delay_s=0.030)
    room.enter(ann, ben)
    room.keys()
    room.talk(ann, SPEECH[:150], [ben])
    [stream] = room.sounds[ben].streams({ann.leaf: ("Ann", "")})
    assert stream.delay_ms_p50 is not None
    assert stream.delay_ms_p95 is not None
    # A frame of 20 ms that ended now, what the jitter buffer holds, and 30 ms after that.
    assert 50.0 <= stream.delay_ms_p50 <= stream.delay_ms_p95 <= 130.0


def test_a_pause_is_not_taken_for_a_delay(opus: Opus) -> None:
    """As after a restart of the relay: frames are numbered on where they stopped, and no report was due."""
    world = World()
    ann, ben = world.party("Ann", "Ben")
    room = Room(world, opus)
    room.enter(ann, ben)
    room.keys()
    room.talk(ann, SPEECH[:75], [ben])
    room.now += 0.3
    room.talk(ann, SPEECH[75:84], [ben])
    [stream] = room.sounds[ben].streams({ann.leaf: ("Ann", "")})
    assert stream.delay_ms_p95 is not None
    assert stream.delay_ms_p95 < 130.0


@pytest.mark.parametrize(("members", "told"), [(8, False), (9, True)])
def test_only_in_a_large_room_the_relay_is_told_how_loud_it_is(opus: Opus, members: int, told: bool) -> None:
    sound = Sound(opus)
    sound.install(keys_for(own=0, leaves=range(members)), now=0.0)
    noise = (np.random.default_rng(1).standard_normal(960) * 0.3).astype(np.float32)
    *_, datagram = sound.capture(noise, now=0.0, unix=UNIX)
    assert parse_datagram_prefix(datagram) == (DatagramKind.AUDIO, 3 if told else 0)
    *_, datagram = sound.capture(noise * 0, now=0.0, unix=UNIX)
    assert parse_datagram_prefix(datagram) == (DatagramKind.AUDIO, 0)


def keys_for(*, own: int, leaves: Iterable[int], epoch: int = 1) -> InstallKeys:
    members = {leaf: leaf.to_bytes(32, "big") for leaf in leaves}
    return InstallKeys(epoch=epoch, base_key=bytes(16), own_leaf=own, members=members, new_group=False, removal=False)


def test_more_voices_than_are_kept_cost_the_one_silent_longest(opus: Opus) -> None:
    leaves = range(MAX_RECEIVERS + 5)
    sound = Sound(opus)
    sound.install(keys_for(own=0, leaves=leaves), now=0.0)
    for leaf in leaves[1:]:
        sender = SealingKeys()
        sender.install(1, bytes(16), leaf)
        _, sealed = sender.seal(Stream.AUDIO, bytes(80))
        sound.receive(datagram_prefix(DatagramKind.AUDIO) + Bundler().bundle(sealed), now=float(leaf))
    people = {leaf: (str(leaf), "") for leaf in leaves}
    assert [stream.leaf for stream in sound.streams(people)] == list(leaves)[-MAX_RECEIVERS:]


# --- whatever arrives


@pytest.fixture(scope="module")
def hearing(opus: Opus) -> tuple[Sound, list[bytes]]:
    """One who hears, and datagrams it could be sent."""
    world = World()
    ann, ben = world.party("Ann", "Ben")
    room = Room(world, opus)
    room.enter(ann, ben)
    room.keys()
    room.sounds[ann].housekeep(now=room.now)
    datagrams = []
    for frame in SPEECH[:6]:
        datagrams += room.sounds[ann].capture(frame, now=room.now, unix=UNIX)
    return room.sounds[ben], datagrams


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_datagram_raises_and_every_tick_gives_a_frame(
    data: st.DataObject, hearing: tuple[Sound, list[bytes]]
) -> None:
    sound, datagrams = hearing
    datagram = bytearray(data.draw(st.one_of(st.sampled_from(datagrams), st.binary(max_size=1200))))
    for position, byte in data.draw(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=4)):
        if position < len(datagram):
            datagram[position] = byte
    now = data.draw(st.floats(100.0, 200.0))
    sound.receive(bytes(datagram), now=now)
    frame = sound.play(now=now, unix=UNIX)
    assert frame.shape == (960,)
    assert np.abs(frame).max() <= 1.0


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=400), stream=st.sampled_from(Stream), jump=st.integers(0, 2**31))
def test_nothing_a_member_seals_raises(opus: Opus, payload: bytes, stream: Stream, jump: int) -> None:
    """Authentic and still hostile: not Opus, not a report, a counter out of the blue."""
    sound = Sound(opus)
    sound.install(keys_for(own=0, leaves=(0, 1)), now=0.0)
    sender = SealingKeys()
    sender.install(1, bytes(16), 1)
    sender._next[stream] = jump
    kind = DatagramKind.AUDIO if stream is Stream.AUDIO else DatagramKind.SIDE
    for tick in range(3):
        _, sealed = sender.seal(stream, payload)
        body = Bundler().bundle(sealed) if stream is Stream.AUDIO else sealed
        sound.receive(datagram_prefix(kind) + body, now=tick * FRAME_S)
        assert sound.play(now=tick * FRAME_S, unix=UNIX).shape == (960,)
    sound.report_due(now=5.0)
    sound.housekeep(now=5.0)


def test_what_cannot_be_opened_is_counted_by_reason(three: tuple[Room, Guest, Guest, Guest]) -> None:
    room, ann, ben, _ = three
    *_, datagram = room.sounds[ann].capture(SPEECH[0], now=room.now, unix=UNIX)
    changed = bytearray(datagram)
    changed[-1] ^= 1
    for bad in (b"", b"\x01", b"\xff\xff", bytes(changed), bytes(1101)):
        room.deliver(ben, bad)
    assert room.sounds[ben].undecryptable == {"malformed": 4, "authentication": 1}
    assert sound_module.NO_HINT_MEMBERS == 8
