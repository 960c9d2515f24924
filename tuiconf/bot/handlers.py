"""A bot's handlers: each has a queue of its own, so that one that is slow, blocks or fails is no other's trouble."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tuiconf.bot.faults import Faults, place_of_error
from tuiconf.bot.threads import on_thread
from tuiconf.bot.watch import Watch
from tuiconf.control.client import EngineGone

# Events that wait for a handler: whoever is so far behind gets the newest.
MAX_WAITING: Final = 256

# Calls of one handler that were given up and have not come back: each holds a thread, or a task that will not end.
MAX_STUCK: Final = 4

Handler = Callable[..., object]
"""Called with what it was registered for; a plain function is run on a thread, a coroutine function in the loop."""

Then = Callable[[object], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Job:
    arguments: tuple[object, ...]
    then: Then | None


class Worker:
    """Runs one handler, one event after the other, in order."""

    def __init__(self, handler: Handler, *, timeout_s: float, faults: Faults, watch: Watch) -> None:
        self._name = str(getattr(handler, "__qualname__", type(handler).__name__)).rsplit(".", 1)[-1]
        self._handler = handler
        self._in_loop = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 - an object that is called as a coroutine function
        )
        self._timeout_s = timeout_s
        self._faults = faults
        self._watch = watch
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[object]] = set()  # calls that have not ended, given up or not
        self._threads = 0  # the same of threads

    def put(self, *arguments: object, then: Then | None = None) -> None:
        """Call the handler with these once it has done what came before; `then` gets what it returns."""
        if self._queue.qsize() >= MAX_WAITING:
            self._queue.get_nowait()
            self._faults.tell(self._name, "overrun", f"{MAX_WAITING} events were waiting")
        self._queue.put_nowait(_Job(arguments, then))

    def finish(self) -> None:
        """Nothing more comes: `run` returns once all of it was done."""
        self._queue.put_nowait(None)

    async def run(self) -> None:
        """Until `finish`."""
        while (job := await self._queue.get()) is not None:
            if max(len(self._tasks), self._threads) >= MAX_STUCK:
                self._faults.tell(self._name, "stuck", f"{MAX_STUCK} calls have not come back")
            else:
                await self._call(job)

    async def _call(self, job: _Job) -> None:
        task = asyncio.get_running_loop().create_task(self._watch.over(self._name, self._run(job)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            done, _ = await asyncio.wait((task,), timeout=self._timeout_s)
        finally:
            task.cancel()  # of no effect on one that is done; one that does not obey is waited for no longer
        if not done:
            self._faults.tell(self._name, "timed_out", f"after {self._timeout_s:g} s")

    async def _run(self, job: _Job) -> None:
        result = self._handler(*job.arguments) if self._in_loop else await self._on_thread(job)
        if inspect.isawaitable(result):
            result = await result
        if job.then is not None:
            await job.then(result)

    async def _on_thread(self, job: _Job) -> object:
        self._threads += 1
        return await on_thread(lambda: self._handler(*job.arguments), ended=self._thread_ended)

    def _thread_ended(self) -> None:
        self._threads -= 1

    def _ended(self, task: asyncio.Task[object]) -> None:
        """Where a bot's bug ends: it is reported, and the bot goes on."""
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        # That the call is over is nobody's fault.
        if error is not None and not isinstance(error, EngineGone):
            self._faults.tell(self._name, "raised", place_of_error(error))
