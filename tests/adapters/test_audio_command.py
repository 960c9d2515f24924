"""Commands as microphone and speaker: whatever they do, they neither hold us up nor outlive us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tuiconf.adapters.audio import AudioError, Frame, open_sink, open_source, parse_input, parse_output
from tuiconf.adapters.audio.command import CommandSink, CommandSource

SILENCE = np.zeros(960, np.float32)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.01)


async def pids_in(path: Path, count: int) -> list[int]:
    """The process ids that a test's command writes, one a line."""
    await until(lambda: len(_lines(path)) >= count, "pids written")
    return [int(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


async def frames_until_end(source: CommandSource) -> list[Frame]:
    frames = []
    for _ in range(2000):
        frame = source.frame()
        if frame is not None:
            frames.append(frame)
        if source.ended:
            return frames
        await asyncio.sleep(0.005)
    raise AssertionError("the command never ended")


def sh(script: str, *arguments: object) -> list[str]:
    return ["sh", "-c", script, "sh", *map(str, arguments)]


async def test_what_a_command_writes_is_played_to_its_end(tmp_path: Path) -> None:
    raw = tmp_path / "sound.raw"
    raw.write_bytes((np.arange(5000) % 30_000).astype("<i2").tobytes())
    source = open_source(parse_input(f"cmd:cat '{raw}'"))
    assert isinstance(source, CommandSource)
    await source.start()
    got = np.concatenate(await frames_until_end(source))
    await source.close()
    assert np.rint(got[:5000] * 32_768).astype(int).tolist() == list(range(5000))


async def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    source = open_source(parse_input(f"cmd:echo $(touch '{tmp_path}/made') > '{tmp_path}/made'"))
    await source.start()
    await asyncio.sleep(0.05)
    source.frame()
    await source.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_a_command_that_is_not_there_is_one_sentence() -> None:
    for made in (open_source(parse_input("cmd:no-such-mic -x")), open_sink(parse_output("cmd:no-such-mic -x"))):
        with pytest.raises(AudioError, match="no command no-such-mic"):
            await made.start()
        await made.close()


async def test_a_command_that_cannot_be_executed_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "mic"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    source = CommandSource([str(broken)])
    with pytest.raises(AudioError, match="mic cannot be run: exec format error"):
        await source.start()
    await source.close()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo first >&2; echo 'no such card' >&2; exit 3", "the command sh ended with exit code 3: no such card$"),
        ("kill -9 $$", "the command sh was ended by SIGKILL$"),
        (r"printf 'a\033]0;title\007b' >&2; exit 1", r"exit code 1: a \]0;title b$"),
    ],
)
async def test_a_command_that_fails_says_once_how_and_why(script: str, words: str) -> None:
    source = CommandSource(sh(script))
    await source.start()
    with pytest.raises(AudioError, match=words):
        await frames_until_end(source)
    assert source.ended and source.frame() is None
    await source.close()


async def test_audio_before_a_failure_is_still_played() -> None:
    source = CommandSource(sh("head -c 19200 /dev/zero; exit 7"))
    await source.start()
    frames = []
    with pytest.raises(AudioError, match="exit code 7"):
        for _ in range(2000):
            frames.append(source.frame())
            await asyncio.sleep(0.005)
    await source.close()
    assert len([f for f in frames if f is not None]) == 10


async def test_a_command_that_floods_is_read_no_faster_than_it_is_played(tmp_path: Path) -> None:
    source = CommandSource(sh("yes floods-standard-error >&2 & exec cat /dev/zero"))
    await source.start()
    for _ in range(100):
        await until(lambda: source.frame() is not None, "audio")
    process = source._command._process
    assert process is not None
    assert _written_bytes(process.pid) < 1_000_000
    await source.close()
    assert not alive(process.pid)


def _written_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])


async def test_a_command_that_hangs_and_ignores_sigterm_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = 'trap \'\' TERM; sleep 1000 & echo $$ >>"$1"; echo $! >>"$1"; while :; do sleep 1; done'
    source = CommandSource(sh(script, pids))
    await source.start()
    running = await pids_in(pids, 2)
    assert source.frame() is None and not source.ended
    await source.close()
    await until(lambda: not any(map(alive, running)), "the command and its child gone")
    await source.close()


async def test_a_child_that_outlives_its_command_is_ended_too(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = CommandSource(sh('sleep 1000 >/dev/null 2>&1 & echo $! >>"$1"', pids))
    await source.start()
    (child,) = await pids_in(pids, 1)
    await until(lambda: (source.frame() is None) and source.ended, "the command's end")
    assert alive(child)
    await source.close()
    await until(lambda: not alive(child), "the child gone")


async def test_being_cancelled_while_closing_still_ends_the_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    source = CommandSource(sh('trap "" TERM; echo $$ >>"$1"; while :; do sleep 1; done', pids))
    await source.start()
    (pid,) = await pids_in(pids, 1)
    closing = asyncio.create_task(source.close())
    await asyncio.sleep(0.05)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_process_is_left_when_we_are_killed(tmp_path: Path, number: signal.Signals) -> None:
    pids = tmp_path / "pids"
    script = 'trap "" TERM HUP INT; echo $$ >>"$1"; sleep 1000 & echo $! >>"$1"; while :; do sleep 1; done'
    code = (
        "import asyncio, signal, sys\n"
        "from tuiconf.adapters.audio.command import CommandSink, CommandSource\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "async def main():\n"
        "    a = CommandSource(['sh', '-c', sys.argv[1], 'sh', sys.argv[2]])\n"
        "    b = CommandSink(['sh', '-c', sys.argv[1], 'sh', sys.argv[2]])\n"
        "    await a.start(); await b.start()\n"
        "    print('up', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    us = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-W", "ignore", "-c", code, script, str(pids)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert us.stdout is not None and us.stdout.readline() == b"up\n"
        running = await pids_in(pids, 4)
        assert all(map(alive, running))
        guardians = [int(p) for p in _children(us.pid) if int(p) not in running]
        assert len(guardians) == 2
    finally:
        us.send_signal(number)
        us.wait()
    us.stdout.close()
    await until(lambda: not any(map(alive, [*running, *guardians])), "everything gone")


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def test_a_command_is_given_what_is_heard_and_time_to_finish(tmp_path: Path) -> None:
    out = tmp_path / "out.raw"
    sink = CommandSink(sh('cat >"$1.part"; sleep 0.2; mv "$1.part" "$1"', out))
    await sink.start()
    sink.write(SILENCE + 0.5)
    sink.write(SILENCE)
    await sink.close()
    await sink.close()
    assert np.frombuffer(out.read_bytes(), "<i2").tolist() == [16384] * 960 + [0] * 960


async def test_a_speaker_command_that_ends_is_one_sentence() -> None:
    sink = CommandSink(sh("echo 'card is busy' >&2; exit 1"))
    await sink.start()
    with pytest.raises(AudioError, match=r"ended with exit code 1: card is busy; it takes no more audio"):
        for _ in range(1000):
            sink.write(SILENCE)
            await asyncio.sleep(0.005)
    sink.write(SILENCE)
    await sink.close()


async def test_a_speaker_command_that_does_not_read_does_not_hold_us_up(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    sink = CommandSink(sh('echo $$ >>"$1"; exec sleep 1000', pids))
    await sink.start()
    (pid,) = await pids_in(pids, 1)
    for _ in range(500):
        sink.write(SILENCE)
    os.kill(pid, signal.SIGTERM)  # so that the test need not wait until our patience is over
    await sink.close()
    assert not alive(pid)


async def test_closing_leaves_no_descriptor_open() -> None:
    before = _descriptors()
    for _ in range(5):
        source = CommandSource(["cat", "/dev/zero"])
        sink = CommandSink(["cat"])
        await source.start()
        await sink.start()
        await source.close()
        await sink.close()
    assert _descriptors() == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
