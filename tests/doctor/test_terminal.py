"""Terminals of all kinds, played by a test at the other end of a pty."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doctor.commands import Home, command
from tuiconf.doctor import terminal
from tuiconf.doctor.findings import Level

KITTY = b"\x1b[?1u\x1b[?62;c"
XTERM = b"\x1b[?64;1;2;6;9;15;18;21;22c"


class Emulator:
    """The outside of a pty: answers the question as some terminal does, after a while."""

    def __init__(self, answer: bytes, *, after_s: float = 0.0) -> None:
        self.outside, self.inside = pty.openpty()
        self._thread = threading.Thread(target=self._run, args=(answer, after_s))
        self._thread.start()

    def _run(self, answer: bytes, after_s: float) -> None:
        ready, _, _ = select.select([self.outside], [], [], 5)
        if ready:
            os.read(self.outside, 1024)
            time.sleep(after_s)
            with contextlib.suppress(OSError):
                os.write(self.outside, answer)

    def close(self) -> None:
        self._thread.join()
        os.close(self.outside)
        os.close(self.inside)


def asked(answer: bytes, *, after_s: float = 0.0) -> tuple[bool | None, bytes]:
    """What is concluded, and what is left for the shell to read afterwards."""
    emulator = Emulator(answer, after_s=after_s)
    try:
        before = termios.tcgetattr(emulator.inside)
        concluded = terminal.ask_for_key_releases(emulator.inside, emulator.inside)
        assert termios.tcgetattr(emulator.inside) == before
        emulator._thread.join()
        os.set_blocking(emulator.inside, False)
        try:
            left = os.read(emulator.inside, 1024)
        except BlockingIOError:
            left = b""
        return concluded, left
    finally:
        emulator.close()


def test_a_terminal_with_kittys_protocol_says_so() -> None:
    assert asked(KITTY) == (True, b"")


def test_a_terminal_without_it_is_known_by_its_other_answer() -> None:
    started = time.monotonic()
    assert asked(XTERM) == (False, b"")
    assert time.monotonic() - started < terminal.ANSWER_S + 1


def test_a_terminal_that_says_nothing_is_unknown() -> None:
    assert asked(b"") == (None, b"")


def test_an_answer_that_comes_late_is_not_left_for_the_shell() -> None:
    assert asked(KITTY, after_s=terminal.ANSWER_S + 0.2) == (None, b"")


def test_what_is_no_terminal_is_unknown(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        assert terminal.ask_for_key_releases(file.fileno(), file.fileno()) is None


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "no_color"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "colours"),
        ({"TERM": "linux"}, "colours"),
        ({"TERM": "dumb"}, "dumb"),
        ({}, "dumb"),
    ],
)
def test_colours_are_what_the_environment_says(environ: dict[str, str], code: str) -> None:
    assert terminal.colours(environ).code == code


def test_size_characters_and_multiplexers_are_judged() -> None:
    assert terminal.size(80, 24).level is Level.OK
    assert terminal.size(79, 24).level is Level.WARNING
    assert terminal.characters("UTF-8").level is Level.OK
    assert terminal.characters("ANSI_X3.4-1968").level is Level.WARNING
    assert terminal.multiplexer({"TMUX": "/tmp/x,1,0"}).code == "tmux"
    assert terminal.multiplexer({"TERM": "screen.xterm"}).code == "screen"
    assert terminal.multiplexer({}).code == "direct"


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Both ends of a pty: a person's, and a program's."""
    outside, inside = pty.openpty()
    yield outside, inside
    os.close(outside)
    os.close(inside)


def test_the_command_asks_a_real_terminal_and_a_person_before_it_plays(tmp_path: Path, ends: tuple[int, int]) -> None:
    outside, inside = ends
    home = Home(tmp_path)
    termios.tcsetwinsize(inside, (40, 120))
    running = subprocess.Popen(
        command("doctor"),
        env=home.environment | {"TERM": "xterm-256color", "LANG": "C.UTF-8"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    said = _played(outside, running, {terminal._QUESTION: KITTY, b"[Y/n] ": b"n\n"})
    assert running.returncode in (0, 1)
    assert "120×40 characters" in said and "kitty's keyboard protocol" in said
    assert "no test tone was wanted" in said


def _played(outside: int, running: subprocess.Popen[bytes], answers: dict[bytes, bytes]) -> str:
    """All that is printed until the program ends, each question answered once."""
    said = b""
    open_questions = dict(answers)
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        ended = running.poll() is not None
        ready, _, _ = select.select([outside], [], [], 0.1)
        if ready:
            said += os.read(outside, 4096)
            for question in [question for question in open_questions if question in said]:
                os.write(outside, open_questions.pop(question))
        elif ended:
            break
    running.kill()
    running.wait()
    return said.decode(errors="replace")
