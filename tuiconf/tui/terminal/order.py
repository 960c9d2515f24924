"""Keys that come faster than they are dealt with: the next one waits until it is known where it goes. Pure.

Over a slow link `c` and what is then typed into the chat arrive in one packet. Textual sends each key to whoever has
the focus when it comes, and `c` moves the focus only when it is dealt with: the letters after it would be commands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from textual.message import Message

# Typed ahead; more is a cat on the keyboard, and is not kept. A paste is one event, however long.
MAX_WAITING = 1_024


class InOrder:
    """`send` is given a key and its number; the next follows once `done` is told that number."""

    def __init__(self, send: Callable[[Message, int], None]) -> None:
        self._send = send
        self._waiting: deque[Message] = deque()
        self._number = 0
        self._busy = False

    def add(self, key: Message) -> None:
        """A key was pressed, or let go."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(key)
        self._go_on()

    def done(self, number: int) -> None:
        """That one is dealt with. Told again, or late, it means nothing."""
        if number == self._number:
            self._busy = False
            self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._number += 1
            self._send(self._waiting.popleft(), self._number)
