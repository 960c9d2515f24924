"""The room code and the safety number: read, compared, confirmed or reported."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.tui.showing import Shown, shown
from tests.tui.support import (
    ADA,
    BEN,
    CODE,
    MARA,
    NOW,
    WORDS,
    ZOE,
    FakeControl,
    FakeTerminal,
    peer_shown,
    refused,
    until,
)
from tuiconf.config import Keys, Tui
from tuiconf.control import schema
from tuiconf.control.events import EpochChanged, TrustChanged
from tuiconf.tui.screens.question import Question
from tuiconf.tui.screens.safety import SafetyScreen, history, number_lines
from tuiconf.tui.screens.verify import VerifyScreen

NEW_CODE = "11111 22222 33333 44444 55555 66666"
_PLAIN = FakeTerminal(colours="none", unicode=False)


def _safety(leaf: int = MARA.leaf, name: str = "Mara") -> SafetyScreen:
    return SafetyScreen(leaf, name=name)


async def _codes(there: Shown) -> None:
    await until(there.pilot, lambda: WORDS[0] in there.text)


# --- the room code


async def test_words_are_numbered_and_digits_are_large() -> None:
    async with shown("verify") as there:
        await _codes(there)
        for number, word in enumerate(WORDS, 1):
            assert f"{number} {word}" in there.text
        assert "█" in there.text
        assert CODE[:5] not in there.text
        assert "epoch 7" in there.text


async def test_in_a_small_window_digits_are_spaced_and_all_of_it_is_there() -> None:
    async with shown("verify", size=(40, 12)) as there:
        await _codes(there)
        spaced = [" ".join(group) for group in CODE.split()]
        assert all(group in there.text for group in spaced)
        assert all(word in there.text for word in WORDS)
        assert "y matches" in there.text
        assert "n does NOT match" in there.text


async def test_without_unicode_big_digits_are_ascii() -> None:
    async with shown("verify", terminal=_PLAIN) as there:
        await _codes(there)
        assert there.text.isascii()
        assert "### ###" in there.text


async def test_whoever_is_marked_is_verified_with_the_epoch_that_was_shown() -> None:
    async with shown("verify") as there:
        await _codes(there)
        await there.press("down", "space", "down", "space", "y")
        asked = there.control.asked_for(schema.VerifyPeer)
        assert [(one.peer, one.how, one.matches, one.epoch) for one in asked] == [
            (BEN.fingerprint, "room_code", True, 7),
            (MARA.fingerprint, "room_code", True, 7),
        ]
        assert "Verified by room code: Ben, Mara." in there.text


async def test_with_nobody_marked_whoever_is_under_the_cursor_is_meant() -> None:
    async with shown("verify") as there:
        await _codes(there)
        await there.press("down", "n")
        (asked,) = there.control.asked_for(schema.VerifyPeer)
        assert (asked.peer, asked.matches) == (BEN.fingerprint, False)
        assert "reported as NOT matching" in there.text


async def test_a_code_that_changes_while_it_is_read_has_to_be_seen_before_anything_is_confirmed() -> None:
    control = FakeControl()
    async with shown("verify", control) as there:
        await _codes(there)
        await there.press("space")
        control.answers[schema.GetRoomCode] = schema.RoomCode(epoch=8, digits=NEW_CODE, words=("other",) * 8)
        control.happen(EpochChanged(epoch=8, security_code=NEW_CODE))
        await until(there.pilot, lambda: "1 other" in there.text)
        assert "so has the code" in there.text
        assert "[x]" not in there.text
        await there.press("y")
        assert control.asked_for(schema.VerifyPeer) == []
        await there.press("y")
        (asked,) = control.asked_for(schema.VerifyPeer)
        assert asked.epoch == 8


async def test_reporting_a_mismatch_of_an_old_code_reports_nobody() -> None:
    control = FakeControl()
    async with shown("verify", control) as there:
        await _codes(there)
        control.answers[schema.GetRoomCode] = schema.RoomCode(epoch=8, digits=NEW_CODE, words=("other",) * 8)
        control.happen(EpochChanged(epoch=8, security_code=NEW_CODE))
        await until(there.pilot, lambda: "1 other" in there.text)
        await there.press("n", "n")
        assert control.asked_for(schema.VerifyPeer) == []


async def test_what_the_engine_refuses_is_not_said_to_be_verified() -> None:
    control = FakeControl(answers={schema.VerifyPeer: refused("the group has gone on to another code")})
    async with shown("verify", control) as there:
        await _codes(there)
        await there.press("y")
        assert control.asked_for(schema.VerifyPeer)
        assert "Verified by" not in there.text


async def test_since_when_and_how_someone_is_verified_stands_beside_them() -> None:
    ada = schema.Peer(
        fingerprint=ADA.fingerprint,
        name="Ada",
        trust="verified",
        first_met=NOW - 9e6,
        last_met=NOW,
        verified_at=NOW - 864_000,
        verified_how="safety_number",
    )
    control = FakeControl(answers={schema.ListPeers: schema.Peers(peers=(ada,))})
    async with shown("verify", control) as there:
        await until(there.pilot, lambda: "since 21 Feb 2026 by safety number" in there.text)


async def test_trust_that_changes_is_shown_at_once() -> None:
    async with shown("verify") as there:
        await _codes(there)
        there.control.happen(TrustChanged(participant=msgspec.structs.replace(ZOE, trust="verified")))
        await until(there.pilot, lambda: "CHANGED" not in there.text)


async def test_enter_shows_the_safety_number_of_whoever_is_under_the_cursor_and_escape_comes_back() -> None:
    async with shown("verify") as there:
        await _codes(there)
        await there.press("down", "down", "enter")
        await until(there.pilot, lambda: "you and Mara" in there.text)
        await there.press("escape")
        assert isinstance(there.app.screen, VerifyScreen)


async def test_keys_that_the_settings_give_to_muting_are_here_still_those_of_the_page() -> None:
    async with shown("verify", settings=Tui(keys=Keys(mute="y"))) as there:
        await _codes(there)
        await there.press("y")
        assert there.control.asked_for(schema.VerifyPeer)
        assert not there.control.asked_for(schema.Mute)


# --- the safety number


async def test_all_sixty_digits_and_the_code_are_there() -> None:
    async with shown(_safety()) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        assert "6 0 4 5 9" in there.text
        assert "▀" in there.text
        assert MARA.fingerprint in there.text


async def test_a_window_too_small_for_the_code_is_told_how_large_it_would_have_to_be() -> None:
    async with shown(_safety(), size=(40, 12)) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        assert "The QR code needs a window of" in there.text
        assert "▀" not in there.text


async def test_matching_verifies_for_life_and_not_for_an_epoch() -> None:
    async with shown(_safety()) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        await there.press("y")
        (asked,) = there.control.asked_for(schema.VerifyPeer)
        assert (asked.peer, asked.how, asked.matches, asked.epoch) == (MARA.fingerprint, "safety_number", True, None)
        assert "verified by safety number" in there.text


async def test_the_number_stays_that_of_whom_it_was_opened_for() -> None:
    async with shown(_safety(MARA.leaf)) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        asked = len(there.control.asked_for(schema.ShowPeer))
        there.control.happen(TrustChanged(participant=msgspec.structs.replace(MARA, trust="known")))
        await until(there.pilot, lambda: len(there.control.asked_for(schema.ShowPeer)) > asked)
        assert there.control.asked_for(schema.ShowPeer)[-1].peer == MARA.fingerprint


async def test_a_mismatch_is_reported() -> None:
    async with shown(_safety()) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        await there.press("n")
        (asked,) = there.control.asked_for(schema.VerifyPeer)
        assert asked.matches is False


async def test_someone_changed_is_accepted_only_when_asked_twice() -> None:
    async with shown(_safety(ZOE.leaf, "Zoe")) as there:
        await until(there.pilot, lambda: "CHANGED" in there.text)
        await there.press("a")
        assert isinstance(there.app.screen, Question)
        await there.press("enter", "n")
        assert there.control.asked_for(schema.AcceptPeer) == []
        await there.press("a", "y")
        await until(there.pilot, lambda: bool(there.control.asked_for(schema.AcceptPeer)))


async def test_someone_who_is_not_changed_cannot_be_accepted() -> None:
    async with shown(_safety()) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        await there.press("a")
        assert not isinstance(there.app.screen, Question)


async def test_someone_is_forgotten_only_when_asked_twice() -> None:
    stored = schema.Peer(fingerprint=BEN.fingerprint, name="Ben", trust="known", first_met=NOW - 8e5, last_met=NOW)
    known = msgspec.structs.replace(peer_shown("Ben", "known"), stored=stored)
    control = FakeControl(answers={schema.ShowPeer: known})
    async with shown(_safety(BEN.leaf, "Ben"), control) as there:
        await until(there.pilot, lambda: "First met 22 Feb 2026" in there.text)
        await there.press("f", "y")
        await until(there.pilot, lambda: bool(control.asked_for(schema.ForgetPeer)))
        assert control.asked_for(schema.ForgetPeer)[0].peer == BEN.fingerprint


async def test_without_colours_the_code_can_be_drawn_the_other_way_round() -> None:
    async with shown(_safety(), settings=Tui(theme="none")) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        before = there.text
        await there.press("i")
        assert there.text != before
        await there.press("i")
        assert there.text == before


async def test_without_colours_the_code_is_drawn_as_the_background_is() -> None:
    drawn: list[str] = []
    for dark in (True, False):
        async with shown(_safety(), terminal=FakeTerminal(colours="none", dark=dark)) as there:
            await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
            drawn.append(there.text.splitlines()[2][-10:])
    on_dark, on_light = drawn
    assert set(on_dark.strip()) & set("█▀")
    assert on_dark != on_light


async def test_in_ascii_the_code_is_made_of_cells_that_a_camera_can_read() -> None:
    async with shown(_safety(), terminal=FakeTerminal(colours="none", unicode=False), size=(120, 50)) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        assert "#" not in there.text
        qr = there.app.screen.query_one(".qr")
        strips = [qr.render_line(y) for y in range(qr.size.height)]
        assert any(segment.style and segment.style.reverse for strip in strips for segment in strip)


async def test_a_name_cannot_break_out_of_the_page() -> None:
    evil = "\x1b[2J[@click=app.quit]\u202e"
    async with shown(_safety(MARA.leaf, evil)) as there:
        await until(there.pilot, lambda: "0 3 3 1 7" in there.text)
        await there.press("y")
        assert "\x1b" not in there.text
        assert "\u202e" not in there.text
        assert "[@click=app.quit]" in there.text


def test_of_a_name_that_stood_for_another_key_both_are_told() -> None:
    other = schema.Peer(
        fingerprint=BEN.fingerprint, name="Zoe", trust="verified", first_met=1.0, last_met=NOW, verified_at=2.0
    )
    told = history(msgspec.structs.replace(peer_shown("Zoe", "changed"), others=(other,)))
    assert any(BEN.fingerprint in text and "verified" in text and tone == "bad" for text, tone in told)


def test_the_number_is_in_full_rows_at_any_width() -> None:
    number = " ".join(f"{group:05}" for group in range(12))
    for width in range(5, 130):
        rows: list[Any] = number_lines(number, width).splitlines()
        assert "".join(rows).replace(" ", "") == number.replace(" ", "")
        assert len({len(row) for row in rows}) == 1
        assert width < 11 or len(rows[0]) <= width
