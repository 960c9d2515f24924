"""Where files go: the XDG variables first, on every system, then what `platformdirs` says. Makes nothing.

Read at each call, never on import, so that a process can be given a home of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import platformdirs

_APP: Final = "tuiconf"


def config_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What a person edits: `$XDG_CONFIG_HOME/tuiconf`."""
    return _xdg("XDG_CONFIG_HOME", environ) or platformdirs.user_config_path(_APP, appauthor=False)


def data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What must not be lost, such as the identity: `$XDG_DATA_HOME/tuiconf`."""
    return _xdg("XDG_DATA_HOME", environ) or platformdirs.user_data_path(_APP, appauthor=False)


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What is remembered from call to call, such as the pins of relays: `$XDG_STATE_HOME/tuiconf`."""
    return _xdg("XDG_STATE_HOME", environ) or platformdirs.user_state_path(_APP, appauthor=False)


def runtime_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Sockets of running engines: `$XDG_RUNTIME_DIR/tuiconf`.

    Under cron and in some SSH sessions the variable is missing while the folder it would name is there, and
    processes must find each other; so that is tried next, and then a folder among the user's own. Never one
    in `/tmp`, where another user could have made it first.
    """
    if path := _xdg("XDG_RUNTIME_DIR", environ):
        return path
    usual = Path(f"/run/user/{os.getuid()}")
    return usual / _APP if os.access(usual, os.W_OK | os.X_OK) else state_dir(environ) / "run"


def identity_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The long-term key."""
    return data_dir(environ) / "identity.json"


def peers_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The identities that were met in calls, and which of them were verified."""
    return data_dir(environ) / "known_peers"


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The settings."""
    return config_dir(environ) / "client.toml"


def recordings_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where recordings go when nothing else is said."""
    return data_dir(environ) / "recordings"


def known_relays_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The pins of relays that were accepted."""
    return state_dir(environ) / "known_relays"


def recent_rooms_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The rooms that were joined lately."""
    return state_dir(environ) / "recent_rooms"


def _xdg(variable: str, environ: Mapping[str, str]) -> Path | None:
    """The variable's folder for us; a relative path is ignored, as the XDG specification says."""
    path = Path(environ.get(variable, ""))
    return path / _APP if path.is_absolute() else None
