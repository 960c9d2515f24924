"""Can a participant live here when nobody is logged in?"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tuiconf import paths
from tuiconf.doctor.findings import Context, Finding, ok, skipped, warning

_PATIENCE_S: Final = 2.0


def service(context: Context) -> Iterator[Finding]:
    """systemd, and whether it keeps a user's services running without a session."""
    if not context.system.linux or not (context.root / "run/systemd/system").is_dir():
        yield skipped("no_systemd", "this machine is not run by systemd: units of config/ do not apply")
        return
    lingers = _lingers(context)
    enable = context.system.as_root(f"loginctl enable-linger {shlex.quote(context.system.user)}")
    if lingers is None:
        yield skipped("linger_unknown", "systemd does not say whether you linger", "loginctl show-user")
    elif lingers:
        yield ok(
            "linger", "your services start with the machine and stay when you log out (linger)", facts={"linger": True}
        )
    elif _has_unit(context):
        sentence = "your tuiconf service ends when you log out, and does not start with the machine"
        yield warning("no_linger", sentence, enable, facts={"linger": False})
    else:
        sentence = "your services end when you log out; for a participant that stays, turn linger on"
        yield ok("no_linger_needed", sentence, enable, facts={"linger": False})
    if not context.environ.get("XDG_RUNTIME_DIR"):
        yield warning(
            "no_runtime_dir",
            "XDG_RUNTIME_DIR is not set: systemctl --user and the sound server are not found from here",
            "export XDG_RUNTIME_DIR=/run/user/$(id -u)",
        )


def _lingers(context: Context) -> bool | None:
    user = context.system.user
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command and our own name
            ["loginctl", "show-user", user, "--property=Linger", "--value"],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return _lingers_by_file(context.root, user)
    said = done.stdout.strip()
    # Whoever neither is logged in nor lingers is unknown to it: that is an error, and an answer.
    return said == "yes" if said in ("yes", "no") else _lingers_by_file(context.root, user)


def _lingers_by_file(root: Path, user: str) -> bool | None:
    folder = root / "var/lib/systemd/linger"
    return (folder / user).exists() if (root / "var/lib/systemd").is_dir() else None


def _has_unit(context: Context) -> bool:
    folder = paths.config_dir(context.environ).parent / "systemd/user"
    return folder.is_dir() and any(folder.glob("tuiconf-*"))
