"""The sound card: drift against our tick, with a card played by the test; and a real PulseAudio where there is one.

The real one runs in a process of its own: PortAudio looks for devices once, when it is loaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from tuiconf.adapters.audio import Frame
from tuiconf.adapters.audio.fifo import BLEND_SAMPLES, BacklogWatch, SampleFifo
from tuiconf.adapters.audio.soundcard import (
    BLOCK_SAMPLES,
    CUSHION_SAMPLES,
    FULL_SAMPLES,
    SoundCardSink,
    SoundCardSource,
)

BLOCK = np.zeros((BLOCK_SAMPLES, 1), np.float32)


def numbered(count: int, start: int = 0) -> Frame:
    sound: Frame = np.arange(start, start + count, dtype=np.float32)
    return sound


def test_a_fifo_gives_back_what_went_in_in_any_portions() -> None:
    fifo, rng = SampleFifo(), np.random.default_rng(1)
    pushed, got = 0, []
    for _ in range(500):
        size = int(rng.integers(0, 300))
        fifo.push(numbered(size, pushed))
        pushed += size
        frame = fifo.take(int(rng.integers(1, 400)))
        if frame is not None:
            got.append(frame)
    rest = fifo.take(fifo.level)
    assert rest is not None
    assert np.array_equal(np.concatenate([*got, rest]), numbered(pushed))
    assert fifo.take(1) is None and fifo.take(1, pad=True) is None


def test_shortening_blends_from_the_old_place_to_the_new_one() -> None:
    fifo = SampleFifo()
    fifo.push(numbered(5000))
    assert fifo.shorten(2000) == 3000
    assert fifo.shorten(2000) == 0
    out = fifo.take(2000)
    assert out is not None and fifo.level == 0
    assert out[0] == 0  # as if nothing had been cut
    assert np.array_equal(out[BLEND_SAMPLES:], numbered(2000 - BLEND_SAMPLES, 3000 + BLEND_SAMPLES))


def test_a_level_that_always_returns_low_is_left_alone() -> None:
    watch = BacklogWatch(high=2000, keep=1000, full=50_000, window=10)
    assert [watch.observe(9000 if n % 5 else 1500) for n in range(100)] == [0] * 100


def test_a_level_that_is_always_high_is_cut_by_what_was_never_needed_but_not_when_the_buffer_is_kept_full() -> None:
    watch = BacklogWatch(high=2000, keep=1000, full=50_000, window=10)
    assert [watch.observe(9000 + n) for n in range(10)] == [0] * 9 + [8000]
    assert [watch.observe(50_000 - n) for n in range(10)] == [0] * 10


def _play_microphone(source: SoundCardSource, *, ppm: float, seconds: int) -> tuple[list[float], int]:
    """The delay of each frame in ms, and how many frames were missing, with a card that is `ppm` too fast."""
    delays, missing, given, owed = [], 0, 0, 0.0
    for _ in range(seconds * 50):
        owed += 960 * (1 + ppm / 1e6)
        while owed >= BLOCK_SAMPLES:
            source._on_audio(np.full((BLOCK_SAMPLES, 1), given, np.float32))
            given += BLOCK_SAMPLES
            owed -= BLOCK_SAMPLES
        frame = source.frame()
        if frame is None:
            missing += 1
        else:
            delays.append((given - float(frame[-1])) / 48)
    return delays, missing


@pytest.mark.parametrize("ppm", [-500, -50, 0, 50, 500])
def test_a_microphone_whose_clock_differs_never_builds_up_delay(ppm: float) -> None:
    delays, missing = _play_microphone(SoundCardSource(), ppm=ppm, seconds=300)
    assert max(delays) <= 70
    assert missing <= 2 + abs(ppm) / 1e6 * 300 * 50 * 1.5


def test_a_microphone_nobody_asked_for_a_while_starts_with_what_is_new() -> None:
    source = SoundCardSource()
    for n in range(500):
        source._on_audio(np.full((BLOCK_SAMPLES, 1), n, np.float32))
    assert source.dropped_samples > 0
    frame = source.frame()
    assert frame is not None and frame[-1] >= 500 - FULL_SAMPLES / BLOCK_SAMPLES


def test_two_channels_become_their_mean() -> None:
    source = SoundCardSource()
    source._on_audio(np.tile(np.array([[0.2, 0.4]], np.float32), (960, 1)))
    frame = source.frame()
    assert frame is not None and np.allclose(frame, 0.3)


@pytest.mark.parametrize("ppm", [-500, 0, 500])
def test_a_speaker_whose_clock_differs_never_builds_up_delay(ppm: float) -> None:
    sink = SoundCardSink()
    owed, delays = 0.0, []
    for n in range(300 * 50):
        sink.write(np.full(960, n, np.float32))
        owed += 960 * (1 + ppm / 1e6)
        while owed >= BLOCK_SAMPLES:
            data = BLOCK.copy()
            sink._on_demand(data)
            owed -= BLOCK_SAMPLES
        if data.any():
            delays.append((n - float(data[-1, 0])) * 20)
    assert max(delays) <= 90
    assert sink.underruns <= 2 + abs(ppm) / 1e6 * 300 * 50


def test_a_speaker_that_runs_dry_plays_silence_and_begins_again_with_a_cushion() -> None:
    sink, data = SoundCardSink(), BLOCK.copy()
    sink._on_demand(data)
    assert not data.any() and sink.underruns == 0
    for _ in range(CUSHION_SAMPLES // 960):
        sink.write(np.ones(960, np.float32))
    heard = 0
    for _ in range(20):
        sink._on_demand(data)
        heard += int(data.sum())
    assert heard == CUSHION_SAMPLES and sink.underruns == 1
    sink.write(np.ones(960, np.float32))
    sink._on_demand(data)
    assert not data.any()  # not before there is a cushion again


# --- the real thing

LOOPBACK = """
import asyncio, json, os, signal, sys, numpy as np
from tests.intelligibility import find
from tuiconf.adapters.audio import AudioError, open_sink, open_source, parse_input, parse_output
from tuiconf.adapters.clock import Ticker

async def main(server):
    result = {}
    nobody = open_source(parse_input("device:no such thing"))
    try:
        await nobody.start()
    except AudioError as error:
        result["unknown"] = str(error)
    source, sink = open_source(parse_input("default")), open_sink(parse_output("device:pulse"))
    await sink.start()
    await source.start()
    noise = np.random.default_rng(0).normal(0, 0.1, 960 * 200).astype(np.float32)
    heard = []
    async for n in Ticker():
        if n >= 200:
            break
        sink.write(noise[n * 960 : (n + 1) * 960])
        frame = source.frame()
        heard.append(np.zeros(960, np.float32) if frame is None else frame)
    everything = np.concatenate(heard)
    result["delay_ms"] = find(noise[90 * 960 : 140 * 960], everything[90 * 960 :]) / 48
    result["level"] = float(np.abs(everything[100 * 960 :]).mean())
    os.kill(server, signal.SIGKILL)
    said = []
    async for n in Ticker():
        for call in (source.frame, lambda: sink.write(np.zeros(960, np.float32))):
            try:
                call()
            except AudioError as error:
                said.append(str(error))
        if len(said) == 2 or n > 300:
            break
    result["said"] = said
    result["ended"] = source.ended
    await source.close()
    await sink.close()
    print(json.dumps(result))

asyncio.run(main(int(sys.argv[1])))
"""


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """A PulseAudio of our own whose speaker is its microphone; its process id, and the environment that leads there."""
    if shutil.which("pulseaudio") is None:
        pytest.skip("pulseaudio is not installed")
    if find_library("portaudio") is None:
        pytest.skip("libportaudio2 is not installed")
    (tmp_path / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    socket = tmp_path / "native"
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SINK": "speaker",
        "PULSE_SOURCE": "speaker.monitor",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    modules = (
        "module-null-sink sink_name=speaker rate=48000 norewinds=1",
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
    )
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=60"]
        + [word for module in modules for word in ("-L", module)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(500):
            if socket.exists() or server.poll() is not None:
                break
            time.sleep(0.01)
        if not socket.exists():
            pytest.skip("pulseaudio does not run here")
        yield server.pid, environment
    finally:
        server.kill()
        server.wait()


def test_a_real_sound_system_plays_and_records_and_its_end_is_one_sentence_each(
    pulse: tuple[int, dict[str, str]],
) -> None:
    pid, environment = pulse
    done = subprocess.run(
        [sys.executable, "-c", LOOPBACK, str(pid)], env=environment, capture_output=True, text=True, check=False
    )
    if "this machine has no" in done.stdout:
        pytest.skip("ALSA's pulse plug-in is not installed")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert "no single microphone is called no such thing; there are: " in result["unknown"]
    assert 0 < result["delay_ms"] < 500
    assert result["level"] > 0.05
    assert result["ended"]
    assert sorted(result["said"]) == [
        "the default microphone has stopped: was it unplugged?",
        "the speaker pulse has stopped: was it unplugged?",
    ]
    assert done.stderr == ""


def test_a_machine_without_a_sound_card_or_portaudio_says_so_and_what_to_type(tmp_path: Path) -> None:
    assert importlib.util.find_spec("sounddevice") is not None
    code = (
        "import asyncio\n"
        "from tuiconf.adapters.audio import AudioError, open_sink, open_source, parse_input, parse_output\n"
        "async def main():\n"
        "    for made in (open_source(parse_input('default')), open_sink(parse_output('device:nothing'))):\n"
        "        try:\n"
        "            await made.start()\n"
        "        except AudioError as error:\n"
        "            print(error)\n"
        "        await made.close()\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / ".asoundrc").write_text("pcm.!default { type pulse }\n")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PULSE_SERVER": f"unix:{tmp_path}/none",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    if len(lines) < 2:
        pytest.skip("this machine has a sound card that needs no server")
    if find_library("portaudio") is None:
        assert all("sudo apt install libportaudio2" in line for line in lines)
    else:
        assert lines[0].startswith("this machine has no microphone") and "speaker" in lines[1]
    assert done.stderr == ""
