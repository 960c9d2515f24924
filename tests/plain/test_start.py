"""The start without a command, in questions and answers: which room, which relay, and who has to wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest

from tuiconf.errors import TuiconfError
from tuiconf.plain.start import HELP, start_dialogue
from tuiconf.tui.launcher import RecentRoom, RelayUnknown

KITCHEN: Final = RecentRoom(room="kitchen\x1b", relay="relay.example:4433", last_joined=1_741_000_000.0, ref="r1")
OFFICE: Final = RecentRoom(room="office", relay="other.example", last_joined=1_740_000_000.0, ref="r2")

OFFERED: Final = [
    "1: pick up the running call k3j2",
    "2: room kitchen·, relay relay.example:4433, last joined 3 March 2025",
    "3: room office, relay other.example, last joined 19 February 2025",
    HELP,
]


class _Launcher:
    def __init__(self, *, unknown: bool = False, nothing: bool = False) -> None:
        self.asked: list[object] = []
        self._rooms = [] if nothing else [KITCHEN, OFFICE]
        self._running = () if nothing else ("k3j2",)
        self._unknown = unknown

    def recent(self) -> tuple[RecentRoom, ...]:
        return tuple(self._rooms)

    def forget(self, ref: str) -> None:
        self.asked.append(("forget", ref))
        self._rooms = [room for room in self._rooms if room.ref != ref]

    async def join(self, where: str) -> str:
        return self._begin("join", where)

    async def host(self, relay: str, room: str | None, lobby: str) -> str:
        return self._begin("host", relay, room, lobby)

    def running(self) -> tuple[str, ...]:
        return self._running

    async def accept_relay(self, question: RelayUnknown) -> None:
        self.asked.append(("accept", question.pin))
        self._unknown = False

    def save(self, table: str, key: str, value: str | bool | float) -> None:
        raise AssertionError

    def settings_file(self) -> str:
        raise AssertionError

    def _begin(self, *what: object) -> str:
        if what[1] == "nonsense":
            raise TuiconfError("that is no link\x1b[2J")
        if self._unknown:
            raise RelayUnknown("relay.example:4433", "2HZl")
        self.asked.append(what)
        return "new1"


async def _talk(launcher: _Launcher, answers: Iterable[str]) -> tuple[str | None, list[str], list[str]]:
    """The outcome, what was said, and the questions; input ends after the answers."""
    said: list[str] = []
    questions: list[str] = []
    rest = iter(answers)

    async def ask(question: str) -> str | None:
        questions.append(question)
        return next(rest, None)

    return await start_dialogue(launcher, ask, said.append), said, questions


async def test_running_calls_and_recent_rooms_are_offered_by_number() -> None:
    call, said, questions = await _talk(_Launcher(), [])
    assert call is None
    assert said == OFFERED
    assert questions == ["which room?"]


@pytest.mark.parametrize(
    ("answers", "call", "asked"),
    [
        (["1"], "k3j2", []),
        (["2"], "new1", [("join", "r1")]),
        ([" tuiconf://relay/room#secret "], "new1", [("join", "tuiconf://relay/room#secret")]),
        (["host relay.example", "", ""], "new1", [("host", "relay.example", None, "off")]),
        (["host", "", "attic", "everyone"], "new1", [("host", "relay.example:4433", "attic", "everyone")]),
        (["host", "a.example", "", "perhaps", "unknown"], "new1", [("host", "a.example", None, "unknown")]),
        (["/host a.example", "", ""], "new1", [("host", "a.example", None, "off")]),
        (["quit"], None, []),
        (["host", "a.example"], None, []),
        (["nonsense", "9", "0", "2"], "new1", [("join", "r1")]),
    ],
)
async def test_what_is_answered_is_done(answers: list[str], call: str | None, asked: list[object]) -> None:
    launcher = _Launcher()
    assert (await _talk(launcher, answers))[0] == call
    assert launcher.asked == asked


async def test_what_cannot_be_is_said_and_asked_again() -> None:
    _, said, questions = await _talk(_Launcher(), ["nonsense", "9", "forget 1", "forget", "9" * 5000, "q"])
    assert said[len(OFFERED) :] == [
        "error: that is no link·[2J",
        "error: there is no number 9; help says what there is",
        "error: that is a running call, not a room",
        "error: say which: forget and a number",
        "error: there is no number 9999; help says what there is",
    ]
    assert questions == ["which room?"] * 6


async def test_rooms_that_cannot_be_read_are_told_and_keep_nobody_from_calling() -> None:
    class Damaged(_Launcher):
        def recent(self) -> tuple[RecentRoom, ...]:
            raise TuiconfError("recent_rooms: line 1 is not a room\x1b[2J")

    launcher = Damaged()
    _, said, _ = await _talk(launcher, ["tuiconf://relay.example/kitchen#x"])
    assert said[:1] == ["error: recent_rooms: line 1 is not a room·[2J"]
    assert launcher.asked == [("join", "tuiconf://relay.example/kitchen#x")]


async def test_a_room_is_forgotten_and_the_others_are_offered_anew() -> None:
    launcher = _Launcher()
    _, said, _ = await _talk(launcher, ["forget 2", "2"])
    assert launcher.asked == [("forget", "r1"), ("join", "r2")]
    assert said[len(OFFERED) :][:3] == [
        "forgotten: room kitchen·",
        "1: pick up the running call k3j2",
        "2: room office, relay other.example, last joined 19 February 2025",
    ]


async def test_who_was_never_anywhere_has_to_name_a_relay() -> None:
    _, said, questions = await _talk(_Launcher(nothing=True), ["host", ""])
    assert said == [HELP, "error: a room needs a relay: its operator can tell you what to type"]
    assert questions == ["which room?", "which relay, as its operator told you?", "which room?"]


async def test_the_pin_of_an_unknown_relay_is_compared_before_anything_is_sent_there() -> None:
    launcher = _Launcher(unknown=True)
    call, said, questions = await _talk(launcher, ["2", "yes"])
    assert call == "new1"
    assert said[len(OFFERED) :] == [
        "this relay was never used before: relay.example:4433",
        "its operator can tell you its pin, which has to be this one:",
        "2HZl",
    ]
    assert questions[-1] == "is this the pin, yes or no?"
    assert launcher.asked == [("accept", "2HZl"), ("join", "r1")]


@pytest.mark.parametrize("answer", ["no", "", "perhaps"])
async def test_anything_but_yes_is_no(answer: str) -> None:
    launcher = _Launcher(unknown=True)
    call, said, _ = await _talk(launcher, ["2", answer, "quit"])
    assert call is None
    assert said[-1] == "error: the relay is not used"
    assert launcher.asked == []
