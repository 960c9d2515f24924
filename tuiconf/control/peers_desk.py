"""Does what the control API asks about people, and keeps what is known of them in step with the store on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from tuiconf.adapters.peers import PeersFile
from tuiconf.adapters.words import words_of
from tuiconf.conference.acquaintances import Acquaintances
from tuiconf.conference.events import Event, Failed, Joined, ParticipantJoined, ParticipantLeft, Trust
from tuiconf.conference.membership import Membership
from tuiconf.conference.refusals import NotInCall
from tuiconf.control.events import TrustChanged
from tuiconf.control.peer_book import PeerBook, Someone
from tuiconf.control.requests import Done
from tuiconf.control.schema import AnyRequest
from tuiconf.control.verifying import (
    AcceptPeer,
    ForgetPeer,
    GetRoomCode,
    ListPeers,
    RoomCode,
    ShowPeer,
    VerifyPeer,
)
from tuiconf.engine import Engine
from tuiconf.errors import TuiconfError
from tuiconf.identity.trust import Change, TooManyPeers

# How soon we notice what another process has decided: the number, time and size of one file are looked at, 5 µs.
LOOK_S: Final = 1.0

# Those who come within this time are written down together.
GATHER_S: Final = 0.3

# A disk that was full is tried again after so long, or at the next decision.
RETRY_S: Final = 30.0


class PeersDesk:
    """`people` is the judge that the session was given, `file` what it was made of; `contain` is told of our bugs."""

    def __init__(
        self,
        engine: Engine,
        people: Acquaintances,
        file: PeersFile,
        *,
        own_key: bytes,
        on_event: Callable[[Event], None],
        contain: Callable[[Exception], None],
    ) -> None:
        self._engine = engine
        self._people = people
        self._file = file
        self._own_key = own_key
        self._on_event = on_event
        self._contain = contain
        self._told: dict[str, Trust] = {}  # by fingerprint: what the front ends were told of those who are here
        self._something = asyncio.Event()  # has happened that there is something to store for
        self._unsettled = False  # people came or went
        self._turn = asyncio.Lock()  # one thread at a time has the file
        self._retry_at = 0.0
        self._trouble = ""

    # --- what happens

    def happened(self, event: Event) -> None:
        """To be told everything, before anybody else is."""
        match event:
            case Joined(participants=participants):
                self._told = {who.fingerprint: who.trust for who in participants}
            case ParticipantJoined(participant=who):
                self._told[who.fingerprint] = who.trust
            case ParticipantLeft(participant=who):
                self._told.pop(who.fingerprint, None)
            case _:
                return
        self._unsettled = True
        self._something.set()

    async def run(self) -> None:
        """Until it is cancelled: store whom we meet, and follow what others decide."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._something.wait()
                await asyncio.sleep(GATHER_S)
            self._something.clear()
            try:
                await self._keep_in_step()
            except Exception as fault:  # noqa: BLE001 - a bug of ours costs one look, and not the others
                self._contain(fault)

    async def close(self) -> None:
        """The call is over: what is not stored yet is tried once more."""
        self._retry_at = 0.0
        await self._keep_in_step()

    async def _keep_in_step(self) -> None:
        """What goes wrong is told once: the call goes on with what is known."""
        try:
            if await self._exchange():
                raise TooManyPeers
        except TuiconfError as error:
            self._retry_at = time.monotonic() + RETRY_S
            if str(error) != self._trouble:
                self._trouble = str(error)
                message = f"{error}; who is met or verified now is remembered for this call only until that is repaired"
                self._on_event(Failed(code=error.code, message=message, fatal=False))

    async def _exchange(self, *, at_once: bool = False) -> list[Change]:
        """Write what is not in the file, and take over what is; the decisions for which it has no room.

        `at_once`: also if that has just failed. Somebody waits to hear whether what they decided is stored.

        Raises:
            TuiconfError: it cannot be read or written.
        """
        refused: list[Change] = []
        async with self._turn:
            changes = self._people.unstored
            if changes and (at_once or time.monotonic() >= self._retry_at):
                pins, refused = await asyncio.to_thread(self._file.write, changes)
                self._people.stored(pins, written=[change for change in changes if change not in refused])
            elif self._file.has_changed():
                self._people.stored(await asyncio.to_thread(self._file.read))
            elif not self._unsettled:
                return refused
        self._settle()
        if not self._people.unstored:
            self._trouble = ""
        return refused

    def _settle(self) -> None:
        """Everything follows from who people are to us now: who is heard, who need not wait, what is shown."""
        self._unsettled = False
        membership = self._engine.membership
        if membership is None:
            return
        before = len(self._people.unstored)
        self._people.meet(((who.key, who.name) for who in membership.roster.by_leaf.values()), unix=time.time())
        if len(self._people.unstored) > before:
            self._something.set()
        told, people = self._told, membership.people()
        changed = [who for who in people if told.get(who.fingerprint, who.trust) != who.trust]
        self._told = {who.fingerprint: who.trust for who in people}
        self._engine.follow_trust()
        for who in changed:
            self._on_event(TrustChanged(participant=who))

    # --- requests

    async def do(self, request: AnyRequest) -> msgspec.Struct | None:
        """Do it; None when it is not one about people.

        Raises:
            TuiconfError: it cannot be done, or a decision could not be stored; then it holds for this call.
        """
        match request:
            case GetRoomCode():
                return self._room_code()
            case ListPeers():
                return (await self._book()).all()
            case ShowPeer(peer=wanted):
                return (await self._book()).show(wanted)
            case VerifyPeer():
                book = await self._book()
                await self._decide(book.verify(request, at=time.time(), epoch=self._epoch))
            case AcceptPeer(peer=wanted):
                await self._decide((await self._book()).accept(wanted, at=time.time()))
            case ForgetPeer(peer=wanted):
                await self._decide((await self._book()).forget(wanted))
            case _:
                return None
        return Done()

    async def _decide(self, change: Change) -> None:
        self._people.decide(change)
        self._settle()
        if change in await self._exchange(at_once=True):
            raise TooManyPeers

    async def _book(self) -> PeerBook:
        """With what others have written: for a decision the newest counts."""
        await self._keep_in_step()
        return PeerBook(self._own_key, self._people.pins, self._everyone_here())

    def _everyone_here(self) -> Iterator[Someone]:
        """Whoever knocks is in the lobby only if they are not in the group as well."""
        for key, caller in self._engine.session.waiting:
            if caller.trust != "self":
                yield Someone(key=key, name=caller.name, trust=caller.trust)
        membership = self._engine.membership
        for who in membership.roster.by_leaf.values() if membership is not None else ():
            trust = self._people.judge(who.key, who.name)
            if trust != "self":
                yield Someone(key=who.key, name=who.name, trust=trust, leaf=who.leaf)

    def _room_code(self) -> RoomCode:
        membership = self._membership
        return RoomCode(epoch=membership.epoch, digits=membership.security_code, words=words_of(membership.room_words))

    @property
    def _membership(self) -> Membership:
        membership = self._engine.membership
        if membership is None:
            raise NotInCall("not in the call")
        return membership

    @property
    def _epoch(self) -> int | None:
        membership = self._engine.membership
        return membership.epoch if membership is not None else None
