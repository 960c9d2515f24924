"""Statistics: two minutes as bars, each stream, and what the engine takes."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
import pytest

from tests.tui.showing import shown
from tests.tui.support import FakeControl, FakeTerminal, stats, until
from tuiconf.control import schema
from tuiconf.tui.screens.statistics import process_lines, stream_rows

R = TypeVar("R", bound=msgspec.Struct)


def _stats(**changes: object) -> schema.Stats:
    so = schema.Stats(
        audio=stats(), uptime_s=600.0, reconnections=0, rss_bytes=60 << 20, cpu_s=12.5, tasks=20, file_descriptors=30
    )
    return msgspec.structs.replace(so, **changes)


async def test_history_streams_and_the_engine_are_there() -> None:
    async with shown("statistics") as there:
        await until(there.pilot, lambda: "60 MB" in there.text)
        for words in ("RTT", "24 ms", "Loss", "Buffer", "Delay", "Level", "▁", "of 100 ms", "Mara", "14.0 %", "10 min"):
            assert words in there.text
        assert "Not decryptable: nothing" in there.text


async def test_whoever_is_heard_worst_comes_first() -> None:
    keys = [row.cells[0].text for row in stream_rows(stats())]
    assert keys == ["Who is heard", "Mara", "Ben", "Ada"]


async def test_each_second_is_asked_for_anew() -> None:
    async with shown("statistics") as there:
        await until(there.pilot, lambda: "60 MB" in there.text)
        there.control.answers[schema.GetStats] = _stats(uptime_s=602.0, cpu_s=12.6, rss_bytes=61 << 20)
        there.control.happen(stats(rtt_ms=99.0, repeats=(1, 3), undecryptable={"unknown_epoch": 4}))
        await until(there.pilot, lambda: "61 MB" in there.text)
        assert "5 % of a core" in there.text


async def test_before_anybody_was_heard_that_is_said() -> None:
    control = FakeControl(answers={schema.GetHistory: schema.History(moments=()), schema.GetStats: _stats(audio=None)})
    async with shown("statistics", control) as there:
        await until(there.pilot, lambda: "60 MB" in there.text)
        assert "Nobody has been heard yet" in there.text


async def test_without_unicode_bars_are_ascii() -> None:
    async with shown("statistics", terminal=FakeTerminal(colours="none", unicode=False)) as there:
        await until(there.pilot, lambda: "60 MB" in there.text)
        assert there.text.isascii()
        assert "::::" in there.text or "----" in there.text


async def test_in_a_small_window_all_of_it_can_be_scrolled_to() -> None:
    async with shown("statistics", size=(40, 12)) as there:
        await until(there.pilot, lambda: "Mara" in there.text)
        assert "Esc back" in there.text
        await there.press("end")
        assert "60 MB" in there.text


def test_repeats_undecryptable_frames_and_reconnections_are_told_in_words() -> None:
    so = _stats(audio=stats(repeats=(1, 3), undecryptable={"unknown_epoch": 4, "replayed": 0}), reconnections=1)
    told = "\n".join(process_lines(so, None))
    assert "repeats the frame 1 before and 3 before" in told
    assert "Not decryptable: 4 unknown epoch" in told
    assert "replayed" not in told
    assert "reconnected once" in told
    assert "of a core" not in told


class SlowControl(FakeControl):
    """Answers about history when it is told to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.go_on = asyncio.Event()

    async def call(self, request: schema.Request[R]) -> R:
        """As slow as an engine can be."""
        if isinstance(request, schema.GetHistory):
            await self.go_on.wait()
        return await super().call(request)


@pytest.mark.parametrize("turns", range(6, 12))
async def test_a_page_that_is_closed_while_the_engine_answers_takes_nobody_with_it(turns: int) -> None:
    control = SlowControl()
    async with shown("statistics", control) as there:
        there.app.screen.dismiss()
        for _ in range(turns):
            await asyncio.sleep(0)
        control.go_on.set()
        await there.pilot.pause()
        assert there.app.is_running
        assert there.app.return_value is None
