"""A bot's handlers: each has a queue of its own, so that one that is slow, blocks or fails is no other's trouble."""

from __future__ import annotations

import asyncio
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

# Events that wait for a handler: whoever is so far behind gets the newest.
MAX_WAITING: Final = 256

# A handler in the loop that does not give it back for so long has blocked it. Sound does not pass through here.
BLOCKED_S: Final = 1.0

Handler = Callable[..., Any]
"""Called with what it was registered for; a plain function is run on a thread, a coroutine function in the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFault:
    """A handler did something wrong. `where` is its name, and a place in its code: nothing of what it was told."""

    handler: str
    what: Literal["raised", "timed_out", "blocked", "overrun"]
    where: str


def print_fault(fault: HandlerFault) -> None:
    """One line on standard error."""
    print(f"tuiconf.bot: the handler {fault.handler} {fault.what.replace('_', ' ')} ({fault.where})", file=sys.stderr)  # noqa: T201


class Worker:
    """Runs one handler, one event after the other."""

    def __init__(self, handler: Handler, *, timeout_s: float, report: Callable[[HandlerFault], None]) -> None:
        self.name = getattr(handler, "__name__", type(handler).__name__)
        self._handler = handler
        self._in_loop = inspect.iscoroutinefunction(handler)
        self._timeout_s = timeout_s
        self._report = report
        self._queue: asyncio.Queue[tuple[tuple[object, ...], Callable[[object], Awaitable[None]] | None]]
        self._queue = asyncio.Queue(MAX_WAITING)

    def put(self, *arguments: object, then: Callable[[object], Awaitable[None]] | None = None) -> None:
        """Call the handler with these once it has done what came before; `then` gets what it returns."""
        if self._queue.full():
            self._queue.get_nowait()
            self._fault("overrun", f"{MAX_WAITING} events were waiting")
        self._queue.put_nowait((arguments, then))

    async def run(self) -> None:
        """For ever."""
        while True:
            arguments, then = await self._queue.get()
            try:
                await self._call(arguments, then)
            except TimeoutError:
                self._fault("timed_out", f"after {self._timeout_s:g} s")
            except Exception as error:  # noqa: BLE001 - a bot's bug ends here: it is reported, and the bot goes on
                self._fault("raised", _place(error))

    async def _call(self, arguments: tuple[object, ...], then: Callable[[object], Awaitable[None]] | None) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            if self._in_loop:
                began = loop.time()
                running = loop.create_task(self._handler(*arguments))
                loop.call_soon(self._look_for_block, began)
                try:
                    result = await running
                finally:
                    running.cancel()
            else:
                result = await asyncio.to_thread(self._handler, *arguments)
            if then is not None:
                await then(result)

    def _look_for_block(self, began: float) -> None:
        """Called right after the handler's first step, when that gives the loop back."""
        if (lasted := asyncio.get_running_loop().time() - began) > BLOCKED_S:
            self._fault("blocked", f"the loop for {lasted:.1f} s: make it a plain function, and it runs on a thread")

    def _fault(self, what: Literal["raised", "timed_out", "blocked", "overrun"], where: str) -> None:
        self._report(HandlerFault(handler=self.name, what=what, where=where))


def _place(error: BaseException) -> str:
    """What kind of error and where, never its text: it may hold a name, or what somebody said."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__}, {Path(frames[-1].filename).name}:{frames[-1].lineno}"
