"""The hooks of a script: each has a queue and a task of its own, so none waits for another, and the call for none.

Events of one hook arrive in the order they happened: one that has to be tried again holds up those after it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tuiconf.meeting.attendance import timestamp
from tuiconf.meeting.delivery import Message, Outcome, next_try
from tuiconf.meeting.script import MINUTE_S, Hook, HookEvent

# Events that wait for a hook. A meeting of 100 who all come and go makes 200; whoever is so far behind loses the
# oldest, since the end of the meeting matters more. About 300 bytes each.
MAX_WAITING: Final = 256

# What hooks get when the program is told to end. A service manager waits for 90 s, a person at a terminal does not.
HURRY_S: Final = 5.0

Report = Callable[[str], None]
"""Told one sentence, without names, when something went wrong for good."""


class Target(Protocol):
    """What a hook calls."""

    async def send(self, message: Message) -> Outcome:
        """Try once, within the hook's own time."""
        ...


class Hooks:
    """All of a script's. `start`, `tell`, and in the end `finish`."""

    def __init__(self, hooks: Sequence[tuple[Hook, Target]], *, report: Report) -> None:
        self._workers = [
            _Worker(f"hook[{number}]", hook, target, report) for number, (hook, target) in enumerate(hooks)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the running loop."""
        self._tasks = [asyncio.create_task(worker.run()) for worker in self._workers]

    def tell(self, event: HookEvent, about: Mapping[str, object], *, title: str, start: float) -> None:
        """Tell those who want to know. Returns at once. `start` is the meeting's, in seconds since 1970."""
        message = _message(event, about, title=title, start=start)
        for worker in self._workers:
            worker.put(message)

    async def finish(self, hurry: asyncio.Event) -> None:
        """Wait until everything is delivered, or was given up; once `hurry` is set, for HURRY_S only. Then stop."""
        idle = asyncio.create_task(self._idle())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait((idle, hurried), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((idle,), timeout=HURRY_S)
        for task in (idle, hurried, *self._tasks):
            task.cancel()
        await asyncio.gather(idle, hurried, *self._tasks, return_exceptions=True)
        for worker in self._workers:
            worker.close()

    async def _idle(self) -> None:
        for worker in self._workers:
            await worker.idle()


class _Worker:
    def __init__(self, name: str, hook: Hook, target: Target, report: Report) -> None:
        self._name = name
        self._wanted = hook.on
        self._give_up_s = hook.give_up_minutes * MINUTE_S
        self._target = target
        self._report = report
        self._waiting: deque[Message] = deque()
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, message: Message) -> None:
        if self._wanted is not None and message.event not in self._wanted:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._report(f"{self._name} is too slow: an event was dropped")
        self._waiting.append(message)
        self._idle.clear()
        self._more.set()

    async def idle(self) -> None:
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self._idle.set()
            self._more.clear()
            await self._more.wait()

    def close(self) -> None:
        if not self._idle.is_set():
            self._report(f"{self._name}: {len(self._waiting) + 1} events were not delivered before the end")

    async def _deliver(self, message: Message) -> None:
        deadline, tries = message.at + self._give_up_s, 0
        while True:
            outcome = await self._try(message)
            tries += 1
            now = time.monotonic()
            at = next_try(outcome, tries=tries, now=now, deadline=deadline, random=random.random)
            if at is None:
                break
            await asyncio.sleep(at - now)
        if not outcome.done:
            self._report(f"{self._name}: {message.event} was not delivered, tried {tries} times: {outcome.why}")

    async def _try(self, message: Message) -> Outcome:
        try:
            return await self._target.send(message)
        except Exception as error:  # noqa: BLE001 - a bug in one hook costs that event, and is reported
            return Outcome(why=f"a bug ({type(error).__name__})")


def _message(event: HookEvent, about: Mapping[str, object], *, title: str, start: float) -> Message:
    happened = timestamp(time.time())
    body = {"event": event, "time": happened, "meeting": title, "start": timestamp(start), **about}
    return Message(
        event=event,
        delivery=f"msg_{os.urandom(16).hex()}",
        body=msgspec.json.encode(body),
        variables={"TUICONF_EVENT": event, "TUICONF_TIME": happened},
        at=time.monotonic(),
    )
