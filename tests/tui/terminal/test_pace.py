"""How far behind a terminal is, by what it has answered."""

from __future__ import annotations

from tuiconf.tui.terminal.pace import FENCE_EVERY_BYTES, PATIENCE_S, WINDOW_BYTES, Pace


def test_without_a_question_nothing_is_behind() -> None:
    pace = Pace()
    pace.wrote(10 * WINDOW_BYTES)
    assert not pace.is_behind(now=0.0)


def test_a_question_is_due_after_some_output_and_not_for_every_frame() -> None:
    pace = Pace()
    pace.wrote(FENCE_EVERY_BYTES - 1)
    assert not pace.wants_fence()
    pace.wrote(1)
    assert pace.wants_fence()
    pace.fenced(now=0.0)
    assert not pace.wants_fence()


def test_more_than_a_window_unanswered_is_behind_until_the_answer() -> None:
    pace = Pace()
    pace.wrote(10)
    pace.fenced(now=0.0)
    pace.wrote(WINDOW_BYTES)
    assert pace.is_behind(now=1.0)
    pace.answered()
    assert pace.under_way_bytes == WINDOW_BYTES
    assert not pace.is_behind(now=1.0)


def test_answers_count_from_the_oldest_question() -> None:
    pace = Pace()
    for _ in range(2):
        pace.wrote(WINDOW_BYTES)
        pace.fenced(now=0.0)
    pace.answered()
    assert pace.under_way_bytes == WINDOW_BYTES


def test_an_answer_that_got_lost_is_not_waited_for_for_ever() -> None:
    pace = Pace()
    pace.wrote(2 * WINDOW_BYTES)
    pace.fenced(now=0.0)
    assert pace.is_behind(now=PATIENCE_S)
    assert not pace.is_behind(now=PATIENCE_S + 0.1)
    pace.answered()
    assert pace.under_way_bytes == 0
