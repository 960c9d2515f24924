"""Messages for the group that the relay has not yet taken: kept until it has, so that none is lost. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from tuiconf.conference.content import Content

# A person types a line a second at most; a script that floods is told so instead of filling memory.
MAX_WAITING: Final = 256


class Outbox:
    """What is to be said, in order, and under which request it went out, if it did.

    The content is kept, not the ciphertext: after an epoch change or a reconnection it is sealed anew.
    """

    def __init__(self) -> None:
        self._unsent: list[Content] = []
        self._sent: OrderedDict[int, tuple[Content, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._unsent) + len(self._sent)

    @property
    def unsent(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._unsent)

    def add(self, content: Content) -> bool:
        """Keep this until it is taken; False when too much waits already."""
        if len(self) >= MAX_WAITING:
            return False
        self._unsent.append(content)
        return True

    def take_unsent(self) -> list[Content]:
        """What is to be sealed and sent now."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def sent(self, request: int, content: Content, sealed: bytes) -> None:
        """It went to the relay under this request."""
        self._sent[request] = (content, sealed)

    def taken(self, request: int) -> None:
        """The relay gave it a place."""
        self._sent.pop(request, None)

    def seen(self, sealed: bytes) -> None:
        """It came back in a replay: the relay had taken it."""
        for request, (_, data) in list(self._sent.items()):
            if data == sealed:
                del self._sent[request]

    def refused(self, request: int) -> None:
        """The relay did not take it now: it is to be sent again."""
        if (entry := self._sent.pop(request, None)) is not None:
            self._unsent.append(entry[0])

    def resend(self) -> None:
        """The connection is a new one: whatever was not taken is to be sent again, in its order."""
        self._unsent = [content for content, _ in self._sent.values()] + self._unsent
        self._sent.clear()
