"""The people this user has met: a text file like SSH's `known_hosts`, one of them a line.

    FINGERPRINT KEY FIRST-MET LAST-MET FINDING NAME

FINDING is `-`, or what was compared and when: `verified:safety_number:2026-11-26T04:10:36Z`, or `differs:…`. Lines that
start with `#` are comments. It is written by the program and may be edited by its owner, so it is read strictly: of a
line that means nothing it cannot be known whom it was about, and skipping it would make somebody new who is not.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast, get_args

from tuiconf.adapters import private_files
from tuiconf.crypto.primitives import Random
from tuiconf.errors import TuiconfError
from tuiconf.identity.keys import PUBLIC_KEY_BYTES, fingerprint
from tuiconf.identity.names import is_name
from tuiconf.identity.trust import Change, Finding, How, Met, Pin, Pins, TooManyPeers

# Twice what `MAX_PINS` lines of the longest names take: comments are the owner's.
MAX_FILE_BYTES: Final = 4 << 20

# An editor that writes into the file itself leaves it empty, or cut in the middle of a name, for some milliseconds. Who
# is missing then would be new, and an impostor be heard: what others have written counts once it is at rest.
REST_S: Final = 0.1
_MOST_RESTS: Final = 50

_HEADER: Final = (
    "# People you have met in calls: fingerprint, key, first and last meeting, what you compared with them, and name.\n"
    "# To forget someone, delete the line.\n"
)

_FIELDS: Final = 6
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_NOTHING: Final = "-"
_MATCHES: Final = {"verified": True, "differs": False}
_HOWS: Final = get_args(How)

_Signature = tuple[int, int, int] | None

_Lines = list[tuple[str, Pin | None]]
"""Each line, and the pin it stands for; None: a comment."""


class PeersError(TuiconfError):
    """The file says something that cannot be understood; the message names it, and the line."""

    code = "peers"


def parse_peers(text: str) -> Pins:
    """What the file says.

    Raises:
        PeersError: a line is not one, or two are about one key.
    """
    return _pins(_parse(text))


def format_peers(pins: Pins, before: str = "") -> str:
    """The file that says this. Of the one `before`, lines that are still true stay where they are, and comments do.

    Raises:
        PeersError: `before` is no such file.
    """
    return _rewritten(_parse(before), pins)


class PeersFile:
    """The file at `path`. Other processes write to it, too: what happened is applied to whatever they have left there.

    Blocks: on the disk, and on other processes that write.
    """

    def __init__(self, path: Path, *, rng: Random) -> None:
        self._path = path
        self._rng = rng
        self._seen: _Signature = None
        self._was_read = False

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        return self._path

    def has_changed(self) -> bool:
        """Whether it is another file than the one last read or written here, by its number, time and size."""
        return self._signature() != self._seen

    def read(self) -> Pins:
        """All who are in it; nobody when there is no file.

        Raises:
            PeersError: it cannot be understood.
            FileError: it cannot be read.
        """
        self._seen, lines = self._at_rest()
        self._was_read = True
        return _pins(lines)

    def change(self, changes: Sequence[Change]) -> Pins:
        """Apply these upon whatever is in the file now, and write it; who is in it then.

        Raises:
            PeersError: it cannot be understood, and stays as it is.
            FileError: it cannot be read or written, and stays as it was.
            TooManyPeers: it is full of people who were decided about; what there was room for is written.
        """
        pins, refused = self.write(changes)
        if refused:
            raise TooManyPeers
        return pins

    def write(self, changes: Sequence[Change]) -> tuple[Pins, list[Change]]:
        """The same, and the decisions for which there was no room, whatever came of the others.

        Raises:
            PeersError, FileError: as `change`.
        """
        private_files.make_folder(self._path.parent)
        with private_files.locked(self._path):
            signature, lines = self._at_rest()
            pins = _pins(lines)
            applied, refused = _apply(pins, changes)
            if applied:
                private_files.replace(self._path, _rewritten(lines, pins).encode(), rng=self._rng)
                signature = self._signature()
            self._seen, self._was_read = signature, True
        return pins, refused

    def _at_rest(self) -> tuple[_Signature, _Lines]:
        """What is in the file; if others have changed it since it was read here, once nobody is writing any more."""
        for _ in range(_MOST_RESTS):
            signature = self._signature()  # first: what is written meanwhile is looked at again
            if self._was_read and signature != self._seen:
                time.sleep(REST_S)
                if self._signature() != signature:
                    continue
            return signature, self._lines()
        raise PeersError(f"{self._path}: another program is writing it all the time; the file was left as it is")

    def _signature(self) -> _Signature:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _lines(self) -> _Lines:
        data = private_files.read(self._path, max_bytes=MAX_FILE_BYTES, secret=True)
        try:
            return _parse((data or b"").decode())
        except UnicodeDecodeError as error:
            line = (data or b"")[: error.start].count(b"\n") + 1
            raise PeersError(f"{self._path}, line {line}: not text in UTF-8; the file was left as it is") from error
        except PeersError as error:
            raise PeersError(f"{self._path}, {error}; correct or delete it (the file was left as it is)") from error


def open_peers(*, rng: Random) -> PeersFile:
    """This user's."""
    from tuiconf import paths

    return PeersFile(paths.peers_file(os.environ), rng=rng)


def _apply(pins: Pins, changes: Sequence[Change]) -> tuple[bool, list[Change]]:
    """Whether anything has changed, and the decisions without room for them, but those that a later one replaces."""
    changed, refused = False, list[Change]()
    for change in changes:
        if not isinstance(change, Met):
            refused = [other for other in refused if other.key != change.key]
        try:
            changed |= pins.apply(change)
        except TooManyPeers:
            refused.append(change)
    if changed and refused:  # there may be room now
        _, refused = _apply(pins, refused)
    return changed, refused


def _pins(lines: _Lines) -> Pins:
    return Pins(pin for _, pin in lines if pin is not None)


def _rewritten(before: _Lines, pins: Pins) -> str:
    lines, written = [] if before else [_HEADER.removesuffix("\n")], set()
    for line, old in before:
        if old is None:
            lines.append(line)
        elif (pin := pins.get(old.key)) is not None:
            lines.append(line if pin == old else _format(pin))
            written.add(pin.key)
    lines += [_format(pin) for pin in pins if pin.key not in written]
    return "".join(f"{line}\n" for line in lines)


def _parse(text: str) -> _Lines:
    lines: _Lines = []
    numbers: dict[bytes, int] = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        if not line.strip() or line.startswith("#"):
            lines.append((line, None))
            continue
        try:
            pin = _pin(line)
        except ValueError as error:
            raise PeersError(f"line {number}: {error}") from None
        if pin.key in numbers:
            raise PeersError(f"line {number}: the same key as in line {numbers[pin.key]}")
        numbers[pin.key] = number
        lines.append((line, pin))
    return lines


def _pin(line: str) -> Pin:
    """The pin of a line; ValueError says what is wrong with it."""
    fields = line.split(" ", _FIELDS - 1)
    if len(fields) != _FIELDS:
        raise ValueError("not a fingerprint, a key, two times, what was compared, and a name")
    mark, key, first_met, last_met, finding, name = fields
    pin = Pin(key=_key(key), name=name, first_met=_time(first_met), last_met=_time(last_met), finding=_finding(finding))
    if pin.fingerprint != mark:
        raise ValueError("the fingerprint is not that of the key")
    if not is_name(name):
        raise ValueError("nobody can have that name")
    return pin


def _format(pin: Pin) -> str:
    key = base64.urlsafe_b64encode(pin.key).rstrip(b"=").decode("ascii")
    finding = _NOTHING
    if (found := pin.finding) is not None:
        finding = f"{'verified' if found.matches else 'differs'}:{found.how}:{_as_time(found.at)}"
    return " ".join((fingerprint(pin.key), key, _as_time(pin.first_met), _as_time(pin.last_met), finding, pin.name))


def _key(text: str) -> bytes:
    """43 characters of base64url; each key has one spelling."""
    try:
        key = base64.urlsafe_b64decode(text.encode("ascii") + b"=")
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != PUBLIC_KEY_BYTES or base64.urlsafe_b64encode(key).rstrip(b"=") != text.encode():
        raise ValueError("the second field is not a key of 43 letters, digits, '-' or '_'")
    return key


def _finding(text: str) -> Finding | None:
    if text == _NOTHING:
        return None
    result, _, rest = text.partition(":")
    how, _, at = rest.partition(":")
    if result not in _MATCHES or how not in _HOWS:
        raise ValueError("the fifth field is not '-' or what was compared")
    return Finding(at=_time(at), how=cast(How, how), matches=_MATCHES[result])


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text).timestamp() if _TIME.fullmatch(text) else None
    except ValueError:  # a month of 40 days
        at = None
    if at is None:
        raise ValueError("a time is written as in 2026-11-26T04:10:36Z")
    return at


def _as_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
