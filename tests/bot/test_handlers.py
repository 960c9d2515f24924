"""Handlers that block, raise, hang and come late: each is told of, and none disturbs another."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time

import pytest

from tests.bot.support import MARA, FakeEngine, Faults, a_bot, until
from tuiconf.bot import Bot, UsageError, events
from tuiconf.bot.handlers import MAX_STUCK, MAX_WAITING
from tuiconf.bot.watch import BLOCKED_S


def greet(bot: Bot, heard: list[str]) -> None:
    """A handler that works, beside those that do not."""

    @bot.command("!hello")
    def hello(message: events.ChatReceived, argument: str) -> str:
        heard.append(argument)
        return f"hello {argument}"


async def test_an_event_reaches_handlers_of_its_name_of_its_type_and_of_all(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    told: list[object] = []

    @bot.on("participant_joined")
    def by_name(event: events.ParticipantJoined) -> None:
        told.append(("name", event.participant.name))

    @bot.on(events.ParticipantJoined)
    async def by_type(event: events.ParticipantJoined) -> None:
        told.append(("type", event.participant.name))

    @bot.on("*")
    def all_events(event: events.Event) -> None:
        if isinstance(event, events.ParticipantJoined):
            told.append(("all", event.participant.name))

    async with bot:
        engine.service.tell(events.ParticipantJoined(participant=MARA, epoch=2))
        await until(lambda: len(told) == 3)
    assert set(told) == {("all", "Mara"), ("name", "Mara"), ("type", "Mara")}
    assert not faults


async def test_a_handler_is_called_for_one_event_after_the_other_in_order(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    told: list[object] = []

    @bot.on(events.ChatReceived)
    async def slowly(event: events.ChatReceived) -> None:
        await asyncio.sleep(0.002 if len(told) % 2 else 0)
        told.append(event.text)

    async with bot:
        for number in range(30):
            engine.service.chat(str(number))
        await until(lambda: len(told) == 30)
    assert told == [str(number) for number in range(30)]


async def test_what_was_told_before_the_call_ended_is_still_handled(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    told: list[object] = []

    @bot.on(events.Left)
    async def last(event: events.Left) -> None:
        await asyncio.sleep(0.05)
        told.append(event.reason)

    async with bot:
        engine.service.left()
        await bot.left()
    assert told == ["left"]


async def test_an_event_that_does_not_exist_is_refused(faults: Faults) -> None:
    with pytest.raises(UsageError, match="participant_joined"):
        a_bot(faults).on("participant_joint")


@pytest.mark.parametrize("word", ["", " ", "two words", "!x\n"])
async def test_a_command_is_one_word(word: str, faults: Faults) -> None:
    with pytest.raises(UsageError, match="one word"):
        a_bot(faults).command(word)(print)


async def test_a_command_has_one_handler(faults: Faults) -> None:
    bot = a_bot(faults)
    bot.command("!time")(lambda message, argument: None)
    with pytest.raises(UsageError, match="already"):
        bot.command("!TIME")(lambda message, argument: None)


@pytest.mark.parametrize(
    ("line", "argument"),
    [
        ("!hello", ""),
        ("!hello Ben", "Ben"),
        ("  !hello   Ben and  Mara ", "Ben and  Mara"),
        ("!HELLO\tBen", "Ben"),
        ("!hello\nBen\nMara", "Ben\nMara"),
        ("!hello \N{GRINNING FACE}\u202e\x00", "\N{GRINNING FACE}\u202e\x00"),
        ("!hello " + "x" * 3990, "x" * 3990),
    ],
)
async def test_a_command_is_found_however_it_is_typed(
    line: str, argument: str, engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    greet(bot, heard)
    async with bot:
        engine.service.chat(line)
        await until(lambda: engine.service.said)
    assert heard == [argument]
    assert engine.service.said == [f"hello {argument}"[:4000]]


@pytest.mark.parametrize("line", ["", "   ", "\n", "hello", "!hellooo", "say !hello", "!", "!hello!"])
async def test_other_lines_are_no_command(line: str, engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    greet(bot, heard)
    async with bot:
        engine.service.chat(line)
        engine.service.chat("!hello after")
        await until(lambda: heard)
    assert heard == ["after"]
    assert not faults


async def test_a_reply_that_is_too_long_is_cut_and_one_that_is_no_text_is_not_said(
    engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults)
    bot.command("!number")(lambda message, argument: 5)
    bot.command("!empty")(lambda message, argument: "")
    bot.command("!long")(lambda message, argument: "x" * 9000)
    async with bot:
        for line in ("!number", "!empty", "!long"):
            engine.service.chat(line)
        await until(lambda: engine.service.said)
    assert engine.service.said == ["x" * 4000]


async def test_a_handler_that_raises_is_told_of_without_what_it_was_told(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    greet(bot, heard)

    @bot.command("!secret")
    def fails(message: events.ChatReceived, argument: str) -> None:
        raise ValueError(argument)

    async with bot:
        engine.service.chat("!secret Xyzzy")
        engine.service.chat("!hello still")
        await until(lambda: heard and faults)
    assert (faults[0].handler, faults[0].what) == ("fails", "raised")
    assert faults[0].where.startswith("ValueError, test_handlers.py:")
    assert "Xyzzy" not in repr(faults)
    assert bot.faults == 1


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration(), KeyError("x"), TimeoutError(), OSError()])
@pytest.mark.parametrize("in_loop", [True, False])
async def test_whatever_a_handler_raises_ends_there(
    error: Exception, in_loop: bool, engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    greet(bot, heard)

    def plain(message: events.ChatReceived, argument: str) -> None:
        raise error

    async def coroutine(message: events.ChatReceived, argument: str) -> None:
        raise error

    bot.command("!fail")(coroutine if in_loop else plain)
    async with bot:
        engine.service.chat("!fail")
        engine.service.chat("!hello")
        await until(lambda: heard and faults)
    assert faults.kinds == ["raised"]


async def test_a_handler_that_never_returns_is_timed_out_and_the_next_event_is_handled(
    engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults, timeout_s=0.1)
    told: list[object] = []

    @bot.on(events.ChatReceived)
    async def forever(event: events.ChatReceived) -> None:
        told.append(event.text)
        await asyncio.Event().wait()

    async with bot:
        engine.service.chat("one")
        engine.service.chat("two")
        await until(lambda: len(faults) == 2)
    assert told == ["one", "two"]
    assert faults.kinds == ["timed_out", "timed_out"]


async def test_a_coroutine_that_cannot_be_cancelled_is_called_no_more_after_some_times(
    engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults, timeout_s=0.05)
    calls: list[str] = []
    done = asyncio.Event()

    @bot.on(events.ChatReceived)
    async def stubborn(event: events.ChatReceived) -> None:
        calls.append(event.text)
        while not done.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await done.wait()

    async with bot:
        for number in range(MAX_STUCK + 3):
            engine.service.chat(str(number))
        await until(lambda: faults.kinds.count("stuck") == 3)
        done.set()
    assert len(calls) == MAX_STUCK


async def test_a_plain_function_that_hangs_holds_up_nothing_but_itself_and_not_the_end(
    engine: FakeEngine, faults: Faults
) -> None:
    bot = a_bot(faults, timeout_s=0.05)
    heard: list[str] = []
    release = threading.Event()
    greet(bot, heard)

    @bot.on(events.ChatReceived)
    def hangs(event: events.ChatReceived) -> None:
        release.wait()

    try:
        async with bot:
            for number in range(MAX_STUCK + 2):
                engine.service.chat(f"!hello {number}")
            await until(lambda: faults.kinds.count("stuck") == 2)
            assert heard == [str(number) for number in range(MAX_STUCK + 2)]
            began = time.monotonic()
        assert time.monotonic() - began < 4
    finally:
        release.set()
    assert faults.kinds.count("timed_out") == MAX_STUCK


async def test_a_handler_that_blocks_the_loop_is_told_of_while_it_does(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    seen_at: list[float] = []
    bot.on(events.StatusChanged)(lambda event: None)

    @bot.on(events.ChatReceived)
    async def blocks(event: events.ChatReceived) -> None:
        await asyncio.sleep(0)  # also in a later step
        began = time.monotonic()
        while not faults and time.monotonic() - began < 20 * BLOCKED_S:
            time.sleep(0.01)  # noqa: ASYNC251 - what this is about
        seen_at.append(time.monotonic() - began)

    async with bot:
        engine.service.chat("now")
        await until(lambda: seen_at)
    assert faults.kinds == ["blocked"]
    assert faults[0].handler == "blocks"
    assert "test_handlers.py:" in faults[0].where
    assert BLOCKED_S <= seen_at[0] < 10 * BLOCKED_S


async def test_a_handler_that_is_too_slow_for_what_comes_gets_the_newest(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults, timeout_s=20)
    told: list[object] = []
    go = asyncio.Event()

    @bot.on(events.ChatReceived)
    async def slow(event: events.ChatReceived) -> None:
        await go.wait()
        told.append(event.text)

    async with bot:
        engine.service.chat("first")
        await asyncio.sleep(0.05)
        for number in range(MAX_WAITING + 10):
            engine.service.chat(str(number))
        await until(lambda: len(faults) >= 9)
        go.set()
        await until(lambda: told and told[-1] == str(MAX_WAITING + 9))
    assert set(faults.kinds) == {"overrun"}
    assert len(told) <= MAX_WAITING + 1


async def test_handlers_can_be_added_while_the_bot_is_in_the_call(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    heard: list[str] = []
    async with bot:
        greet(bot, heard)
        engine.service.chat("!hello late")
        await until(lambda: heard)

        levels: list[events.Levels] = []
        bot.on(events.Levels)(levels.append)
        await until(lambda: engine.service.history.levels_wanted)
        engine.service.tell(events.Levels(own=None, others=()))
        engine.service.chat("!hello again")
        await until(lambda: levels and len(heard) == 2)
    assert heard == ["late", "again"]


async def test_levels_are_asked_for_only_by_those_who_handle_them(engine: FakeEngine, faults: Faults) -> None:
    async with a_bot(faults):
        assert not engine.service.history.levels_wanted


async def test_partial_functions_and_objects_can_be_handlers(engine: FakeEngine, faults: Faults) -> None:
    bot = a_bot(faults)
    told: list[object] = []

    async def add(what: str, event: events.ChatReceived) -> None:
        told.append(what)

    class Called:
        async def __call__(self, event: events.ChatReceived) -> None:
            told.append("object")

    bot.on(events.ChatReceived)(functools.partial(add, "partial"))
    bot.on(events.ChatReceived)(Called())
    bot.on(events.ChatReceived)(lambda event: add("awaitable", event))
    async with bot:
        engine.service.chat("x")
        await until(lambda: len(told) == 3)
    assert set(told) == {"awaitable", "object", "partial"}
    assert not faults


async def test_a_report_that_fails_takes_nothing_with_it(engine: FakeEngine) -> None:
    def report(fault: object) -> None:
        raise RuntimeError

    bot = a_bot(Faults())
    heard: list[str] = []
    bot = Bot(bot.config, report=report)
    greet(bot, heard)
    bot.command("!fail")(lambda message, argument: 1 / 0)
    async with bot:
        engine.service.chat("!fail")
        await until(lambda: bot.faults == 1)
        engine.service.chat("!hello")
        await until(lambda: heard)
