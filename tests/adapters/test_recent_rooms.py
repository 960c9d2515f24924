"""The rooms that are offered again."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.private_files import FileError
from tuiconf.adapters.recent_rooms import MAX_ROOMS, RecentRoom, RecentRooms, RecentRoomsError, parse_recent_rooms


def _room(number: int = 1, *, hosted: bool = False, joined: float = 1.0) -> RecentRoom:
    link = f"tuiconf://relay.example/room{number}#secret{number}"
    return RecentRoom(room=f"room{number}", relay="relay.example", link=link, hosted=hosted, joined=joined)


@pytest.fixture
def rooms(tmp_path: Path) -> RecentRooms:
    return RecentRooms(tmp_path / "state" / "recent_rooms", rng=os.urandom)


def test_before_the_first_call_there_are_none(rooms: RecentRooms) -> None:
    assert rooms.all() == ()


def test_the_latest_comes_first_and_none_twice(rooms: RecentRooms) -> None:
    for number in (1, 2, 3, 2):
        rooms.remember(_room(number))
    assert [room.room for room in rooms.all()] == ["room2", "room3", "room1"]


def test_whoever_made_a_room_stays_who_made_it(rooms: RecentRooms) -> None:
    rooms.remember(_room(hosted=True))
    rooms.remember(_room(joined=2.0))
    assert rooms.all() == (_room(hosted=True, joined=2.0),)


def test_a_room_that_is_made_again_has_the_lobby_it_had(rooms: RecentRooms) -> None:
    rooms.remember(msgspec.structs.replace(_room(hosted=True), lobby="everyone"))
    rooms.remember(_room(joined=2.0))
    assert rooms.all()[0].lobby == "everyone"
    rooms.remember(msgspec.structs.replace(_room(joined=3.0), lobby="off"))
    assert rooms.all()[0].lobby == "off"


def test_only_so_many_are_remembered(rooms: RecentRooms) -> None:
    for number in range(MAX_ROOMS + 3):
        rooms.remember(_room(number))
    assert len(rooms.all()) == MAX_ROOMS
    assert rooms.all()[0].room == f"room{MAX_ROOMS + 2}"


def test_a_room_can_be_forgotten_by_what_tells_nothing_of_its_secret(rooms: RecentRooms) -> None:
    rooms.remember(_room(1))
    rooms.remember(_room(2))
    assert "secret" not in _room(1).ref
    assert "secret" not in repr(_room(1))
    rooms.forget(_room(1).ref)
    assert [room.room for room in rooms.all()] == ["room2"]


def test_nobody_else_can_read_the_links(rooms: RecentRooms, tmp_path: Path) -> None:
    rooms.remember(_room())
    path = tmp_path / "state" / "recent_rooms"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(FileError):
        rooms.all()


def test_a_file_that_cannot_be_understood_stays_as_it_is(rooms: RecentRooms, tmp_path: Path) -> None:
    rooms.remember(_room())
    path = tmp_path / "state" / "recent_rooms"
    path.write_bytes(path.read_bytes() + b"garbage\n")
    before = path.read_bytes()
    for use in (rooms.all, lambda: rooms.remember(_room(2)), lambda: rooms.forget("x")):
        with pytest.raises(RecentRoomsError, match="line 2"):
            use()
    assert path.read_bytes() == before


@given(st.binary(max_size=300))
def test_whatever_is_in_the_file_only_one_error_comes_out(data: bytes) -> None:
    with contextlib.suppress(RecentRoomsError):
        parse_recent_rooms(data)


@given(st.data())
def test_a_file_with_anything_changed_is_read_or_refused(data: st.DataObject) -> None:
    good = b"".join(msgspec.json.encode(_room(number)) + b"\n" for number in range(3))
    at = data.draw(st.integers(0, len(good) - 1))
    mutated = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 4)) :]
    try:
        rooms = parse_recent_rooms(mutated)
    except RecentRoomsError:
        return
    assert len(rooms) <= 4
