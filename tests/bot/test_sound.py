"""A bot's sound, both ways: whole, in time, whatever the bot does meanwhile, and gone when nobody wants it any more."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.bot.support import MARA, ME, FakeEngine, Faults, a_bot, a_frame, until
from tuiconf.bot import FRAME_SAMPLES, ControlError, EngineGone, Frame, NotSamples, events, to_s16le
from tuiconf.bot.samples import from_s16le
from tuiconf.bot.sound import MAX_HEARD
from tuiconf.engine.incoming import MAX_TAP_FRAMES


def sent(engine: FakeEngine) -> Frame:
    """What came to the engine, of the last stream."""
    return from_s16le(engine.service.sent[-1])


# --- out


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("samples", [0, 1, 959, 960, 100_001])
async def test_an_array_is_sent_whole(samples: int, kind: type, engine: FakeEngine, faults: Faults) -> None:
    rng = np.random.default_rng(1)
    sound = rng.integers(-32768, 32767, samples).astype(np.int16)
    given: Any = sound if kind is np.int16 else (sound / 32768).astype(kind)
    async with a_bot(faults) as bot:
        assert await bot.play(given) is True
    assert engine.service.sent == [sound.tobytes()]


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros((960, 1), np.float32),
        np.zeros((2, 960), np.float32),
        np.float32(0.5),
        np.zeros(960, np.int32),
        np.zeros(960, np.complex64),
        np.zeros(960, bool),
        np.array(["a", "b"]),
        np.array([None, 1.0]),
        [0.0, 0.5],
        b"\0" * 1920,
        None,
    ],
)
async def test_what_are_no_samples_is_refused(sound: Any, engine: FakeEngine, faults: Faults) -> None:
    async def frames() -> AsyncIterator[Any]:
        yield a_frame(0.1)
        yield sound

    async with a_bot(faults) as bot:
        with pytest.raises(NotSamples, match="48 kHz"):
            await bot.play(sound)
        with pytest.raises(NotSamples, match="48 kHz"):
            await bot.play(frames())
        await until(lambda: not engine.service.streams)


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_clipped() -> None:
    given = np.array([np.nan, np.inf, -np.inf, 2.0, -2.0, 1.0, 0.5, 1e-9], np.float32)
    wanted = [0, 32767, -32768, 32767, -32768, 32767, 16384, 0]
    assert np.frombuffer(to_s16le(given), "<i2").tolist() == wanted
    assert np.frombuffer(to_s16le(given[::-1]), "<i2").tolist() == wanted[::-1]


async def test_an_hour_is_not_turned_into_bytes_at_once(engine: FakeEngine, faults: Faults) -> None:
    hour = np.broadcast_to(np.float32(0.1), (3600 * 48_000,))  # of no size in memory
    engine.service.hold_streams.clear()
    async with a_bot(faults) as bot:
        began = time.monotonic()
        playing = asyncio.create_task(bot.play(hour))
        await until(lambda: engine.service.streams)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert time.monotonic() - began < 5
        engine.service.hold_streams.set()
        await until(lambda: engine.service.sent)
    assert len(engine.service.sent[0]) < 2 * 48_000  # what is heard of it after the end


async def test_an_iterator_is_sent_whole_in_order_and_at_the_calls_pace(engine: FakeEngine, faults: Faults) -> None:
    given = 0

    async def frames() -> AsyncIterator[Frame]:
        nonlocal given
        for given in range(1, 201):
            yield a_frame(given / 1000)

    engine.service.hold_streams.clear()
    async with a_bot(faults) as bot:
        playing = asyncio.create_task(bot.play(frames()))
        await until(lambda: given > 5)
        await asyncio.sleep(0.2)
        assert given < 60  # it is asked for no more than what can be sent soon
        engine.service.hold_streams.set()
        assert await playing is True
    assert np.allclose(sent(engine)[::FRAME_SAMPLES], np.arange(1, 201) / 1000, atol=1e-4)


async def test_an_iterator_that_fails_ends_its_stream_and_its_own_error_is_raised(
    engine: FakeEngine, faults: Faults
) -> None:
    async def frames() -> AsyncIterator[Frame]:
        yield a_frame(0.1)
        raise ZeroDivisionError

    async with a_bot(faults) as bot:
        with pytest.raises(ZeroDivisionError):
            await bot.play(frames())
        await until(lambda: not engine.service.streams)


async def test_a_play_of_an_iterator_that_is_cancelled_closes_the_iterator(engine: FakeEngine, faults: Faults) -> None:
    closed = asyncio.Event()

    async def frames() -> AsyncIterator[Frame]:
        try:
            while True:
                yield a_frame(0.1)
        finally:
            closed.set()

    engine.service.hold_streams.clear()
    async with a_bot(faults) as bot:
        playing = asyncio.create_task(bot.play(frames()))
        await until(lambda: engine.service.streams)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert closed.is_set()
        engine.service.hold_streams.set()
        await until(lambda: not engine.service.streams)


@pytest.mark.parametrize("waiting", ["for the iterator", "for the engine"])
async def test_an_engine_that_is_killed_ends_a_play(waiting: str, engine: FakeEngine, faults: Faults) -> None:
    async def frames() -> AsyncIterator[Frame]:
        yield a_frame(0.1)
        if waiting == "for the iterator":
            await asyncio.Event().wait()
        while True:
            yield a_frame(0.1)

    if waiting == "for the engine":
        engine.service.hold_streams.clear()
    async with a_bot(faults) as bot:
        plays = [asyncio.create_task(bot.play(frames())), asyncio.create_task(bot.play(np.zeros(480_000, np.float32)))]
        await until(lambda: engine.service.streams == 2 or engine.service.sent)
        await engine.kill()
        if waiting == "for the engine":
            for playing in plays:
                with pytest.raises(EngineGone):
                    await playing
        for playing in plays:
            playing.cancel()
        await asyncio.gather(*plays, return_exceptions=True)


async def test_a_blocked_loop_does_not_hold_up_an_array(engine: FakeEngine, faults: Faults) -> None:
    """The engine here lives in the same loop, so only what is beyond the loop is measured: the kernel's buffer."""
    engine.service.hold_streams.clear()  # or all of it could have been sent before anybody looked
    async with a_bot(faults) as bot:
        playing = asyncio.create_task(bot.play(np.zeros(48_000 * 5, np.float32)))
        await until(lambda: engine.service.streams)
        engine.service.hold_streams.set()
        time.sleep(0.3)  # noqa: ASYNC251 - what this is about
        assert await playing
    assert len(engine.service.sent[0]) == 2 * 48_000 * 5


# --- in


async def test_what_is_heard_comes_as_frames_until_they_leave(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        audio = bot.audio_in(1)

        async def hear() -> list[Frame]:
            return [frame async for frame in audio]

        hearing = asyncio.create_task(hear())
        await until(lambda: engine.service.taps)
        [tap] = engine.service.taps
        for number in range(40):
            tap.put(number, a_frame(number / 100))
        tap.end()
        frames = await hearing
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((960,), "float32")}
    assert np.allclose([frame[0] for frame in frames], np.arange(40) / 100, atol=1e-4)
    assert audio.lost == 0


async def test_what_was_lost_on_the_way_is_counted(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        audio, lost = bot.audio_in(), []

        async def hear() -> None:
            async for _ in audio:
                lost.append(audio.lost)

        hearing = asyncio.create_task(hear())
        await until(lambda: engine.service.taps)
        [tap] = engine.service.taps
        for number in (0xFFFFFFFE, 0xFFFFFFFF, 0, 3, 4):
            tap.put(number, a_frame(0.0))
        tap.end()
        await hearing
    assert lost == [0, 0, 0, 2, 2]


async def test_whoever_does_not_take_frames_loses_the_oldest_and_holds_no_more(
    engine: FakeEngine, faults: Faults
) -> None:
    async with a_bot(faults) as bot:
        audio = bot.audio_in(1)
        frames = aiter(audio)
        first = asyncio.ensure_future(anext(frames))
        await until(lambda: engine.service.taps)
        [tap] = engine.service.taps
        total = 2 * MAX_HEARD
        for number in range(0, total, MAX_TAP_FRAMES):
            for one in range(number, number + MAX_TAP_FRAMES):
                tap.put(one, a_frame(one / 4000))
            await asyncio.sleep(0.01)
        await first
        tap.end()
        rest = [frame[0] async for frame in frames]
    assert len(rest) <= MAX_HEARD
    assert rest[-1] == pytest.approx((total - 1) / 4000, abs=1e-3)
    assert audio.lost == total - 1 - len(rest)


async def test_an_iteration_that_is_given_up_hangs_up(engine: FakeEngine, faults: Faults) -> None:
    threads = threading.active_count()
    async with a_bot(faults) as bot:

        async def hear_one() -> None:
            async for _ in bot.audio_in(1):
                break

        hearing = asyncio.create_task(hear_one())
        await until(lambda: engine.service.hear_silence() and hearing.done())
        await until(lambda: engine.service.hear_silence() and not engine.service.taps)
    await until(lambda: threading.active_count() <= threads)


async def test_people_come_and_go_while_each_is_listened_to(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    heard: dict[str, float] = {}

    async def hear(who: events.Person) -> None:
        async for frame in bot.audio_in(who.leaf):
            heard[who.name] = float(frame[0])

    @bot.on(events.ParticipantJoined)
    async def joined(event: events.ParticipantJoined) -> None:
        bot.spawn(hear(event.participant))

    async with bot:
        for number in range(2, 12):
            who = events.Person(leaf=number, name=f"guest {number}", fingerprint="x", host=False)
            engine.service.joined(who)
        await until(lambda: len(engine.service.taps) == 10)
        for tap in engine.service.taps:
            tap.put(1, a_frame((tap.leaf or 0) / 100))
            tap.end()
        await until(lambda: len(heard) == 10 and not engine.service.taps)
    assert all(round(100 * value) == int(name.split()[1]) for name, value in heard.items())
    assert not faults


async def test_somebody_who_is_not_there_cannot_be_heard(engine: FakeEngine, faults: Faults) -> None:
    assert {who.leaf for who in engine.service.people} == {ME.leaf, MARA.leaf}
    async with a_bot(faults) as bot:
        with pytest.raises(ControlError) as refused:
            await anext(aiter(bot.audio_in(77)))
    assert refused.value.code == "no_such_participant"
