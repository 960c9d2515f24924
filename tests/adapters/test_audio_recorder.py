"""Recording what is heard: playable at any moment, private, and clear about a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.intelligibility import align, find, read
from tuiconf.adapters.audio import AudioError, Frame, open_sink, parse_output
from tuiconf.adapters.audio.recorder import MAX_BLOCKS, FileSink
from tuiconf.adapters.audio.wav import HEADER_BYTES, RIFF_DATA_LIMIT, WavFile, header

SILENCE = np.zeros(960, np.float32)


def chirp(seconds: float) -> Frame:
    t = np.arange(round(seconds * 48_000)) / 48_000
    sound: Frame = (0.5 * np.sin(2 * np.pi * (200 * t + 400 * t * t))).astype(np.float32)
    return sound


async def record(path: Path, sound: Frame) -> None:
    sink = open_sink(parse_output(str(path)))
    await sink.start()
    for frame in sound.reshape(-1, 960):
        sink.write(frame)
    await sink.close()
    await sink.close()


async def test_a_wav_file_holds_exactly_what_was_written_and_any_reader_opens_it(tmp_path: Path) -> None:
    path, sound = tmp_path / "call.wav", chirp(1.3)[: 64 * 960]
    await record(path, sound)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 48_000, 2)
        data = np.frombuffer(file.readframes(10**9), "<i2")
    assert np.abs(data / 32_768 - sound).max() < 1 / 32_768
    assert len(read(path)) == len(sound)
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("suffix", ["ogg", "opus", "OGA"])
async def test_an_ogg_file_sounds_like_what_was_written(tmp_path: Path, suffix: str) -> None:
    path, sound = tmp_path / f"call.{suffix}", chirp(2.0)
    await record(path, sound)
    out = read(path)
    assert abs(find(sound, out)) < 960 and len(out) > 0.97 * len(sound)
    assert np.corrcoef(*align(sound, out))[0, 1] > 0.98
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_bytes()[:4] == b"OggS"


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
async def test_a_recording_of_nothing_is_a_file_all_the_same(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call.{suffix}"
    await record(path, np.zeros((0, 960), np.float32))
    assert path.stat().st_size > 0


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_after_kill_9_the_recording_plays_but_for_its_last_moments(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call.{suffix}"
    code = (
        "import asyncio, os, sys, numpy as np\n"
        "from tuiconf.adapters.audio import open_sink, parse_output\n"
        "async def main():\n"
        "    sink = open_sink(parse_output(sys.argv[1]))\n"
        "    await sink.start()\n"
        "    for n in range(250):\n"
        "        sink.write(np.full(960, 0.25, np.float32))\n"
        "    size = -1\n"
        "    while sink._blocks.qsize() or size != os.path.getsize(sys.argv[1]):\n"
        "        size = os.path.getsize(sys.argv[1])\n"
        "        await asyncio.sleep(0.3)\n"
        "    print('written', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    us = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert us.stdout is not None
    with us.stdout:
        assert us.stdout.readline() == b"written\n"
        us.kill()
        us.wait()
    assert len(read(path)) / 48_000 >= 3.9
    if suffix == "wav":
        with wave.open(str(path)) as file:
            assert file.getnframes() == 5 * 48_000


@given(st.integers(min_value=0, max_value=(1 << 40) // 2))
def test_the_header_tells_the_size_up_to_4_gib_and_beyond(samples: int) -> None:
    head = header(2 * samples)
    assert len(head) == HEADER_BYTES
    if 2 * samples <= RIFF_DATA_LIMIT:
        assert head[:4] == b"RIFF" and head[12:16] == b"JUNK"
        assert int.from_bytes(head[4:8], "little") == HEADER_BYTES - 8 + 2 * samples
        assert int.from_bytes(head[76:80], "little") == 2 * samples
    else:
        assert head[:4] == b"RF64" and head[12:16] == b"ds64"
        assert int.from_bytes(head[20:28], "little") == HEADER_BYTES - 8 + 2 * samples
        assert int.from_bytes(head[28:36], "little") == 2 * samples
        assert head[4:8] == head[76:80] == b"\xff\xff\xff\xff"


def test_a_file_past_the_limit_becomes_rf64_and_still_plays(tmp_path: Path) -> None:
    path, sound = tmp_path / "long.wav", chirp(1.0)
    file = WavFile(path, riff_limit=48_000)
    file.append(sound[:20_000])
    assert path.read_bytes()[:4] == b"RIFF" and len(read(path)) == 20_000
    file.append(sound[20_000:])
    assert path.read_bytes()[:4] == b"RF64"
    file.close()
    again = read(path)
    assert len(again) == 48_000 and np.abs(again - sound).max() < 1 / 16_384


@pytest.mark.parametrize(
    ("name", "words"), [("no/such/folder/call.wav", "no such file"), ("folder.wav", "is a directory")]
)
async def test_a_file_that_cannot_be_made_is_one_sentence(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.wav").mkdir()
    sink = open_sink(parse_output(str(tmp_path / name)))
    with pytest.raises(AudioError, match=words) as caught:
        await sink.start()
    assert "\n" not in str(caught.value)
    sink.write(SILENCE)
    await sink.close()


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk. No fixture: it must be over before pytest writes to its own output, which may be a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def write_until_it_fails(sink: FileSink) -> AudioError | None:
    rng = np.random.default_rng(1)
    for _ in range(3000):
        try:
            sink.write(rng.normal(0, 0.3, 960).astype(np.float32))
        except AudioError as error:
            return error
        await asyncio.sleep(0.001)
    return None


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
async def test_a_disk_that_fills_up_is_one_sentence_and_what_is_on_it_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call.{suffix}"
    sink = open_sink(parse_output(str(path)))
    assert isinstance(sink, FileSink)
    with no_file_larger_than(100_001):
        await sink.start()
        error = await write_until_it_fails(sink)
        sink.write(SILENCE)
        await sink.close()
    assert error is not None and "cannot be written: file too large" in str(error) and "\n" not in str(error)
    assert path.stat().st_size <= 100_001
    assert len(read(path)) > 40_000
    assert "audio recorder" not in [t.name for t in threading.enumerate()]


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
async def test_a_disk_full_from_the_start_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    sink = open_sink(parse_output(str(tmp_path / f"full.{suffix}")))
    with no_file_larger_than(10), pytest.raises(AudioError, match="file too large"):
        await sink.start()
    await sink.close()


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
async def test_a_named_pipe_or_a_device_is_refused_at_once(tmp_path: Path, suffix: str) -> None:
    pipe, device = tmp_path / f"pipe.{suffix}", tmp_path / f"device.{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/null")
    for path, words in ((pipe, "no such device"), (device, "not a regular file")):
        with pytest.raises(AudioError, match=words):
            await open_sink(parse_output(str(path))).start()


async def test_a_failure_of_the_last_block_is_told_on_closing(tmp_path: Path) -> None:
    sink = open_sink(parse_output(str(tmp_path / "call.wav")))
    with no_file_larger_than(100_001):
        await sink.start()
        for _ in range(60):  # 115 kB: two whole blocks fit, what follows does not
            sink.write(SILENCE)
        with pytest.raises(AudioError, match="file too large"):
            await sink.close()
        await sink.close()


async def test_a_disk_that_stalls_costs_memory_only_up_to_a_limit(tmp_path: Path) -> None:
    gate = threading.Event()
    kept: list[Frame] = []

    class Stalled:
        def append(self, samples: Frame) -> None:
            gate.wait(10)
            kept.append(samples)

        def close(self) -> None:
            gate.wait(10)

    sink = FileSink(tmp_path / "x.wav", lambda _: Stalled())
    await sink.start()
    for _ in range((MAX_BLOCKS + 20) * 25):
        sink.write(SILENCE)
    assert sink.dropped_blocks >= 18
    gate.set()
    await sink.close()
    assert MAX_BLOCKS <= len(kept) <= MAX_BLOCKS + 2


def test_a_real_full_file_system_is_reported_too(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=64k tmpfs "$1" && '
        f'"{sys.executable}" -c "$2" "$1/call.wav"; status=$?; ls -l "$1" >&2; exit $status'
    )
    code = (
        "import asyncio, sys, numpy as np\n"
        "from tuiconf.adapters.audio import AudioError, open_sink, parse_output\n"
        "async def main():\n"
        "    sink = open_sink(parse_output(sys.argv[1]))\n"
        "    await sink.start()\n"
        "    try:\n"
        "        for n in range(500):\n"
        "            sink.write(np.zeros(960, np.float32)); await asyncio.sleep(0.001)\n"
        "    except AudioError as error:\n"
        "        print(error)\n"
        "    await sink.close()\n"
        "    import wave; print(wave.open(sys.argv[1]).getnframes())\n"
        "asyncio.run(main())\n"
    )
    try:
        done = subprocess.run(
            ["unshare", "-r", "-m", "sh", "-c", script, "sh", str(tmp_path), code],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here to make a small file system with")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this machine does not allow a mount namespace")
    assert done.returncode == 0, done.stderr
    sentence, samples = done.stdout.splitlines()
    assert sentence.endswith("call.wav cannot be written: no space left on device")
    assert 30_000 < int(samples) <= 32_768


def test_a_recording_overwrites_an_older_and_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(os.urandom(500_000))
    asyncio.run(record(path, chirp(0.2)))
    assert path.stat().st_size == HEADER_BYTES + 2 * 9600
