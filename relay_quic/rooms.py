"""Rooms: who is in them, the total order of their messages, and who may come back.

Pure: a message and `now` go in, effects come out, and server.py performs them in order. The relay cannot read
anything that is ordered here; it counts, keeps and passes on.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from relay_quic.fanout import REPORTS_PER_S, PeerId, SpeakerSelector
from relay_quic.limits import Rates, RequestLimits, TokenBucket, fanout_cost
from relay_quic.log import RoomLog
from relay_quic.wire import (
    TOKEN_BYTES,
    Accepted,
    Came,
    ClientMessage,
    Commit,
    ConnectionId,
    Enter,
    Entered,
    Gone,
    GoodbyeCode,
    Kind,
    Leave,
    Note,
    Noted,
    Ordered,
    Publish,
    RefusalCode,
    Refused,
    RelayMessage,
    Resume,
    Seq,
    Welcome,
    room_id,
)

Random = Callable[[int], bytes]
"""A source of that many random bytes: `os.urandom` in the program."""

# A lost connection can be resumed, and an empty room lives on, for so long: a tunnel, a restart of a router, a
# laptop carried to another room. Doubling it doubles what is remembered of those who will not come back.
RESUME_S: Final = 60.0
ROOM_LINGER_S: Final = 60.0

# Lost connections remembered in the whole relay, about 400 bytes each. The oldest are forgotten first.
MAX_LOST: Final = 8192

# What all rooms together keep of their past: a Raspberry Pi has 1 GB, and of its rooms hardly one has 1,000 people who
# change all the time (24 MB; a room of 10 keeps under 500 kB). When it is reached, the room that keeps most loses half:
# so small rooms are never made to pay for a large one.
KEPT_RELAY_BYTES: Final = 64 << 20

# Raising these costs memory (an empty room is 3 kB) and, in a room, the relay's line: each datagram leaves as many
# times as there are others.
MAX_CONNECTIONS_PER_ROOM: Final = 1024
MAX_ROOMS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send `message` to each of `to`."""

    to: tuple[PeerId, ...]
    message: RelayMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Say goodbye to `peer` and close its connection; the rooms have already forgotten it."""

    peer: PeerId
    reason: GoodbyeCode


Effect = Send | Close


class _Member:
    """One connection of a room, present while it has a `peer`, and lost while it has none."""

    __slots__ = ("connection", "peer", "token", "welcomed_at")

    def __init__(self, connection: ConnectionId, token: bytes) -> None:
        self.connection = connection
        self.token = token
        self.peer: PeerId | None = None
        self.welcomed_at = Seq(0)


class Room:
    """One room. Its attributes are for `Rooms`; the server reads `peers`, `speakers` and `reports`."""

    def __init__(self, room: bytes, incarnation: bytes) -> None:
        self.id = room
        self.incarnation = incarnation
        self.last_seq = Seq(0)
        self.last_commit = Seq(0)
        self.log = RoomLog()
        self.members: dict[ConnectionId, _Member] = {}
        self.lost: dict[ConnectionId, _Member] = {}
        self.speakers = SpeakerSelector()
        self.reports = TokenBucket(rate=REPORTS_PER_S, burst=REPORTS_PER_S, now=0.0)
        self.peers: tuple[PeerId, ...] = ()
        self._next_connection = 1

    def __repr__(self) -> str:
        """Without the id, which would be a name for the room in a log."""
        return f"<Room of {len(self.members)}>"

    def new_member(self, token: bytes) -> _Member:
        """A member with an id that this incarnation of the room has not given before."""
        member = _Member(ConnectionId(self._next_connection), token)
        self._next_connection += 1
        return member

    def seat(self, member: _Member, peer: PeerId) -> None:
        """`member` is present, at `peer`."""
        self.lost.pop(member.connection, None)
        member.peer = peer
        self.members[member.connection] = member
        self._list_peers()

    def unseat(self, member: _Member) -> None:
        """`member` is no longer present."""
        if member.peer is not None:
            self.speakers.forget(member.peer)
        member.peer = None
        self.members.pop(member.connection, None)
        self._list_peers()

    def others(self, peer: PeerId) -> tuple[PeerId, ...]:
        """Everyone present but `peer`."""
        return tuple(other for other in self.peers if other != peer)

    def holder_of(self, resume: Resume | None) -> _Member | None:
        """The member that `resume` proves to be, present or lost."""
        if resume is None or not hmac.compare_digest(resume.incarnation, self.incarnation):
            return None
        connection = ConnectionId(resume.connection)
        member = self.members.get(connection) or self.lost.get(connection)
        if member is None or not hmac.compare_digest(resume.token, member.token):
            return None
        return member

    def order(self, sender: ConnectionId, kind: Kind, data: bytes) -> Ordered:
        """Give `data` the next place."""
        self.last_seq = Seq(self.last_seq + 1)
        if kind is Kind.COMMIT:
            self.last_commit = self.last_seq
        message = Ordered(seq=self.last_seq, sender=sender, kind=kind, data=data)
        self.log.add(message)
        return message

    def _list_peers(self) -> None:
        self.peers = tuple(member.peer for member in self.members.values() if member.peer is not None)


class _Seat:
    """Where a peer sits."""

    __slots__ = ("limits", "member", "room")

    def __init__(self, room: Room, member: _Member, limits: RequestLimits) -> None:
        self.room = room
        self.member = member
        self.limits = limits


class Rooms:
    """All rooms of a relay. Every method gives the effects to perform, in order."""

    def __init__(
        self,
        *,
        random: Random,
        rates: Rates | None = None,
        max_rooms: int = MAX_ROOMS,
        max_connections_per_room: int = MAX_CONNECTIONS_PER_ROOM,
    ) -> None:
        self._random = random
        self._rates = rates or Rates()
        self._max_rooms = max_rooms
        self._max_per_room = max_connections_per_room
        self._rooms: dict[bytes, Room] = {}
        self._seats: dict[PeerId, _Seat] = {}
        self._kept_bytes = 0
        # Both in the order of their times, which is the order in which they run out.
        self._empty_since: OrderedDict[bytes, float] = OrderedDict()
        self._lost_since: OrderedDict[tuple[bytes, ConnectionId], float] = OrderedDict()

    def __len__(self) -> int:
        """How many rooms there are, empty ones included."""
        return len(self._rooms)

    @property
    def kept_bytes(self) -> int:
        """What is kept of all rooms' past."""
        return self._kept_bytes

    @property
    def lost_count(self) -> int:
        """How many connections could be resumed."""
        return len(self._lost_since)

    def room_of(self, peer: PeerId) -> Room | None:
        """The room `peer` has entered."""
        seat = self._seats.get(peer)
        return seat.room if seat is not None else None

    # --- coming

    def enter(self, peer: PeerId, message: Enter, *, now: float) -> list[Effect]:
        """A peer that is in no room shows its proof."""
        if peer in self._seats:
            return self._misbehaved(peer, now=now)
        if not hmac.compare_digest(room_id(message.proof), message.room):
            return [Close(peer=peer, reason=GoodbyeCode.BAD_PROOF)]
        room = self._rooms.get(message.room)
        created = room is None
        if room is None:
            room = self._create(message.room)
        if room is None:
            return [Close(peer=peer, reason=GoodbyeCode.RELAY_FULL)]
        holder = room.holder_of(message.resume)
        if holder is not None and message.resume is not None:
            missed = self._missed(room, holder, Seq(message.resume.after))
            if missed is not None:
                return self._resume(peer, room, holder, missed, now=now)
            return [*self._end(room, holder), *self._enter_anew(peer, room, created=False, now=now)]
        return self._enter_anew(peer, room, created=created, now=now)

    def _missed(self, room: Room, member: _Member, after: Seq) -> list[Ordered | Welcome] | None:
        if after > room.last_seq:
            return None
        return room.log.replay(after, to=member.connection, welcomed_at=member.welcomed_at)

    def _resume(
        self, peer: PeerId, room: Room, member: _Member, missed: Iterable[Ordered | Welcome], *, now: float
    ) -> list[Effect]:
        replaced = member.peer
        if replaced is None and len(room.members) >= self._max_per_room:
            return [Close(peer=peer, reason=GoodbyeCode.ROOM_FULL)]
        effects: list[Effect] = []
        if replaced is not None:
            self._seats.pop(replaced, None)
            room.unseat(member)
            effects.append(Close(peer=replaced, reason=GoodbyeCode.REPLACED))
        self._seat(peer, room, member, now=now)
        effects.append(Send(to=(peer,), message=self._entered(room, member, created=False, resumed=True)))
        effects += [Send(to=(peer,), message=message) for message in missed]
        if replaced is None:
            effects += _tell(room.others(peer), Came(connection=member.connection))
        return effects

    def _enter_anew(self, peer: PeerId, room: Room, *, created: bool, now: float) -> list[Effect]:
        if len(room.members) >= self._max_per_room:
            return [Close(peer=peer, reason=GoodbyeCode.ROOM_FULL)]
        member = room.new_member(self._random(TOKEN_BYTES))
        self._seat(peer, room, member, now=now)
        return [
            Send(to=(peer,), message=self._entered(room, member, created=created, resumed=False)),
            *_tell(room.others(peer), Came(connection=member.connection)),
        ]

    def _entered(self, room: Room, member: _Member, *, created: bool, resumed: bool) -> Entered:
        return Entered(
            incarnation=room.incarnation,
            connection=member.connection,
            token=member.token,
            created=created,
            resumed=resumed,
            last_seq=room.last_seq,
            last_commit=room.last_commit,
            connections=sorted(room.members),
        )

    def _seat(self, peer: PeerId, room: Room, member: _Member, *, now: float) -> None:
        room.seat(member, peer)
        self._seats[peer] = _Seat(room, member, RequestLimits(self._rates, now=now))
        self._lost_since.pop((room.id, member.connection), None)
        self._empty_since.pop(room.id, None)

    def _create(self, key: bytes) -> Room | None:
        """A new room; the one that has been empty longest gives way when there are too many."""
        if len(self._rooms) >= self._max_rooms:
            oldest = next(iter(self._empty_since), None)
            if oldest is None:
                return None
            self._remove(oldest)
        room = self._rooms[key] = Room(key, self._random(TOKEN_BYTES))
        return room

    # --- being there

    def receive(self, peer: PeerId, message: ClientMessage, *, now: float) -> list[Effect]:
        """A message of a peer, whatever it is."""
        if isinstance(message, Enter):
            return self.enter(peer, message, now=now)
        seat = self._seats.get(peer)
        if seat is None:
            return [Close(peer=peer, reason=GoodbyeCode.PROTOCOL)]
        if isinstance(message, Commit):
            return self._commit(peer, seat, message, now=now)
        if isinstance(message, Publish):
            return self._publish(peer, seat, message, now=now)
        if isinstance(message, Note):
            return self._note(peer, seat, message, now=now)
        return self._leave(peer, seat, message, now=now)

    def _commit(self, peer: PeerId, seat: _Seat, message: Commit, *, now: float) -> list[Effect]:
        room = seat.room
        if message.after != room.last_commit:
            return _refuse(peer, message.request, RefusalCode.COMMIT_TAKEN)
        joiners = {ConnectionId(connection) for connection in message.welcome_to}
        if not joiners <= room.members.keys():
            return _refuse(peer, message.request, RefusalCode.NO_SUCH_CONNECTION)
        cost = fanout_cost(len(message.data), len(room.peers)) + fanout_cost(len(message.welcome), len(joiners))
        if not seat.limits.commit(cost, now=now):
            return _refuse(peer, message.request, RefusalCode.RATE)
        kept_before = room.log.size_bytes
        ordered = room.order(seat.member.connection, Kind.COMMIT, message.data)
        effects = _tell(room.others(peer), ordered)
        if joiners:
            welcome = Welcome(seq=ordered.seq, sender=ordered.sender, data=message.welcome)
            effects += self._welcome(room, welcome, joiners)
        self._count_kept(room, kept_before)
        return [*effects, Send(to=(peer,), message=Accepted(request=message.request, seq=ordered.seq))]

    def _welcome(self, room: Room, welcome: Welcome, joiners: set[ConnectionId]) -> list[Effect]:
        room.log.add_welcome(welcome, frozenset(joiners))
        peers: list[PeerId] = []
        for connection in sorted(joiners):
            member = room.members[connection]
            member.welcomed_at = Seq(welcome.seq)
            if member.peer is not None:
                peers.append(member.peer)
        return _tell(tuple(peers), welcome)

    def _publish(self, peer: PeerId, seat: _Seat, message: Publish, *, now: float) -> list[Effect]:
        room = seat.room
        if not seat.limits.publish(fanout_cost(len(message.data), len(room.peers)), now=now):
            return _refuse(peer, message.request, RefusalCode.RATE)
        kept_before = room.log.size_bytes
        kind = Kind.HANDSHAKE if message.handshake else Kind.APPLICATION
        ordered = room.order(seat.member.connection, kind, message.data)
        self._count_kept(room, kept_before)
        accepted = Accepted(request=message.request, seq=ordered.seq)
        return [*_tell(room.others(peer), ordered), Send(to=(peer,), message=accepted)]

    def _note(self, peer: PeerId, seat: _Seat, message: Note, *, now: float) -> list[Effect]:
        room = seat.room
        to = room.others(peer)
        if message.to is not None:
            member = room.members.get(ConnectionId(message.to))
            if member is None or member.peer is None:
                return _refuse(peer, message.request, RefusalCode.NO_SUCH_CONNECTION)
            to = (member.peer,)
        if not seat.limits.note(fanout_cost(len(message.data), len(to)), now=now):
            return _refuse(peer, message.request, RefusalCode.RATE)
        return _tell(to, Noted(sender=seat.member.connection, data=message.data))

    def _count_kept(self, room: Room, before: int) -> None:
        self._kept_bytes += room.log.size_bytes - before
        while self._kept_bytes > KEPT_RELAY_BYTES:
            largest = max(self._rooms.values(), key=lambda other: other.log.size_bytes)
            before = largest.log.size_bytes
            largest.log.halve()
            self._kept_bytes += largest.log.size_bytes - before

    # --- going

    def _leave(self, peer: PeerId, seat: _Seat, _message: Leave, *, now: float) -> list[Effect]:
        others = seat.room.others(peer)
        del self._seats[peer]
        seat.room.unseat(seat.member)
        self._note_empty(seat.room, now=now)
        gone = Gone(connection=seat.member.connection, left=True)
        return [Close(peer=peer, reason=GoodbyeCode.LEFT), *_tell(others, gone)]

    def lost(self, peer: PeerId, *, now: float) -> list[Effect]:
        """The connection of `peer` ended without `Leave`: it can be resumed for `RESUME_S`."""
        seat = self._seats.pop(peer, None)
        if seat is None:
            return []
        room, member = seat.room, seat.member
        room.unseat(member)
        room.lost[member.connection] = member
        self._lost_since[room.id, member.connection] = now
        if len(self._lost_since) > MAX_LOST:
            self._forget_lost(next(iter(self._lost_since)))
        self._note_empty(room, now=now)
        return _tell(room.peers, Gone(connection=member.connection, left=False))

    def expire(self, *, now: float) -> None:
        """Forget the lost connections and the empty rooms whose time is over. Call about once a second."""
        while (lost := next(iter(self._lost_since), None)) and now - self._lost_since[lost] >= RESUME_S:
            self._forget_lost(lost)
        while (empty := next(iter(self._empty_since), None)) and now - self._empty_since[empty] >= ROOM_LINGER_S:
            self._remove(empty)

    def _misbehaved(self, peer: PeerId, *, now: float) -> list[Effect]:
        return [Close(peer=peer, reason=GoodbyeCode.PROTOCOL), *self.lost(peer, now=now)]

    def _end(self, room: Room, member: _Member) -> list[Effect]:
        """`member` proved who it is and will not go on: it has missed too much."""
        peer = member.peer
        if peer is None:
            self._forget_lost((room.id, member.connection))
            return []
        del self._seats[peer]
        room.unseat(member)
        gone = Gone(connection=member.connection, left=False)
        return [Close(peer=peer, reason=GoodbyeCode.REPLACED), *_tell(room.peers, gone)]

    def _note_empty(self, room: Room, *, now: float) -> None:
        if not room.members:
            self._empty_since[room.id] = now

    def _forget_lost(self, lost: tuple[bytes, ConnectionId]) -> None:
        del self._lost_since[lost]
        room, connection = lost
        del self._rooms[room].lost[connection]

    def _remove(self, key: bytes) -> None:
        room = self._rooms.pop(key)
        self._kept_bytes -= room.log.size_bytes
        self._empty_since.pop(key, None)
        for connection in room.lost:
            del self._lost_since[key, connection]


def _tell(to: tuple[PeerId, ...], message: RelayMessage) -> list[Effect]:
    return [Send(to=to, message=message)] if to else []


def _refuse(peer: PeerId, request: int, reason: RefusalCode) -> list[Effect]:
    return [Send(to=(peer,), message=Refused(request=request, reason=reason))]
