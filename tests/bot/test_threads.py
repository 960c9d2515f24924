"""What a thread has made for somebody who is gone is given back, whenever they went."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tuiconf.bot.threads import on_thread


async def test_what_comes_after_a_cancellation_is_unwanted() -> None:
    may_return, unwanted = threading.Event(), list[str]()
    back = asyncio.Event()

    def make() -> str:
        may_return.wait()
        return "made"

    task = asyncio.create_task(on_thread(make, ended=back.set, unwanted=unwanted.append))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unwanted == []
    may_return.set()
    while not unwanted:  # without the help of the loop, which may be at its end
        time.sleep(0.001)  # noqa: ASYNC251
    await back.wait()
    assert unwanted == ["made"]


async def test_what_comes_at_the_moment_of_a_cancellation_is_unwanted_too() -> None:
    loop, unwanted = asyncio.get_running_loop(), list[str]()

    def cancel_before_it_is_taken() -> None:
        loop.call_soon(task.cancel)

    task = asyncio.create_task(on_thread(lambda: "made", ended=cancel_before_it_is_taken, unwanted=unwanted.append))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unwanted == ["made"]
