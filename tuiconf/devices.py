"""`tuiconf devices`: what can be given to --audio-in and --audio-out as `device:NAME`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuiconf.adapters.printing import print_to
from tuiconf.untrusted import visible

if TYPE_CHECKING:
    from tuiconf.adapters.audio.devices import Device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tuiconf devices`."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run_devices(args: argparse.Namespace) -> int:
    """List them, and give the exit code.

    Raises:
        AudioError: there is no PortAudio, or the sound system does not answer.
    """
    from tuiconf.adapters.audio.devices import devices

    found = devices()
    print_to(sys.stdout, as_json(found) if args.json else "".join(f"{line}\n" for line in as_lines(found)))
    return 0


def as_json(found: Sequence[Device]) -> str:
    """One object on one line: `inputs` and `outputs`."""
    shown = {
        f"{direction}s": [
            {
                "spec": device.spec,
                "name": device.name,
                "channels": device.channels,
                "default": device.default,
                "stable": device.stable,
            }
            for device in found
            if device.direction == direction
        ]
        for direction in ("input", "output")
    }
    return json.dumps(shown) + "\n"


def as_lines(found: Sequence[Device]) -> Iterator[str]:
    """For a person: what can be copied as it stands."""
    for direction, option in (("input", "--audio-in"), ("output", "--audio-out")):
        of_this = [device for device in found if device.direction == direction]
        if not of_this:
            yield f"this machine has no {direction}"
            continue
        yield f"{direction}s:"
        for device in of_this:
            yield visible(f"  {_line(device, option)}")  # whole: quoting puts spaces beside those of a name


def _line(device: Device, option: str) -> str:
    notes = ["default"] if device.default else []
    if device.spec is None:
        notes.append("cannot be told apart from another of this name")
        typed = visible(device.name)
    else:
        typed = f"{option} {shlex.quote(visible(device.spec))}"
        if not device.stable:
            notes.append("its number may be another one after a reboot")
    return f"{typed}  ({'; '.join(notes)})" if notes else typed
