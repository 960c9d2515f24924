"""The relay's settings: one file, read once, every key checked. config/relay.toml documents each."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from relay_quic.errors import ConfigError
from relay_quic.limits import Rates
from relay_quic.rooms import MAX_CONNECTIONS_PER_ROOM, MAX_ROOMS
from relay_quic.wire import MAX_CONNECTIONS_LISTED

DEFAULT_PORT: Final = 4433

# About 100 kB each with QUIC's own state: 200 MB, what a Raspberry Pi with 1 GB can spare.
MAX_CONNECTIONS: Final = 2000
# An office, a school or a mobile carrier's gateway behind one address. Raising it lets one machine hold more of the
# relay's places.
MAX_CONNECTIONS_PER_ADDRESS: Final = 256

# A larger number is a slip of the finger. The connections of a room are listed in one message, which holds so many.
_MOST: Final = 1_000_000
_MOST_OF: Final = {"connections_per_room": MAX_CONNECTIONS_LISTED}

QUIC_CHOICES: Final = ("auto", "aioquic", "qh3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen. An empty host is every address of the machine, IPv6 and IPv4; port 0 is any free one."""

    host: str = ""
    port: int = DEFAULT_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many of what the relay holds at once."""

    connections: int = MAX_CONNECTIONS
    connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    connections_per_room: int = MAX_CONNECTIONS_PER_ROOM
    rooms: int = MAX_ROOMS


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Everything a relay is told. Without `cert_file` it makes a certificate and keeps it in `state_dir`."""

    listen: Listen = field(default_factory=Listen)
    cert_file: Path | None = None
    key_file: Path | None = None
    quic: str = "auto"
    caps: Caps = field(default_factory=Caps)
    rates: Rates = field(default_factory=Rates)
    state_dir: Path | None = None  # None: where platformdirs says

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("a certificate needs its key: give both cert and key, or neither")


def parse_listen(text: str) -> Listen:
    """`HOST:PORT`, `HOST`, `:PORT` or `[IPV6]:PORT`.

    Raises:
        ConfigError: it is none of these.
    """
    problem = ConfigError(f"{text!r} is not HOST:PORT (such as 0.0.0.0:4433 or [::1]:4433)")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not host or (rest and not rest.startswith(":")):
            raise problem
        port = rest[1:] if rest else None
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
    if port is None:
        return Listen(host=_checked_host(host, problem))
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise problem
    return Listen(host=_checked_host(host, problem), port=int(port))


def _checked_host(host: str, problem: ConfigError) -> str:
    if any(character.isspace() or not character.isprintable() or character in "/?#@[]" for character in host):
        raise problem
    return host


def format_address(host: str, port: int) -> str:
    """The reverse of `parse_listen`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def load(path: Path) -> RelayConfig:
    """The settings in the file `path`.

    Raises:
        ConfigError: the file cannot be read, or a key of it is unknown or has a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or 'it is no file'}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str) -> RelayConfig:
    """The settings in the text of a file.

    Raises:
        ConfigError: a key is unknown or has a wrong value; the message says which and what it may be.
    """
    try:
        table: dict[str, object] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"this is not TOML ({error})") from error
    _check_known(table, {"listen", "cert", "key", "quic", "limits"}, prefix="")
    limits = table.get("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError("limits must be a table: [limits]")
    caps = {f.name for f in fields(Caps)}
    rates = {f"{f.name}_per_s": f.name for f in fields(Rates)}
    _check_known(limits, caps | rates.keys(), prefix="limits.")
    return RelayConfig(
        listen=_listen(table),
        cert_file=_path(table, "cert"),
        key_file=_path(table, "key"),
        quic=_quic(table),
        caps=replace(Caps(), **{name: _whole(limits, name) for name in caps & limits.keys()}),
        rates=replace(Rates(), **{rates[key]: _positive(limits, key) for key in rates.keys() & limits.keys()}),
    )


def _check_known(table: Mapping[str, object], known: set[str], *, prefix: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{prefix}{key} is not a setting; there are {', '.join(sorted(known))}")


def _listen(table: Mapping[str, object]) -> Listen:
    value = _string(table, "listen")
    if value is None:
        return Listen()
    try:
        return parse_listen(value)
    except ConfigError as error:
        raise ConfigError(f"listen: {error}") from error


def _path(table: Mapping[str, object], key: str) -> Path | None:
    value = _string(table, key)
    if value is None:
        return None
    if not value or "\0" in value:
        raise ConfigError(f"{key} must be the path of a file")
    return Path(value).expanduser() if value.startswith("~/") else Path(value)


def _quic(table: Mapping[str, object]) -> str:
    value = _string(table, "quic")
    if value is not None and value not in QUIC_CHOICES:
        raise ConfigError(f"quic must be one of {', '.join(QUIC_CHOICES)}")
    return value or "auto"


def _string(table: Mapping[str, object], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{key} must be text in quotes")
    return value


def _whole(table: Mapping[str, object], key: str) -> int:
    value = table[key]
    most = _MOST_OF.get(key, _MOST)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ConfigError(f"limits.{key} must be a whole number from 1 to {most:,}")
    return value


def _positive(table: Mapping[str, object], key: str) -> float:
    value = table[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= 1e12 or math.isnan(value):
        raise ConfigError(f"limits.{key} must be a number from 1 to 1e12")
    return float(value)
