"""Who waits until what was played is over."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from tuiconf.control.client import EngineGone

# Ends that were told before anybody asked: only of what was played a moment ago.
MAX_ENDED: Final = 16


class Plays:
    """Each play has a number, and an end: `finished`, or something else came in its place."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._ended: deque[tuple[int, bool]] = deque(maxlen=MAX_ENDED)
        self._over = False

    async def end_of(self, number: int) -> bool:
        """Wait for it; whether it was sent to its end.

        Raises:
            EngineGone: the call is over.
        """
        for ended, finished in self._ended:
            if ended == number:
                return finished
        if self._over:
            raise EngineGone("the call is over")
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            return await waiting
        finally:
            self._waiting.pop(number, None)

    def ended(self, number: int, *, finished: bool) -> None:
        """This one is over."""
        self._ended.append((number, finished))
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(finished)

    def playing(self, number: int | None) -> None:
        """Some ends may not have been told: this is what is being played, and nothing else."""
        for other in list(self._waiting):
            if other != number:
                self.ended(other, finished=False)

    def close(self) -> None:
        """The call is over."""
        self._over = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineGone("the call is over"))
