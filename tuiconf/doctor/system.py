"""Which system this is, and how software is installed on it."""

from __future__ import annotations

import enum
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# A real one has 400 bytes.
_MAX_OS_RELEASE_BYTES: Final = 1 << 16


class Package(enum.Enum):
    """What may be missing."""

    PORTAUDIO = "PortAudio"
    OPUS = "libopus"
    ALSA_PULSE = "ALSA's PulseAudio plug-in"
    ALSA_PIPEWIRE = "ALSA's PipeWire plug-in"


class Manager(enum.Enum):
    """What installs software, as it is typed."""

    APT = "apt install"
    DNF = "dnf install"
    PACMAN = "pacman -S"
    ZYPPER = "zypper install"
    APK = "apk add"
    BREW = "brew install"


_NAMES: Final[Mapping[Package, Mapping[Manager, str]]] = {
    Package.PORTAUDIO: {
        Manager.APT: "libportaudio2",
        Manager.DNF: "portaudio",
        Manager.PACMAN: "portaudio",
        Manager.ZYPPER: "libportaudio2",
        Manager.APK: "portaudio",
        Manager.BREW: "portaudio",
    },
    Package.OPUS: {
        Manager.APT: "libopus0",
        Manager.DNF: "opus",
        Manager.PACMAN: "opus",
        Manager.ZYPPER: "libopus0",
        Manager.APK: "opus",
        Manager.BREW: "opus",
    },
    Package.ALSA_PULSE: {
        Manager.APT: "libasound2-plugins",
        Manager.DNF: "alsa-plugins-pulseaudio",
        Manager.PACMAN: "alsa-plugins",
        Manager.ZYPPER: "alsa-plugins-pulse",
        Manager.APK: "alsa-plugins-pulse",
    },
    Package.ALSA_PIPEWIRE: {
        Manager.APT: "pipewire-alsa",
        Manager.DNF: "pipewire-alsa",
        Manager.PACMAN: "pipewire-alsa",
        Manager.ZYPPER: "pipewire-alsa",
        Manager.APK: "pipewire-alsa",
    },
}

# As they stand in ID and ID_LIKE of os-release(5).
_FAMILIES: Final[Mapping[str, Manager]] = {
    "debian": Manager.APT,
    "ubuntu": Manager.APT,
    "raspbian": Manager.APT,
    "fedora": Manager.DNF,
    "rhel": Manager.DNF,
    "arch": Manager.PACMAN,
    "suse": Manager.ZYPPER,
    "opensuse": Manager.ZYPPER,
    "alpine": Manager.APK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """This machine, as far as commands for it differ."""

    linux: bool
    manager: Manager | None
    root: bool  # are we
    user: str

    def install(self, package: Package) -> str | None:
        """What to type to install it; None when we do not know this system."""
        name = _NAMES[package].get(self.manager) if self.manager else None
        if name is None or self.manager is None:
            return None
        command = f"{self.manager.value} {name}"
        return command if self.manager is Manager.BREW else self.as_root(command)

    def as_root(self, command: str) -> str:
        """The command as it is typed by who we are."""
        return command if self.root else f"sudo {command}"


def this_system(environ: Mapping[str, str], root: Path) -> System:
    """The machine we run on."""
    name = os.uname().sysname
    uid = os.geteuid()
    return System(
        linux=name == "Linux",
        manager=Manager.BREW if name == "Darwin" else manager_of(_os_release(root)),
        root=uid == 0,
        user=_user(uid, environ),
    )


def manager_of(os_release: str) -> Manager | None:
    """By what os-release(5) says: the distribution itself first, then those it is like."""
    values = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    try:
        names = [
            name for key in ("ID", "ID_LIKE") for word in shlex.split(values.get(key, "")) for name in word.split()
        ]
    except ValueError:  # a quotation mark that is not closed
        return None
    return next((_FAMILIES[name] for name in names if name in _FAMILIES), None)


def _os_release(root: Path) -> str:
    for path in ("etc/os-release", "usr/lib/os-release"):
        try:
            with (root / path).open("rb") as file:
                return file.read(_MAX_OS_RELEASE_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
    return ""


def _user(uid: int, environ: Mapping[str, str]) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # of a container: no such user
        return environ.get("USER", str(uid))
