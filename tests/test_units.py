"""The systemd units of config/: systemd accepts them, they confine, and nothing secret is in a command line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[1] / "config"
UNITS = sorted(path.name for kind in ("*.service", "*.timer") for path in CONFIG.glob(kind))
USER_UNITS = [name for name in UNITS if "@" in name]

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def commands(name: str) -> list[list[str]]:
    """What a unit starts, also what is only suggested in a comment."""
    lines = re.findall(r"^(?:# )?ExecStart=(.+)$", (CONFIG / name).read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze on copies whose programs exist."""
    for name in UNITS:
        text = re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", (CONFIG / name).read_text(), flags=re.MULTILINE)
        (folder / name.replace("@.", "@one.")).write_text(text)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        ["systemd-analyze", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@needs_systemd
def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    copies = [f"./{name.replace('@.', '@one.')}" for name in USER_UNITS]
    for arguments in (("--man=no", "./relay-quic.service"), ("--man=no", "--user", *copies)):
        done = analyze(tmp_path, "verify", *arguments)
        assert done.returncode == 0, done.stderr
        # Restart with back-off is of systemd 254; the unit says so, and older ones leave it out.
        wrong = [line for line in done.stderr.splitlines() if "Restart" not in line and "./" in line]
        assert wrong == []


@needs_systemd
def test_the_relay_is_confined(tmp_path: Path) -> None:
    done = analyze(tmp_path, "security", "--offline=true", "--threshold=15", "./relay-quic.service")
    assert done.returncode == 0, done.stdout  # exposure at most 1.5 of 10


@pytest.mark.parametrize("name", UNITS)
def test_no_link_passphrase_or_room_is_in_a_command_line(name: str) -> None:
    for command in commands(name):
        assert not any("tuiconf://" in word or "#" in word for word in command)
        if "join" in command:
            assert command[command.index("--link-file") + 1] == "%d/link"
            assert "--headless" in command


def test_a_participant_is_watched_restarted_and_told_to_reload() -> None:
    text = (CONFIG / "tuiconf-bot@.service").read_text()
    for line in ("Type=notify", "WatchdogSec=30", "Restart=always", "ExecReload=kill -HUP $MAINPID", "MemoryMax=300M"):
        assert f"\n{line}\n" in text
