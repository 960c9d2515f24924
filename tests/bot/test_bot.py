"""A bot's call: entering, leaving, being beside others, and an engine that is killed."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from tests.bot.support import ME, FakeEngine, Faults, a_bot, until
from tests.control.support import open_descriptors
from tuiconf.bot import (
    Bot,
    BotConfig,
    CallFailed,
    EngineGone,
    SpeechFailed,
    TuiconfError,
    UsageError,
    Where,
    events,
    schema,
)
from tuiconf.conference.events import LeftReason

TTS: Final = 'import sys; text = sys.stdin.read(); sys.stdout.write("RIFF" + text)'


async def test_a_bot_that_attaches_is_told_what_is_so_and_does_not_do_old_commands_again(
    engine: FakeEngine, faults: Faults
) -> None:
    engine.service.chat("!old")
    bot = a_bot(faults)
    told: list[object] = []
    done: list[str] = []
    bot.on(events.Joined)(told.append)
    bot.command("!old")(lambda message, argument: done.append("old"))
    bot.command("!new")(lambda message, argument: done.append("new"))
    async with bot:
        engine.service.chat("!new")
        await until(lambda: done and told)
    assert [event.me for event in told if isinstance(event, events.Joined)] == [ME]
    assert done == ["new"]


async def test_a_bot_that_attached_does_not_leave_somebody_elses_call(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults):
        pass
    assert engine.service.of(schema.Leave) == []


async def test_a_bot_can_be_in_one_call_at_a_time_and_in_another_afterwards(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    bot.command("!hello")(lambda message, argument: heard.append(argument))
    async with bot:
        with pytest.raises(TuiconfError, match="already"):
            async with bot:
                pass
        engine.service.chat("!hello 1")
        await until(lambda: heard == ["1"])
    assert not bot.in_call
    async with bot:
        engine.service.chat("!hello 2")
        await until(lambda: heard == ["1", "2"])


async def test_two_bots_share_an_engine(engine: FakeEngine, faults: Faults) -> None:
    one, other = a_bot(faults), a_bot(faults)
    one.command("!one")(lambda message, argument: "1")
    other.command("!two")(lambda message, argument: "2")
    async with one, other:
        for line in ("!one", "!two"):
            engine.service.chat(line)
        await until(lambda: len(engine.service.said) == 2)
        first = asyncio.create_task(one.play("same.wav"))
        await until(lambda: engine.service.playing == 1)
        second = asyncio.create_task(other.play("same.wav"))
        assert await first is False
        assert not second.done()
        engine.service.played(2)
        assert await second is True
    assert sorted(engine.service.said) == ["1", "2"]


async def test_methods_ask_what_the_schema_says(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        await bot.hand_raise()
        await bot.remove(participant="Mara")
        await bot.call(schema.Lock())
        assert (await bot.state_get()).me == ME
    assert engine.service.of(schema.Remove) == [schema.Remove(participant="Mara")]
    assert len(engine.service.of(schema.HandRaise)) == len(engine.service.of(schema.Lock)) == 1


async def test_outside_of_a_call_nothing_can_be_done(faults: Faults, tmp_path: Path) -> None:
    bot = a_bot(faults)
    for attempt in (bot.chat("x"), bot.play(tmp_path / "x.wav"), bot.leave()):
        with pytest.raises(EngineGone, match="async with"):
            await attempt
    with pytest.raises(EngineGone, match="async with"):
        bot.audio_in()


async def test_a_call_that_does_not_exist_is_said(home: Path, faults: Faults) -> None:
    bot = a_bot(faults)
    with pytest.raises(UsageError, match="there is no call"):
        async with bot:
            pass
    with pytest.raises(UsageError, match="there is no call"):  # nothing was left of the first attempt
        await bot.run()


async def test_an_engine_that_is_killed_ends_everything(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    threads = threading.active_count()
    async with bot:

        async def hear() -> int:
            return len([frame async for frame in bot.audio_in(1)])

        hearing = asyncio.create_task(hear())
        playing = asyncio.create_task(bot.play("x.wav"))
        await until(lambda: engine.service.taps and engine.service.playing)
        await engine.kill()
        assert await hearing == 0
        with pytest.raises(EngineGone):
            await playing
        with pytest.raises(EngineGone):
            await bot.left()
        with pytest.raises(EngineGone):
            await bot.chat("x")
    await until(lambda: threading.active_count() <= threads)
    assert not faults


async def test_run_says_why_the_call_is_over(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    running = asyncio.create_task(bot.run())
    await until(lambda: bot.in_call)
    engine.service.tell(events.Failed(code="x", message="the relay cannot be reached", fatal=True))
    engine.service.tell(events.Left(reason=LeftReason.FAILED))
    with pytest.raises(CallFailed, match="the relay cannot be reached"):
        await running


async def test_a_bot_that_is_cancelled_lets_go_of_everything(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    ended: list[str] = []
    before = open_descriptors()

    @bot.task
    async def beside() -> None:
        try:
            async for _ in bot.audio_in(1):
                pass
            await asyncio.Event().wait()
        finally:
            ended.append("beside")

    running = asyncio.create_task(bot.run())
    await until(lambda: engine.service.taps)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["beside"]
    await until(lambda: engine.service.hear_silence() and open_descriptors() <= before)


async def test_a_task_beside_may_finish_within_its_time(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    ended: list[str] = []

    async def last_words() -> None:
        await bot.left()
        await asyncio.sleep(0.05)
        ended.append("finished")

    async with bot:
        bot.spawn(last_words(), finish_s=20)
        engine.service.left()
        await bot.left()
    assert ended == ["finished"]


async def test_a_task_beside_that_fails_is_told_of(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)

    @bot.task
    async def fails() -> None:
        raise ValueError("secret")

    async with bot:
        await until(lambda: faults)
    assert (faults[0].handler, faults[0].what) == ("fails", "raised")


async def test_the_engine_is_told_whom_the_bot_allows(engine: FakeEngine, faults: Faults) -> None:
    allowed = "abcd-" * 7 + "abcd"
    bot = Bot(BotConfig(bot=Where(call="test"), allow=[allowed]), report=faults.append)
    async with bot:
        pass
    assert engine.service.of(schema.AllowSet) == [schema.AllowSet(fingerprints=[allowed])]


# --- playing files, and speech


def is_playing(engine: FakeEngine, number: int) -> bool:
    """Whether this is what is played now."""
    return engine.service.playing == number


async def test_files_are_played_one_after_the_other(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        plays = [asyncio.create_task(bot.play("gong.wav")) for _ in range(3)]
        for number in (1, 2, 3):
            await until(functools.partial(is_playing, engine, number))
            assert len(engine.service.of(schema.Play)) == number
            engine.service.played(number)
        assert await asyncio.gather(*plays) == [True, True, True]


async def test_a_file_that_cannot_be_played_does_not_hold_up_the_next(engine: FakeEngine, faults: Faults) -> None:
    engine.service.unreadable.add("missing.wav")
    async with a_bot(faults) as bot:
        with pytest.raises(TuiconfError, match="cannot be played"):
            await bot.play("missing.wav")
        playing = asyncio.create_task(bot.play("there.wav"))
        await until(lambda: engine.service.playing)
        engine.service.played(1)
        assert await playing


async def test_a_play_that_is_cancelled_stops(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        playing = asyncio.create_task(bot.play("long.wav"))
        await until(lambda: engine.service.playing)
        playing.cancel()
        await until(lambda: engine.service.of(schema.PlayStop))


async def test_an_end_that_was_not_told_is_found_out(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults) as bot:
        playing = asyncio.create_task(bot.play("x.wav"))
        await until(lambda: engine.service.playing)
        engine.service.playing = None
        engine.service.tell(events.EventsMissed(events=9, levels=0))
        assert await playing is False


async def test_what_is_said_goes_through_the_command_and_is_played(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults, speech=[sys.executable, "-c", TTS])
    text = "-v \N{SNOWMAN} $(reboot); 'Mara'"
    async with bot:
        saying = asyncio.create_task(bot.say(text))
        await until(lambda: engine.service.playing)
        [play] = engine.service.of(schema.Play)
        assert isinstance(play, schema.Play)
        path = Path(play.path.removeprefix("file:"))
        assert await asyncio.to_thread(path.read_bytes) == b"RIFF" + text.encode()
        engine.service.played(1)
        assert await saying
        assert not path.parent.exists()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["no-such-command-here"], "cannot be run"),
        (["a\0b"], "cannot be run"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "failed"),
        ([sys.executable, "-c", "pass"], "failed"),
    ],
)
async def test_a_speech_command_that_does_not_speak_is_said(
    command: list[str], why: str, engine: FakeEngine, faults: Faults
) -> None:
    async with a_bot(faults, speech=command) as bot:
        with pytest.raises(SpeechFailed, match=why):
            await bot.say("x" * 200_000)
