"""The relay's shell: what QUIC delivers goes to the pure rooms and fan-out, and their effects are performed.

`Relay` is called by the endpoint, synchronously, on one event loop; `serve` puts both together.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from typing import Final

from relay_quic import certs, quic
from relay_quic.config import Caps, RelayConfig
from relay_quic.endpoint import Endpoint, Peer
from relay_quic.errors import TransportError, WireError
from relay_quic.fanout import FORWARD_ALL_UP_TO, PeerId, ReceiverQueue
from relay_quic.faults import Faults
from relay_quic.limits import Addresses, InboundLimits, Rates
from relay_quic.metrics import Metrics
from relay_quic.own_certificate import certificate_for
from relay_quic.rooms import Close, Effect, Random, Room, Rooms, Send
from relay_quic.wire import (
    MAX_FIRST_MESSAGE_BYTES,
    MAX_MESSAGE_BYTES,
    ClientMessage,
    DatagramKind,
    Deframer,
    Enter,
    Goodbye,
    GoodbyeCode,
    Ordered,
    Refused,
    Welcome,
    decode_client,
    encode,
    parse_datagram_prefix,
)

# What waits on the stream of a client that does not read: several Welcomes to a room of 1,000. Doubling it doubles what
# one stuck client can make the relay hold. What it is sent of the room's past when it resumes (up to 24 MB) comes on
# top, or it would be cut off for having been away; how many can do so at once is bounded by the next number.
MAX_STREAM_BACKLOG_BYTES: Final = 4 << 20
# All that is unread, and all messages that are still incomplete, of all clients together: above it those who hold most
# have to reconnect. More than one honest request makes (`MAX_FANOUT_AT_ONCE_BYTES`), and of 1 GB on a Raspberry Pi what
# the connections leave. Judged once a second, and whenever so much more has been written: what a crowd that reads
# nothing makes the relay hold would grow by gigabytes in a second.
MAX_RELAY_HELD_BYTES: Final = 128 << 20
JUDGE_HELD_EVERY_BYTES: Final = 16 << 20

# A connection that has not entered a room by then is not a participant.
ENTER_WITHIN_S: Final = 5.0

TICK_S: Final = 1.0

# So many more connections are taken than are allowed, only to tell them why they have to go. One that does not ask
# for anything holds its place for `ENTER_WITHIN_S`; beyond this number they are closed without a word.
MAX_TOLD_TO_GO: Final = 32


class _Client:
    __slots__ = ("connected_at", "deframer", "host", "inbound", "peer", "queue", "refusal", "replayed_bytes", "room")

    def __init__(self, peer: Peer, rates: Rates, *, refusal: GoodbyeCode | None, now: float) -> None:
        self.peer = peer
        self.refusal = refusal
        self.host = peer.host  # the address it was counted for: it may move
        self.connected_at = now
        self.deframer = Deframer(MAX_FIRST_MESSAGE_BYTES)
        self.inbound = InboundLimits(rates, now=now)
        self.queue = ReceiverQueue(bytes_per_s=rates.receiver_bytes, now=now)
        self.room: Room | None = None
        self.replayed_bytes = 0  # of the room's past, when it came

    @property
    def is_too_slow(self) -> bool:
        """Whether more waits for it than may."""
        return self.peer.stream_backlog_bytes > MAX_STREAM_BACKLOG_BYTES + self.replayed_bytes

    @property
    def held_bytes(self) -> int:
        """What the relay holds of its stream, in both directions."""
        return self.peer.stream_backlog_bytes + self.deframer.held_bytes


class Relay:
    """Handles every client of one endpoint. `now` is the endpoint's monotonic clock."""

    def __init__(self, *, caps: Caps | None = None, rates: Rates | None = None, random: Random = os.urandom) -> None:
        self.metrics = Metrics()
        self._caps = caps or Caps()
        self._rates = rates or Rates()
        self._rooms = Rooms(
            random=random,
            rates=self._rates,
            max_rooms=self._caps.rooms,
            max_connections_per_room=self._caps.connections_per_room,
        )
        self._addresses = Addresses(max_connections=self._caps.connections_per_address, enters_per_s=self._rates.enters)
        self._clients: dict[PeerId, _Client] = {}
        self._refused = 0  # of the clients, those who are only waiting to be told why they have to go
        self._with_datagrams: set[_Client] = set()
        self._unjudged_bytes = 0  # written since what is held was last judged

    @property
    def held_bytes(self) -> int:
        """What is unread or incomplete on the streams of all clients."""
        return sum(client.held_bytes for client in self._clients.values())

    def figures(self) -> dict[str, object]:
        """What there is now, and the counters."""
        return {
            "connected": len(self._clients),
            "rooms": len(self._rooms),
            "resumable": self._rooms.lost_count,
            "kept_bytes": self._rooms.kept_bytes,
            **asdict(self.metrics),
        }

    # --- called by the endpoint

    def connected(self, peer: Peer, *, now: float) -> None:
        """A handshake is complete."""
        self.metrics.connections += 1
        refusal = self._refusal_for(peer.host, now=now)
        if refusal is not None:
            # It is told why when it has opened the stream; there is place for a few who take their time.
            if self._refused >= MAX_TOLD_TO_GO:
                self.metrics.goodbye(refusal)
                peer.close()
                return
            self._refused += 1
        self._clients[PeerId(peer.id)] = _Client(peer, self._rates, refusal=refusal, now=now)

    def _refusal_for(self, host: str, *, now: float) -> GoodbyeCode | None:
        if len(self._clients) - self._refused >= self._caps.connections:
            return GoodbyeCode.RELAY_FULL
        return None if self._addresses.connected(host, now=now) else GoodbyeCode.RATE

    def stream_data(self, peer: Peer, data: bytes, *, now: float) -> None:
        """More of a client's control stream."""
        client = self._clients.get(PeerId(peer.id))
        if client is None:
            return
        if client.refusal is not None:
            self._dismiss(client, client.refusal, now=now)
            return
        if not client.inbound.stream(len(data), now=now):
            self._dismiss(client, GoodbyeCode.RATE, now=now)
            return
        try:
            for body in client.deframer.feed(data):
                if not client.inbound.message(now=now):
                    self._dismiss(client, GoodbyeCode.RATE, now=now)
                    return
                self._message(client, decode_client(body), now=now)
                if PeerId(peer.id) not in self._clients:
                    return
        except WireError:
            self._dismiss(client, GoodbyeCode.PROTOCOL, now=now)

    def datagram(self, peer: Peer, data: bytes, *, now: float) -> None:
        """A datagram to pass on, as it is, to the others in the room."""
        client = self._clients.get(PeerId(peer.id))
        if client is None:
            return
        self.metrics.datagrams_received += 1
        if not client.inbound.datagram(len(data), now=now):
            self.metrics.dropped_over_rate += 1
            return
        try:
            kind, loudness = parse_datagram_prefix(data)
        except WireError:
            self.metrics.dropped_malformed += 1
            return
        if client.room is None:
            self.metrics.dropped_malformed += 1
        else:
            self._fan_out(client.room, PeerId(peer.id), kind, loudness, data, now=now)

    def disconnected(self, peer: Peer, *, now: float) -> None:
        """A connection is gone; one that the relay closed itself has been forgotten before."""
        client = self._clients.get(PeerId(peer.id))
        if client is not None:
            self._forget(client)
            self._perform(self._rooms.lost(PeerId(peer.id), now=now), now=now)

    def turn_ended(self, *, now: float) -> None:
        """Hand what has gathered for each receiver to QUIC."""
        ready, self._with_datagrams = self._with_datagrams, set()
        for client in ready:
            self._flush(client, now=now)

    # --- called once a second

    def tick(self, *, now: float) -> None:
        """What happens because time passes."""
        self._rooms.expire(now=now)
        for client in list(self._clients.values()):
            if client.room is None and now - client.connected_at >= ENTER_WITHIN_S:
                self._dismiss(client, GoodbyeCode.PROTOCOL, now=now)
        self._perform(self._cut_off(self._heaviest(), now=now), now=now)

    def _heaviest(self) -> list[PeerId]:
        """Those who have to go so that what is held by the others is within its bound."""
        self._unjudged_bytes = 0
        held = sorted(((client.held_bytes, peer) for peer, client in self._clients.items()), reverse=True)
        excess = sum(size for size, _ in held) - MAX_RELAY_HELD_BYTES
        heaviest: list[PeerId] = []
        for size, peer in held:
            if excess <= 0:
                break
            excess -= size
            heaviest.append(peer)
        return heaviest

    def _cut_off(self, peers: Iterable[PeerId], *, now: float) -> list[Effect]:
        """Close those for whom too much is held, and the effects on the others."""
        effects: list[Effect] = []
        for peer in peers:
            self._close(peer, GoodbyeCode.TOO_SLOW)
            effects += self._rooms.lost(peer, now=now)
        return effects

    # --- messages

    def _message(self, client: _Client, message: ClientMessage, *, now: float) -> None:
        self.metrics.messages_received += 1
        peer = PeerId(client.peer.id)
        entering = isinstance(message, Enter) and client.room is None
        if entering and not self._addresses.may_enter(client.host, now=now):
            self._dismiss(client, GoodbyeCode.RATE, now=now)
            return
        effects = self._rooms.receive(peer, message, now=now)
        if entering:
            client.room = self._rooms.room_of(peer)
            client.deframer.limit = MAX_MESSAGE_BYTES
            client.replayed_bytes = _past_in(effects)
            self._addresses.replayed(client.replayed_bytes, client.host, now=now)
        self._perform(effects, now=now)

    def _perform(self, effects: Iterable[Effect], *, now: float) -> None:
        """Carry out effects in order, and those they lead to: a client found too slow is gone for the others."""
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Close):
                self._close(effect.peer, effect.reason)
                continue
            todo += self._cut_off(self._send(effect), now=now)
            if self._unjudged_bytes >= JUDGE_HELD_EVERY_BYTES:
                todo += self._cut_off(self._heaviest(), now=now)

    def _send(self, effect: Send) -> list[PeerId]:
        """Send, and give those to whom too much is now waiting to be sent."""
        if isinstance(effect.message, Refused):
            self.metrics.refused(effect.message.reason)
        data = encode(effect.message)
        too_slow: list[PeerId] = []
        for peer in effect.to:
            client = self._clients.get(peer)
            if client is None:
                continue
            client.peer.send_stream(data)
            self._unjudged_bytes += len(data)
            self.metrics.messages_sent += 1
            if client.is_too_slow:
                too_slow.append(peer)
        return too_slow

    # --- datagrams

    def _fan_out(
        self, room: Room, sender: PeerId, kind: DatagramKind, loudness: int, data: bytes, *, now: float
    ) -> None:
        if kind is DatagramKind.SIDE:
            wanted = room.reports.take(1, now=now)
        else:
            wanted = len(room.peers) <= FORWARD_ALL_UP_TO or room.speakers.heard(sender, loudness, now=now)
        if not wanted:
            self.metrics.dropped_not_selected += 1
            return
        for receiver in room.peers:
            if receiver == sender:
                continue
            client = self._clients.get(receiver)
            if client is not None:
                client.queue.push(sender, kind, data)
                self._with_datagrams.add(client)

    def _flush(self, client: _Client, *, now: float) -> None:
        dropped_before = client.queue.dropped
        for data in client.queue.drain(now=now):
            if client.peer.send_datagram(data):
                self.metrics.datagrams_forwarded += 1
            else:
                self.metrics.dropped_unsendable += 1
        self.metrics.dropped_stale += client.queue.dropped - dropped_before

    # --- ends

    def _dismiss(self, client: _Client, reason: GoodbyeCode, *, now: float) -> None:
        peer = PeerId(client.peer.id)
        self._close(peer, reason)
        self._perform(self._rooms.lost(peer, now=now), now=now)

    def _close(self, peer: PeerId, reason: GoodbyeCode) -> None:
        client = self._clients.get(peer)
        if client is not None:
            self._forget(client)
            self.metrics.goodbye(reason)
            client.peer.close(goodbye=encode(Goodbye(reason=reason)))

    def _forget(self, client: _Client) -> None:
        del self._clients[PeerId(client.peer.id)]
        self._with_datagrams.discard(client)
        if client.refusal is None:
            self._addresses.disconnected(client.host)
        else:
            self._refused -= 1


def _past_in(effects: Iterable[Effect]) -> int:
    """How many bytes of the room's past are sent to one who enters: nothing else is ordered by that."""
    messages = (effect.message for effect in effects if isinstance(effect, Send))
    return sum(len(message.data) for message in messages if isinstance(message, Ordered | Welcome))


class Running:
    """A relay that is listening."""

    def __init__(self, relay: Relay, endpoint: Endpoint, certificate: certs.Certificate) -> None:
        self.relay = relay
        self.address: tuple[str, int] = endpoint.address
        self.pin = certs.format_pin(certificate.pin)
        """The pin as it stands in links."""
        self._endpoint = endpoint

    def figures(self) -> dict[str, object]:
        """The relay's figures and, under `transport`, those of its socket."""
        return {**self.relay.figures(), "transport": asdict(self._endpoint.counters)}


@contextlib.asynccontextmanager
async def serve(config: RelayConfig) -> AsyncIterator[Running]:
    """A relay on the running event loop; leaving says goodbye to everybody, in under a second.

    Raises:
        ConfigError: the certificate or the QUIC library that was asked for cannot be used.
        RelayError: a certificate of its own cannot be kept, or (TransportError) the address cannot be listened on.
    """
    library = quic.choose(config.quic)
    certificate = certificate_for(config, now=dt.datetime.now(dt.UTC))
    relay = Relay(caps=config.caps, rates=config.rates)
    endpoint = await _listen(config, relay, certificate, library)
    ticking = asyncio.create_task(_tick(relay, endpoint), name="relay tick")
    try:
        yield Running(relay, endpoint, certificate)
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await endpoint.close(goodbye=encode(Goodbye(reason=GoodbyeCode.SHUTTING_DOWN)))


async def _listen(config: RelayConfig, relay: Relay, certificate: certs.Certificate, library: quic.Library) -> Endpoint:
    """Every address means IPv6 with IPv4 in it, or IPv4 alone where there is no IPv6."""
    hosts = (config.listen.host,) if config.listen.host else ("::", "0.0.0.0")  # noqa: S104  # a relay is for others
    problem = TransportError("there is no address to listen on")
    for host in hosts:
        try:
            return await Endpoint.listen(
                host,
                config.listen.port,
                certificate=certificate,
                library=library,
                handler=relay,
                max_connections=config.caps.connections + MAX_TOLD_TO_GO,
            )
        except TransportError as error:
            problem = error
    raise problem


async def _tick(relay: Relay, endpoint: Endpoint) -> None:
    faults = Faults()
    while True:
        await asyncio.sleep(TICK_S)
        try:
            relay.tick(now=time.monotonic())
        except Exception as fault:  # noqa: BLE001 - contains a fault of the tick: without it nothing would expire
            relay.metrics.tick_faults += 1
            faults.tell(fault, "what is done each second")
        endpoint.wake()
