"""All of the terminal interface, key by key, over a real engine, a real relay, and someone real at the other end."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from tests.e2e.processes import PATIENCE_S, Participant, Relay, World, home_environment, runtime_folder
from tests.tui.support import FakeTerminal, screen_text
from tuiconf import speech
from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.control.calls import socket_path
from tuiconf.control.client import ControlClient
from tuiconf.participant.launcher import ProcessLauncher
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.launcher import Control
from tuiconf.tui.outcome import Outcome


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the person at the interface lives."""
    home = tmp_path / "Ann"
    for name, value in home_environment(home).items():
        monkeypatch.setenv(name, value)
    yield home
    shutil.rmtree(runtime_folder(home), ignore_errors=True)


@pytest.fixture
async def launcher(home: Path) -> AsyncIterator[ProcessLauncher]:
    args = argparse.Namespace(name="Ann", audio_in="tone:300", audio_out="null", config=None, quic=None)
    launcher = ProcessLauncher(args)
    await launcher.begin()
    yield launcher
    launcher.close()


@dataclass
class Person:
    """Who presses keys, and reads."""

    app: TuiconfApp
    pilot: Pilot[Outcome]

    async def press(self, *keys: str) -> None:
        """One after the other, each done before the next."""
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Paste it where the focus is."""
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        await self.until(lambda: all(text in screen_text(self.app) for text in texts))

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until it does."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, screen_text(self.app)
            await self.pilot.pause(0.05)

    @property
    def state(self) -> schema.State:
        """What the interface knows of the call."""
        assert self.app.model.state is not None
        return self.app.model.state


async def _connect(call: str) -> Control:
    return await ControlClient.connect(socket_path(call))


async def test_a_whole_call_by_keys(world: World, relay: Relay, launcher: ProcessLauncher, home: Path) -> None:
    app = TuiconfApp(call=None, connect=_connect, launcher=launcher, settings=Tui(), terminal=FakeTerminal())
    async with app.run_test(size=(100, 30)) as pilot:
        ann = Person(app, pilot)
        await _host(ann, relay)
        ben = await asyncio.to_thread(_ben, world, (await app.control.call(schema.GetLink())).link)  # type: ignore[union-attr]
        await _let_in(ann, ben)
        await _talk(ann, ben)
        await _verify(ann)
        await _look_around(ann)
        await _record(ann, home)
        await _remove(ann, ben)
        await ann.press("q")
        await ann.sees("Leave the call?", "You are alone")
        await ann.press("l")
        await ann.until(lambda: app.return_value is not None)
    assert app.return_value == Outcome(how="left", message="left")
    assert [room.room for room in launcher.recent()] == ["tea"]


async def _host(ann: Person, relay: Relay) -> None:
    await ann.sees("Link or invite code", "No rooms yet")
    await ann.press("tab", "n")
    await ann.sees("Host a room")
    await ann.write(relay.to_type)
    await ann.press("enter")
    await ann.write("tea")
    await ann.press("enter", "down", "down", "enter")  # everyone waits
    await ann.sees("Before you join", "room tea", "dB")
    assert ann.state.phase == "ready"
    await ann.press("enter")
    await ann.sees("LIVE", "end-to-end encrypted", "1 person")
    assert ann.state.policy is not None and ann.state.policy.lobby == "everyone"


def _ben(world: World, link: str) -> Participant:
    return world.join("Ben", link, "--audio-in", f"loop:{speech.samples()[1]}")


async def _let_in(ann: Person, ben: Participant) -> None:
    await ann.sees("Ben, new to you, waits to be let in")
    await ann.press("l")
    await ann.sees("Lobby", "Ben", "new")
    await ann.press("a")
    await asyncio.to_thread(ben.joined)
    await ann.press("escape")
    await ann.sees("2 people", "1 not verified")


async def _talk(ann: Person, ben: Participant) -> None:
    await ann.until(lambda: any(level.speaking for level in ann.app.model.levels.others) if ann.app.model.levels else 0)
    await ann.press("c")
    await ann.write("is the kettle on?")
    await ann.press("enter")
    await ann.sees("is the kettle on?")
    await asyncio.to_thread(ben.wait_for, lambda: "is the kettle on?" in "\n".join(ben.lines), "chat")
    await ann.write("/hand")
    await ann.press("enter", "escape")
    await ann.until(lambda: ann.state.me is not None and ann.state.me.hand)
    await ann.press("m")
    await ann.sees("MUTED")
    await ann.press("m")
    await ann.sees("LIVE")


async def _verify(ann: Person) -> None:
    await ann.press("v")
    await ann.sees("Room code", "Ben")
    code = ann.app.model.code or await ann.app.control.call(schema.GetRoomCode())  # type: ignore[union-attr]
    await ann.sees(*code.words)
    await ann.press("space", "y")
    await ann.sees("Verified by room code: Ben.")
    await ann.press("v")
    await ann.sees("Safety number", "you and Ben")
    await ann.press("escape", "escape")
    await ann.sees("all verified")


async def _look_around(ann: Person) -> None:
    """Every other page, and back."""
    for key, title, something in (
        ("p", "Participants", "Ben"),
        ("d", "Devices", "tone:300"),
        ("i", "Statistics", "ms"),
        ("s", "Settings", "theme"),
        ("?", "Keys", "mute"),
    ):
        await ann.press("question_mark" if key == "?" else key)
        await ann.until(lambda title=title, something=something: _shows(ann, title, something))  # type: ignore[misc]
        await ann.press("escape")
        await ann.sees("end-to-end encrypted")


def _shows(ann: Person, *texts: str) -> bool:
    screen = screen_text(ann.app).lower()
    return all(text.lower() in screen for text in texts)


async def _record(ann: Person, home: Path) -> None:
    await ann.press("r")
    await ann.sees("Record this call?", "Everyone is told.")
    await ann.press("y")
    await ann.until(lambda: ann.state.recording is not None and ann.state.recording.active)
    await ann.press("r")
    await ann.until(lambda: ann.state.recording is None or not ann.state.recording.active)
    assert await asyncio.to_thread(lambda: list(home.rglob("*.opus")))


async def _remove(ann: Person, ben: Participant) -> None:
    await ann.press("p")
    await ann.sees("Ben")
    await ann.press("down", "r")
    await ann.sees("Remove Ben")
    await ann.press("y")
    assert await asyncio.to_thread(ben.wait) == 1
    await ann.press("escape")
    await ann.sees("1 person")
