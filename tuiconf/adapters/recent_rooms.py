"""The rooms a person was in lately, with their links: what the start screen offers to join again.

One JSON object a line, the latest first. A link is a secret, so the file is the owner's alone (0600); with
`remember_rooms = false` in the settings nothing is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from tuiconf.adapters import private_files
from tuiconf.crypto.primitives import Random
from tuiconf.errors import TuiconfError

# What fits on a screen without searching. A link that is older is in the message it came with.
MAX_ROOMS: Final = 20

# A link may have 1,024 characters.
MAX_FILE_BYTES: Final = 1 << 16

_REF_CHARACTERS: Final = 12


Lobby = Literal["off", "unknown", "everyone"]


class RecentRoomsError(TuiconfError):
    """The file cannot be understood; the message names the line, and the file stays as it is."""

    code = "recent_rooms"


class RecentRoom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A room that was joined. `joined`: when, in seconds since 1970. `lobby`: who had to wait in a room that was made
    here, as it is to be when it is made again; None: as the settings say."""

    room: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    relay: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    link: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    hosted: bool
    joined: Annotated[float, msgspec.Meta(ge=0)]
    lobby: Lobby | None = None

    @property
    def ref(self) -> str:
        """What it is called without telling its secret: the beginning of the link's SHA-256."""
        return hashlib.sha256(self.link.encode("utf-8", "surrogatepass")).hexdigest()[:_REF_CHARACTERS]

    def __repr__(self) -> str:
        return "<RecentRoom>"


class RecentRooms:
    """The file at `path`, read anew at each call: other processes write to it as well."""

    def __init__(self, path: Path, *, rng: Random) -> None:
        self._path = path
        self._rng = rng

    def all(self) -> tuple[RecentRoom, ...]:
        """The latest first.

        Raises:
            RecentRoomsError: the file cannot be understood.
            FileError: it cannot be read, or others can.
        """
        data = private_files.read(self._path, max_bytes=MAX_FILE_BYTES, secret=True)
        try:
            return parse_recent_rooms(data or b"")
        except RecentRoomsError as error:
            raise RecentRoomsError(f"{self._path}: {error}; delete it, and no rooms are remembered") from error

    def remember(self, room: RecentRoom) -> None:
        """This one was joined now. Whoever made it once stays who made it, and who has to wait in it does.

        Raises:
            RecentRoomsError, FileError: as `all`, or it cannot be written.
        """
        private_files.make_folder(self._path.parent)
        with private_files.locked(self._path):
            before = self.all()
            for old in before:
                if old.ref == room.ref:
                    hosted, lobby = room.hosted or old.hosted, room.lobby or old.lobby
                    room = msgspec.structs.replace(room, hosted=hosted, lobby=lobby)
            self._write([room, *(old for old in before if old.ref != room.ref)][:MAX_ROOMS])

    def forget(self, ref: str) -> None:
        """Do not offer it any more.

        Raises:
            RecentRoomsError, FileError: as `remember`.
        """
        private_files.make_folder(self._path.parent)
        with private_files.locked(self._path):
            self._write([old for old in self.all() if old.ref != ref])

    def _write(self, rooms: Sequence[RecentRoom]) -> None:
        data = b"".join(msgspec.json.encode(room) + b"\n" for room in rooms)
        private_files.replace(self._path, data, rng=self._rng)


def parse_recent_rooms(data: bytes) -> tuple[RecentRoom, ...]:
    """The rooms in a file.

    Raises:
        RecentRoomsError: a line is not a room, or there are too many.
    """
    rooms = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rooms.append(msgspec.json.decode(line, type=RecentRoom))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecentRoomsError(f"line {number} is not a room") from error
    if len(rooms) > MAX_ROOMS:
        raise RecentRoomsError(f"there are more than {MAX_ROOMS} rooms in it")
    return tuple(rooms)
