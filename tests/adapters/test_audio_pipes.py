"""Raw PCM through pipes: never blocks, never piles up delay, says once what went wrong."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.audio import AudioError, Frame
from tuiconf.adapters.audio.base import from_s16le, to_s16le
from tuiconf.adapters.audio.pipes import AHEAD_SAMPLES, KEEP_SAMPLES, PcmReader, PcmWriter, StdinSource, StdoutSink

SILENCE = np.zeros(960, np.float32)


def ramp(samples: int, start: int = 0) -> Frame:
    """Samples that tell their own number."""
    sound: Frame = (((np.arange(start, start + samples) % 30_000) + 1) / 32_768).astype(np.float32)
    return sound


def numbers(frame: Frame) -> list[int]:
    """What `ramp` put in, from what came out."""
    return [int(n) for n in np.rint(frame * 32_768) - 1]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        with contextlib.suppress(OSError):
            os.close(fd)


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_any_bytes_are_samples_and_come_back_as_they_were(data: bytes) -> None:
    samples = from_s16le(data)
    assert samples.dtype == np.float32 and np.abs(samples).max(initial=0) <= 1
    assert to_s16le(samples) == data


def test_what_is_too_loud_is_clipped_and_what_is_not_a_number_is_silence() -> None:
    odd = np.array([2.0, -2.0, np.nan, np.inf, -np.inf], np.float32)
    assert np.frombuffer(to_s16le(odd), "<i2").tolist() == [32767, -32768, 0, 32767, -32768]


async def test_frames_come_out_as_they_went_in_also_when_cut_in_odd_places(pipe: tuple[int, int]) -> None:
    source = StdinSource(fd=pipe[0])
    await source.start()
    data = to_s16le(ramp(3000))
    out = []
    for at in range(0, len(data), 701):
        os.write(pipe[1], data[at : at + 701])
        out.append(source.frame())
    os.close(pipe[1])
    while not source.ended:
        out.append(source.frame())
    got = np.concatenate([f for f in out if f is not None])
    assert len(got) == 4 * 960  # the last one filled up with silence
    assert numbers(got[:3000]) == list(range(3000))
    assert source.frame() is None
    await source.close()


async def test_nothing_there_is_none_and_does_not_block(pipe: tuple[int, int]) -> None:
    source = StdinSource(fd=pipe[0])
    await source.start()
    assert [source.frame() for _ in range(100)] == [None] * 100
    assert not source.ended
    await source.close()


def test_a_producer_as_fast_as_it_is_read_loses_nothing_and_is_read_a_bounded_time_ahead(
    pipe: tuple[int, int],
) -> None:
    os.set_blocking(pipe[1], False)
    reader = PcmReader(pipe[0])
    data = to_s16le(ramp(400 * 960))
    sent, got = 0, []
    for tick in range(400):
        while sent < len(data):
            try:
                sent += os.write(pipe[1], data[sent : sent + 4096])
            except BlockingIOError:
                break
        frame = reader.frame()
        assert frame is not None
        got.append(frame)
        assert sent // 2 - tick * 960 < AHEAD_SAMPLES + 3 * 32_768  # one read and one pipe more than is kept
    assert numbers(np.concatenate(got)) == [n % 30_000 for n in range(400 * 960)]


def test_a_live_producer_that_began_before_us_is_not_heard_late_for_ever(pipe: tuple[int, int]) -> None:
    reader = PcmReader(pipe[0])
    written = 20_000  # 0.4 s were in the pipe before anyone listened
    os.write(pipe[1], to_s16le(ramp(written)))
    behind = []
    for tick in range(400):
        os.write(pipe[1], to_s16le(ramp(960, written)))
        written += 960
        frame = reader.frame()
        assert frame is not None
        if tick > 210:
            behind.append((written - 1 - numbers(frame)[-1]) % 30_000)
    assert max(behind) <= KEEP_SAMPLES + 960
    assert len(set(behind)) == 1  # and nothing more is dropped


def test_a_producer_whose_clock_is_fast_does_not_make_the_delay_grow(pipe: tuple[int, int]) -> None:
    reader = PcmReader(pipe[0])
    levels = []
    for _ in range(20_000):  # 400 s at 1 % too fast: 4 s too much
        os.write(pipe[1], to_s16le(np.zeros(970, np.float32)))
        reader.frame()
        levels.append(reader.held_samples)
    assert max(levels) < AHEAD_SAMPLES // 2


async def test_a_closed_standard_input_and_a_terminal_are_one_sentence_each(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    with pytest.raises(AudioError, match="standard input is closed") as closed:
        await StdinSource(fd=pipe[0]).start()
    assert "\n" not in str(closed.value)
    ours, theirs = pty.openpty()
    try:
        with pytest.raises(AudioError, match="standard input is a terminal"):
            await StdinSource(fd=theirs).start()
        with pytest.raises(AudioError, match="standard output is a terminal"):
            await StdoutSink(fd=theirs).start()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_process_started_without_standard_input_says_so() -> None:
    code = (
        "import asyncio, os\n"
        "from tuiconf.adapters.audio import AudioError, open_source, parse_input\n"
        "async def main():\n"
        "    try:\n"
        "        await open_source(parse_input('-')).start()\n"
        "    except AudioError as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$1" <&-', "sh", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("standard input is closed: ") and done.stderr == ""


async def test_end_of_input_at_once_is_an_end_and_no_error() -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        source = StdinSource(fd=fd)
        await source.start()
        assert source.frame() is None
        assert source.ended
        await source.close()
    finally:
        os.close(fd)


async def test_what_is_heard_goes_out_as_pcm(pipe: tuple[int, int]) -> None:
    sink = StdoutSink(fd=pipe[1])
    await sink.start()
    sink.write(ramp(960))
    assert numbers(from_s16le(os.read(pipe[0], 5000))) == list(range(960))
    await sink.close()
    await sink.close()
    os.fstat(pipe[1])  # it is not ours to close


def test_a_reader_that_stands_still_costs_whole_frames_and_little_memory(pipe: tuple[int, int]) -> None:
    writer = PcmWriter(pipe[1])
    for n in range(500):
        writer.write(ramp(960, n * 960))
    assert writer.dropped > 400
    got = []
    os.set_blocking(pipe[0], False)
    for n in range(500, 600):
        with contextlib.suppress(BlockingIOError):
            while True:
                got.append(os.read(pipe[0], 1 << 16))
        writer.write(ramp(960, n * 960))
    with contextlib.suppress(BlockingIOError):
        got.append(os.read(pipe[0], 1 << 16))
    data = b"".join(got)
    assert len(data) % 2 == 0
    frames = [numbers(from_s16le(data[at : at + 1920])) for at in range(0, len(data) - 1919, 1920)]
    assert all((b - a) % 30_000 == 1 for f in frames for a, b in itertools.pairwise(f))
    assert frames[-1][-1] == (600 * 960 - 1) % 30_000  # the newest arrives


async def test_a_reader_that_went_away_is_one_error(pipe: tuple[int, int]) -> None:
    sink = StdoutSink(fd=pipe[1])
    await sink.start()
    os.close(pipe[0])
    with pytest.raises(AudioError, match="broken pipe"):
        sink.write(SILENCE)
    sink.write(SILENCE)
    await sink.close()


async def test_a_full_disk_behind_standard_output_is_one_error() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        sink = StdoutSink(fd=fd)
        await sink.start()
        with pytest.raises(AudioError, match="no space left"):
            sink.write(SILENCE)
        await sink.close()
    finally:
        os.close(fd)


async def test_a_file_size_limit_behind_standard_output_is_one_error(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    fd = os.open(tmp_path / "out.raw", os.O_WRONLY | os.O_CREAT)
    try:
        sink = StdoutSink(fd=fd)
        await sink.start()
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
        with pytest.raises(AudioError, match="too large"):
            for _ in range(10):
                sink.write(SILENCE)
        await sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        os.close(fd)
