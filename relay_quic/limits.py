"""How much a client may ask of the relay: token buckets and counts per address.

Pure: `now` is the caller's monotonic clock in seconds. Rates are per second.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# A participant sends 50 audio datagrams a second (100 at 10 ms), some reports, and later pictures. Above this the
# datagrams of the excess are dropped. Doubling it doubles the work one hostile client can cause in its room.
DATAGRAMS_PER_S: Final = 400
DATAGRAM_BYTES_PER_S: Final = 160_000

# What one receiver is sent at most: 8 speakers with two repeated frames each are 130 kB/s; the rest is for pictures.
# Raising it helps nobody whose line is slower than 4 Mbit/s and lets more be lost on it.
RECEIVER_BYTES_PER_S: Final = 500_000

# The stream carries commits, Welcomes and chat. A Welcome to a room of 1,000 is 400 kB, and the committer of a large
# room sends one every 200 ms while it fills. Doubling it doubles the bytes one client can make us decode.
STREAM_BYTES_PER_S: Final = 2_000_000
STREAM_BURST_BYTES: Final = 8_000_000

# Messages of any kind on the stream, refused ones included: above this a client is broken or hostile, and each costs
# about 5 µs to answer.
MESSAGES_PER_S: Final = 100
MESSAGE_BURST: Final = 400

# Joins and leaves within 200 ms share a commit, so an honest committer makes 5 a second.
COMMITS_PER_S: Final = 10
# Chat lines and proposals. A host that mutes a room of 1,000 does so in one.
PUBLISHES_PER_S: Final = 20
# A knock each time someone tries to come in, and answers to them: a host answers each of many.
NOTES_PER_S: Final = 20
# How many of each at once, in seconds of its rate: what a client does that was away and catches up.
REQUEST_BURST_S: Final = 4.0

# Bytes of ordered messages and notes that one client can make the relay send to others. A commit to 1,000 with
# a path is 80 MB and may be made when the bucket is full; it is paid back at this rate. Doubling it doubles how
# much of the relay's line one participant can take.
FANOUT_BYTES_PER_S: Final = 8_000_000
FANOUT_BURST_BYTES: Final = 64_000_000
# One request never makes the relay send more, since until it has left all of it lies in memory: a committer who lets
# hundreds into a large room at once does so in several commits. Above server.py's bound on all that is unread, an
# honest commit would cut off those it is for.
MAX_FANOUT_AT_ONCE_BYTES: Final = 96_000_000
# What a message costs beside its data: packets, headers and the work of sending it to one receiver. Without it, empty
# messages would be free.
MESSAGE_OVERHEAD_BYTES: Final = 100

# Attempts to enter from one address: an office of 100 behind one NAT that reconnects at once after a restart of the
# relay. Raising it lets one address try more proofs (which are 256 bits, so that hardly matters) and make more rooms.
ENTERS_PER_S: Final = 20.0
ENTER_BURST: Final = 200.0

# What a resuming client is sent of its room's past is up to 24 MB for the asking, so the relay's line and time are
# spent much faster than by entering: each MB counts as one more attempt, which makes 20 MB/s of an address, 200 MB at
# once. Halving it lets an office of 100 wait that comes back to a room of 1,000 (2 MB each, if it was away for 5 s).
REPLAYED_BYTES_PER_ENTER: Final = 1_000_000

# Addresses whose bucket is remembered after their last connection. Each costs about 300 bytes; the oldest go first.
MAX_ADDRESSES_REMEMBERED: Final = 4096


def fanout_cost(size_bytes: int, receivers: int) -> int:
    """What sending a message of this size to so many costs, in bytes."""
    return (size_bytes + MESSAGE_OVERHEAD_BYTES) * receivers


class TokenBucket:
    """Lets `rate` a second through, and `burst` at once.

    Something larger than `burst` passes when the bucket is full and leaves it in debt, so no size is refused for ever.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def take(self, cost: float, *, now: float) -> bool:
        """Whether `cost` may pass now; if so it is taken."""
        self._fill(now)
        if self._level < min(cost, self.burst):
            return False
        self._level -= cost
        return True

    def charge(self, cost: float, *, now: float) -> None:
        """Take `cost`, which has passed already; it may leave a debt, of one burst at most."""
        self._fill(now)
        self._level = max(-self.burst, self._level - cost)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
            self._at = now


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The rates of one client, all per second. The file `relay.toml` can change them."""

    datagrams: float = DATAGRAMS_PER_S
    datagram_bytes: float = DATAGRAM_BYTES_PER_S
    receiver_bytes: float = RECEIVER_BYTES_PER_S
    stream_bytes: float = STREAM_BYTES_PER_S
    messages: float = MESSAGES_PER_S
    commits: float = COMMITS_PER_S
    publishes: float = PUBLISHES_PER_S
    notes: float = NOTES_PER_S
    fanout_bytes: float = FANOUT_BYTES_PER_S
    enters: float = ENTERS_PER_S


class RequestLimits:
    """What one client may request of its room."""

    __slots__ = ("_commits", "_fanout", "_notes", "_publishes")

    def __init__(self, rates: Rates, *, now: float) -> None:
        self._commits = TokenBucket(rate=rates.commits, burst=rates.commits * REQUEST_BURST_S, now=now)
        self._publishes = TokenBucket(rate=rates.publishes, burst=rates.publishes * REQUEST_BURST_S, now=now)
        self._notes = TokenBucket(rate=rates.notes, burst=rates.notes * REQUEST_BURST_S, now=now)
        burst = rates.fanout_bytes * (FANOUT_BURST_BYTES / FANOUT_BYTES_PER_S)
        self._fanout = TokenBucket(rate=rates.fanout_bytes, burst=burst, now=now)

    def commit(self, fanout_bytes: int, *, now: float) -> bool:
        """Whether a commit may be taken that makes the relay send so much."""
        return self._commits.take(1, now=now) and self._may_send(fanout_bytes, now=now)

    def publish(self, fanout_bytes: int, *, now: float) -> bool:
        """Whether a message may be taken that makes the relay send so much."""
        return self._publishes.take(1, now=now) and self._may_send(fanout_bytes, now=now)

    def note(self, fanout_bytes: int, *, now: float) -> bool:
        """Whether a note may be passed on that makes the relay send so much."""
        return self._notes.take(1, now=now) and self._may_send(fanout_bytes, now=now)

    def _may_send(self, fanout_bytes: int, *, now: float) -> bool:
        return fanout_bytes <= MAX_FANOUT_AT_ONCE_BYTES and self._fanout.take(fanout_bytes, now=now)


class InboundLimits:
    """What one client may send, whatever is in it."""

    __slots__ = ("_datagram_bytes", "_datagrams", "_messages", "_stream_bytes")

    def __init__(self, rates: Rates, *, now: float) -> None:
        burst = rates.stream_bytes * (STREAM_BURST_BYTES / STREAM_BYTES_PER_S)
        self._stream_bytes = TokenBucket(rate=rates.stream_bytes, burst=burst, now=now)
        burst = rates.messages * (MESSAGE_BURST / MESSAGES_PER_S)
        self._messages = TokenBucket(rate=rates.messages, burst=burst, now=now)
        # Half a second at once: what arrives together after the network has stalled.
        self._datagrams = TokenBucket(rate=rates.datagrams, burst=rates.datagrams / 2, now=now)
        self._datagram_bytes = TokenBucket(rate=rates.datagram_bytes, burst=rates.datagram_bytes / 2, now=now)

    def stream(self, size_bytes: int, *, now: float) -> bool:
        """Whether that much more of the stream is within the rate."""
        return self._stream_bytes.take(size_bytes, now=now)

    def message(self, *, now: float) -> bool:
        """Whether one more message is within the rate."""
        return self._messages.take(1, now=now)

    def datagram(self, size_bytes: int, *, now: float) -> bool:
        """Whether one more datagram is within the rate."""
        return self._datagrams.take(1, now=now) and self._datagram_bytes.take(size_bytes, now=now)


def address_group(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 an IPv6 client has to itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class _Address:
    __slots__ = ("connections", "enters")

    def __init__(self, enters: TokenBucket) -> None:
        self.connections = 0
        self.enters = enters


class Addresses:
    """How many connections each address has, and how often it tries to enter a room."""

    def __init__(self, *, max_connections: int, enters_per_s: float) -> None:
        self._max_connections = max_connections
        self._rate = enters_per_s
        self._known: OrderedDict[str, _Address] = OrderedDict()

    def connected(self, host: str, *, now: float) -> bool:
        """Count a connection. False: the address has too many, and this one was not counted."""
        address = self._of(host, now=now)
        if address.connections >= self._max_connections:
            return False
        address.connections += 1
        return True

    def disconnected(self, host: str) -> None:
        """A connection that was counted is gone."""
        address = self._known.get(address_group(host))
        if address is not None and address.connections > 0:
            address.connections -= 1

    def may_enter(self, host: str, *, now: float) -> bool:
        """Whether one more attempt to enter a room is within the address's rate."""
        return self._of(host, now=now).enters.take(1, now=now)

    def replayed(self, size_bytes: int, host: str, *, now: float) -> None:
        """Count what somebody was sent because they resumed. Who is in debt by it may enter when it is paid."""
        self._of(host, now=now).enters.charge(size_bytes / REPLAYED_BYTES_PER_ENTER, now=now)

    def _of(self, host: str, *, now: float) -> _Address:
        group = address_group(host)
        address = self._known.get(group)
        if address is None:
            self._forget_idle()
            burst = self._rate * (ENTER_BURST / ENTERS_PER_S)
            address = self._known[group] = _Address(TokenBucket(rate=self._rate, burst=burst, now=now))
        self._known.move_to_end(group)
        return address

    def _forget_idle(self) -> None:
        """Make place for one more. Those with a connection stay: the relay's own cap bounds them."""
        if len(self._known) < MAX_ADDRESSES_REMEMBERED:
            return
        idle = next((group for group, address in self._known.items() if address.connections == 0), None)
        if idle is not None:
            del self._known[idle]
