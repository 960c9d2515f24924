"""What is typed ahead goes where it was meant to go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Key
from textual.message import Message

from tests.tui.terminal.rig import Rig
from tuiconf.tui.terminal.order import MAX_WAITING, InOrder


def _key(name: str) -> Key:
    return Key(name, None)


def test_the_next_key_waits_until_the_one_before_is_dealt_with() -> None:
    sent: list[tuple[Message, int]] = []
    keys = InOrder(lambda key, number: sent.append((key, number)))
    first, second = _key("c"), _key("h")
    keys.add(first)
    keys.add(second)
    assert sent == [(first, 1)]
    keys.done(1)
    assert sent == [(first, 1), (second, 2)]


def test_a_key_that_was_given_up_waiting_for_is_not_done_twice() -> None:
    sent: list[int] = []
    keys = InOrder(lambda _, number: sent.append(number))
    for name in "abc":
        keys.add(_key(name))
    keys.done(1)
    keys.done(1)
    assert sent == [1, 2]


def test_a_cat_on_the_keyboard_fills_no_memory() -> None:
    sent: list[int] = []
    keys = InOrder(lambda _, number: sent.append(number))
    for _ in range(2 * MAX_WAITING):
        keys.add(_key("x"))
    for number in range(1, 3 * MAX_WAITING):
        keys.done(number)
    assert len(sent) == MAX_WAITING + 1


@given(st.lists(st.booleans(), max_size=60))
def test_whenever_keys_are_dealt_with_they_keep_their_order(steps: list[bool]) -> None:
    sent: list[tuple[str, int]] = []
    keys = InOrder(lambda key, number: sent.append((getattr(key, "key", ""), number)))
    added = 0
    for adds in steps:
        if adds:
            keys.add(_key(str(added)))
            added += 1
        elif sent:
            keys.done(sent[-1][1])
    while sent and len(sent) < added:
        keys.done(sent[-1][1])
    assert [name for name, _ in sent] == [str(number) for number in range(added)]


@pytest.fixture
def form() -> Iterator[Rig]:
    """Two fields, of which a key opens the first."""
    terminal = Rig("-m", "tests.tui.terminal.form_app")
    yield terminal
    terminal.close()


def test_what_is_typed_in_one_burst_goes_into_the_fields_it_was_meant_for(form: Rig) -> None:
    form.until_told("begun")
    form.type("chello\tworld\r")
    form.until_told("fields hello world")


def test_a_key_that_closes_what_has_the_focus_does_not_end_typing(form: Rig) -> None:
    form.until_told("begun")
    form.type("oxcagain\t\r")
    form.until_told("fields again ")


def test_no_answer_of_the_terminal_is_left_for_the_shell(form: Rig) -> None:
    form.answer = b""
    form.until_told("begun")
    form.until_written(b"\x1b[c")
    form.type("q")
    form.until_told("quits")
    form.type("\x1b[?1;2c" * 9)
    assert form.ended() == 0
    assert form.left() == b""
