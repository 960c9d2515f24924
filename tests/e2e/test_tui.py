"""The terminal interface in real terminals: two people, a call, and everything a person does there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.processes import PATIENCE_S, Relay, World
from tests.e2e.tmux import AVAILABLE, Pane, Tmux

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs tmux")

SILENT = ("--audio-in", "null", "--audio-out", "null")


@pytest.fixture
def tmux(world: World) -> Tmux:
    return Tmux(world)


def ask(world: World, pane: Pane, method: str, *arguments: str) -> dict[str, Any]:
    """What the engine of whoever sits there says."""
    asked = world.command("tuiconf", "ctl", method, *arguments, home=pane.home.name)
    assert asked.wait() == 0, asked.transcript()
    answer: dict[str, Any] = json.loads(asked.lines[0])
    return answer


def state(world: World, pane: Pane) -> dict[str, Any]:
    return ask(world, pane, "state.get")


def people(told: dict[str, Any]) -> dict[str, str]:
    """Who is there, and what they are to whoever was asked."""
    return {person["name"]: person["trust"] for person in told["participants"]}


def told(world: World, pane: Pane, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until something holds of the engine of whoever sits there; its state."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(now := state(world, pane)):
        assert time.monotonic() < deadline, now
    return now


def test_two_people_hold_a_call_in_their_terminals(world: World, relay: Relay, tmux: Tmux) -> None:
    ann = tmux.pane("Ann", "host", relay.to_type, "--room", "tea", "--name", "Ann", *SILENT)
    _join(world, ann)
    link = ask(world, ann, "link.get")["link"]
    ben = tmux.pane("Ben", "join", link, "--name", "Ben", *SILENT)
    _join(world, ben)
    ben.sees("Ann")
    ann.sees("Ben")
    _chat(world, ann, ben)
    _verify(world, ann, ben)
    _mute(world, ann, ben)
    again = _detach_and_attach(world, tmux, ann, ben)
    once_more = _lose_the_terminal(world, tmux, ann, again)
    _leave(world, ann, once_more)


def _join(world: World, pane: Pane) -> None:
    """The first time; and nothing is sent before the person says so."""
    pane.sees("Choose a passphrase")
    pane.type("Enter")
    pane.sees("Before you join", "room tea", "Nobody hears you")
    assert state(world, pane)["phase"] == "ready"
    pane.type("Enter")
    pane.sees("LIVE", "end-to-end encrypted")
    assert state(world, pane)["audio"]["live"]


def _chat(world: World, ann: Pane, ben: Pane) -> None:
    ann.type("c")
    ann.write("the kettle is on")
    ann.type("Enter", "Escape")
    ben.sees("the kettle is on")
    # From a script, past every keyboard: it must not reach the terminal as it is.
    ask(world, ann, "chat.send", "text=red \x1b[31malert\x1b[2J \u202egnol")
    ben.sees("alert")
    assert "\x1b[31malert" not in ben.styled()
    assert "the kettle is on" in ben.screen()
    assert [line["own"] for line in state(world, ben)["chat"]] == [False, False]


def _verify(world: World, ann: Pane, ben: Pane) -> None:
    words = ask(world, ann, "code.get")["words"]
    ben.sees("not verified")
    ben.type("v")
    ben.sees("Room code", *words)
    ben.type("Space", "y")
    ben.sees("Verified by room code")
    ben.type("Escape")
    ben.sees("all verified")
    assert people(state(world, ben)) == {"Ann": "verified", "Ben": "self"}
    assert people(state(world, ann)) == {"Ann": "self", "Ben": "new"}


def _mute(world: World, ann: Pane, ben: Pane) -> None:
    ann.type("m")
    ann.sees("MUTED")
    assert not state(world, ann)["audio"]["live"]
    ben.until(lambda screen: any("muted" in line and "Ann" in line for line in screen.splitlines()), "muted Ann")
    # A foot switch, and a second front end: both show what the engine does.
    ask(world, ann, "unmute")
    ann.sees("LIVE")


def _detach_and_attach(world: World, tmux: Tmux, ann: Pane, ben: Pane) -> Pane:
    """What was said meanwhile is there when the person comes back."""
    ben.type("q")
    ben.sees("Leave the call?")
    ben.type("d")
    ben.sees("detached: the call goes on", "exit code 0")
    ann.type("c")
    ann.write("are you there")
    ann.type("Enter", "Escape")
    ann.sees("are you there")
    assert people(told(world, ben, lambda now: len(now["chat"]) == 3)) == {"Ann": "verified", "Ben": "self"}
    again = tmux.pane("Ben2", "attach", home="Ben", size=(80, 24))
    again.sees("the kettle is on", "are you there", "all verified", "tea")
    again.type("s")  # what is set in a call that was begun elsewhere is kept as well
    again.sees("Settings", "Kept in", "MUTED")
    again.type("Escape")
    assert state(world, ben)["attached"] == 1
    return again


def _lose_the_terminal(world: World, tmux: Tmux, ann: Pane, ben: Pane) -> Pane:
    """Muted at once; and whoever comes back is muted still."""
    ask(world, ben, "unmute")
    ben.sees("LIVE")
    ben.close()
    lost = told(world, ben, lambda now: not now["audio"]["live"])
    assert lost["phase"] == "joined"
    assert lost["attached"] == 0
    ann.until(lambda screen: any("muted" in line and "Ben" in line for line in screen.splitlines()), "muted Ben")
    again = tmux.pane("Ben3", "attach", home="Ben", size=(40, 12))
    again.sees("MUTED", "Ann")
    return again


def _leave(world: World, ann: Pane, ben: Pane) -> None:
    ben.type("q")
    ben.sees("Leave the call?")
    ben.type("l")
    ben.sees("exit code 0")
    ann.sees_no(" Ben ")
    assert people(state(world, ann)) == {"Ann": "self"}
