"""Messages for the group that the relay has not yet taken: kept until it has, so that none is lost. Pure.

One is under way at a time, so they arrive in the order they were said even when the relay refuses some for haste,
and a receiver can tell by its number alone whether a line was shown already.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from tuiconf.conference.content import Chat, Content, OfItsEpoch

# A person types a line a second at most; a script that floods is told so instead of filling memory.
MAX_WAITING: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Sent:
    request: int
    content: Content
    sealed: bytes
    epoch: int


class Outbox:
    """What is to be said, in order.

    The content is kept, not the ciphertext: after an epoch change or a reconnection it is sealed anew.
    """

    def __init__(self) -> None:
        self._unsent: deque[Content] = deque()
        self._sent: _Sent | None = None

    def __len__(self) -> int:
        return len(self._unsent) + (self._sent is not None)

    @property
    def ready(self) -> bool:
        """Whether there is something to send, and nothing under way."""
        return self._sent is None and bool(self._unsent)

    def add(self, content: Content) -> bool:
        """Keep this until it is taken; False when too much waits already."""
        if len(self) >= MAX_WAITING:
            return False
        self._unsent.append(content)
        return True

    def add_command(self, content: OfItsEpoch) -> bool:
        """The same, to be sent before all lines."""
        if len(self) >= MAX_WAITING:
            return False
        self._unsent.appendleft(content)
        return True

    def add_urgent(self, content: Content) -> None:
        """Keep this, to be sent before all lines, in place of any unsent one of its kind."""
        self.drop(type(content))
        self._unsent.appendleft(content)

    def drop(self, kind: type[Content]) -> None:
        """What is unsent of this kind is no longer true."""
        self._unsent = deque(waiting for waiting in self._unsent if not isinstance(waiting, kind))

    def take(self) -> Content | None:
        """What is to be sealed and sent now, if anything; then call `sent`."""
        return self._unsent.popleft() if self.ready else None

    def sent(self, request: int, content: Content, sealed: bytes, *, epoch: int) -> None:
        """It went to the relay under this request, sealed in this epoch."""
        self._sent = _Sent(request=request, content=content, sealed=sealed, epoch=epoch)

    def taken(self, request: int, *, epoch: int) -> Content | None:
        """The relay gave it a place, in this epoch; what was said with it, if it counts there."""
        sent = self._sent
        return self._placed(sent, epoch) if sent is not None and sent.request == request else None

    def seen(self, sealed: bytes, *, epoch: int) -> Content | None:
        """It came back in a replay: the relay had taken it, in this epoch."""
        sent = self._sent
        return self._placed(sent, epoch) if sent is not None and sent.sealed == sealed else None

    def _placed(self, sent: _Sent, epoch: int) -> Content | None:
        self._sent = None
        if isinstance(sent.content, OfItsEpoch | Chat) and sent.epoch != epoch:
            # A commit came between. Commands say nothing in another epoch, and a line can be read by all but those
            # whom that commit let in; the others know it by its number.
            self._unsent.appendleft(sent.content)
            return None
        return sent.content

    def refused(self, request: int) -> None:
        """The relay did not take it now: it is to be sent again."""
        if self._sent is not None and self._sent.request == request:
            self.resend()

    def resend(self) -> None:
        """What is under way was not taken, as far as we can know: it is to be sent again, first."""
        if self._sent is not None:
            self._unsent.appendleft(self._sent.content)
            self._sent = None
