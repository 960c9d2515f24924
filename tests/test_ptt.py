"""Which key talks: learnt from the first press, and never down by guesswork."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.evdev import KeyEvent
from tuiconf.ptt import TalkKey

A_DOWN, A_UP = KeyEvent(code=30, down=True), KeyEvent(code=30, down=False)
LOST = KeyEvent(code=None, down=False)


def test_the_first_press_says_which_key_it_is_and_is_no_word_yet() -> None:
    key = TalkKey(None)
    assert not key.learns(A_UP)
    assert key.learns(A_DOWN)
    assert (key.code, key.down) == (30, False)
    assert not key.take(A_UP)
    assert key.take(A_DOWN) and key.down


def test_other_keys_say_nothing() -> None:
    key = TalkKey(31)
    assert not key.learns(A_DOWN)
    assert not key.take(A_DOWN) and not key.down


def test_a_key_is_up_when_events_were_lost() -> None:
    key = TalkKey(30)
    assert key.take(A_DOWN)
    assert key.take(LOST) and not key.down
    assert not key.take(A_UP)


@given(st.lists(st.sampled_from([A_DOWN, A_UP, LOST, KeyEvent(code=31, down=True)])))
def test_a_change_is_told_for_every_change_and_for_nothing_else(events: list[KeyEvent]) -> None:
    key, down = TalkKey(30), False
    for event in events:
        changed = key.take(event)
        assert changed is (key.down is not down)
        down = key.down
        if event in (A_UP, LOST):
            assert not down
