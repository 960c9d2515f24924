"""People and the store, in real calls: who is met is stored, what is decided anywhere is so here, and told."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, TypeVar

import pytest

from relay_quic.quic import Library
from tests.control.support import until
from tests.relay.livesupport import a_live_relay
from tuiconf.adapters.audio.null import NullSink, NullSource
from tuiconf.adapters.peers import PeersFile
from tuiconf.adapters.private_files import FileError
from tuiconf.conference.acquaintances import Acquaintances
from tuiconf.conference.events import Event, Failed, Joined, Knocked, Left, Person
from tuiconf.conference.membership import Self
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.refusals import NotInCall
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.config import Recording
from tuiconf.control import peers_desk, schema
from tuiconf.control.events import TrustChanged
from tuiconf.control.peer_book import EpochOver
from tuiconf.control.peers_desk import PeersDesk
from tuiconf.control.people import NobodyMeant
from tuiconf.control.recorder import CallRecorder
from tuiconf.control.schema import Request
from tuiconf.control.service import About, CallService
from tuiconf.engine import Call, Engine
from tuiconf.identity import trust
from tuiconf.identity.keys import Identity, fingerprint
from tuiconf.identity.link import LinkKeys, RelayAddress, derive_keys, new_link
from tuiconf.identity.trust import Accepted, Change, Compared, Finding, Forgotten, Met, TooManyPeers
from tuiconf.media import opus

R = TypeVar("R")

MARA: Final = Identity(name="Mara", seed=b"m" * 32)
IMPOSTOR: Final = Identity(name="Mara", seed=b"i" * 32)
BEN: Final = Identity(name="Ben", seed=b"b" * 32)


def met(who: Identity) -> Met:
    return Met(key=who.public_key, name=who.name, at=1e9)


def compared(who: Identity, *, matches: bool = True) -> Compared:
    return Compared(key=who.public_key, name=who.name, finding=Finding(at=1e9, how="safety_number", matches=matches))


class Room:
    """A room on a live relay, and what it takes to be in it."""

    def __init__(self, relay: RelayAddress, store: Path) -> None:
        self.relay = relay
        self.store = store
        self.keys: LinkKeys = derive_keys(new_link(relay, None, rng=os.urandom))
        self._stack = contextlib.AsyncExitStack()

    async def host(self, *changes: Change, rules: RoomRules | None = None) -> Host:
        """Ann, in whose store that has happened before."""
        file = PeersFile(self.store, rng=os.urandom)
        if changes:
            file.change(changes)
        host = Host(self, file, rules or RoomRules())
        await self._stack.enter_async_context(host.running())
        return host

    async def guest(self, who: Identity) -> Engine:
        """Somebody else."""
        me = Self(identity=who, psk=self.keys.psk, rng=os.urandom)
        engine = Engine(self.call(Session(me, self.keys, creator=False)), lambda _: None)
        await self._stack.enter_async_context(running(engine))
        return engine

    def call(self, session: Session) -> Call:
        return Call(
            relay=self.relay,
            session=session,
            sound=Sound(opus.load()),
            source=NullSource(),
            sink=NullSink(),
            trust=lambda address, offered: None,
            library="auto",
        )

    async def close(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    run = asyncio.create_task(engine.run())
    yield
    engine.hang_up()
    await run


class Host:
    """Ann's engine as the control API sees it."""

    def __init__(self, room: Room, file: PeersFile, rules: RoomRules) -> None:
        self.events: list[Event] = []
        self.file = file
        self.identity = Identity.create("Ann", os.urandom)
        own_key = self.identity.public_key
        people = Acquaintances(own_key, file.read())
        me = Self(identity=self.identity, psk=room.keys.psk, rng=os.urandom, judge=people)
        about = About(call="abcd", room="room", socket="", version="", pid=0, link=lambda: "")
        self.service = CallService(about, self._happened)
        session = Session(me, room.keys, creator=True, rules=rules)
        self.engine = Engine(room.call(session), self.service.on_event, self.service.played)
        self.desk = PeersDesk(
            self.engine,
            people,
            file,
            own_key=own_key,
            on_event=self.service.on_event,
            contain=self.service.contain,
        )
        recorder = CallRecorder(self.engine, opus.load(), Recording(), self.service.on_event)
        self.service.serve(self.engine, recorder, self.desk)

    def _happened(self, event: Event) -> None:
        self.desk.happened(event)
        self.events.append(event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        background = asyncio.create_task(self.desk.run())
        async with running(self.engine):
            await until(lambda: any(isinstance(event, Joined) for event in self.events))
            yield
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)
        await self.desk.close()
        assert any(isinstance(event, Left) for event in self.events)

    async def do(self, request: Request[R]) -> R:
        answer = await self.service.do(request)
        assert isinstance(answer, request.result)
        return answer  # type: ignore[return-value]

    async def person(self, who: Identity) -> Person:
        """Once they are here."""
        mark = fingerprint(who.public_key)
        await until(lambda: self._find(mark))
        found = self._find(mark)
        assert found is not None
        return found

    def _find(self, mark: str) -> Person | None:
        membership = self.engine.membership
        people = membership.people() if membership is not None else ()
        return next((person for person in people if person.fingerprint == mark), None)

    async def becomes(self, who: Identity, trust: str) -> None:
        """Wait until they are that to us, and see that it was told, and holds for what is heard."""
        await until(lambda: (person := self._find(fingerprint(who.public_key))) is not None and person.trust == trust)
        person = await self.person(who)
        await until(lambda: TrustChanged(participant=person) in self.events)
        state = await self.do(schema.GetState())
        assert person in state.participants
        assert (person.leaf in self.engine.sound.silenced) is (trust == "changed")

    def failures(self) -> list[Failed]:
        return [event for event in self.events if isinstance(event, Failed)]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with a_live_relay(tmp_path / "relay", Library.QH3) as relay:
        host, port = relay.address
        room = Room(RelayAddress(host=host, port=port), tmp_path / "data" / "known_peers")
        yield room
        await room.close()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk looks often, so that nobody has to wait for it."""
    monkeypatch.setattr(peers_desk, "LOOK_S", 0.03)
    monkeypatch.setattr(peers_desk, "GATHER_S", 0.01)


async def test_whoever_is_met_is_stored_and_is_new_until_they_are_verified(room: Room) -> None:
    ann = await room.host()
    await room.guest(MARA)
    assert (await ann.person(MARA)).trust == "new"
    await until(lambda: len(PeersFile(room.store, rng=os.urandom).read()) == 1)
    [peer] = (await ann.do(schema.ListPeers())).peers
    assert (peer.fingerprint, peer.name, peer.trust) == (fingerprint(MARA.public_key), "Mara", "new")
    shown = await ann.do(schema.ShowPeer(peer="Mara"))
    assert (shown.trust, shown.stored) == ("new", peer)
    code = await ann.do(schema.GetRoomCode())
    assert code.digits == (await ann.do(schema.GetState())).security_code
    assert len(code.words) == 8
    with pytest.raises(EpochOver):
        await ann.do(schema.VerifyPeer(peer="Mara", how="room_code", epoch=code.epoch - 1))
    assert (await ann.person(MARA)).trust == "new"
    await ann.do(schema.VerifyPeer(peer="Mara", how="room_code", epoch=code.epoch))
    await ann.becomes(MARA, "verified")
    [stored] = PeersFile(room.store, rng=os.urandom).read()
    assert stored.finding is not None
    assert (stored.finding.how, stored.trust) == ("room_code", "verified")
    await ann.do(schema.VerifyPeer(peer="Mara", how="safety_number", matches=False))
    await ann.becomes(MARA, "changed")
    await ann.do(schema.AcceptPeer(peer="Mara"))
    await ann.becomes(MARA, "known")
    await ann.do(schema.ForgetPeer(peer="Mara"))
    await ann.becomes(MARA, "new")
    await until(lambda: len(PeersFile(room.store, rng=os.urandom).read()) == 1)  # who is here is met anew
    assert ann.failures() == []


async def test_someone_under_the_name_of_another_is_silent_from_the_start_until_a_person_decides(room: Room) -> None:
    ann = await room.host(compared(MARA))
    await room.guest(IMPOSTOR)
    impostor = await ann.person(IMPOSTOR)
    assert impostor.trust == "changed"
    assert ann.engine.sound.silenced == {impostor.leaf}
    with pytest.raises(NobodyMeant, match="several"):
        await ann.do(schema.VerifyPeer(peer="Mara", how="safety_number"))
    assert len(PeersFile(room.store, rng=os.urandom).read()) == 1
    await ann.do(schema.AcceptPeer(peer="Mara"))
    await ann.becomes(IMPOSTOR, "known")
    trusts = {pin.key: pin.trust for pin in PeersFile(room.store, rng=os.urandom).read()}
    assert trusts == {MARA.public_key: "verified", IMPOSTOR.public_key: "known"}


async def test_what_another_process_decides_is_so_here(room: Room) -> None:
    ann = await room.host(met(MARA))
    await room.guest(MARA)
    await room.guest(IMPOSTOR)
    await ann.person(IMPOSTOR)
    other = PeersFile(room.store, rng=os.urandom)
    other.change([compared(MARA)])
    await ann.becomes(MARA, "verified")
    other.change([compared(MARA, matches=False)])
    await ann.becomes(MARA, "changed")
    other.change([Accepted(key=IMPOSTOR.public_key, name="Mara", at=1e9)])
    await ann.becomes(IMPOSTOR, "known")
    other.change([Forgotten(key=MARA.public_key)])
    await asyncio.sleep(0.1)
    assert (await ann.person(MARA)).trust == "changed"  # the name is the other's now
    assert (await ann.do(schema.ListPeers())).peers[0].fingerprint == fingerprint(IMPOSTOR.public_key)


async def test_when_others_have_filled_the_store_what_was_decided_here_holds_and_all_else_is_stored(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_desk, "RETRY_S", 0.05)
    ann = await room.host()
    await room.guest(MARA)
    await ann.person(MARA)
    other = PeersFile(room.store, rng=os.urandom)
    await until(lambda: len(other.read()) == 1)
    monkeypatch.setattr(trust, "MAX_PINS", 1)
    other.change([Forgotten(key=MARA.public_key), compared(BEN)])
    with pytest.raises(TooManyPeers):
        await ann.do(schema.VerifyPeer(peer="Mara", how="safety_number", matches=False))
    await ann.becomes(MARA, "changed")
    assert ann.engine.sound.silenced == {(await ann.person(MARA)).leaf}
    await ann.do(schema.VerifyPeer(peer="Ben", how="fingerprint", matches=False))  # of whom there is room
    assert [pin.trust for pin in other.read()] == ["changed"]
    await until(lambda: len(ann.failures()) == 1)
    await ann.do(schema.ForgetPeer(peer="Ben"))
    await until(lambda: [(pin.name, pin.trust) for pin in other.read()] == [("Mara", "changed")])
    assert (await ann.person(MARA)).trust == "changed"
    assert len(ann.failures()) == 1


async def test_on_a_full_disk_the_call_goes_on_and_what_was_decided_is_stored_when_there_is_room(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ann = await room.host(met(BEN))
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        await room.guest(MARA)
        await until(ann.failures)
        with pytest.raises(FileError, match="the disk is full"):
            await ann.do(schema.VerifyPeer(peer="Mara", how="safety_number"))
        await ann.becomes(MARA, "verified")
        [told] = ann.failures()
        assert (told.code, told.fatal) == ("file", False)
        assert "the disk is full" in told.message
        assert [pin.name for pin in PeersFile(room.store, rng=os.urandom).read()] == ["Ben"]
    await room.close()
    trusts = {pin.name: pin.trust for pin in PeersFile(room.store, rng=os.urandom).read()}
    assert trusts == {"Ben": "known", "Mara": "verified"}


async def test_a_store_that_becomes_unreadable_is_told_once_and_neither_overwritten_nor_forgotten(room: Room) -> None:
    ann = await room.host(compared(MARA))
    room.store.write_text("what is this\n", encoding="utf-8")
    await until(ann.failures)
    await room.guest(MARA)
    await room.guest(IMPOSTOR)
    assert (await ann.person(MARA)).trust == "verified"
    assert (await ann.person(IMPOSTOR)).trust == "changed"
    await ann.do(schema.ListPeers())
    [told] = ann.failures()
    assert told.code == "peers"
    assert f"{room.store}, line 1" in told.message
    assert room.store.read_text(encoding="utf-8") == "what is this\n"


async def test_who_waits_in_the_lobby_can_be_verified_and_then_need_not_wait(room: Room) -> None:
    ann = await room.host(met(MARA), rules=RoomRules(lobby="unknown"))
    await room.guest(MARA)
    await until(lambda: any(isinstance(event, Knocked) for event in ann.events))
    [caller] = (await ann.do(schema.GetState())).callers
    assert (caller.trust, caller.known) == ("known", False)
    await ann.do(schema.VerifyPeer(peer=caller.fingerprint, how="safety_number"))
    assert (await ann.person(MARA)).trust == "verified"


async def test_outside_of_a_call_there_is_no_room_code(room: Room) -> None:
    ann = Host(room, PeersFile(room.store, rng=os.urandom), RoomRules())
    with pytest.raises(NotInCall):
        await ann.do(schema.GetRoomCode())
    assert (await ann.do(schema.ListPeers())).peers == ()
