"""What is said in passing: never more at once than leaves the call to be seen, whoever makes something happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from textual.app import App
from textual.timer import Timer

Severity = Literal["information", "warning", "error"]

# As long as it takes to look up and read two lines.
SHOWN_S: Final = 6.0

# Three cover a third of 24 lines. A hundred people who join at once would cover all of them, and hide the latest.
MOST: Final = 3
# In a small window one is a third already.
MOST_IN_LITTLE_ROOM: Final = 1
LITTLE_ROOM: Final = 18

# Where more happens than there is room for, what is shown changes so often: slower than that can be read.
RENEWED_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """A sentence, until then."""

    text: str
    severity: Severity
    until: float


class Toasts:
    """Shows them in `app`. Of too many, sentences that are no warnings go first, and of those the oldest."""

    def __init__(self, app: App[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._shown: list[Toast] = []
        self._renewing: Timer | None = None

    def say(self, text: str, severity: Severity) -> None:
        """Say it, at once where there is room."""
        now = self._clock()
        current = [toast for toast in self._shown if toast.until > now]
        toast = Toast(text=text, severity=severity, until=now + SHOWN_S)
        self._shown = latest([*current, toast], self._most)
        if self._renewing is not None:
            return
        if len(self._shown) > len(current):
            self._show(toast, now)
        else:
            wait = 0.001 if severity != "information" else RENEWED_S
            self._renewing = self._app.set_timer(wait, self._renew)

    @property
    def _most(self) -> int:
        return MOST if self._app.size.height >= LITTLE_ROOM else MOST_IN_LITTLE_ROOM

    def _renew(self) -> None:
        self._renewing = None
        now = self._clock()
        self._app.clear_notifications()
        for toast in self._shown:
            if toast.until > now:
                self._show(toast, now)

    def _show(self, toast: Toast, now: float) -> None:
        self._app.notify(toast.text, severity=toast.severity, timeout=toast.until - now, markup=False)


def latest(toasts: list[Toast], most: int) -> list[Toast]:
    """As many as there is room for, in the order in which they were said. The last one is always among them."""
    left = list(toasts)
    while len(left) > most:
        left.remove(next((toast for toast in left[:-1] if toast.severity == "information"), left[0]))
    return left
