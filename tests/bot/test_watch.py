"""Whoever watches a bot's call."""

from __future__ import annotations

import time

from tests.bot.support import CALL, MARA, FakeEngine, until
from tuiconf.bot import Bot, BotConfig, Where, events
from tuiconf.control.events import Envelope


async def test_whoever_watches_is_told_every_event_with_its_time_and_before_the_handlers(engine: FakeEngine) -> None:
    told: list[object] = []
    seen: list[Envelope] = []

    def watch(envelope: Envelope) -> None:
        seen.append(envelope)
        told.append("watch")

    bot = Bot(BotConfig(bot=Where(call=CALL)), watch=watch)
    bot.on(events.ParticipantJoined)(lambda _: told.append("handler"))
    before = time.time()
    async with bot:
        engine.service.joined(MARA)
        await until(lambda: len(told) == 2)
    assert told == ["watch", "handler"]
    assert before - 0.001 <= seen[0].ts <= time.time() + 0.001
    assert isinstance(seen[0].data, events.ParticipantJoined)
