"""Devices before a call: open only while somebody looks or listens, and never two ways at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import numpy as np
import pytest

from tests.control.support import until
from tuiconf.adapters.audio import FRAME_SAMPLES, AudioError, Frame
from tuiconf.adapters.audio.null import NullSink, NullSource
from tuiconf.conference.sound import Sound
from tuiconf.control import device_check
from tuiconf.control.device_check import DeviceCheck, Openers
from tuiconf.control.events import Event, Failed
from tuiconf.engine import Engine
from tuiconf.engine.incoming import Incoming
from tuiconf.engine.outgoing import Outgoing
from tuiconf.media import opus


class Machine:
    """Devices, and which of them are open. One called `broken…` cannot be; `slow…` takes until it is let."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.written: list[Frame] = []
        self.go = asyncio.Event()
        self.told: list[Event] = []
        self.outgoing = Outgoing(lambda *_: None)
        self.incoming = Incoming(Sound(opus.load()))
        self.outgoing.input_name, self.incoming.output_name = "mic", "speaker"
        openers = Openers(source=lambda name: Microphone(self, name), sink=lambda name: Speaker(self, name))
        self.check = DeviceCheck(self.outgoing, self.incoming, openers, self.told.append)
        self._tick = 0

    async def start(self, name: str) -> None:
        if name.startswith("slow"):
            await self.go.wait()
        if name.startswith("broken"):
            raise AudioError(f"{name} cannot be opened")
        self.open.append(name)

    def play(self, ticks: int) -> None:
        """As the engine does."""
        for _ in range(ticks):
            self._tick += 1
            self.incoming.play(self._tick, now=self._tick * 0.02, unix=0.0)


class Microphone(NullSource):
    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self._name = machine, name

    async def start(self) -> None:
        await self._machine.start(self._name)

    def frame(self) -> Frame | None:
        return np.full(FRAME_SAMPLES, 0.1, np.float32)

    async def close(self) -> None:
        self._machine.open.remove(self._name)


class Speaker(NullSink):
    def __init__(self, machine: Machine, name: str) -> None:
        self._machine, self._name = machine, name

    async def start(self) -> None:
        await self._machine.start(self._name)

    def write(self, frame: Frame) -> None:
        self._machine.written.append(frame)

    async def close(self) -> None:
        self._machine.open.remove(self._name)


@contextlib.asynccontextmanager
async def machine() -> AsyncIterator[Machine]:
    made = Machine()
    yield made
    made.check.close()


async def test_the_input_is_open_while_somebody_looks() -> None:
    async with machine() as bo:
        assert bo.open == []
        bo.check.look(True)
        await until(lambda: bo.open == ["mic"])
        bo.check.look(True)
        bo.check.look(False)
        bo.check.look(True)  # as one who subscribes anew does
        await asyncio.sleep(0.01)
        assert bo.open == ["mic"]
        bo.check.look(False)
        await until(lambda: bo.open == [])
        assert bo.outgoing.own_frame() is None


async def test_who_looks_away_while_it_opens_leaves_it_closed() -> None:
    async with machine() as bo:
        await bo.check.choose_input("slow mic")
        bo.check.look(True)
        await asyncio.sleep(0.01)
        bo.check.look(False)
        bo.go.set()
        await asyncio.sleep(0.01)
        await until(lambda: bo.open == [])


async def test_an_input_that_is_chosen_is_tried_if_somebody_looks_and_only_then() -> None:
    async with machine() as bo:
        await bo.check.choose_input("other mic")
        assert (bo.open, bo.outgoing.input_name) == ([], "other mic")
        bo.check.look(True)
        await until(lambda: bo.open == ["other mic"])
        with pytest.raises(AudioError):
            await bo.check.choose_input("broken mic")
        assert (bo.open, bo.outgoing.input_name) == (["other mic"], "other mic")
        await bo.check.choose_input("mic")
        assert bo.open == ["mic"]


async def test_an_input_that_cannot_be_opened_is_told_once_for_each_look() -> None:
    async with machine() as bo:
        await bo.check.choose_input("broken mic")
        for looks in (1, 2):
            bo.check.look(True)
            await until(lambda looks=looks: len(bo.told) == looks)  # type: ignore[misc]
            bo.check.look(False)
        assert {type(event) for event in bo.told} == {Failed}
        bo.check.look(True)
        await until(lambda: len(bo.told) == 3)
        await bo.check.choose_input("mic")
        assert bo.open == ["mic"]


async def test_the_output_is_open_while_the_test_sound_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_check, "DRAIN_S", 0.0)
    async with machine() as bo:
        await bo.check.choose_output("headset")
        assert bo.open == []
        await bo.check.try_output()
        assert bo.open == ["headset"]
        bo.play(10)
        await bo.check.try_output()  # again: from the beginning
        assert bo.open == ["headset"]
        bo.play(100)
        await until(lambda: bo.open == [])
        loud = [bool(frame.any()) for frame in bo.written]
        assert sum(loud) > 50 and not loud[-1]
        assert max(float(np.abs(frame).max()) for frame in bo.written) < 0.5


async def test_an_output_that_cannot_be_opened_is_refused() -> None:
    async with machine() as bo:
        await bo.check.choose_output("broken")
        with pytest.raises(AudioError):
            await bo.check.try_output()
        assert bo.open == []


async def test_what_is_chosen_while_the_call_begins_is_for_the_call_and_not_for_the_check() -> None:
    async with machine() as bo:
        bo.outgoing.input_name = bo.incoming.output_name = "default"
        begun = asyncio.Event()

        class Starting:
            async def begin(self, _: object) -> None:
                await begun.wait()

        beginning = asyncio.create_task(bo.check.begin(cast(Engine, Starting())))
        await asyncio.sleep(0)
        choosing = [asyncio.create_task(choose("null")) for choose in (bo.check.choose_input, bo.check.choose_output)]
        trying = asyncio.create_task(bo.check.try_output())
        begun.set()
        assert await asyncio.gather(beginning, *choosing, trying) == [None, False, False, False]
        assert (bo.outgoing.input_name, bo.incoming.output_name, bo.open) == ("default", "default", [])


async def test_what_is_held_is_let_go_when_it_is_over() -> None:
    async with machine() as bo:
        bo.check.look(True)
        await until(lambda: bo.open == ["mic"])
        bo.check.close()
        bo.check.look(False)
        await asyncio.sleep(0.01)
        assert bo.open == ["mic"]  # the engine closes what it has
        await bo.outgoing.close()
        assert bo.open == []
