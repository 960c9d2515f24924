"""Blocking work on a thread of its own. A thread that hangs is no other's trouble: a pool would run out of them, and
wait for them in the end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")


def _nothing() -> None:
    pass


def _drop(_: object) -> None:
    pass


async def on_thread(
    function: Callable[[], T], *, ended: Callable[[], None] = _nothing, unwanted: Callable[[T], None] = _drop
) -> T:
    """What the function gives, or raises. It goes on when this is cancelled: nobody can stop a thread.

    `ended` is called in the loop when it has returned, however late; `unwanted` with what came after a cancellation,
    in the loop or on the thread.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Callable[[], T]] = loop.create_future()
    cancelled = threading.Event()

    def settle(give: Callable[[], T]) -> None:
        ended()
        if outcome.done():
            discard(give)
        else:
            outcome.set_result(give)

    def discard(give: Callable[[], T]) -> None:
        with contextlib.suppress(Exception):  # whoever would be told is gone
            unwanted(give())

    def run() -> None:
        give = _outcome(function)
        if cancelled.is_set():  # at once: the loop may be at its end, and never come to it
            discard(give)
            give = _raiser(LookupError("it was given back"))
        try:
            loop.call_soon_threadsafe(settle, give)
        except RuntimeError:  # the loop has ended
            discard(give)

    threading.Thread(target=run, name="tuiconf.bot", daemon=True).start()
    try:
        give = await outcome
    except asyncio.CancelledError:
        cancelled.set()
        if not outcome.cancelled():  # it had come already when this was cancelled
            discard(outcome.result())
        raise
    return give()


def _outcome(function: Callable[[], T]) -> Callable[[], T]:
    """Run it; what gives its result, or raises as it did."""
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        return _raiser(error)
    return lambda: result


def _raiser(error: BaseException) -> Callable[[], NoReturn]:
    def give() -> NoReturn:
        raise error

    return give
