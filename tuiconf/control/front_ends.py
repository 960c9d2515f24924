"""The people at the clients of a call: whether anybody sits there, and whose talk key is down."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

# How long a front end that has just launched an engine may take to attach: the start of a Python, on a slow card.
FIRST_ATTACH_S: Final = 60.0


class Side(Protocol):
    """What of a call depends on who sits there."""

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        ...

    def mute(self, muted: bool) -> None:
        """Send nothing, and tell everyone so; or again what there is."""
        ...

    def hold_back(self) -> bool:
        """Send nothing for now; False when nothing would be sent anyway."""
        ...

    def go_ahead(self) -> None:
        """Send what was held back."""
        ...

    def talk(self, down: bool) -> None:
        """A talk key is down, or all are up."""
        ...

    def leave(self) -> None:
        """Leave the call."""
        ...

    def notice(self, message: str) -> None:
        """Tell people."""
        ...


class FrontEnds:
    """Whoever is gone without a word is muted at once, and leaves when nobody attaches within `stay_s`."""

    def __init__(self, side: Side, *, stay_s: float) -> None:
        self._side = side
        self._stay_s = stay_s
        self._attached: set[object] = set()
        self._talking: set[object] = set()  # whose talk key is down
        self._leaving: asyncio.TimerHandle | None = None
        self._held_back = False

    def __len__(self) -> int:
        return len(self._attached)

    def expect(self) -> None:
        """A person is about to attach; until then nothing is sent. Who does not is as gone as a lost terminal's."""
        self._held_back = self._side.hold_back()
        self._leave_in(FIRST_ATTACH_S)

    def attach(self, client: object) -> None:
        """This client is a person's front end."""
        self._attached.add(client)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._held_back:
            self._held_back = False
            self._side.go_ahead()

    def detach(self, client: object, *, wanted: bool) -> None:
        """It no longer is: because it said so, or because it is gone."""
        if client not in self._attached:
            return
        self._attached.discard(client)
        if not (wanted or self._attached or self._side.over):
            self.lose()

    def lose(self) -> None:
        """The terminal is gone in which the person sat."""
        self._side.mute(True)
        self._side.notice(f"the terminal is gone: muted, and leaving in {self._stay_s:.0f} s unless someone attaches")
        self._leave_in(self._stay_s)

    def push_to_talk(self, client: object, *, down: bool) -> None:
        """The talk key of this client. Up, from one that holds none, is up for all: a switch has a process for each."""
        if down:
            self._talking.add(client)
        elif client in self._talking:
            self._talking.discard(client)
        else:
            self._talking.clear()
        self._side.talk(bool(self._talking))

    def gone(self, client: object) -> None:
        """The connection of this client is over: its key is up, and nobody sits there."""
        self._talking.discard(client)
        self._side.talk(bool(self._talking))
        self.detach(client, wanted=False)

    def _leave_in(self, seconds: float) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = asyncio.get_running_loop().call_later(seconds, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        self._side.leave()
