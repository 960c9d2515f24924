"""What the commands print, wherever it goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "tuiconf"]
ASCII = {"PYTHONIOENCODING": "ascii"}  # and not LC_ALL=C: then numpy cannot be imported from a folder called "é"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [("host", "-h"), ("identity", "show")], ids=" ".join)
def test_an_encoding_without_our_characters_is_no_reason_to_fail(arguments: tuple[str, ...], tmp_path: Path) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path / "zoë"), "XDG_CONFIG_HOME": str(tmp_path), "LOGNAME": "Zoë"}
    assert run("identity", "show", **home, PYTHONUTF8="1").stdout.startswith("Zoë\n")
    done = run(*arguments, **home, **ASCII)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and done.stderr.isascii()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("identity", "show"), ("identity", "show", "--json"), ("demo",), ("-h",)])
def test_an_output_that_is_full_is_one_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "tuiconf: standard output cannot be written: no space left on device"
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_a_reader_that_goes_away_ends_the_demo_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        [*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert running.stdout is not None and running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    words = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) == 1
    assert words == "tuiconf: standard output cannot be written: broken pipe\n"
    assert not list(tmp_path.iterdir())
