"""The relays whose certificate a person has accepted: a text file like SSH's known_hosts.

One relay a line, `HOST:PORT PIN`; lines that start with `#` are comments. It is written by the program and may be
edited by its owner, so it is read strictly: a line that means nothing is told, not skipped, since skipping it would
ask about a relay anew that had been pinned.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tuiconf.adapters import private_files
from tuiconf.crypto.primitives import Random, equal
from tuiconf.errors import TuiconfError
from tuiconf.identity.link import LinkError, format_pin, parse_host_port, parse_pin

# About 10,000 relays; nobody meets as many, and the file is read whole.
MAX_FILE_BYTES: Final = 1 << 20

_HEADER: Final = "# Relays whose certificate you have accepted, and the pin (SHA-256) of its key.\n"

Endpoint = tuple[str, int]
"""Host and port, in `parse_host_port`'s spelling."""


class KnownRelaysError(TuiconfError):
    """The file says something that cannot be read; the message names the line."""

    code = "known_relays"


class PinChanged(TuiconfError):
    """A relay shows another certificate than the one that was accepted. It may be an attack: never go on by itself."""

    code = "pin_changed"


def parse_known_relays(text: str) -> dict[Endpoint, tuple[bytes, int]]:
    """The pin and line number of each relay in the file.

    Raises:
        KnownRelaysError: a line is not `HOST:PORT PIN`, or a relay is there twice.
    """
    relays: dict[Endpoint, tuple[bytes, int]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            where, pin_text = line.split()
            endpoint, pin = parse_host_port(where), parse_pin(pin_text)
        except (ValueError, LinkError) as error:
            raise KnownRelaysError(f"line {number} is not HOST:PORT and a pin") from error
        if endpoint in relays:
            raise KnownRelaysError(f"lines {relays[endpoint][1]} and {number} are about the same relay")
        relays[endpoint] = pin, number
    return relays


class KnownRelays:
    """The file at `path`, read anew at each call: other processes write to it as well."""

    def __init__(self, path: Path, *, rng: Random) -> None:
        self._path = path
        self._rng = rng

    def check(self, host: str, port: int, pin: bytes) -> bool:
        """Whether this pin was accepted for this relay; False when the relay is not known.

        Raises:
            PinChanged: another one was.
            KnownRelaysError: the file cannot be understood.
            FileError: it cannot be read.
        """
        return self._check(self._parse(self._read()), _endpoint(host, port), pin)

    def remember(self, host: str, port: int, pin: bytes) -> None:
        """A person accepts this pin for this relay.

        Raises:
            PinChanged: another one was accepted before: only its owner takes that line out.
            KnownRelaysError: the file cannot be understood; it stays as it is.
            FileError: it cannot be read or written.
        """
        private_files.make_folder(self._path.parent)
        with private_files.locked(self._path):
            text = self._read()
            endpoint = _endpoint(host, port)
            if self._check(self._parse(text), endpoint, pin):
                return
            text = text or _HEADER
            line = f"{_format(endpoint)} {format_pin(pin)}\n"
            data = text + ("" if text.endswith("\n") else "\n") + line
            private_files.replace(self._path, data.encode(), rng=self._rng)

    def _check(self, relays: Mapping[Endpoint, tuple[bytes, int]], endpoint: Endpoint, pin: bytes) -> bool:
        known = relays.get(endpoint)
        if known is None:
            return False
        accepted, line = known
        if not equal(accepted, pin):
            raise PinChanged(
                "THE RELAY'S CERTIFICATE HAS CHANGED: someone may be in between, or its operator has made a new one;"
                f" ask the operator, and only if the new pin {format_pin(pin)} is theirs,"
                f" delete line {line} of {self._path}"
            )
        return True

    def _read(self) -> str:
        data = private_files.read(self._path, max_bytes=MAX_FILE_BYTES, secret=False)
        try:
            return (data or b"").decode()
        except UnicodeDecodeError as error:
            raise KnownRelaysError(f"{self._path} is not text in UTF-8") from error

    def _parse(self, text: str) -> dict[Endpoint, tuple[bytes, int]]:
        try:
            return parse_known_relays(text)
        except KnownRelaysError as error:
            raise KnownRelaysError(f"{self._path}: {error}") from error


def _endpoint(host: str, port: int) -> Endpoint:
    return parse_host_port(_format((host, port)))


def _format(endpoint: Endpoint) -> str:
    """With the port even when it is the default, which could be another one some day."""
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
