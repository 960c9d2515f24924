"""`tuiconf doctor` and `tuiconf devices` as processes, each in a home of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.processes import home_environment

# The commands alone, as `tuiconf` runs them.
_MAIN: Final = """
import argparse, sys
from tuiconf.adapters.printing import escape_what_is_missing
from tuiconf.errors import TuiconfError, UsageError
from tuiconf import devices, doctor
escape_what_is_missing()
parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command", required=True)
devices.add_arguments(commands.add_parser("devices"))
doctor.add_arguments(commands.add_parser("doctor"))
args = parser.parse_args()
try:
    sys.exit(devices.run_devices(args) if args.command == "devices" else doctor.run_doctor(args))
except TuiconfError as error:
    print(f"tuiconf: {error}", file=sys.stderr)
    sys.exit(2 if isinstance(error, UsageError) else 1)
"""


def command(*arguments: str) -> list[str]:
    """The command line of one of them."""
    return [sys.executable, "-W", "error::ResourceWarning", "-c", _MAIN, *arguments]


class Home:
    """Where somebody lives who has no sound server and no settings."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        (folder / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        repository = str(Path(__file__).parents[2])
        self.environment = home_environment(folder) | {
            "PULSE_SERVER": f"unix:{folder}/none",
            "PYTHONPATH": repository,
            **(environment or {}),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands with nobody at the keyboard."""
        return subprocess.run(
            command(*arguments),
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundServer:
    """A PulseAudio whose speaker is its microphone, and somebody who uses it."""

    pid: int
    home: Home
