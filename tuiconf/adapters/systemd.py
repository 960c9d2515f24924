"""Telling the service manager how this process is: the protocol of sd_notify(3), a datagram at a time.

The packages for it are dead or compile against libsystemd; the protocol is this small, and promised to stay.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

# The manager reads 4096 bytes at most, and a status is one line in `systemctl status`.
MAX_STATUS_CHARACTERS: Final = 200


class ServiceManager:
    """What started us, if it wants to hear of us; else nothing happens, and no verb ever raises.

    What is said can be read by everybody on the machine: no names, no addresses.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval_s = _watchdog_interval_s(environ) if self._address else None
        """How often to say `alive`, half of what the unit's WatchdogSec allows; None when nobody waits for it."""

    def ready(self) -> None:
        """Started, or done with reloading."""
        self._tell("READY=1")

    def reloading(self, now: float) -> None:
        """Reading the configuration anew; `ready` follows. `now` is time.monotonic()."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={round(now * 1_000_000)}")

    def stopping(self) -> None:
        """On the way out."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        # A line break would begin another assignment: MAINPID=, say.
        line = " ".join(text.split())[:MAX_STATUS_CHARACTERS]
        self._tell(f"STATUS={line}")

    def alive(self) -> None:
        """Not hung: to be said from the loop that must not hang."""
        self._tell("WATCHDOG=1")

    def _tell(self, assignments: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
                to_manager.setblocking(False)  # a manager that does not read must not hold up the call
                to_manager.connect(self._address)
                to_manager.send(assignments.encode("utf-8", "replace"))
        except OSError:
            pass  # it is gone, or not ours to reach: no reason to end a call


def _address(text: str) -> str | None:
    """What to connect to: a path, or a name in Linux's abstract namespace, which is written with an @."""
    if "\0" in text:
        return None
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """Half of $WATCHDOG_USEC, unless that is meant for another process."""
    try:
        if int(environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return None
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 2_000_000 if microseconds > 0 else None
