"""What the tests of the doctor share."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.doctor.commands import Home, SoundServer
from tests.e2e.processes import runtime_folder


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path) -> Iterator[None]:
    """Whoever lives in `tmp_path` has sockets elsewhere: those of sound servers go with the test, too."""
    yield
    shutil.rmtree(runtime_folder(tmp_path), ignore_errors=True)


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[SoundServer]:
    """One for a test."""
    if shutil.which("pulseaudio") is None:
        pytest.skip("pulseaudio is not installed")
    if find_library("portaudio") is None:
        pytest.skip("libportaudio2 is not installed")
    socket = tmp_path / "native"
    home = Home(
        tmp_path,
        {"PULSE_SERVER": f"unix:{socket}", "PULSE_SINK": "speaker", "PULSE_SOURCE": "speaker.monitor"},
    )
    modules = (
        "module-null-sink sink_name=speaker rate=48000 norewinds=1",
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
    )
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=60"]
        + [word for module in modules for word in ("-L", module)],
        env={**os.environ, **home.environment},
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
        yield SoundServer(pid=server.pid, home=home)
    finally:
        server.kill()
        server.wait()
