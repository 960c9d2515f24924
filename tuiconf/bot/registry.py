"""Which handlers a bot has, and what each is called with."""

from __future__ import annotations

import asyncio
from typing import Final

from tuiconf.bot.faults import Faults
from tuiconf.bot.handlers import Handler, Then, Worker
from tuiconf.bot.watch import Watch
from tuiconf.control.events import NAMES, ChatReceived, Event, name_of
from tuiconf.errors import UsageError

ANY: Final = "*"

# How long handlers may take for what was told before the call ended.
FINISH_S: Final = 5.0


class Registry:
    """Handlers can be added at any time; they are called between `start` and `finish`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.watch = Watch(faults)
        self._by_event: list[tuple[str, Handler, float]] = []
        self._by_command: dict[str, tuple[Handler, float]] = {}
        self._workers: dict[str, list[Worker]] = {}  # of this run, by event name, or by command with its "!"
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False

    def add_event(self, name: str, handler: Handler, timeout_s: float) -> None:
        """Call it with events of this name, or with all."""
        self._by_event.append((name, handler, timeout_s))
        if self._running:
            self._start(name, handler, timeout_s)

    def add_command(self, word: str, handler: Handler, timeout_s: float) -> None:
        """Call it with lines of chat that begin with this word.

        Raises:
            UsageError: it is no word, or has a handler already.
        """
        if word.split() != [word]:
            raise UsageError(f"a command is one word, such as !time: {word!r} is not")
        key = word.casefold()
        if key in self._by_command:
            raise UsageError(f"the command {word} has a handler already")
        self._by_command[key] = handler, timeout_s
        if self._running:
            self._start(_command(key), handler, timeout_s)

    @property
    def wants_levels(self) -> bool:
        """They come four times a second, and only if somebody handles them."""
        return any(name == "levels" for name, _, _ in self._by_event)

    def start(self) -> None:
        """Begin to call them."""
        self._running = True
        self.watch.start()
        for name, handler, timeout_s in self._by_event:
            self._start(name, handler, timeout_s)
        for word, (handler, timeout_s) in self._by_command.items():
            self._start(_command(word), handler, timeout_s)

    def take(self, event: Event, reply: Then) -> None:
        """Something happened. `reply` gets what the handler of a command returns."""
        for name in (name_of(event), ANY):
            for worker in self._workers.get(name, ()):
                worker.put(event)
        if isinstance(event, ChatReceived) and (words := event.text.split(maxsplit=1)):
            argument = words[1].strip() if len(words) > 1 else ""
            for worker in self._workers.get(_command(words[0].casefold()), ()):
                worker.put(event, argument, then=reply)

    async def finish(self) -> None:
        """Let them do what they were told before, for a moment, and call them no more."""
        self._running = False
        for workers in self._workers.values():
            for worker in workers:
                worker.finish()
        self._workers.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.watch.stop()

    def _start(self, key: str, handler: Handler, timeout_s: float) -> None:
        worker = Worker(handler, timeout_s=timeout_s, faults=self._faults, watch=self.watch)
        self._workers.setdefault(key, []).append(worker)
        self._tasks.add(asyncio.get_running_loop().create_task(worker.run()))


def event_name(event: str | type[Event]) -> str:
    """What an event is called.

    Raises:
        UsageError: there is no such event.
    """
    name = event if isinstance(event, str) else str(event.__struct_config__.tag)
    if name != ANY and name not in NAMES:
        raise UsageError(f"there is no event {name!r}: {', '.join(sorted(NAMES))}")
    return name


def _command(word: str) -> str:
    """Where its worker is: no event is called so."""
    return f"command {word}"
