"""A call in plain lines, at a terminal that can do nothing and in a pipe: from the first question to leaving."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.driving import SILENT, Machine, Terminal, until
from tests.e2e.processes import Process, Relay, World

# What a screen reader or a serial console would be confused by: escapes, a return but before a line's end, a bell.
_MOVING = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\r*\n)")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


def _calm(text: str) -> None:
    assert not _MOVING.search(text), repr(text)


def _says(process: Process, pattern: str) -> str:
    """Wait for a line that is so; the line, or what stands in its parentheses."""
    wanted = re.compile(pattern)

    def found() -> re.Match[str] | None:
        return next((match for line in process.lines if (match := wanted.fullmatch(line))), None)

    match: re.Match[str] = process.wait_for(found, pattern)
    return match.group(match.lastindex or 0)


def _shows(terminal: Terminal, pattern: str) -> str:
    wanted = re.compile(pattern)
    try:
        found = until(lambda: wanted.search(terminal.text), pattern)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{terminal.text}\n{terminal.process.errors}") from None
    return str(found.group(found.lastindex or 0))


def test_two_people_hold_a_call_in_lines(world: World, relay: Relay, terminals: list[Terminal]) -> None:
    ann = Terminal(world, "start", "--plain", "--name", "Ann", *SILENT, home="ann")
    terminals.append(ann)
    ann.shows("which room?")
    ann.type(f"host {relay.to_type}\n")
    ann.shows("name of the room")
    ann.type("tea\n\n")
    ann.shows("ready, and nobody hears you yet")
    ann.type("/level\n")
    ann.shows("your microphone: nothing is heard")
    ann.type("/join\n")
    ann.shows("joined as Ann, host; here: nobody else yet")
    ann.shows("live: you are heard")
    ann.type("/link\n")
    link = _shows(ann, r"(tuiconf://\S+)")

    bo = world.command("tuiconf", "join", link, "--plain", "--name", "Bo", *SILENT, home="bo")
    _says(bo, r"joined as Bo; here: Ann; security code [0-9 ]+")
    ann.shows("Bo joined, not verified, new")
    _chat(ann, bo)
    _verify(ann, bo)
    _mute(ann, bo)
    again = _detach_and_attach(world, ann, bo)
    terminals.append(again)
    again.type("/leave\n")
    assert again.process.wait() == 0, again.text
    _says(bo, "Ann left")
    bo.hang_up()
    assert bo.wait() == 0, bo.transcript()
    assert bo.lines[-1] == "left"
    for text in (ann.text, again.text, "\n".join(bo.lines)):
        _calm(text)


def _chat(ann: Terminal, bo: Process) -> None:
    bo.type("good \x1b[2Jmorning\u202e, Ann")
    ann.shows("Bo: good ·[2Jmorning·, Ann")
    ann.type("good morning\n")
    _says(bo, "Ann: good morning")
    assert "Bo: good" not in "\n".join(bo.lines)  # whoever typed it knows


def _verify(ann: Terminal, bo: Process) -> None:
    bo.type("/code")
    words = _says(bo, r"room code in words: (.+)")
    ann.type("/verify Bo\n")
    assert _shows(ann, r"room code in words: (.+?)\r?\n") == words
    number = [_shows(ann, rf"safety number, line {line} of 4: ([0-9, ]+)") for line in range(1, 5)]
    bo.type("/verify Ann")
    assert [_says(bo, rf"safety number, line {line} of 4: ([0-9, ]+)") for line in range(1, 5)] == number
    ann.type("/verify Bo code\n")
    ann.shows("Bo is verified")
    bo.type("/verify Ann mismatch")
    _says(bo, "Ann CHANGED: .*/verify [a-z2-7-]{9} or /accept [a-z2-7-]{9}")
    bo.type("/who")
    _says(bo, "Ann: CHANGED, host, silenced until you decide")
    bo.type("/accept Ann")
    _says(bo, "Ann is not verified, known")


def _mute(ann: Terminal, bo: Process) -> None:
    ann.type("/mute\n/hand\n")
    ann.shows("muted: nobody hears you")
    ann.shows("your hand is up")
    _says(bo, "Ann has a hand up")
    bo.type("/who")
    _says(bo, "Ann: not verified, known, host, muted, hand up")


def _detach_and_attach(world: World, ann: Terminal, bo: Process) -> Terminal:
    ann.type("/detach\n")
    assert ann.process.wait() == 0, ann.text
    assert "the call goes on, and you are muted" in ann.process.errors
    assert Machine(world, "ann").ctl("state.get")["phase"] == "joined"
    bo.type("are you there?")
    again = Terminal(world, "attach", "--plain", home="ann")
    _shows(again, r"you: good morning\r?\n(?s:.*)Bo: are you there\?")
    again.shows("you: Ann, host, muted: nobody hears you, hand up")
    again.shows("Bo: verified")
    again.type("here again\n")
    _says(bo, "Ann: here again")
    return again


def test_a_room_that_was_joined_is_offered_by_number_the_next_time(
    world: World, relay: Relay, terminals: list[Terminal]
) -> None:
    questions = f"host {relay.to_type}\ntea\n\n/join\n"
    first = world.command("tuiconf", "start", "--plain", *SILENT, home="ann")
    for line in questions.splitlines():
        first.type(line)
    _says(first, r"joined as .*")
    first.type("/leave")
    assert first.wait() == 0, first.transcript()
    second = world.command("tuiconf", "start", "--plain", *SILENT, home="ann")
    second.type("1")
    _says(second, r"1: room tea, relay 127\.0\.0\.1:\d+, last joined .*")
    _says(second, "ready, and nobody hears you yet: .*")
    second.type("/leave")
    assert second.wait() == 0, second.transcript()
    assert second.lines[-1] == "left"
    for process in (first, second):
        _calm("\n".join(process.lines))


def test_whoever_stops_the_lines_is_told_what_becomes_of_their_microphone(
    world: World, relay: Relay, terminals: list[Terminal]
) -> None:
    """Ctrl-Z: the shell is there again, and the call goes on unseen."""
    ann = Terminal(world, "host", relay.to_type, "--plain", "--name", "Ann", *SILENT, home="ann")
    terminals.append(ann)
    ann.shows("joined as Ann")
    for typed, told in (("", "you can still be heard"), ("/mute\n", "nobody hears you")):
        ann.type(typed)
        if typed:
            ann.shows("muted: nobody hears you")
        ann.process.signal(signal.SIGTSTP)
        ann.warns(f"stopped: the call goes on, and {told}; fg shows it again")
        until(lambda: _stat(ann.process.popen.pid) == "T", "a process that is stopped")
        ann.process.signal(signal.SIGCONT)
    ann.type("/leave\n")
    ann.process.wait()


def _stat(pid: int) -> str:
    """What the kernel says that it does: `T` is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
