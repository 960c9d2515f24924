"""What a room keeps of its past for those who come back, bounded in number and bytes.

Pure. A member can only go on if it has missed no commit and no proposal, so the log knows exactly what it has
forgotten, and says «no» rather than leave a hole. Chat may have holes.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from relay_quic.wire import ConnectionId, Kind, Ordered, Seq, Welcome

# 256 handshake messages are a minute of joins and leaves at the fastest. In a room of 1,000 a commit with a path is
# 82 kB, so the bytes are for 256 of these with a few newcomers each; in a room of 10 they are 500 kB. A hostile room
# can fill its 22 MiB in seconds, and three fill what all rooms may keep (`KEPT_RELAY_BYTES`). More of them can shorten
# the past of a large room, whose people then knock again instead of resuming, but not of a small one: the largest pay
# first. And whoever resumes can have all of it sent again, which counts against their address (limits.py). Doubling
# any of these doubles what the worst room can make the relay hold.
KEPT_MESSAGES: Final = 256
KEPT_HANDSHAKE_BYTES: Final = 22 << 20
KEPT_APPLICATION_BYTES: Final = 1 << 19
# A Welcome of the largest size still fits.
KEPT_WELCOME_BYTES: Final = (1 << 20) + 4096

# Counted for each kept message beside its data: the objects around it.
ENTRY_BYTES: Final = 300

Message = TypeVar("Message", Ordered, Welcome)


class _Kept(Generic[Message]):
    """The newest messages, in order of their `seq`; the oldest are forgotten first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.messages: deque[Message] = deque()
        self.size_bytes = 0
        self.forgotten_up_to = Seq(0)

    def append(self, message: Message) -> None:
        self.messages.append(message)
        self.size_bytes += len(message.data) + ENTRY_BYTES
        while len(self.messages) > KEPT_MESSAGES:
            self._forget_oldest()
        self.shrink(self._max_bytes)

    def shrink(self, max_bytes: int) -> None:
        while self.messages and self.size_bytes > max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self.messages.popleft()
        self.size_bytes -= len(oldest.data) + ENTRY_BYTES
        self.forgotten_up_to = Seq(oldest.seq)


class RoomLog:
    """The last commits and proposals of one room, its last application messages, and its last Welcomes."""

    def __init__(self) -> None:
        self._handshake = _Kept[Ordered](max_bytes=KEPT_HANDSHAKE_BYTES)
        self._application = _Kept[Ordered](max_bytes=KEPT_APPLICATION_BYTES)
        self._welcomes = _Kept[Welcome](max_bytes=KEPT_WELCOME_BYTES)
        self._welcome_to: dict[Seq, frozenset[ConnectionId]] = {}

    @property
    def size_bytes(self) -> int:
        """How much is kept, roughly as it lies in memory."""
        return self._handshake.size_bytes + self._application.size_bytes + self._welcomes.size_bytes

    def add(self, message: Ordered) -> None:
        """Keep the room's next message."""
        if message.kind is Kind.APPLICATION:
            self._application.append(message)
        else:
            self._handshake.append(message)

    def add_welcome(self, welcome: Welcome, to: frozenset[ConnectionId]) -> None:
        """Keep a Welcome for those it was sent to."""
        self._welcome_to[Seq(welcome.seq)] = to
        self._welcomes.append(welcome)
        self._forget_addressees()

    def halve(self) -> None:
        """Forget the older half of what is kept, in bytes."""
        for kept in (self._handshake, self._application):
            kept.shrink(kept.size_bytes // 2)
        self._welcomes.shrink(self._welcomes.size_bytes // 2)
        self._forget_addressees()

    def replay(self, after: Seq, *, to: ConnectionId, welcomed_at: Seq) -> list[Ordered | Welcome] | None:
        """What `to` must be sent to go on after `after`; None when something of it is forgotten.

        `welcomed_at` is the place of the last commit that welcomed `to`, 0 when none did. A Welcome at `after` itself
        is sent again: it travels behind its commit, and may have been lost when the commit was not.
        """
        may_lack_welcome = welcomed_at != 0 and after <= welcomed_at
        if after < self._handshake.forgotten_up_to or (
            may_lack_welcome and welcomed_at <= self._welcomes.forgotten_up_to
        ):
            return None
        missed: list[Ordered | Welcome] = []
        missed += [m for m in self._handshake.messages if m.seq > after]
        missed += [m for m in self._application.messages if m.seq > after]
        missed += [w for w in self._welcomes.messages if w.seq >= after and to in self._welcome_to[Seq(w.seq)]]
        return sorted(missed, key=_place)

    def _forget_addressees(self) -> None:
        kept = {welcome.seq for welcome in self._welcomes.messages}
        for seq in [seq for seq in self._welcome_to if seq not in kept]:
            del self._welcome_to[seq]


def _place(message: Ordered | Welcome) -> tuple[int, bool]:
    """A Welcome comes right behind its commit."""
    return message.seq, isinstance(message, Welcome)
