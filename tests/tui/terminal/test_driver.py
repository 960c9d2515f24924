"""A real process on a real pty: slow, stopped, strange and gone terminals."""

from __future__ import annotations

import os
import signal
import termios
from pathlib import Path

from tests.tui.terminal.rig import Rig
from tuiconf.tui.terminal.pace import WINDOW_BYTES

KITTY = "\x1b[?27u\x1b]11;rgb:1e1e/1e1e/2e2e\x07\x1b[?62;c"


def test_a_terminal_that_is_not_read_stops_neither_the_loop_nor_lets_a_queue_grow(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.until(lambda: _dropped(rig) > 20, reading=False)
    rig.type(" ")
    rig.until_told("key space", reading=False)
    assert max(int(tick[5]) for tick in _ticks(rig)) < 32_768


def test_when_it_is_read_again_the_screen_is_as_if_nothing_had_been_missed(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.until(lambda: _dropped(rig) > 20, reading=False)
    behind = rig.ticks()
    rig.until(lambda: _shown(rig) > behind + 5)
    lines = rig.screen()[:10]
    assert [line.split(" of ")[0] for line in lines] == [f"line {number}" for number in range(10)]
    assert len({line.split()[3] for line in lines}) <= 2, "lines of the past are left on the screen"


def test_what_is_left_out_because_it_is_there_already_is_there(rig: Rig) -> None:
    rig.until_ticks(20)
    for keys in ("p", "o", "c", "w", "o", "cocowpc"):
        rig.do(keys)
        before = rig.screen()
        assert b"\x1b[24;1H" in rig.do("r")
        assert rig.screen() == before, keys


def test_a_screen_that_is_painted_again_costs_nothing_until_its_size_changes(rig: Rig) -> None:
    rig.until_ticks(20)
    rig.do("p")
    rig.do("l")
    assert b"~" not in rig.do("lll")
    before = len(rig.written)
    rig.resize(100, 24)
    rig.until(lambda: b"\x1b[24;1H" in rig.written[before:])


def test_a_terminal_that_stops_answering_gets_no_more_than_a_window(rig: Rig) -> None:
    rig.until_told("releases")
    rig.answer = b""
    answered, before = len(rig.written), -1
    while before != len(rig.written):
        before = len(rig.written)
        rig.until_ticks(30)
    assert before - answered < 2 * WINDOW_BYTES
    rig.type("\x1b[?62c" * 20)
    rig.until(lambda: len(rig.written) > before)


def test_a_kitty_is_asked_for_releases_and_they_arrive(rig: Rig) -> None:
    rig.answer = b""
    rig.until_written(b"\x1b[c")
    assert rig.written.index(b"\x1b[>25u") < rig.written.index(b"\x1b[=2;2u") < rig.written.index(b"\x1b[?u")
    rig.type(KITTY)
    rig.until_told("releases True")
    rig.until_told("dark True")
    rig.type("\x1b[32;;32u\x1b[32;1:2u\x1b[32;2:3u")
    rig.until_told("released space")
    assert [line for line in rig.told if "space" in line] == ["key space", "key space", "released space"]


def test_another_terminal_says_no_by_what_it_answers(rig: Rig) -> None:
    rig.answer = b""
    rig.until_written(b"\x1b[c")
    rig.type("\x1b[?1;2c")
    rig.until_told("releases False")


def test_a_terminal_that_cannot_tell_of_the_mouse_is_not_asked_to() -> None:
    rig = Rig("-m", "tests.tui.terminal.patient_app", env={"NO_MOUSE": "1"})
    try:
        rig.until_ticks(5)
    finally:
        rig.close()
    assert b"\x1b[?2004h" in rig.written
    assert b"\x1b[?1000h" not in rig.written


def test_leaving_waits_for_the_terminals_last_word_and_restores_it(rig: Rig) -> None:
    rig.answer = b""
    rig.until_written(b"\x1b[c")
    rig.type(KITTY)
    rig.until_told("releases True")
    rig.type("\x1b[120;;120u")
    rig.until_written(b"\x1b[=2;3u\x1b[c")
    rig.type("\x1b[120;1:3u" + "\x1b[?62c" * 9)
    assert rig.ended() == 0
    _is_restored(rig)


def test_a_crash_restores_the_terminal(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.type("b")
    assert rig.ended() == 1
    _is_restored(rig)


def test_being_terminated_restores_the_terminal(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.process.send_signal(signal.SIGTERM)
    assert rig.ended() == 143
    _is_restored(rig)


def test_a_blocked_terminal_does_not_keep_the_process_from_ending(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.until(lambda: _dropped(rig) > 5, reading=False)
    rig.process.send_signal(signal.SIGTERM)
    assert rig.ended(reading=False) == 143


def test_a_terminal_that_goes_ends_the_app(rig: Rig) -> None:
    rig.until_ticks(5)
    os.close(rig.slave)
    os.close(rig.master)
    rig.master, rig.slave = os.pipe()
    assert rig.ended(reading=False) == 129


def test_suspending_first_says_so_and_leaves_the_terminal_as_it_was(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.type("z")
    rig.until(lambda: _state(rig) == "T")
    rig.until_told("suspends")
    rig.until_told("blur")
    _is_restored(rig)
    rig.process.send_signal(signal.SIGCONT)
    rig.until_told("resumes")
    rig.until_ticks(5)
    rig.type("x")
    assert rig.ended() == 0
    assert rig.written.count(b"\x1b[>25u") == rig.written.count(b"\x1b[<u") == 2
    _is_restored(rig)


def test_being_stopped_from_outside_counts_as_having_lost_the_keys_and_nothing_is_entered_twice(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.process.send_signal(signal.SIGSTOP)
    rig.until(lambda: _state(rig) == "T")
    rig.process.send_signal(signal.SIGCONT)
    rig.until_told("suspends")
    rig.until_told("blur")
    rig.type("x")
    assert rig.ended() == 0
    assert rig.written.count(b"\x1b[>25u") == 1
    _is_restored(rig)


def test_bytes_that_are_no_utf8_type_nothing_that_matters_and_the_next_key_works(rig: Rig) -> None:
    rig.until_ticks(5)
    rig.type(b"\xff\xfe\xc3\x28\x9b\x1b[\xf0\x1b[<;;;M\x1b[99999999u\x1b]11;?")
    rig.until_ticks(60)
    rig.type("x")
    assert rig.ended() == 0


def _ticks(rig: Rig) -> list[list[str]]:
    return [line.split() for line in rig.told if line.startswith("tick")]


def _dropped(rig: Rig) -> int:
    return int(_ticks(rig)[-1][3]) if _ticks(rig) else 0


def _shown(rig: Rig) -> int:
    words = (rig.screen() or [""])[0].split()
    return int(words[3]) if len(words) > 3 and words[3].isdecimal() else 0


def _state(rig: Rig) -> str:
    return Path(f"/proc/{rig.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def _is_restored(rig: Rig) -> None:
    for on, off in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[>25u", b"\x1b[<u")):
        rig.until(lambda on=on, off=off: rig.written.rindex(off) > rig.written.rindex(on))  # type: ignore[misc]
    assert termios.tcgetattr(rig.slave)[:4] == rig.mode_before[:4]
