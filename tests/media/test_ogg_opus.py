"""The Ogg Opus files of a recording: what players need of them, also when a member sends nonsense."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.intelligibility import find, score
from tests.speech import speech_frames, speech_pcm
from tuiconf.media.ogg_opus import (
    MAX_TITLE_CHARS,
    PAGE_SAMPLES,
    PRE_SKIP,
    SILENCE_10_MS,
    SILENCE_20_MS,
    OggOpus,
)
from tuiconf.media.opus import Decoder, Encoder, Opus, OpusError, Pcm
from tuiconf.media.opus_packet import concealment, packet_samples

Page = tuple[int, int, int, bytes]  # flags, granule, sequence, the whole page


def pages(data: bytes) -> list[Page]:
    """The pages, taken apart by the book and not by the code under test; what is cut is not one."""
    found, at = [], 0
    while at + 27 <= len(data):
        magic, version, flags, granule, _, sequence, crc, count = struct.unpack_from("<4sBBqIIIB", data, at)
        assert (magic, version) == (b"OggS", 0)
        size = 27 + count + sum(data[at + 27 : at + 27 + count])
        if at + size > len(data):
            break
        page = data[at : at + size]
        assert crc == slow_crc(page[:22] + bytes(4) + page[26:])
        found.append((flags, granule, sequence, page))
        at += size
    return found


def slow_crc(data: bytes) -> int:
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFF_FFFF
    return register


def play(data: bytes, codec: str = "libopus") -> Pcm:
    """What FFmpeg's demuxer and that decoder make of it."""
    blocks = []
    with av.open(io.BytesIO(data), "r") as container:
        decoder = av.CodecContext.create(codec, "r")
        assert isinstance(decoder, av.AudioCodecContext)
        decoder.extradata = container.streams.audio[0].codec_context.extradata
        decoder.sample_rate = 48_000
        for packet in container.demux(audio=0):
            if packet.size:
                blocks += [frame.to_ndarray().ravel() for frame in decoder.decode(packet)]
    return np.concatenate(blocks).astype(np.float32) if blocks else np.zeros(0, np.float32)


def speech(libopus: Opus, seconds: float, frame_ms: int = 20) -> list[bytes]:
    encoder = Encoder(libopus, frame_ms=frame_ms)
    return [encoder.encode(frame) for frame in speech_frames(seconds, frame_ms)]


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_packets_come_back_in_time_from_pages_of_half_a_second(libopus: Opus, frame_ms: int) -> None:
    ogg = OggOpus(serial=7, title="Ada")
    data = ogg.head
    for packet in speech(libopus, 6, frame_ms):
        data += ogg.add(packet, 48 * frame_ms)
        assert ogg.size >= len(data)
    data += ogg.finish()
    assert ogg.size == len(data)
    found = pages(data)
    assert [sequence for _, _, sequence, _ in found] == list(range(len(found)))
    assert [flags for flags, *_ in found] == [2] + [0] * (len(found) - 2) + [4]
    steps = np.diff([granule for _, granule, _, _ in found[1:]])
    assert max(steps) < PAGE_SAMPLES + 48 * frame_ms and found[-1][1] == 6 * 48_000 + PRE_SKIP
    sound = play(data)
    assert len(sound) == 6 * 48_000
    assert abs(find(speech_pcm(6), sound)) < 48 and score(speech_pcm(6), sound) > 0.9


def test_a_file_cut_at_any_byte_plays_up_to_its_last_whole_page(libopus: Opus) -> None:
    ogg = OggOpus(serial=7, title="Ada")
    data = ogg.head + b"".join(ogg.add(packet, 960) for packet in speech(libopus, 4))
    for cut in range(len(ogg.head) + 5000, len(data), 1777):
        whole = pages(data[:cut])[-1][1]
        assert len(play(data[:cut])) >= whole - PRE_SKIP


@pytest.mark.parametrize("codec", ["libopus", "opus"])
def test_lost_frames_and_pauses_keep_what_follows_in_its_place(libopus: Opus, codec: str) -> None:
    packets = speech(libopus, 6)
    ogg = OggOpus(serial=1, title="")
    data = ogg.head + b"".join(ogg.add(packet, 960) for packet in packets[:100])
    data += ogg.add(concealment(packets[99][0]), 960, 5) + ogg.add(SILENCE_20_MS, 960, 1000)
    data += ogg.add(SILENCE_10_MS, 480) + b"".join(ogg.add(packet, 960) for packet in packets[100:]) + ogg.finish()
    sound = play(data, codec)
    second = 100 * 960 + 5 * 960 + 1000 * 960 + 480
    assert abs(find(speech_pcm(6)[96_000:], sound[second - 4800 :]) - 4800) < 48
    assert np.abs(sound[second - 480_000 : second - 960]).max() < 1e-4


def test_silence_is_what_libopus_takes_for_it(libopus: Opus) -> None:
    for packet, frame_ms in ((SILENCE_10_MS, 10), (SILENCE_20_MS, 20)):
        assert packet_samples(packet) == 48 * frame_ms
        assert np.abs(Decoder(libopus, frame_ms=frame_ms).decode(packet)).max() < 1e-6


@given(st.text(max_size=400))
def test_a_name_stays_within_its_tag(name: str) -> None:
    with av.open(io.BytesIO(OggOpus(serial=1, title=name).head + OggOpus(serial=1, title="").finish())) as file:
        title = file.streams.audio[0].metadata.get("title", file.metadata.get("title", ""))
    assert len(title) <= MAX_TITLE_CHARS and title.isprintable()


@given(st.binary(max_size=60) | st.binary(min_size=1270, max_size=1280))
def test_a_packet_taken_for_well_formed_is_of_that_length_to_libopus_too(libopus: Opus, packet: bytes) -> None:
    samples = packet_samples(packet)
    if samples in (480, 960, 1920, 2880):
        assert len(Decoder(libopus, frame_ms=samples // 48).decode(packet)) == samples


@given(st.binary(min_size=1, max_size=60))
def test_a_packet_taken_for_malformed_is_refused_by_libopus_too(libopus: Opus, packet: bytes) -> None:
    if packet_samples(packet) is None:
        for frame_ms in (10, 20, 40, 60):
            with pytest.raises(OpusError):
                Decoder(libopus, frame_ms=frame_ms).decode(packet)


def test_what_our_encoder_makes_is_well_formed(libopus: Opus) -> None:
    for frame_ms in (10, 20, 40, 60):
        assert {packet_samples(packet) for packet in speech(libopus, 2, frame_ms)} == {48 * frame_ms}
