"""libopus is found, used as said, and survives whatever a peer sends."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.speech import speech_frames
from tuiconf.media import opus
from tuiconf.media.opus import Decoder, Encoder, Opus, OpusError, OpusMissing


def test_the_newest_library_is_chosen_and_says_its_version(libopus: Opus) -> None:
    assert libopus.version >= (1, 3)
    again = opus.load(libopus.path)
    assert again.version == libopus.version
    assert again.path == libopus.path


def test_a_configured_path_that_is_no_library_is_named(tmp_path: Path) -> None:
    text = tmp_path / "libopus.so"
    text.write_text("not a library")
    with pytest.raises(OpusMissing, match=r"libopus\.so"):
        opus.load(str(text))
    with pytest.raises(OpusMissing, match="missing"):
        opus.load(str(tmp_path / "missing.so"))


def test_a_library_that_is_not_opus_is_refused() -> None:
    with pytest.raises(OpusMissing, match="libc"):
        opus.load("libc.so.6")


def test_without_any_library_one_sentence_says_what_to_install() -> None:
    with pytest.raises(OpusMissing, match="apt install libopus0"):
        opus.load(places=["libopus-that-is-not-there.so", "libc.so.6"])


@pytest.mark.parametrize(("bitrate", "size"), [(16_000, 40), (24_000, 60), (32_000, 80)])
def test_constant_bit_rate_packets_all_have_one_size(libopus: Opus, bitrate: int, size: int) -> None:
    encoder = Encoder(libopus, bitrate=bitrate)
    frames = [*speech_frames(3.0), np.zeros(960, np.float32), np.ones(960, np.float32)]
    assert {len(encoder.encode(frame)) for frame in frames} == {size}


def test_discontinuous_transmission_shrinks_silence_only_when_asked_for(libopus: Opus) -> None:
    encoder = Encoder(libopus, dtx=True, vbr=True)
    sizes = [len(encoder.encode(np.zeros(960, np.float32))) for _ in range(60)]
    assert min(sizes) <= 2
    assert Decoder(libopus).decode(encoder.encode(np.zeros(960, np.float32))).shape == (960,)


@pytest.mark.parametrize("frame_ms", opus.FRAME_LENGTHS_MS)
def test_a_tone_comes_back_as_it_was(libopus: Opus, frame_ms: int) -> None:
    samples = 48 * frame_ms
    encoder, decoder = Encoder(libopus, frame_ms=frame_ms, bitrate=64_000), Decoder(libopus, frame_ms=frame_ms)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(samples * 40) / 48_000)).astype(np.float32)
    frames = [tone[at : at + samples] for at in range(0, len(tone), samples)]
    heard = np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])
    second_half = heard[len(heard) // 2 :]
    spectrum = np.abs(np.fft.rfft(second_half))
    assert abs(np.argmax(spectrum) * 48_000 / len(second_half) - 440) < 5
    assert 0.9 < np.std(second_half) / np.std(tone) < 1.1


def test_in_band_fec_rebuilds_a_frame_better_than_concealment(libopus: Opus) -> None:
    frames = speech_frames(6.0)
    encoder = Encoder(libopus, expected_loss_percent=15)
    packets = [encoder.encode(frame) for frame in frames]
    errors = {"fec": 0.0, "conceal": 0.0}
    whole, fec, blind = Decoder(libopus), Decoder(libopus), Decoder(libopus)
    for index, packet in enumerate(packets[:-1]):
        true = whole.decode(packet)
        if index % 10 or not opus.has_fec(packets[index + 1]):
            fec.decode(packet)
            blind.decode(packet)
            continue
        errors["fec"] += float(np.sum((fec.decode_fec(packets[index + 1]) - true) ** 2))
        errors["conceal"] += float(np.sum((blind.conceal() - true) ** 2))
    assert 0 < errors["fec"] < 0.5 * errors["conceal"]


def test_packets_say_whether_they_carry_fec(libopus: Opus) -> None:
    frames = speech_frames(3.0)
    without, with_fec = Encoder(libopus), Encoder(libopus, expected_loss_percent=20)
    assert not any(opus.has_fec(without.encode(frame)) for frame in frames)
    assert sum(opus.has_fec(with_fec.encode(frame)) for frame in frames) > len(frames) // 4
    without.set_expected_loss(20)
    assert any(opus.has_fec(without.encode(frame)) for frame in frames)


@pytest.mark.parametrize(
    "make",
    [
        lambda library: Encoder(library, bitrate=1_000),
        lambda library: Encoder(library, bitrate=1_000_000),
        lambda library: Encoder(library, frame_ms=15),
        lambda library: Encoder(library, complexity=11),
        lambda library: Encoder(library, complexity=-1),
        lambda library: Encoder(library, expected_loss_percent=101),
        lambda library: Decoder(library, frame_ms=25),
    ],
)
def test_settings_out_of_range_are_refused(libopus: Opus, make: Callable[[Opus], object]) -> None:
    with pytest.raises(OpusError):
        make(libopus)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(959, np.float32),
        np.zeros(960, np.float64),
        np.zeros((960, 1), np.float32),
        np.zeros(1920, np.float32)[::2],
    ],
)
def test_what_is_not_a_frame_is_not_encoded(libopus: Opus, pcm: opus.Pcm) -> None:
    with pytest.raises(OpusError, match="960"):
        Encoder(libopus).encode(pcm)


def test_one_frame_of_nonsense_from_a_sound_card_does_not_spoil_the_next(libopus: Opus) -> None:
    encoder, decoder = Encoder(libopus), Decoder(libopus)
    for value in (np.nan, np.inf, -np.inf, 1e30):
        decoder.decode(encoder.encode(np.full(960, value, np.float32)))
    for frame in speech_frames(1.0):
        heard = decoder.decode(encoder.encode(frame))
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1.5


def _packet_of(libopus: Opus, frame_ms: int) -> bytes:
    return Encoder(libopus, frame_ms=frame_ms).encode(np.zeros(48 * frame_ms, np.float32))


def test_only_frames_of_the_calls_length_are_decoded(libopus: Opus) -> None:
    decoder = Decoder(libopus)
    forty, sixty, ten = (_packet_of(libopus, ms) for ms in (40, 60, 10))
    hundred_twenty = bytes((sixty[0] | 3, 2)) + 2 * sixty[1:60]  # two frames of 60 ms
    for packet in (forty, sixty, ten, hundred_twenty, b"", bytes(1276)):
        with pytest.raises(OpusError):
            decoder.decode(packet)
        with pytest.raises(OpusError):
            decoder.decode_fec(packet)


def test_a_stereo_packet_is_folded_to_mono(libopus: Opus) -> None:
    mono = _packet_of(libopus, 20)
    assert Decoder(libopus).decode(bytes((mono[0] | 4,)) + mono[1:]).shape == (960,)


@settings(max_examples=500, deadline=None)
@given(
    packets=st.lists(
        st.one_of(
            st.binary(max_size=200),
            # TOCs of 20 ms frames of every mode, so that the decoder is really entered
            st.builds(
                lambda config, stereo, rest: bytes((config << 3 | stereo << 2,)) + rest,
                st.sampled_from([1, 5, 9, 13, 15, 19, 23, 27, 31]),
                st.integers(0, 1),
                st.binary(max_size=300),
            ),
        ),
        max_size=8,
    ),
    fec=st.booleans(),
)
def test_no_packet_brings_anything_but_a_whole_frame_or_the_one_error(
    libopus: Opus, packets: list[bytes], fec: bool
) -> None:
    decoder = Decoder(libopus)
    for packet in packets:
        opus.has_fec(packet)
        try:
            pcm = decoder.decode_fec(packet) if fec else decoder.decode(packet)
        except OpusError:
            continue
        assert pcm.shape == (960,)
        assert np.isfinite(pcm).all()
    assert decoder.conceal().shape == (960,)


def test_an_encoder_may_outlive_the_name_of_its_library() -> None:
    encoder = Encoder(opus.load())
    gc.collect()
    assert len(encoder.encode(np.zeros(960, np.float32))) == 80
