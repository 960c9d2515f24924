"""Who waits at the door: who they are is told before anyone lets them in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.tui.showing import shown
from tests.tui.support import ADA, BEN, ME, NOW, POLICY, ROBIN, ZOE, FakeControl, state, until
from tuiconf.control import schema
from tuiconf.control.events import Caller, Knocked, KnockEnded
from tuiconf.tui.screens import lobby
from tuiconf.tui.screens.lobby import LobbyScreen, describe
from tuiconf.tui.widgets.rows import Rows

KNOWN = Caller(ref="k2", name="Ben", fingerprint=BEN.fingerprint, known=True, trust="known")
VERIFIED = Caller(ref="k3", name="Ada", fingerprint=ADA.fingerprint, known=True, trust="verified")
CHANGED = Caller(ref="k4", name="Zoe", fingerprint=ZOE.fingerprint, known=False, trust="changed")


def _waiting(*callers: Caller, **changes: Any) -> FakeControl:
    return FakeControl(state=state(callers=callers, **changes))


def _as_host(**changes: Any) -> dict[str, Any]:
    return {"me": msgspec.structs.replace(ME, host=True), **changes}


async def test_an_empty_lobby_says_so_and_what_the_rule_is() -> None:
    async with shown("lobby") as there:
        assert "Nobody is waiting" in there.text
        assert "Whoever is not known has to wait." in there.text
        assert "admit" not in there.text


async def test_each_has_a_name_a_trust_in_words_and_a_fingerprint() -> None:
    async with shown("lobby", _waiting(ROBIN, KNOWN, VERIFIED, CHANGED)) as there:
        for words in ("Robin", "new", "known", "verified", "CHANGED", ROBIN.fingerprint, "4 waiting"):
            assert words in there.text
        await there.press("end")
        assert "Ask them in another way" in there.text


async def test_one_is_admitted_and_another_denied() -> None:
    async with shown("lobby", _waiting(ROBIN, KNOWN)) as there:
        await there.press("a", "down", "d")
        assert [one.caller for one in there.control.asked_for(schema.Admit)] == ["k1"]
        assert [one.caller for one in there.control.asked_for(schema.Deny)] == ["k2"]


async def test_all_known_are_admitted_at_once_and_nobody_else() -> None:
    async with shown("lobby", _waiting(ROBIN, KNOWN, VERIFIED, CHANGED)) as there:
        await there.press("w")
        assert [one.caller for one in there.control.asked_for(schema.Admit)] == ["k2", "k3"]


async def test_enter_lets_nobody_in() -> None:
    async with shown("lobby", _waiting(ROBIN)) as there:
        await there.press("enter")
        assert there.control.asked_for(schema.Admit) == []


async def test_the_list_follows_who_knocks_and_the_cursor_stays_on_who_it_was_on() -> None:
    async with shown("lobby", _waiting(ROBIN, KNOWN)) as there:
        await there.press("down")
        there.control.happen(KnockEnded(caller=ROBIN, reason="gone"), Knocked(caller=VERIFIED))
        await until(there.pilot, lambda: "2 waiting" in there.text and "Robin" not in there.text)
        assert there.app.screen.query_one(Rows).key == "k2"


async def test_since_when_someone_is_known_is_told() -> None:
    peer = schema.Peer(fingerprint=BEN.fingerprint, name="Ben", trust="known", first_met=NOW - 86_400, last_met=NOW)
    control = _waiting(KNOWN)
    control.answers[schema.ListPeers] = schema.Peers(peers=(peer,))
    async with shown("lobby", control) as there:
        await until(there.pilot, lambda: "since 2 Mar 2026" in there.text)


async def test_how_long_each_has_waited_is_told_and_nothing_where_the_engine_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lobby, "time", SimpleNamespace(time=lambda: NOW))
    long, short = (msgspec.structs.replace(KNOWN, since=NOW - 200), msgspec.structs.replace(ROBIN, since=NOW - 5))
    async with shown("lobby", _waiting(long, short, VERIFIED)) as there:
        assert "waits 3 min" in there.text and "just came" in there.text
        assert there.text.count("waits ") == 1
    async with shown("lobby", _waiting(long), size=(60, 16)) as there:
        assert "waits 3 min" in there.text


async def test_a_host_changes_who_has_to_wait_and_locks_the_room() -> None:
    async with shown("lobby", _waiting(**_as_host())) as there:
        await there.press("o", "x")
        assert [one.lobby for one in there.control.asked_for(schema.LobbySet)] == ["everyone"]
        assert there.control.asked_for(schema.Lock)
    locked = msgspec.structs.replace(POLICY, locked=True)
    async with shown("lobby", _waiting(**_as_host(policy=locked))) as there:
        assert "The room is locked" in there.text
        await there.press("x")
        assert there.control.asked_for(schema.Unlock)


async def test_whoever_may_not_admit_is_told_who_may() -> None:
    hosts_only = msgspec.structs.replace(POLICY, admit="hosts")
    async with shown("lobby", _waiting(policy=hosts_only)) as there:
        assert "Only hosts let people in here" in there.text


async def test_in_a_small_window_nothing_is_cut() -> None:
    async with shown("lobby", _waiting(ROBIN, KNOWN), size=(40, 12)) as there:
        for words in ("Robin", "Ben", ROBIN.fingerprint, "a admit", "d deny"):
            assert words in there.text


async def test_a_name_with_escape_sequences_is_shown_harmless() -> None:
    evil = msgspec.structs.replace(ROBIN, name="\x1b]0;x\x07[bold]Eve\u202e")
    async with shown("lobby", _waiting(evil)) as there:
        assert isinstance(there.app.screen, LobbyScreen)
        assert "[bold]Eve" in there.text
        assert not {"\x1b", "\x07", "\u202e"} & set(there.text)


def test_a_verified_caller_is_described_with_when_and_how() -> None:
    peer = schema.Peer(
        fingerprint=ADA.fingerprint,
        name="Ada",
        trust="verified",
        first_met=NOW - 9 * 86_400,
        last_met=NOW,
        verified_at=NOW - 86_400,
        verified_how="room_code",
    )
    told = " ".join(text for text, _ in describe(VERIFIED, peer))
    assert "since 2 Mar 2026 by room code" in told
    assert "22 Feb 2026" in told
