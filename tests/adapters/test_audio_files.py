"""Files as the microphone: every format, and everything that is wrong with a file."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.intelligibility import find
from tuiconf.adapters.audio import AudioError, Frame, decoder, open_source, parse_input
from tuiconf.adapters.audio.decoder import AHEAD_SAMPLES
from tuiconf.adapters.audio.files import FileSource
from tuiconf.speech import samples

CODECS = {
    "wav": "pcm_s16le",
    "flac": "flac",
    "ogg": "libopus",
    "mp3": "libmp3lame",
    "m4a": "aac",
    "mka": "pcm_f32le",
    "aiff": "pcm_s16be",
}


def chirp(seconds: float, rate: int = 48_000) -> Frame:
    """A sound that is like itself at no other place, so that it can be found again."""
    t = np.arange(round(seconds * rate)) / rate
    sound: Frame = (0.5 * np.sin(2 * np.pi * (200 * t + 400 * t * t))).astype(np.float32)
    return sound


def encode(path: Path, sound: Frame, *, codec: str, rate: int = 48_000, layout: str = "mono") -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        channels = 2 if layout == "stereo" else 1
        resampler = av.AudioResampler(
            format=stream.format.name, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size
        )
        planes = np.repeat(sound[np.newaxis, :], channels, axis=0)
        whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), format="fltp", layout=layout)
        whole.sample_rate = rate
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


async def heard(source: FileSource, *, limit: int = 2000) -> list[Frame | None]:
    """Every frame until the end. The decoder's thread gets the time it needs, as it does between real ticks."""
    frames: list[Frame | None] = []
    while not source.ended and len(frames) < limit:
        frames.append(source.frame())
        if frames[-1] is None:
            await asyncio.sleep(0.001)
    return frames


def joined(frames: list[Frame | None]) -> Frame:
    return np.concatenate([f for f in frames if f is not None])


async def test_tags_in_another_encoding_than_utf_8_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tagged.wav"
    encode(path, chirp(0.5), codec=CODECS["wav"])
    tags = b"INFOINAM" + (6).to_bytes(4, "little") + b"Zo\xeb\xff\xfe\0"
    data = path.read_bytes() + b"LIST" + len(tags).to_bytes(4, "little") + tags
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    source = FileSource(path)
    await source.start()
    assert len(joined(await heard(source))) >= 24_000
    await source.close()


@pytest.mark.parametrize("suffix", list(CODECS))
async def test_a_file_of_each_format_is_played_whole(tmp_path: Path, suffix: str) -> None:
    path, sound = tmp_path / f"sound.{suffix}", chirp(1.0)
    encode(path, sound, codec=CODECS[suffix])
    source = FileSource(path)
    await source.start()
    frames = await heard(source)
    await source.close()
    assert all(f is None or f.shape == (960,) for f in frames)
    out = joined(frames)
    shift = find(sound, out)
    assert 0 <= shift < 3000
    part = out[shift : shift + len(sound)]
    assert len(part) > 0.95 * len(sound)
    assert np.corrcoef(part, sound[: len(part)])[0, 1] > 0.98


@pytest.mark.parametrize(("rate", "layout"), [(8_000, "mono"), (44_100, "stereo"), (96_000, "mono")])
async def test_other_rates_and_channels_become_48_khz_mono(tmp_path: Path, rate: int, layout: str) -> None:
    path = tmp_path / "sound.wav"
    encode(path, chirp(1.0, rate), codec="pcm_s16le", rate=rate, layout=layout)
    source = FileSource(path)
    await source.start()
    out = joined(await heard(source))
    await source.close()
    assert len(out) == pytest.approx(48_000, abs=2 * 960)
    assert np.corrcoef(out[:47_000], chirp(1.0)[:47_000])[0, 1] > 0.98


async def test_the_samples_in_the_package_play_and_are_short() -> None:
    assert sum(path.stat().st_size for path in samples()) < 150_000
    for path in samples():
        source = FileSource(path)
        await source.start()
        out = joined(await heard(source))
        await source.close()
        assert 3.0 < len(out) / 48_000 < 5.0
        assert np.abs(out).max() > 0.1


async def test_a_delay_comes_before_the_file_and_a_loop_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    encode(path, chirp(0.1), codec="pcm_s16le")
    source = FileSource(path, loop=True, delay_s=0.2)
    await source.start()
    frames = await heard(source, limit=300)
    await source.close()
    assert frames[:10] == [None] * 10
    assert frames[10] is not None
    again = joined(frames)[4800:9600]
    assert len(again) == 4800 and np.abs(again - joined(frames)[:4800]).max() < 1e-6
    assert source.ended and source.frame() is None


@pytest.mark.parametrize("kept_s", [5.0, 0.1])
async def test_a_short_loop_is_decoded_once_and_a_longer_one_each_time(
    tmp_path: Path, kept_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "KEPT_SAMPLES", round(kept_s * 48_000))
    path = tmp_path / "sound.wav"
    encode(path, chirp(2.5), codec="pcm_s16le")
    source = FileSource(path, loop=True)
    await source.start()
    await heard(source, limit=126)
    encode(tmp_path / "quieter.wav", chirp(2.5) * 0.1, codec="pcm_s16le")
    (tmp_path / "quieter.wav").replace(path)
    await heard(source, limit=250)  # what was decoded ahead
    again = joined(await heard(source, limit=125))
    await source.close()
    assert bool(np.abs(again).max() > 0.2) is (kept_s > 2.5)


async def test_a_loop_of_next_to_nothing_is_refused_instead_of_keeping_a_core_busy(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    encode(path, chirp(0.01), codec="pcm_s16le")
    source = FileSource(path, loop=True)
    with pytest.raises(AudioError, match="too short"):
        await source.start()
        await heard(source)
    await source.close()


async def test_a_long_file_is_decoded_a_bounded_time_ahead_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    encode(path, chirp(20.0), codec="flac")
    source = FileSource(path)
    await source.start()
    total = 0
    for _ in itertools.count():
        if source.ended:
            break
        frame = source.frame()
        total += 0 if frame is None else len(frame)
        assert source._decoder.fifo.level < AHEAD_SAMPLES + 48_000  # one decoded block more, at most
        await asyncio.sleep(0.0005)
    await source.close()
    assert total == 20 * 48_000


async def test_closing_in_the_middle_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    encode(path, chirp(10.0), codec="pcm_s16le")
    before = threading.active_count()
    source = FileSource(path)
    await source.start()
    assert source.frame() is not None
    await source.close()
    await source.close()
    assert "audio file" not in [t.name for t in threading.enumerate()]
    assert threading.active_count() <= before + 1  # the loop's executor may have made its own


def _text(path: Path) -> None:
    path.write_text("Dear all,\nthis is not audio.\n" * 100)


def _random(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(200_000))


def _empty(path: Path) -> None:
    path.touch()


def _folder(path: Path) -> None:
    path.mkdir()


def _missing(path: Path) -> None:
    pass


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _playlist(path: Path) -> None:
    other = path.with_name("secret.wav")
    encode(other, chirp(0.5), codec="pcm_s16le")
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n")


def _concat(path: Path) -> None:
    encode(path.with_name("secret.wav"), chirp(0.5), codec="pcm_s16le")
    path.write_text("ffconcat version 1.0\nfile secret.wav\n")


def _video_only(path: Path) -> None:
    import av

    with av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream("mpeg4", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        out.mux(stream.encode(None))


def _header_only(path: Path) -> None:
    whole = path.with_suffix(".whole.wav")
    encode(whole, chirp(0.5), codec="pcm_s16le")
    path.write_bytes(whole.read_bytes()[:44])


def _one_hertz(path: Path) -> None:
    whole = path.with_suffix(".whole.wav")
    encode(whole, chirp(0.5), codec="pcm_s16le")
    data = bytearray(whole.read_bytes())
    data[24:28] = (1).to_bytes(4, "little")
    path.write_bytes(data)


def _unreadable(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # a regular file that not even root can read from its start


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text, "not an audio file"),
        (_random, "audio"),
        (_empty, "not an audio file"),
        (_folder, "is a folder"),
        (_missing, "no such file"),
        (_fifo, "not a regular file"),
        (_playlist, "not an audio file"),
        (_concat, "not an audio file"),
        (_video_only, "no audio track"),
        (_header_only, "audio"),
        (_one_hertz, "sample rate of 1 Hz"),
        (_unreadable, "not an audio file"),
    ],
)
async def test_what_is_not_audio_is_refused_in_one_sentence(
    tmp_path: Path, make: object, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    path = tmp_path / "input.bin"
    make(path)
    source = open_source(parse_input(str(path)))
    with pytest.raises(AudioError, match=words) as caught:
        await source.start()
    assert "\n" not in str(caught.value)
    assert source.ended and source.frame() is None
    await source.close()
    out = capfd.readouterr()
    assert out.out == out.err == ""


async def test_an_address_is_a_file_name_and_nothing_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        source = open_source(parse_input(f"http://127.0.0.1:{server.getsockname()[1]}/a.wav"))
        with pytest.raises(AudioError, match="no such file"):
            await source.start()
        await source.close()
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("suffix", ["wav", "ogg", "flac", "mp3", "m4a"])
async def test_a_file_that_breaks_off_plays_up_to_there_or_is_refused(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"half.{suffix}"
    encode(whole, chirp(2.0), codec=CODECS[suffix])
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    source = FileSource(path)
    try:
        await source.start()
    except AudioError:
        assert suffix == "m4a"  # its index was at the end
    else:
        assert 0.5 < len(joined(await heard(source))) / 48_000 < 1.6
    await source.close()


async def test_damage_in_the_middle_costs_no_more_than_itself(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp3"
    encode(path, chirp(4.0), codec="libmp3lame")
    data = bytearray(path.read_bytes())
    data[20_000:22_000] = np.random.default_rng(2).bytes(2000)
    path.write_bytes(data)
    source = FileSource(path)
    await source.start()
    out = joined(await heard(source))
    await source.close()
    assert len(out) / 48_000 > 3.0


@pytest.mark.parametrize("seed", range(30))
async def test_no_mutation_of_a_file_lets_out_anything_but_the_one_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    suffix = ["wav", "flac", "ogg"][seed % 3]
    path = tmp_path / f"sound.{suffix}"
    encode(path, chirp(0.3), codec=CODECS[suffix])
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 60))):
        data[int(rng.integers(0, min(len(data), 2000)))] = int(rng.integers(0, 256))
    path.write_bytes(data)
    source = FileSource(path)
    try:
        await source.start()
        for frame in await heard(source):
            assert frame is None or frame.shape == (960,)
    except AudioError as error:
        assert "\n" not in str(error)
    await source.close()
