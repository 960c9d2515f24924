"""Rooms that are offered again: which are kept, and that a room that is made again has the lobby it had."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pytest

from tuiconf import cli, paths
from tuiconf.adapters.recent_rooms import RecentRoom, RecentRooms
from tuiconf.conference.events import Joined, Person, PolicyChanged
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import Link, RelayAddress, format_link, new_link
from tuiconf.participant import launch as launching
from tuiconf.participant.plan import Plan, make_plan
from tuiconf.participant.preparing import Preparer
from tuiconf.participant.remembering import Rememberer

ME = Person(leaf=0, name="Ann", fingerprint="aaaa", host=True, trust="self")
JOINED = Joined(epoch=1, security_code="", me=ME, participants=(ME,))
LINK = new_link(RelayAddress(host="relay.example", port=4433, pin=b"p" * 32), "kitchen", rng=os.urandom)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))


def policy(lobby: str) -> PolicyChanged:
    return PolicyChanged(hosts=(ME,), lobby=lobby, locked=False, admit="hosts", remove="hosts", record="members")


def plan(*arguments: str, **chosen: object) -> Plan:
    args = cli._parser().parse_args([*arguments, "--audio-in", "null", "--audio-out", "null"])
    return make_plan(argparse.Namespace(**{**vars(args), **chosen}), link=LINK)


def remembered() -> RecentRoom | None:
    """The one room, once it was written."""
    rooms = RecentRooms(paths.recent_rooms_file(), rng=os.urandom)
    until = time.monotonic() + 20
    while not rooms.all() and time.monotonic() < until:
        time.sleep(0.01)
    return next(iter(rooms.all()), None)


def test_a_room_that_is_made_again_from_the_list_has_the_lobby_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[argparse.Namespace] = []

    def launch(args: argparse.Namespace, link: Link, identity: Identity) -> str:
        assert link == LINK
        started.append(args)
        return "abcd"

    monkeypatch.setattr(launching, "launch", launch)
    Rememberer(plan("host", "relay.example", "--lobby", "everyone")).happened(JOINED)
    room = remembered()
    assert room is not None and room.hosted
    args = cli._parser().parse_args(["prepare", "0", "1", "--audio-in", "null", "--audio-out", "null"])
    preparer = Preparer(args, Identity.create("Ann", os.urandom))
    assert preparer.obey(b'{"do":"join","where":"%s"}' % room.ref.encode()).call == "abcd"
    again = make_plan(started[0], link=LINK)
    assert (again.founder, again.rules.lobby) == (True, "everyone")


def test_the_lobby_that_was_set_last_is_the_one_that_is_kept() -> None:
    rememberer = Rememberer(plan("join", format_link(LINK), founder=True))
    for event in (JOINED, policy("unknown")):
        rememberer.happened(event)
        rememberer._writing.submit(lambda: None).result()
    room = remembered()
    assert room is not None and room.lobby == "unknown"


def test_who_was_only_a_guest_keeps_no_rules_and_nobody_else_s_policy_makes_a_room_one_was_in() -> None:
    rememberer = Rememberer(plan("join", format_link(LINK)))
    rememberer.happened(policy("everyone"))
    rememberer.happened(JOINED)
    room = remembered()
    assert room is not None
    assert (room.hosted, room.lobby) == (False, None)


def test_nothing_is_kept_where_the_settings_say_so() -> None:
    paths.config_file().parent.mkdir()
    paths.config_file().write_text("[call]\nremember_rooms = false\n")
    rememberer = Rememberer(plan("host", "relay.example"))
    rememberer.happened(JOINED)
    rememberer._writing.shutdown()
    assert not paths.recent_rooms_file().exists()
