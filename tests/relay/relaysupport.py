"""What the relay's tests share: a room's clients as the pure rooms see them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from relay_quic.fanout import PeerId
from relay_quic.limits import Rates
from relay_quic.rooms import Close, Effect, Rooms, Send
from relay_quic.wire import (
    ClientMessage,
    Commit,
    Enter,
    Entered,
    GoodbyeCode,
    Leave,
    Note,
    Ordered,
    Publish,
    RelayMessage,
    Resume,
    Seq,
    Welcome,
    room_id,
)

PROOF = b"p" * 32

# Rates that no test reaches by accident.
GENEROUS = Rates(messages=1e9, commits=1e9, publishes=1e9, notes=1e9, fanout_bytes=1e12, enters=1e9, stream_bytes=1e12)


def enter(proof: bytes = PROOF, *, resume: Resume | None = None) -> Enter:
    """An `Enter` with the room id that belongs to the proof."""
    return Enter(room=room_id(proof), proof=proof, resume=resume)


def commit(
    after: int, *, data: bytes = b"commit", welcome: bytes = b"", to: list[int] | None = None, request: int = 1
) -> Commit:
    """A commit on top of the commit at `after`."""
    return Commit(request=request, after=after, data=data, welcome=welcome, welcome_to=to or [])


def publish(data: bytes = b"chat", *, handshake: bool = False, request: int = 1) -> Publish:
    """A message for the order."""
    return Publish(request=request, handshake=handshake, data=data)


def note(data: bytes = b"knock", *, to: int | None = None, request: int = 1) -> Note:
    """A note to everyone else, or to one."""
    return Note(request=request, to=to, data=data)


@dataclass
class Client:
    """One connection as its client sees it."""

    house: House
    peer: PeerId
    proof: bytes
    received: list[RelayMessage] = field(default_factory=list)
    goodbye: GoodbyeCode | None = None

    @property
    def entered(self) -> Entered:
        """The answer to its `Enter`."""
        [entered] = [message for message in self.received if isinstance(message, Entered)]
        return entered

    @property
    def id(self) -> int:
        """Its connection id in the room."""
        return self.entered.connection

    @property
    def last_seq(self) -> Seq:
        """The last place it has received."""
        seqs = [message.seq for message in self.received if isinstance(message, Ordered | Welcome)]
        return Seq(max(seqs, default=0))

    def say(self, message: ClientMessage) -> list[RelayMessage]:
        """Say something, and what came back to this client because of it."""
        before = len(self.received)
        self.house.perform(self.house.rooms.receive(self.peer, message, now=self.house.now))
        return self.received[before:]

    def take(self) -> list[RelayMessage]:
        """What has been received since the last time, `Entered` aside (it stays)."""
        taken: list[RelayMessage] = [message for message in self.received if not isinstance(message, Entered)]
        self.received = [message for message in self.received if isinstance(message, Entered)]
        return taken

    def lose(self) -> None:
        """The connection breaks."""
        self.house.clients.pop(self.peer, None)
        self.house.perform(self.house.rooms.lost(self.peer, now=self.house.now))

    def leave(self) -> None:
        """It leaves for good."""
        self.say(Leave())

    def resumption(self, *, after: int) -> Resume:
        """What it would say to go on after `after`."""
        entered = self.entered
        return Resume(incarnation=entered.incarnation, connection=self.id, token=entered.token, after=after)

    def back(self, *, after: int) -> Client:
        """A new connection that takes this one up again."""
        return self.house.come(self.proof, resume=self.resumption(after=after))


class House:
    """Rooms and their clients, with a clock that is set by hand."""

    def __init__(self, rates: Rates = GENEROUS, *, max_rooms: int = 64, max_per_room: int = 64) -> None:
        random = itertools.count(1)
        self.rooms = Rooms(
            random=lambda size: next(random).to_bytes(size, "big"),
            rates=rates,
            max_rooms=max_rooms,
            max_connections_per_room=max_per_room,
        )
        self.now = 1000.0
        self.clients: dict[PeerId, Client] = {}
        self._peers = itertools.count(1)

    def come(self, proof: bytes = PROOF, *, resume: Resume | None = None) -> Client:
        """A new connection that enters the room of `proof`."""
        client = Client(self, PeerId(next(self._peers)), proof)
        self.clients[client.peer] = client
        client.say(enter(proof, resume=resume))
        return client

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.rooms.expire(now=self.now)

    def perform(self, effects: list[Effect]) -> None:
        """Deliver what the rooms want delivered."""
        for effect in effects:
            if isinstance(effect, Close):
                client = self.clients.pop(effect.peer)
                client.goodbye = effect.reason
            else:
                self._deliver(effect)

    def _deliver(self, effect: Send) -> None:
        assert len(set(effect.to)) == len(effect.to)
        for peer in effect.to:
            if peer in self.clients:
                self.clients[peer].received.append(effect.message)
