"""What others wrote cannot move, hide, reorder or overflow anything in a terminal, and can be read."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.hostile.untrusted_text import HOSTILE, LEGITIMATE, MARKUP
from tuiconf.untrusted import MAX_MARKS, ascii_only, cells, fit, in_json, visible

CORPUS: Final = [(text, shown) for _, text, shown in (*HOSTILE, *LEGITIMATE)]
NAMES: Final = [what for what, _, _ in (*HOSTILE, *LEGITIMATE)]

MOVING: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

# Random text seldom has two such characters side by side; here it is made of them, and of pieces of the corpus.
AWKWARD: Final = (
    "\x1b[\x9b\n\r\x08\u0301\u0316\u093e\u094d\u0915\u200b\u200c\u200d\u200e\u200f\u202e\u2066\u2069\ufe0f\ufe00\U000e0100"
    "\U000e0067\U0001f3f4\U0001f3fd\U0001f468\u2764\u0627\u06cc\u05d0\u1100\u1161\u11a8\uac00\u304b\u3099"
    "\u4e00\u3000\xa0\xb7 aé\ufdfd"
)
texts: Final = (
    st.text()
    | st.text(alphabet=AWKWARD)
    | st.lists(st.sampled_from([text for text, _ in CORPUS])).map("".join)
    | st.text(alphabet=st.characters(categories=("Mn", "Mc", "Cf", "So", "Lo", "Zs")))
)


@pytest.mark.parametrize(("text", "shown"), CORPUS, ids=NAMES)
def test_the_corpus_is_shown_as_a_person_looked_at_it(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_characters_and_stays_for_widgets_to_show_as_such(text: str) -> None:
    assert visible(text) == text


@settings(deadline=None)
@given(texts)
def test_what_is_shown_stays_on_its_line_and_moves_no_cursor(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown if char != "\u200c"} & MOVING
    assert shown.splitlines() in ([shown], [])
    shown.encode()


@settings(deadline=None)
@given(texts)
def test_nothing_is_stacked(text: str) -> None:
    run = 0
    for char in visible(text):
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        assert run <= MAX_MARKS


@settings(deadline=None)
@given(texts)
def test_what_is_shown_begins_with_no_mark_that_would_land_on_something_else(text: str) -> None:
    assert unicodedata.category(visible(text)[:1] or "a")[0] != "M"


@settings(deadline=None)
@given(texts)
@example("\u304b\ufe00\u3099")
def test_showing_twice_changes_nothing_more(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert ascii_only(ascii_only(text)) == ascii_only(text)


@settings(deadline=None)
@given(texts)
def test_a_text_is_as_wide_as_textual_says(text: str) -> None:
    assert cells(visible(text)) == cell_len(visible(text))


def test_every_character_is_as_wide_as_textual_says() -> None:
    chars = [chr(code) for code in range(0x20000) if unicodedata.category(chr(code)) not in MOVING]
    shown = [visible(f"a{char}") for char in chars if char < "\u3400" or char > "\ud7a3" or ord(char) % 61 == 0]
    assert [text for text in shown if cells(text) != cell_len(text)] == []


@settings(deadline=None)
@given(texts, st.integers(-1, 12))
@example("می\u200cخ", 3)
def test_what_is_made_to_fit_does(text: str, room: int) -> None:
    fitted = fit(text, room)
    assert cell_len(fitted) <= max(room, 0)
    assert fit(fitted, room) == fitted
    assert visible(fitted) == fitted
    if cells(visible(text)) <= room:
        assert fitted == visible(text)


@pytest.mark.parametrize(
    ("text", "room", "fitted"),
    [
        ("Mara", 4, "Mara"),
        ("Maria", 4, "Mar…"),
        ("Ann Lee", 5, "Ann…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0323\u0302a\u0323\u0302i", 2, "\u1ec7…"),
        ("x" * 9, 1, "…"),
        ("x" * 9, 0, ""),
        ("", 0, ""),
    ],
)
def test_what_is_cut_says_so(text: str, room: int, fitted: str) -> None:
    assert fit(text, room) == fitted


def test_without_utf8_a_cut_is_a_tilde() -> None:
    assert fit(ascii_only("Jürgen Groß"), 8, "~") == "Jurgen~"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jürgen Groß", "Jurgen Gross"),
        ("Łódź, Æble, Ørsted", "Lodz, AEble, Orsted"),
        ("“yes” – ‘no’ …", "\"yes\" - 'no' ..."),
        ("日本", "??"),
        ("한국", "??"),
        ("👍🏽 ok", "? ok"),
        ("½ × 2", "1/2 x 2"),
        ("a\x1b[2J", "a?[2J"),
        ("paypal·com", "paypal?com"),
    ],
)
def test_ascii_keeps_what_can_be_read(text: str, shown: str) -> None:
    assert ascii_only(text) == shown


@settings(deadline=None)
@given(texts)
def test_ascii_is_ascii_that_can_be_printed(text: str) -> None:
    shown = ascii_only(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert not visible(text) or shown


def test_a_long_text_of_marks_takes_no_long_time() -> None:
    # Unicode's normal form sorts marks; what is longest in a call is a line of 4,000 characters.
    assert visible("a" + "\u0301\u0316" * 2000).endswith("·")


@given(st.text(alphabet=AWKWARD) | st.text())
def test_a_line_of_json_says_the_same_and_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    line = msgspec.json.encode({text: [text, 1]}).decode()
    shown = in_json(line)
    assert json.loads(shown) == json.loads(line)
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") or char in "\u202e\u2066\u200f" for char in shown)
