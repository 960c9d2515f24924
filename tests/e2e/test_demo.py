"""The demo, as a new user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


def demo(*arguments: str, timeout_s: float = 100.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tuiconf", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


@dataclass(frozen=True, slots=True)
class Demo:
    """One that runs, and where it keeps what was heard."""

    running: subprocess.Popen[str]
    kept: Path


@pytest.fixture(scope="module", autouse=True)
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A whole demo, begun before the first test, since it takes its time; the last test asks for it."""
    kept = tmp_path_factory.mktemp("demo") / "kept"
    command = [sys.executable, "-m", "tuiconf", "demo", "--json", "--keep", str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield Demo(running, kept)
        finally:
            running.terminate()


def test_a_file_that_is_not_speech_ends_it_with_one_sentence(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("these are only letters\n" * 100)
    done = demo("--json", "--speech", str(words))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(words) in done.stderr


def test_a_file_that_is_missing_is_a_matter_of_usage(tmp_path: Path) -> None:
    done = demo("--speech", str(tmp_path / "nothing.wav"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


def _using(folder: Path) -> list[str]:
    """The processes that were started with a home in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"XDG_DATA_HOME=" + os.fsencode(folder) in environment:
            found.append(entry.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_nothing_outlives_it_however_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "tuiconf", "demo"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stdout is not None
    for line in running.stdout:
        if "speaks" in line:
            break
    running.send_signal(number)
    _, stderr = running.communicate(timeout=30)
    assert "Traceback" not in stderr
    deadline = time.monotonic() + 15
    while (left := _using(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    if number is not signal.SIGKILL:
        assert not list(tmp_path.iterdir()), "keys were left behind"


def test_everyone_hears_everyone_and_the_removed_one_opens_nothing(whole: Demo) -> None:
    stdout, stderr = whole.running.communicate(timeout=100)
    assert whole.running.returncode == 0, stderr
    verdict = json.loads(stdout)
    assert verdict["security_codes_equal"] is True
    assert verdict["removed_could_decrypt"] is False
    assert verdict["removed_frames_tried"] > 100
    assert len(verdict["epochs"]) >= 3
    assert {(stream["from"], stream["to"]) for stream in verdict["streams"]} == {
        ("Ada", "Ben"),
        ("Ada", "Cleo"),
        ("Cleo", "Ada"),
        ("Cleo", "Ben"),
        ("Ben", "Ada"),
    }
    for name in ("ada", "ben", "cleo"):
        with wave.open(str(whole.kept / f"{name}.wav")) as kept:
            assert kept.getnframes() > 48_000
