"""A call's recorder without the call: whose frames get a track, and what becomes of a start that nobody waits for."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.control.support import until
from tuiconf.adapters.recording import recorder as adapter
from tuiconf.adapters.recording.folder import new_folder
from tuiconf.conference.events import Event, Person, RecordingAnnounced
from tuiconf.conference.refusals import NotInCall
from tuiconf.config import Recording as Settings
from tuiconf.control.events import Notice, RecordingChanged
from tuiconf.control.recorder import MAX_TRACKS_EACH, RESTARTED_FRAMES, CallRecorder
from tuiconf.control.schema import RecordStart
from tuiconf.engine import Engine
from tuiconf.media import opus
from tuiconf.media.ogg_opus import SILENCE_20_MS

ANN: Final = Person(leaf=0, name="Ann", fingerprint="aaaa-aaaa", host=True, trust="self")
EVE: Final = Person(leaf=1, name="Eve", fingerprint="eeee-eeee", host=False)
ZOE: Final = Person(leaf=2, name="Zoe", fingerprint="zzzz-zzzz", host=False)


@dataclass
class FakeEngine:
    """A call in which everybody may be recorded, and that is the session, the membership and the sound as well."""

    here: tuple[Person, ...] = (ANN, EVE)
    recording: bool = False
    tape: object = None
    may_record_at_all: bool = True
    on_show: Callable[[bool], None] = field(default=lambda _: None)

    @property
    def session(self) -> Any:
        return self

    membership = sound = session

    def ask(self, wish: Callable[[Any, None], None]) -> None:
        wish(self, None)

    def set_status(self, _at: None, *, recording: bool) -> None:
        self.recording = recording
        self.on_show(recording)

    def may_record(self, leaf: int) -> bool:
        return self.recording and any(who.leaf == leaf for who in self.here)

    def people(self) -> tuple[Person, ...]:
        return self.here


class Scene:
    """A recorder, and what it told."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.told: list[Event] = []
        self.recorder = CallRecorder(cast("Engine", self.engine), opus.load(), Settings(), self.told.append)

    def announced_at_once(self) -> None:
        """The relay takes our word, and gives it its place."""

        def show(active: bool) -> None:
            if active:
                asyncio.get_running_loop().call_soon(self.recorder.happened, RecordingAnnounced())

        self.engine.on_show = show

    def starting(self, folder: Path) -> asyncio.Task[RecordingChanged]:
        return asyncio.create_task(self.recorder.start(RecordStart(folder=str(folder))))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def sidecar(folder: Path) -> dict[str, Any]:
    """Of the one recording there."""
    [recording] = folder.iterdir()
    value: dict[str, Any] = json.loads((recording / "recording.json").read_text())
    return value


def is_whole(folder: Path) -> bool:
    """Whether it has come to its end; it may not have begun."""
    return bool(list(folder.glob("*/recording.json"))) and bool(sidecar(folder)["ended"])


async def test_a_member_who_counts_back_and_forth_leaves_tracks_for_those_who_come_later(
    scene: Scene, tmp_path: Path
) -> None:
    scene.announced_at_once()
    await scene.starting(tmp_path)
    for turn in range(2_100):
        for counter in (2 * RESTARTED_FRAMES, 0):
            scene.recorder.packet(EVE.leaf, counter + turn % 100, SILENCE_20_MS, now=time.monotonic())
    scene.engine.here = (ANN, EVE, ZOE)
    for counter in range(10):
        scene.recorder.packet(ZOE.leaf, counter, SILENCE_20_MS, now=time.monotonic())
    await scene.recorder.stop("enough")
    about = sidecar(tmp_path)
    names = [who["name"] for who in about["participants"]]
    assert (names.count("Eve"), names.count("Zoe")) == (MAX_TRACKS_EACH, 1)
    assert [event["fields"]["name"] for event in about["events"] if event["kind"] == "not_recorded"] == ["Eve"]
    [notice] = [event.message for event in scene.told if isinstance(event, Notice)]
    assert "not recorded any more" in notice
    assert "Eve" not in notice


async def test_in_the_next_recording_everyone_begins_anew(scene: Scene, tmp_path: Path) -> None:
    scene.announced_at_once()
    for folder in (tmp_path / "one", tmp_path / "two"):
        await scene.starting(folder)
        for turn in range(20):
            scene.recorder.packet(EVE.leaf, (turn % 2) * 2 * RESTARTED_FRAMES, SILENCE_20_MS, now=time.monotonic())
        await scene.recorder.stop("enough")
    assert not any(isinstance(event, Notice) for event in scene.told)


class SlowDisk:
    """Makes the folder of a recording only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(adapter, "new_folder", self._new_folder)

    def _new_folder(self, parent: Path, unix: float) -> Path:
        self.asked.set()
        self.go_on.wait()
        return new_folder(parent, unix)


async def test_a_start_that_is_cancelled_while_the_disk_is_asked_leaves_whole_files_and_nothing_running(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.announced_at_once()
    disk = SlowDisk(monkeypatch)
    before = [thread.name for thread in threading.enumerate()].count("recording")
    starting = scene.starting(tmp_path)
    await until(disk.asked.is_set)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not scene.engine.recording
    disk.go_on.set()
    await until(lambda: is_whole(tmp_path))
    await until(lambda: [thread.name for thread in threading.enumerate()].count("recording") == before)
    assert (scene.engine.tape, scene.told) == (None, [])


async def test_a_call_that_ends_while_a_recording_starts_ends_it_first(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.announced_at_once()
    disk = SlowDisk(monkeypatch)
    starting = scene.starting(tmp_path)
    await until(disk.asked.is_set)
    closing = asyncio.create_task(scene.recorder.close())
    await asyncio.sleep(0)
    disk.go_on.set()
    await closing
    assert (await starting).active
    assert is_whole(tmp_path)
    assert [event.active for event in scene.told if isinstance(event, RecordingChanged)] == [True, False]


async def test_nobody_waits_for_an_announcement_in_a_call_that_is_over(scene: Scene, tmp_path: Path) -> None:
    starting = scene.starting(tmp_path / "never")
    await until(lambda: scene.engine.recording)
    await scene.recorder.close()
    with pytest.raises(NotInCall):
        await starting
    assert not scene.engine.recording
    assert not (tmp_path / "never").exists()
