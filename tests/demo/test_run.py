"""The demo where a new user runs it: in strange folders, with strange files, in terminals that close."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# What the console script is, without its folder on the path.
DEMO = [sys.executable, "-P", "-m", "tuiconf", "demo"]


def demo(*arguments: str | bytes, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*DEMO, *arguments], capture_output=True, text=True, cwd=cwd, timeout=100, check=False)


def test_what_lies_in_the_folder_it_is_run_in_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "a folder é"
    folder.mkdir()
    for name in ("av", "msgspec", "json", "tuiconf", "relay_quic"):
        (folder / f"{name}.py").write_text("raise SystemExit('hijacked')")
    (folder / "words.wav").write_text("these are only letters")
    done = demo("--speech", "words.wav", cwd=folder)
    assert "hijacked" not in done.stderr
    assert "words.wav is not an audio file" in done.stderr


@pytest.mark.parametrize("name", [b"two\nlines.wav", b"not \xff text.wav", b"blank .wav "])
def test_a_name_that_cannot_be_typed_is_told_before_anything_starts(name: bytes, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(b"")
    done = demo("--speech", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "cannot be typed" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_terminal_that_is_closed_ends_it_and_leaves_no_keys_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stdout is not None
    running.stdout.readline()
    running.send_signal(signal.SIGHUP)
    _, words = running.communicate(timeout=60)
    assert running.returncode == 1
    assert words == "tuiconf: the demo was told to end\n"
    assert not list(tmp_path.iterdir())
