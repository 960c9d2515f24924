"""The people at the clients of a call: whether anybody sits there, and whose talk key is down."""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

from tuiconf.control.requests import MAX_HOLD_S

# How long a front end that has just launched an engine may take to attach: the start of a Python, on a slow card.
FIRST_ATTACH_S: Final = 60.0

# Whose key is down that outlives its connection: all such are one key.
_SWITCH: Final = object()


class Side(Protocol):
    """What of a call depends on who sits there."""

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        ...

    @property
    def prepared(self) -> bool:
        """Whether the call has not begun: nobody is in it."""
        ...

    def mute(self, muted: bool) -> None:
        """Send nothing, and tell everyone so; or again what there is."""
        ...

    def hold_back(self, held: bool) -> None:
        """Send nothing, whatever else is said, until somebody is there to decide about it."""
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
    """Whoever is gone without a word is muted at once, and leaves when nobody attaches within `stay_s` (for ever: inf).

    A call that has not begun ends with its last front end: it was prepared for whoever sat there.
    """

    def __init__(self, side: Side, *, stay_s: float) -> None:
        self._side = side
        self._stay_s = stay_s
        self._attached: set[object] = set()
        self._talking: dict[object, asyncio.TimerHandle] = {}  # whose talk key is down, and until when at most
        self._leaving: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._attached)

    def expect(self) -> None:
        """A person is about to attach; until then nothing is sent. Who does not is as gone as a lost terminal's."""
        self._side.hold_back(True)
        self._leave_in(FIRST_ATTACH_S)

    def attach(self, client: object) -> None:
        """This client is a person's front end."""
        self._attached.add(client)
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        self._side.hold_back(False)

    def detach(self, client: object, *, wanted: bool) -> None:
        """It no longer is: because it said so, or because it is gone."""
        if client not in self._attached:
            return
        self._attached.discard(client)
        if not (self._attached or self._side.over) and (self._side.prepared or not wanted):
            self.lose()

    def lose(self) -> None:
        """The terminal is gone in which the person sat."""
        if self._side.prepared:
            self._side.leave()
            return
        self._side.mute(True)
        self._let_go_all()
        if math.isinf(self._stay_s):
            self._side.notice("the terminal is gone: muted, and staying until someone attaches")
            return
        self._side.notice(f"the terminal is gone: muted, and leaving in {self._stay_s:.0f} s unless someone attaches")
        self._leave_in(self._stay_s)

    # --- talk keys

    def push_to_talk(
        self, client: object, *, down: bool, hold_s: float | None = None, renew_s: float | None = None
    ) -> None:
        """The talk key of this client. Up, from one that holds none, is up for all: a switch has a process for each.

        With `hold_s` it may be gone before its key is up: then that is up after so long at the latest. With `renew_s`
        it may hang: its key is up after so long, unless it says again that it is down.
        """
        if down and hold_s is not None:
            self._hold(_SWITCH, hold_s)
        elif down:
            self._hold(client, renew_s)
        elif client in self._talking:
            self._let_go(client)
        else:
            self._let_go_all()

    def gone(self, client: object) -> None:
        """The connection of this client is over: its key is up, and nobody sits there."""
        self._let_go(client)
        self.detach(client, wanted=False)

    def _hold(self, holder: object, at_most_s: float | None) -> None:
        """From now on, though it was down before; None: until it is taken for stuck."""
        if (timer := self._talking.pop(holder, None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        if at_most_s is None:
            self._talking[holder] = loop.call_later(MAX_HOLD_S, self._is_stuck, holder)
        else:
            self._talking[holder] = loop.call_later(at_most_s, self._let_go, holder)
        self._side.talk(True)

    def _let_go(self, holder: object) -> None:
        if (timer := self._talking.pop(holder, None)) is not None:
            timer.cancel()
            self._side.talk(bool(self._talking))

    def _let_go_all(self) -> None:
        for holder in tuple(self._talking):
            self._let_go(holder)

    def _is_stuck(self, holder: object) -> None:
        self._let_go(holder)
        self._side.notice(
            f"a talk key was down for {MAX_HOLD_S:.0f} s, and is taken for one that is stuck: press again"
        )

    # --- leaving

    def _leave_in(self, seconds: float) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = asyncio.get_running_loop().call_later(seconds, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        self._side.leave()
