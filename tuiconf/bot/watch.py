"""Sees, from a thread of its own, when a handler keeps the loop to itself: the loop itself cannot."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Coroutine, Generator
from typing import Any, Final

from tuiconf.bot.faults import Faults, place_of_frame

# Whoever waits for a command's answer notices half a second. Sound does not pass through here.
BLOCKED_S: Final = 0.5

LOOK_S: Final = BLOCKED_S / 4


class Watch:
    """Between `start` and `stop`, tells of coroutines made by `over` whose step lasts too long, while it does."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._step: tuple[str, float] | None = None  # whose step runs now, and since when
        self._loop_thread = 0
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look at this thread."""
        self._loop_thread = threading.get_ident()
        self._stopped = threading.Event()
        threading.Thread(target=self._look, args=(self._stopped,), name="tuiconf.bot watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def over(self, name: str, coroutine: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
        """The same coroutine, watched."""
        return _Watched(self, name, coroutine)

    def begin(self, name: str) -> None:
        """A step of this one begins."""
        self._step = name, time.monotonic()

    def end(self) -> None:
        """It has given the loop back."""
        self._step = None

    def _look(self, stopped: threading.Event) -> None:
        told: tuple[str, float] | None = None
        while not stopped.wait(LOOK_S):
            step = self._step
            if step is None or step is told or time.monotonic() - step[1] < BLOCKED_S:
                continue
            told = step
            frame = sys._current_frames().get(self._loop_thread)
            where = place_of_frame(frame) if frame is not None else "somewhere"
            self._faults.tell(step[0], "blocked", f"the loop, at {where}: a plain function would run on a thread")


class _Watched(Coroutine[Any, Any, object]):
    """Steps a coroutine, and says when."""

    def __init__(self, watch: Watch, name: str, coroutine: Coroutine[Any, Any, object]) -> None:
        self._watch, self._name, self._coroutine = watch, name, coroutine

    def send(self, value: object) -> object:
        """One step."""
        self._watch.begin(self._name)
        try:
            return self._coroutine.send(value)
        finally:
            self._watch.end()

    def throw(self, *error: Any) -> object:
        """One step, which begins with an exception."""
        self._watch.begin(self._name)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._watch.end()

    def close(self) -> None:
        """No more steps."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, object]:
        """As any coroutine."""
        return self._coroutine.__await__()
