"""The engine's own policy; what it does as a whole is shown in tests/e2e."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic.quic import Library
from tests.relay.livesupport import a_live_relay
from tests.relay.quicsupport import until
from tuiconf.adapters.audio import FRAME_SAMPLES, Frame, Sink, Source
from tuiconf.adapters.audio.null import NullSink, NullSource
from tuiconf.adapters.clock import TICK_S
from tuiconf.conference.events import AudioStats, Event, Failed, Joined, LeftReason, SourceEnded
from tuiconf.conference.membership import Self
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.engine import LONGEST_RETRY_S, SHORTEST_RETRY_S, Call, Engine, retry_pause_s
from tuiconf.engine.incoming import Incoming
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import RelayAddress, derive_keys, new_link
from tuiconf.media import opus

fractions = st.floats(min_value=0, max_value=1)


@given(away=st.floats(min_value=0, max_value=1e6), fraction=fractions)
def test_pauses_are_never_a_hammering_and_never_an_eternity(away: float, fraction: float) -> None:
    assert 0.5 * SHORTEST_RETRY_S <= retry_pause_s(away, fraction) <= 1.5 * LONGEST_RETRY_S


@given(away=st.floats(min_value=0, max_value=3), fraction=fractions)
def test_a_relay_that_is_back_after_two_seconds_is_found_within_one(away: float, fraction: float) -> None:
    assert retry_pause_s(away, fraction) < 1


def test_a_thousand_do_not_come_back_in_the_same_moment() -> None:
    pauses = sorted(retry_pause_s(60, number / 1000) for number in range(1000))
    assert pauses[-1] - pauses[0] > 5


class _Broken:
    """A source with a bug."""

    label = "a source with a bug"
    ended = False

    async def start(self) -> None:
        pass

    def frame(self) -> Frame | None:
        raise RuntimeError("with a name in it that nobody may see")

    async def close(self) -> None:
        pass


class _Short(_Broken):
    """A source that is over after three frames."""

    def __init__(self) -> None:
        self._left = 3

    def frame(self) -> Frame | None:
        self._left -= 1
        self.ended = self._left <= 0
        return np.zeros(FRAME_SAMPLES, np.float32) if self._left >= 0 else None


class _Counting(NullSink):
    """A sink that counts, and once keeps the loop from running for a while."""

    frames = 0

    def write(self, frame: Frame) -> None:
        self.frames += 1
        if self.frames == 20:
            time.sleep(0.6)  # longer than the ticker catches up on


@contextlib.asynccontextmanager
async def call_alone(
    folder: Path, source: Source, sink: Sink, *, when_joined: bool = False, chosen: Source | None = None
) -> AsyncIterator[tuple[Engine, list[Event]]]:
    """One participant of its own room on a live relay, who had `chosen` another input before there was a call."""
    async with a_live_relay(folder, Library.QH3) as running:
        host, port = running.address
        relay = RelayAddress(host=host, port=port)
        keys = derive_keys(new_link(relay, None, rng=os.urandom))
        me = Self(identity=Identity.create("Ann", os.urandom), psk=keys.psk, rng=os.urandom)
        call = Call(
            relay=relay,
            session=Session(me, keys, creator=True),
            sound=Sound(opus.load()),
            source=source,
            sink=sink,
            trust=lambda address, offered: None,
            library="auto",
            source_name="microphone",
            source_when_joined=when_joined,
        )
        events: list[Event] = []
        joined = asyncio.Event()

        def on_event(event: Event) -> None:
            events.append(event)
            if isinstance(event, Joined):
                joined.set()

        engine = Engine(call, on_event)
        if chosen is not None:
            await engine.outgoing.set_input(chosen, "chosen")
        running_call = asyncio.create_task(engine.run())
        async with asyncio.timeout(10):
            await joined.wait()
        yield engine, events
        engine.leave()
        async with asyncio.timeout(10):
            assert await running_call is LeftReason.LEFT


async def test_a_bug_in_every_tick_is_told_once_and_costs_neither_the_call_nor_a_secret(tmp_path: Path) -> None:
    sink = _Counting()
    async with call_alone(tmp_path, _Broken(), sink) as (_, events):
        await until(lambda: sink.frames >= 15)
    [told] = [event for event in events if isinstance(event, Failed)]
    assert (told.code, told.fatal) == ("internal", False)
    assert "RuntimeError" in told.message
    assert "name" not in told.message


async def test_the_end_of_what_is_sent_is_told_once(tmp_path: Path) -> None:
    async with call_alone(tmp_path, _Short(), NullSink()) as (engine, events):

        def told() -> int:
            return sum(isinstance(event, SourceEnded) for event in events)

        await until(lambda: told() == 1)
        await engine.outgoing.set_input(_Short(), "")
        await until(lambda: told() == 2)
        await asyncio.sleep(0.1)
        assert told() == 2


class _Opened(NullSource):
    """A microphone that tells when it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def start(self) -> None:
        self.opened.set()


@pytest.mark.parametrize("when_joined", [False, True])
async def test_an_input_that_was_chosen_while_one_waited_is_not_replaced_by_the_microphone_on_joining(
    tmp_path: Path, when_joined: bool
) -> None:
    microphone, chosen = _Opened(), _Opened()
    async with call_alone(tmp_path, microphone, NullSink(), when_joined=when_joined, chosen=chosen) as (engine, events):
        await until(lambda: any(isinstance(event, AudioStats) for event in events))
        assert (engine.outgoing.input_name, microphone.opened.is_set()) == ("chosen", False)


async def test_the_microphone_is_opened_where_nothing_else_was_chosen(tmp_path: Path) -> None:
    microphone = _Opened()
    async with call_alone(tmp_path, microphone, NullSink(), when_joined=True) as (engine, _):
        await microphone.opened.wait()
        assert engine.outgoing.input_name == "microphone"


async def test_a_recording_has_silence_for_the_time_that_was_missed(tmp_path: Path) -> None:
    sink = _Counting()
    async with call_alone(tmp_path, NullSource(), sink):
        began, frames = time.monotonic(), sink.frames
        await asyncio.sleep(1.5)
        expected = (time.monotonic() - began) / TICK_S
        assert abs(sink.frames - frames - expected) < 15


async def test_an_output_that_comes_after_idle_ticks_is_not_given_their_silence() -> None:
    """It would be heard that much later for as long as the call lasts."""
    incoming, sink = Incoming(Sound(opus.load())), _Counting()
    incoming.play(0, now=0.0, unix=0.0)
    for tick in range(1, 5):
        incoming.skip(tick)
    await incoming.set_output(sink, "late")
    incoming.play(5, now=0.1, unix=0.1)
    assert sink.frames == 1
