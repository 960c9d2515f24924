"""Sessions in one room of the relay's real, pure rooms, on a virtual clock. What happens is data and a seed.

Every message takes `Guest.delay_s` each way, in order, as on a QUIC stream. Timers run every 20 ms at most, as in
the engine. Whoever loses its connection comes back after `RETRY_S` unless it is kept away.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from relay_quic import wire
from relay_quic.fanout import PeerId
from relay_quic.rooms import Close, Rooms
from relay_quic.rooms import Effect as RelayEffect
from tests.relay.relaysupport import GENEROUS
from tuiconf.conference import content, notes
from tuiconf.conference.acquaintances import Acquaintances
from tuiconf.conference.effects import Effect, Emit, Finish, InstallKeys, Reconnect, Send
from tuiconf.conference.events import Caller, EpochChanged, Event, Joined, LeftReason
from tuiconf.conference.membership import DEFAULT_RULES, Instant, Membership, Self
from tuiconf.conference.policy import RoomRules
from tuiconf.conference.session import LinkState, Phase, Session
from tuiconf.crypto.mls import KeyPackageBundle, new_key_package
from tuiconf.identity.keys import Identity, fingerprint
from tuiconf.identity.link import Link, LinkKeys, RelayAddress, derive_keys
from tuiconf.identity.trust import Pins

TICK_S: Final = 0.020
RETRY_S: Final = 0.3
UNIX: Final = 1_790_000_000.0

E = TypeVar("E", bound=Event)
Tamper = Callable[[wire.RelayMessage], list[wire.RelayMessage]]


def same(message: wire.RelayMessage) -> list[wire.RelayMessage]:
    """An honest delivery."""
    return [message]


@dataclass(eq=False)
class Line:
    """One connection to the relay, and what is under way on it."""

    peer: PeerId
    up: deque[tuple[float, wire.ClientMessage]] = field(default_factory=deque)
    down: deque[tuple[float, wire.RelayMessage | None]] = field(default_factory=deque)  # None: closed


class Guest:
    """One participant: a session, its connection, and everything it told its shell."""

    def __init__(
        self,
        world: World,
        identity: Identity,
        *,
        creator: bool,
        founder: bool = False,
        rules: RoomRules = DEFAULT_RULES,
        recordable: bool = True,
        met: Pins | None = None,
    ) -> None:
        self.world = world
        self.identity = identity
        self.people = Acquaintances(identity.public_key, met or Pins())
        self.me = Self(identity=identity, psk=world.keys.psk, rng=world.rng, judge=self.people)
        self.known: set[str] = set()  # fingerprints
        self.session = Session(
            self.me,
            world.keys,
            creator=creator,
            founder=founder,
            rules=rules,
            known=lambda fingerprint: fingerprint in self.known,
            recordable=recordable,
        )
        self.line: Line | None = None
        self.delay_s = 0.002
        self.away = False
        self.retry_at: float | None = None
        self.timer_at = 0.0
        self.tamper: Tamper = same
        self.drop_after_sending: Callable[[wire.ClientMessage], bool] | None = None
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.sent: list[wire.ClientMessage] = []
        self.finished: LeftReason | None = None

    # --- what tests look at

    @property
    def membership(self) -> Membership:
        membership = self.session.membership
        assert membership is not None, "not a member"
        return membership

    @property
    def is_member(self) -> bool:
        return self.session.membership is not None and self.session.phase is not Phase.ENDED

    @property
    def code(self) -> str:
        return self.membership.security_code

    @property
    def names(self) -> list[str]:
        return sorted(person.name for person in self.membership.people())

    @property
    def leaf(self) -> int:
        return self.membership.own_leaf

    @property
    def connection(self) -> int:
        """Our connection's number in the room, as the relay knows it."""
        assert self.line is not None
        room = self.world.rooms.room_of(self.line.peer)
        assert room is not None
        return next(number for number, member in room.members.items() if member.peer == self.line.peer)

    def of(self, kind: type[E]) -> list[E]:
        """All events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def take(self) -> list[Event]:
        """The events since this was last called."""
        events, self.events = self.events, []
        return events

    # --- what happens to it

    def say(self, text: str) -> None:
        self.perform(self.session.say(text, self.world.at))

    def kick(self, other: Guest) -> None:
        self.perform(self.session.remove(other.leaf, self.world.at))

    def knows(self, *others: Guest) -> None:
        self.known |= {fingerprint(other.identity.public_key) for other in others}

    def admit(self, name: str) -> None:
        self.perform(self.session.admit(self.caller(name).ref, self.world.at))

    def deny(self, name: str) -> None:
        self.perform(self.session.deny(self.caller(name).ref, self.world.at))

    def caller(self, name: str) -> Caller:
        """The one of that name who waits in the lobby."""
        return next(caller for caller in self.session.callers if caller.name == name)

    def lock(self, locked: bool = True) -> None:
        self.perform(self.session.lock(locked, self.world.at))

    def set_lobby(self, lobby: str) -> None:
        self.perform(self.session.set_lobby(lobby, self.world.at))

    def hand_over(self, other: Guest, *, stay: bool = False) -> None:
        self.perform(self.session.hand_over(other.leaf, self.world.at, stay=stay))

    def ask_to_mute(self, other: Guest) -> None:
        self.perform(self.session.request_mute(other.leaf, self.world.at))

    def set_status(
        self,
        *,
        muted: bool | None = None,
        hand: bool | None = None,
        recording: bool | None = None,
        recordable: bool | None = None,
    ) -> None:
        self.perform(
            self.session.set_status(self.world.at, muted=muted, hand=hand, recording=recording, recordable=recordable)
        )

    @property
    def hosts(self) -> list[str]:
        """Those of the members who are host."""
        return [person.name for person in self.membership.people() if person.host]

    def leave(self) -> None:
        self.perform(self.session.leave(self.world.at))

    def inject(self, message: wire.ClientMessage) -> None:
        """Send something the session knows nothing of, as a modified client would."""
        assert self.line is not None
        self._send(message)

    def cut(self, *, away: bool = True) -> None:
        """The connection breaks, with all that was under way."""
        self.away = away
        if self.line is not None:
            self.world.relay_lost(self.line.peer)
        self._lost()

    def vanish(self) -> None:
        """The machine is gone: the relay notices, the session never knows."""
        self.away = True
        if self.line is not None:
            self.world.relay_lost(self.line.peer)
            self.world.lines.pop(self.line.peer, None)
        self.line, self.finished = None, LeftReason.FAILED

    def back(self) -> None:
        """There is a network again."""
        self.away = False
        if self.line is None:
            self.retry_at = self.world.now

    def _lost(self) -> None:
        if self.line is not None:
            self.world.lines.pop(self.line.peer, None)
            self.line = None
        if self.finished is None:
            self.perform(self.session.disconnected(self.world.at))
            self.retry_at = self.world.now + RETRY_S

    def connect(self) -> None:
        """Try to reach the relay."""
        self.retry_at = None
        if self.away or not self.world.relay_up:
            self.retry_at = self.world.now + RETRY_S
            return
        self.line = self.world.open_line(self)
        self.perform(self.session.connected(self.world.at))

    def perform(self, effects: list[Effect]) -> None:
        self.effects += effects
        for effect in effects:
            match effect:
                case Send(message=message):
                    if self.line is not None:
                        self._send(message)
                case Emit(event=event):
                    self.events.append(event)
                    if isinstance(event, EpochChanged | Joined):
                        self.world.note_code(self, event)
                case Reconnect():
                    self.cut(away=False)
                case Finish(reason=reason):
                    self.finished = reason
                    if self.session.link_state is not LinkState.IN_ROOM and self.line is not None:
                        self.world.relay_lost(self.line.peer)
                        self.world.lines.pop(self.line.peer, None)
                case InstallKeys():
                    pass

    def _send(self, message: wire.ClientMessage) -> None:
        assert self.line is not None
        self.sent.append(message)
        self.line.up.append((self.world.now + self.delay_s, message))

    def receive(self, message: wire.RelayMessage | None) -> None:
        if message is None:
            self._lost()
            return
        for told in self.tamper(message):
            self.perform(self.session.receive(told, self.world.at))

    def handle_timer(self) -> None:
        self.timer_at = self.world.now + TICK_S
        self.perform(self.session.handle_timer(self.world.at))


class World:
    """One relay, one room, one clock."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.relay_up = True
        self.rooms = self._new_rooms()
        self.guests: list[Guest] = []
        self.lines: dict[PeerId, tuple[Line, Guest | Stranger]] = {}
        self.link = Link(relay=RelayAddress(host="relay.example"), room="room", secret=self.rng(16))
        self.keys: LinkKeys = derive_keys(self.link)
        self.codes: dict[tuple[bytes, int], set[str]] = {}
        self._peers = 0

    def rng(self, size: int) -> bytes:
        """Seeded, so that every run is the same."""
        return self.random.randbytes(size)

    @property
    def at(self) -> Instant:
        """Now, on both clocks."""
        return Instant(now=self.now, unix=UNIX + self.now)

    def _new_rooms(self) -> Rooms:
        return Rooms(random=self.rng, rates=GENEROUS)

    # --- who is there

    def guest(
        self,
        name: str,
        *,
        creator: bool = False,
        founder: bool = False,
        identity: Identity | None = None,
        rules: RoomRules = DEFAULT_RULES,
        recordable: bool = True,
        met: Pins | None = None,
    ) -> Guest:
        """Someone who comes with the link, and has `met` these before."""
        who = identity or Identity.create(name, self.rng)
        guest = Guest(self, who, creator=creator, founder=founder, rules=rules, recordable=recordable, met=met)
        self.guests.append(guest)
        guest.connect()
        return guest

    def party(self, *names: str, rules: RoomRules = DEFAULT_RULES) -> list[Guest]:
        """A host and others, one after the other, all in the call."""
        guests = [self.guest(names[0], creator=True, rules=rules)]
        self.run(0.5)
        for name in names[1:]:
            guests.append(self.guest(name))
            self.run(1.0)
            if rules.lobby != "off":
                guests[0].admit(name)
                self.run(1.0)
        assert all(guest.is_member for guest in guests)
        for guest in guests:
            guest.take()
        return guests

    def stranger(self) -> Stranger:
        """Someone with the link and a program of their own."""
        return Stranger(self)

    def present(self) -> list[Guest]:
        """Those whose call is not over."""
        return [guest for guest in self.guests if guest.finished is None]

    def note_code(self, guest: Guest, event: EpochChanged | Joined) -> None:
        """Remember which codes were shown for an epoch of a group."""
        self.codes.setdefault((guest.membership.group_id, event.epoch), set()).add(event.security_code)

    # --- the relay

    def open_line(self, owner: Guest | Stranger) -> Line:
        self._peers += 1
        line = Line(PeerId(self._peers))
        self.lines[line.peer] = (line, owner)
        return line

    def relay_lost(self, peer: PeerId) -> None:
        """The relay notices the end of a connection."""
        self._deliver(self.rooms.lost(peer, now=self.now))

    def kill_relay(self) -> None:
        """kill -9."""
        self.relay_up = False
        for _, owner in list(self.lines.values()):
            if isinstance(owner, Guest):
                owner.cut(away=owner.away)
        self.lines.clear()

    def start_relay(self) -> None:
        """It remembers nothing."""
        self.relay_up, self.rooms = True, self._new_rooms()

    def _deliver(self, effects: list[RelayEffect]) -> None:
        for effect in effects:
            peers = (effect.peer,) if isinstance(effect, Close) else effect.to
            for peer in peers:
                if peer not in self.lines:
                    continue
                line, owner = self.lines[peer]
                arrives = self.now + owner.delay_s
                if isinstance(effect, Close):
                    line.down += [(arrives, wire.Goodbye(reason=effect.reason)), (arrives, None)]
                else:
                    line.down.append((arrives, effect.message))

    # --- time

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (due := self._next()) <= until:
            self.now = max(self.now, due)
            self._step()
        self.now = until

    def run_until(self, condition: Callable[[], bool], *, at_most_s: float = 30.0) -> float:
        """Let time pass until something is so, and say how long that took."""
        began = self.now
        while not condition():
            assert self.now < began + at_most_s, "it did not happen in time"
            self.run(TICK_S)
        return self.now - began

    def _next(self) -> float:
        times = [self.now + 1.0]
        for line, _ in self.lines.values():
            times += [queue[0][0] for queue in (line.up, line.down) if queue]
        for guest in self.present():
            if guest.retry_at is not None:
                times.append(guest.retry_at)
            if (timer := guest.session.next_timer()) is not None:
                times.append(max(timer, guest.timer_at))
        return min(times)

    def _step(self) -> None:
        self.rooms.expire(now=self.now)
        for line, owner in list(self.lines.values()):
            self._move_line(line, owner)
        for guest in self.present():
            if guest.retry_at is not None and guest.retry_at <= self.now and guest.line is None:
                guest.connect()
            timer = guest.session.next_timer()
            if timer is not None and max(timer, guest.timer_at) <= self.now:
                guest.handle_timer()

    def _move_line(self, line: Line, owner: Guest | Stranger) -> None:
        while line.up and line.up[0][0] <= self.now and line.peer in self.lines:
            message = line.up.popleft()[1]
            self._deliver(self.rooms.receive(line.peer, message, now=self.now))
            if isinstance(owner, Guest) and owner.drop_after_sending is not None and owner.drop_after_sending(message):
                owner.drop_after_sending = None
                owner.cut(away=owner.away)
        while line.down and line.down[0][0] <= self.now and line.peer in self.lines:
            owner.receive(line.down.popleft()[1])


class Stranger:
    """Holds the link, is no member, and says what it likes."""

    delay_s = 0.001

    def __init__(self, world: World) -> None:
        self.world = world
        self.heard: list[wire.RelayMessage] = []
        self.line = world.open_line(self)
        self.say(wire.Enter(room=world.keys.room_id, proof=world.keys.proof, resume=None))
        world.run(0.01)

    def say(self, message: wire.ClientMessage) -> None:
        """Send a message as it is."""
        self.line.up.append((self.world.now + self.delay_s, message))

    def receive(self, message: wire.RelayMessage | None) -> None:
        if message is not None:
            self.heard.append(message)

    @property
    def entered(self) -> wire.Entered:
        return next(message for message in self.heard if isinstance(message, wire.Entered))

    @property
    def last_commit(self) -> int:
        """The place of the last commit it has seen."""
        commits = [m.seq for m in self.heard if isinstance(m, wire.Ordered) and m.kind is wire.Kind.COMMIT]
        return max([self.entered.last_commit, *commits])

    def package(self, identity: Identity) -> KeyPackageBundle:
        """A fresh KeyPackage of someone."""
        me = Self(identity=identity, psk=self.world.keys.psk, rng=self.world.rng)
        now = int(self.world.at.unix)
        return new_key_package(identity.seed, me.credential, rng=self.world.rng, now=now, lifetime_s=7200)

    def knock(self, key_package: bytes) -> None:
        """Show a KeyPackage to the room, one's own or another's."""
        sealed = notes.seal(content.Knock(key_package=key_package), self.world.keys, rng=self.world.rng)
        self.say(wire.Note(to=None, data=sealed))

    def knocks_heard(self) -> list[bytes]:
        """The KeyPackages others have shown."""
        opened = [notes.unseal(m.data, self.world.keys) for m in self.heard if isinstance(m, wire.Noted)]
        return [note.key_package for note in opened if isinstance(note, content.Knock)]


def agree(guests: list[Guest]) -> None:
    """All are in the call, in the same epoch of the same group, and see the same people: themselves."""
    assert {guest.code for guest in guests} == {guests[0].code}
    assert {guest.membership.epoch for guest in guests} == {guests[0].membership.epoch}
    assert {guest.membership.group.epoch_authenticator for guest in guests} == {
        guests[0].membership.group.epoch_authenticator
    }
    assert {guest.membership.policy for guest in guests} == {guests[0].membership.policy}
    for guest in guests:
        assert guest.names == sorted(other.identity.name for other in guests)
        assert guest.session.phase is Phase.MEMBER
        assert guest.session.link_state is LinkState.IN_ROOM
