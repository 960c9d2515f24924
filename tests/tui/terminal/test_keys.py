"""Bytes of terminals become keys, releases and replies, and never anything nobody typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual._parser import Parser
from textual._xterm_parser import XTermParser
from textual.message import Message

from tuiconf.tui.terminal.events import BackgroundColour, DeviceAttributes, KeyboardFlags, KeyReleased
from tuiconf.tui.terminal.keys import MAX_PASTE, KeyParser

KNOWN = [
    *ANSI_SEQUENCES_KEYS,
    *(f"\x1b[{known}" for known in FUNCTIONAL_KEYS),
    *(f"\x1b[{known[:-1]};{modifiers}{known[-1]}" for known in FUNCTIONAL_KEYS for modifiers in (2, 3, 5, 9)),
    *(chr(code) for code in [*range(32, 500), 0x4E2D, 0x1F600]),
    *("\x1b[97;;97u", "\x1b[97;2;65u", "\x1b[13u", "\x1b[9;2u", "\x1b[27u", "\x1bx", "\x1bX", "\x1b[200~a\x1b[201~"),
    *("\x1b[I", "\x1b[O", "\x1b[<0;10;10M", "\x1b[<65;3;4M", "\x1b[3;4R", "\x1b[?2026;2$y", "\x1b[?2048;1$y"),
    "\x1b[48;24;80;240;800t",
]

# What terminals have in common with noise: pieces that begin, go on and end.
PIECES = [
    *("\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1bO", "\x1b[<", "\x1b[?", "\x1b[M", "\x1b[[", "\x1b[200~", "\x1b[201~"),
    *("\x1b\\", "\x07", "\x18", "\x00", ";", ":", "$", "1", "57441", "1114112", "55296", "4294967296", "-", " ", "m"),
    *("u", "~", "A", "R", "t", "c", "y", "M", "\x1b[32;1:3u", "\x1b[48;0;0;0;0t", "\x1b[<0;1;1M", "é", "\u009b", "中"),
]
NOISE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=12).map("".join)


def read(parser: Parser[Message], *chunks: str) -> list[Message]:
    """All that comes of it, the keyboard then being left alone for a while."""
    read = [message for chunk in chunks if chunk for message in parser.feed(chunk)]
    while parser._timeout_time is not None:
        parser._timeout_time = 0.0
        read += parser.tick()
    return read


def told(message: Message) -> str:
    if isinstance(message, events.Key):
        return f"{message.key} {message.character!r}"
    return f"released {message.key}" if isinstance(message, KeyReleased) else type(message).__name__


def keys(*chunks: str) -> list[str]:
    return [told(message) for message in read(KeyParser(), *chunks)]


def test_what_textual_understands_means_the_same() -> None:
    for sequence in KNOWN:
        ours = [repr(message) for message in read(KeyParser(), sequence)]
        assert ours == [repr(message) for message in read(XTermParser(), sequence)], ascii(sequence)


@given(NOISE, st.data())
def test_nothing_a_terminal_sends_raises_and_keys_typed_afterwards_work(noise: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(noise)), max_size=4)))
    chunks = [noise[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(noise)], strict=True)]
    parser = KeyParser()
    read(parser, *chunks)
    assert [told(message) for message in read(parser, "m\x1b[32;1:3u\r")] == ["m 'm'", "released space", "enter '\\r'"]


@given(NOISE, NOISE)
def test_how_it_is_cut_into_chunks_makes_no_difference(first: str, second: str) -> None:
    whole = [told(message) for message in read(KeyParser(), first + second)]
    parser = KeyParser()
    pieces = [message for chunk in first + second for message in parser.feed(chunk)]
    assert [told(message) for message in [*pieces, *read(parser)]] == whole


@given(st.text(st.characters(min_codepoint=0x30, max_codepoint=0x3F), max_size=80), st.sampled_from("acdhnprsxyz"))
def test_a_sequence_nobody_understands_types_nothing(parameters: str, end: str) -> None:
    assert not [name for name in keys(f"\x1b[?9{parameters}{end}") if "'" in name]


@pytest.mark.parametrize(
    ("sequence", "meaning"),
    [
        ("\x1b[32;1:3u", ["released space"]),
        ("\x1b[32::32;1:3u", ["released space"]),
        ("\x1b[32;1:2;32u", ["space ' '"]),
        ("\x1b[32;1:1;32u", ["space ' '"]),
        ("\x1b[97:65;2:1;65u", ["A 'A'"]),
        ("\x1b[1;1:3A", ["released up"]),
        ("\x1b[1;1:2A", ["up None"]),
        ("\x1b[1;5:1A", ["ctrl+up None"]),
        ("\x1b[3;1:3~", ["released delete"]),
        ("\x1b[13;1:1u", ["enter '\\r'"]),
        ("\x1b[13;1:3u", ["released enter"]),
        ("\x1b[57441;2:3u", ["released left_shift"]),
        ("\x1b[1;1:3R", ["released f3"]),
        ("\x1b[32;1:4u", []),
        ("\x1b[32;:3u", ["released space"]),
        ("\x1b[1114112;1:1u", []),
        ("\x1b[55296;1:3u", []),
    ],
)
def test_kittys_event_types_and_alternate_keys_are_read(sequence: str, meaning: list[str]) -> None:
    assert keys(sequence) == meaning


def test_a_release_is_named_as_its_press_was_whatever_happened_to_shift() -> None:
    assert keys("\x1b[116;2;84u\x1b[116;1:3u") == ["T 'T'", "released T"]
    assert keys("\x1b[32;;32u\x1b[32;2:3u") == ["space ' '", "released space"]


def test_a_press_after_a_lost_release_is_named_anew() -> None:
    assert keys("\x1b[116;2;84u\x1b[116;;116u\x1b[116;1:3u") == ["T 'T'", "t 't'", "released t"]


def test_replies_to_the_driver_are_no_keys() -> None:
    parser = KeyParser()
    replies = read(parser, "\x1b[?27u\x1b[?u\x1b[?62;22;52c", "\x1b]11;rgb:ffff/fa", "fa/f0f0\x1b", "\\x")
    assert [told(reply) for reply in replies] == [
        *("KeyboardFlags", "KeyboardFlags", "DeviceAttributes", "BackgroundColour", "x 'x'")
    ]
    assert [reply.flags for reply in replies if isinstance(reply, KeyboardFlags)] == [27, 0]
    assert [reply.dark for reply in replies if isinstance(reply, BackgroundColour)] == [False]
    assert isinstance(replies[2], DeviceAttributes)


@pytest.mark.parametrize("reply", ["\x1b]11;rgb:1e/1e/2e\x07", "\x1b]11;rgba:1e1e/1e1e/2e2e/ffff\x1b\\"])
def test_a_dark_background_is_told_in_any_form(reply: str) -> None:
    (background,) = read(KeyParser(), reply)
    assert isinstance(background, BackgroundColour)
    assert background.dark


@pytest.mark.parametrize("text", ["\x1bm m q", "\x1b[109u", "a" * 40, "\x1b[" + "1" * 40 + "m", "\x1b]0;q\x07", "\x1b"])
def test_a_paste_is_text_whatever_is_in_it(text: str) -> None:
    assert keys(f"\x1b[200~{text}\x1b[201~x") == ["Paste", "x 'x'"]


def test_a_paste_has_no_controls_but_lines_and_tabs_and_an_end() -> None:
    (paste,) = read(KeyParser(), f"\x1b[200~a\x00\x1b\x9b\tb\r\nc{'d' * MAX_PASTE}\x1b[201~")
    assert isinstance(paste, events.Paste)
    assert paste.text.startswith("a\tb\r\ncdd")
    assert len(paste.text) <= MAX_PASTE


def test_a_paste_that_never_ends_does_not_kill_the_keyboard() -> None:
    parser = KeyParser()
    assert [told(message) for message in read(parser, "\x1b[200~half")] == ["Paste"]
    assert [told(message) for message in read(parser, "m")] == ["m 'm'"]


def test_a_sequence_cut_by_another_is_dropped_and_the_other_read() -> None:
    assert keys("\x1b[12;3\x1b[A") == ["up None"]
    assert keys("\x1b]52;c;abc\x1b[32;1:3u") == ["released space"]
    assert keys("\x1b[12;3é") == ["é 'é'"]


def test_escape_and_alt_are_keys() -> None:
    assert keys("\x1b") == ["escape '\\x1b'"]
    assert keys("\x1b\x1b[A") == ["escape '\\x1b'", "up None"]
    assert keys("\x1bx", "\x1b[") == ["alt+x 'x'", "left_square_bracket '['"]


def test_where_textual_raises_it_is_counted_and_the_mouse_still_works() -> None:
    parser = KeyParser()
    read(parser, "\x1b[48;0;0;0;0t\x1b[<0;1;1M")
    assert parser.faults == 1
    assert [told(message) for message in read(parser, "\x1b[48;24;80;240;800t\x1b[<0;1;1M")] == ["Resize", "MouseDown"]
