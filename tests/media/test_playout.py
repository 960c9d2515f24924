"""Real speech over bad links through the whole receiving side: intelligible, in time, and never stopped by a packet."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pystoi import stoi

from tests.intelligibility import score
from tests.sim.link import LOOPBACK, LinkProfile, LossyLink
from tests.speech import speech_frames, speech_pcm
from tuiconf.media.opus import SAMPLE_RATE, Decoder, Encoder, Opus, Pcm
from tuiconf.media.playout import CONCEAL_AT_MOST_S, Kind, Receiver
from tuiconf.media.redundancy import Bundler, unbundle_with_offsets

SECONDS = 12.0
FRAME_S = 0.020
LOOKAHEAD_SAMPLES = 312  # of libopus for speech; `test_on_a_good_link…` fails when it changes
Damage = Callable[[int, bytes], bytes]


class Heard:
    """What came out at the receiver, one frame for each 20 ms."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.frames: list[Pcm] = []
        self.kinds: list[Kind] = []
        self.played_at: dict[int, float] = {}

    @property
    def count(self) -> Counter[Kind]:
        return Counter(self.kinds)

    def stoi(self) -> float:
        """Intelligibility against the original, at the delay the call settled at: whole frames and the codec's own."""
        heard, length = np.concatenate(self.frames), len(speech_pcm(SECONDS)) - 8 * 960
        original = speech_pcm(SECONDS)[:length]
        delays = [frames * 960 + LOOKAHEAD_SAMPLES for frames in range(8)]
        best = max(delays, key=lambda delay: abs(float(np.dot(original, heard[delay : delay + length]))))
        return float(stoi(original, heard[best : best + length], SAMPLE_RATE))


def hear(
    opus: Opus,
    profile: LinkProfile,
    *,
    offsets: tuple[int, ...] = (),
    fec_percent: int = 0,
    seed: int = 1,
    damage: Damage = lambda _, packet: packet,
    mute: range = range(0),
) -> Heard:
    """Speech through encoder, bundles, the link and a receiver that pulls every 20 ms."""
    link, heard = LossyLink(profile, seed=seed), Heard(Receiver(opus))
    encoder, bundler = Encoder(opus, expected_loss_percent=fec_percent), Bundler(offsets)
    seq = 0
    for tick, frame in enumerate([*speech_frames(SECONDS), *[np.zeros(960, np.float32)] * 10]):
        now = tick * FRAME_S
        if tick not in mute:
            packet = damage(seq, encoder.encode(frame))
            link.send(bundler.bundle(seq.to_bytes(4, "big") + packet), now=now)
            seq += 1
        for at, datagram in link.receive(now=now + 0.005):
            bundle = unbundle_with_offsets(datagram)
            for back, sealed in bundle:
                number = int.from_bytes(sealed[:4], "big")
                heard.receiver.push(number, sealed[4:], now=at, repeated=back > 0, farthest=bundle[-1][0])
        pcm, kind = heard.receiver.pull(now=now + 0.005)
        heard.frames.append(np.zeros(960, np.float32) if pcm is None else pcm)
        heard.kinds.append(kind)
        if kind is Kind.PLAYED and heard.receiver.last_played is not None:
            heard.played_at[heard.receiver.last_played] = now + 0.005
    return heard


@pytest.fixture(scope="module")
def loss_free(libopus: Opus) -> float:
    return hear(libopus, LinkProfile()).stoi()


def test_on_a_good_link_speech_is_what_the_codec_alone_gives(libopus: Opus, loss_free: float) -> None:
    encoder, decoder = Encoder(libopus), Decoder(libopus)
    alone = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in speech_frames(SECONDS)])
    late = encoder.lookahead_samples
    assert late == LOOKAHEAD_SAMPLES
    codec = float(stoi(speech_pcm(SECONDS)[:-late], alone[late:], SAMPLE_RATE))
    assert loss_free > 0.98 * codec
    heard = hear(libopus, LOOPBACK)
    assert heard.count[Kind.CONCEALED] == 0
    assert heard.stoi() > 0.98 * codec


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_ten_percent_loss_repeating_one_and_three_back_keeps_speech_intelligible(
    libopus: Opus, loss_free: float, seed: int
) -> None:
    assert hear(libopus, LinkProfile(loss=0.1), offsets=(1, 3), seed=seed).stoi() >= 0.97 * loss_free


def test_in_bursts_of_three_distant_copies_mend_more_than_near_ones(libopus: Opus) -> None:
    bursts = LinkProfile(loss=0.1, burst=3)
    near, distant = (hear(libopus, bursts, offsets=offsets) for offsets in ((1, 2), (1, 3)))
    assert distant.stoi() > near.stoi()
    assert distant.receiver.statistics.jitter.lost < near.receiver.statistics.jitter.lost / 2


def test_each_remedy_is_better_than_none(libopus: Opus) -> None:
    profile = LinkProfile(loss=0.1)
    concealed = hear(libopus, profile).stoi()
    fec = hear(libopus, profile, fec_percent=15).stoi()
    repeated = hear(libopus, profile, offsets=(1,)).stoi()
    assert concealed + 0.02 < fec < repeated


def test_in_band_fec_is_waited_for_where_there_is_some_and_loss(libopus: Opus) -> None:
    with_fec = hear(libopus, LinkProfile(loss=0.1), fec_percent=15)
    assert with_fec.receiver.statistics.frames_fec == with_fec.count[Kind.FEC]
    assert with_fec.count[Kind.FEC] > with_fec.count[Kind.CONCEALED]
    without = hear(libopus, LinkProfile(loss=0.1))
    assert without.count[Kind.FEC] == 0
    unneeded = hear(libopus, LinkProfile(), fec_percent=15)
    assert unneeded.receiver.statistics.jitter.depth_ms < 10


def _spoil(packet: bytes) -> list[bytes]:
    return [b"", b"\xff", bytes(1000), packet[:1] + bytes(range(79)), packet * 10, bytes((packet[0] | 3,)) + packet[1:]]


@pytest.mark.parametrize("how", range(6))
def test_one_bad_packet_costs_one_frame_and_nothing_else(libopus: Opus, how: int) -> None:
    heard = hear(libopus, LinkProfile(), damage=lambda seq, packet: _spoil(packet)[how] if seq == 200 else packet)
    assert heard.count[Kind.CONCEALED] <= 1
    assert heard.receiver.statistics.packets_bad <= 1
    clean = hear(libopus, LinkProfile())
    assert heard.count[Kind.PLAYED] >= clean.count[Kind.PLAYED] - 1
    after = slice(260, 300)
    assert np.allclose(np.concatenate(heard.frames[after]), np.concatenate(clean.frames[after]), atol=0.05)


def test_bad_packets_only_are_silence_and_a_count(libopus: Opus) -> None:
    heard = hear(libopus, LinkProfile(), damage=lambda _, packet: b"\xff" + packet)
    assert heard.count[Kind.PLAYED] == 0
    assert heard.receiver.statistics.packets_bad > 500
    assert heard.count[Kind.SILENCE] > 580


def test_a_sender_that_stops_fades_to_silence_and_comes_back_whole(libopus: Opus) -> None:
    heard = hear(libopus, LinkProfile(), mute=range(200, 300))
    gap = heard.kinds[203:295]
    concealed = int(CONCEAL_AT_MOST_S / FRAME_S) + 1
    assert gap.count(Kind.CONCEALED) <= concealed
    assert set(gap[concealed:]) == {Kind.SILENCE}
    assert set(heard.kinds[306:500]) == {Kind.PLAYED}
    joined = np.concatenate(heard.frames[203:310])
    assert np.abs(np.diff(joined)).max() < 0.5  # no click


def test_muted_frames_are_not_counted_as_lost(libopus: Opus) -> None:
    heard = hear(libopus, LinkProfile(), mute=range(200, 300))
    assert heard.receiver.take_losses()[1] == 0
    assert heard.receiver.statistics.jitter.lost == 0


def test_losses_for_the_report_are_the_networks_whatever_was_mended(libopus: Opus) -> None:
    heard = hear(libopus, LinkProfile(loss=0.1), offsets=(1, 3))
    received, lost = heard.receiver.take_losses()
    assert 0.07 < lost / (received + lost) < 0.13
    assert heard.receiver.statistics.jitter.lost < lost / 5
    assert heard.receiver.take_losses() == (0, 0)


def test_those_who_lose_nothing_pay_for_copies_with_delay_only_in_the_beginning(libopus: Opus) -> None:
    plain, copies = hear(libopus, LinkProfile()), hear(libopus, LinkProfile(), offsets=(1, 3))
    assert copies.receiver.statistics.jitter.depth_ms < plain.receiver.statistics.jitter.depth_ms + 10


@pytest.mark.parametrize("seed", [3, 10])
def test_with_copies_speech_is_whole_from_the_first_word(libopus: Opus, seed: int) -> None:
    original = np.asarray(speech_pcm(SECONDS))[: 8 * SAMPLE_RATE]
    whole = [
        score(original, np.concatenate(heard.frames)[: 9 * SAMPLE_RATE])
        for heard in (hear(libopus, LinkProfile()), hear(libopus, LinkProfile(loss=0.1), offsets=(1, 3), seed=seed))
    ]
    assert whole[1] >= 0.98 * whole[0]


def test_what_was_played_last_is_told_for_measuring_delay(libopus: Opus) -> None:
    heard = hear(libopus, LinkProfile(delay_s=0.03))
    delays = [heard.played_at[seq] - seq * FRAME_S for seq in range(500, 590)]
    assert 0.03 <= statistics.mean(delays) <= 0.06
    assert Receiver(libopus).last_played is None


def test_the_level_is_that_of_what_was_given(libopus: Opus) -> None:
    receiver = Receiver(libopus)
    assert receiver.pull(now=0.0) == (None, Kind.SILENCE)
    assert receiver.level_dbfs == -96.0
    encoder, levels = Encoder(libopus), []
    for seq, frame in enumerate(speech_frames(2.0)):
        receiver.push(seq, encoder.encode(frame), now=seq * FRAME_S)
        receiver.pull(now=seq * FRAME_S + 0.01)
        levels.append(receiver.level_dbfs)
    assert max(levels) > -30


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.binary(max_size=120), st.booleans(), st.integers(0, 20)), max_size=80))
def test_whatever_a_member_sends_every_pull_gives_a_frame(
    libopus: Opus, pushes: list[tuple[int, bytes, bool, int]]
) -> None:
    receiver, now = Receiver(libopus), 0.0
    for seq, payload, repeated, farthest in pushes:
        receiver.push(seq, payload, now=now, repeated=repeated, farthest=farthest)
        now += FRAME_S / 2
        pcm, kind = receiver.pull(now=now)
        assert (pcm is None) == (kind is Kind.SILENCE)
        assert pcm is None or (pcm.shape == (960,) and np.isfinite(pcm).all())


def encoded(libopus: Opus, frames: int) -> list[bytes]:
    encoder = Encoder(libopus)
    return [encoder.encode(pcm) for pcm in speech_frames(frames * FRAME_S)]


def test_what_is_put_after_the_last_frame_of_a_speaker_is_not_counted_as_lost(libopus: Opus) -> None:
    packets = encoded(libopus, 120)
    receiver = Receiver(libopus)
    for tick in range(300):
        if tick < 60 or 200 <= tick < 260:
            seq = tick if tick < 60 else tick - 140
            receiver.push(seq, packets[seq], now=tick * FRAME_S)
        receiver.pull(now=tick * FRAME_S + 0.001)
    assert receiver.statistics.frames_played >= 118
    assert receiver.statistics.frames_concealed == 0


def test_frames_lost_at_the_end_of_a_long_gap_are_counted(libopus: Opus) -> None:
    packets = encoded(libopus, 120)
    receiver = Receiver(libopus)
    for seq in range(120):
        if not 50 <= seq < 80:
            receiver.push(seq, packets[seq], now=seq * FRAME_S)
        receiver.pull(now=seq * FRAME_S + 0.001)
    assert receiver.statistics.frames_concealed >= int(CONCEAL_AT_MOST_S / FRAME_S)


def test_a_frame_that_is_blended_into_the_next_to_catch_up_counts_as_played(libopus: Opus) -> None:
    receiver, encoder = Receiver(libopus), Encoder(libopus)
    late_s, sent = 0.06, 800
    arrivals = {seq: seq * FRAME_S + (late_s if seq < 20 else 0.0) for seq in range(sent)}
    played = 0
    for tick in range(sent + 20):
        now = tick * FRAME_S + 0.001
        for seq in [seq for seq, at in arrivals.items() if at <= now]:
            receiver.push(seq, encoder.encode(np.zeros(960, np.float32)), now=arrivals.pop(seq))
        played += receiver.pull(now=now)[1] is Kind.PLAYED
    assert receiver.statistics.jitter.dropped == sent - played > 0
    assert receiver.statistics.frames_played == sent
