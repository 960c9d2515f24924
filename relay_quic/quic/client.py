"""The client's side of the QUIC transport: one connection on the running event loop, with its own socket."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from relay_quic import certs
from relay_quic.errors import TransportError
from relay_quic.quic.connection import Address
from relay_quic.quic.events import Closed, DatagramReceived, Established, Event, StreamData
from relay_quic.quic.libraries import Connector, Library

# Acknowledgements wait for the caller's next 20 ms tick, which saves 60 % of the packets a listener sends
# (FACTS.md). A little more than a tick, so that the caller's own flush comes first.
ACK_DELAY_S: Final = 0.022

# The relay drops a connection it has not heard for 10 s, and routers forget a UDP flow after as little as 30 s.
KEEP_ALIVE_S: Final = 2.5
# When datagrams were coming and stop, whether the path is still there is asked at once.
FLOW_STOPPED_S: Final = 0.4
# An unanswered question means a path that died or a PATH_CHALLENGE that qh3 lost and will not repeat. A new port
# mends both; each further attempt waits twice as long, up to the last.
REBIND_AFTER_S: Final = 0.45
REBIND_AFTER_RTTS: Final = 3.0
REBIND_WAIT_MAX_S: Final = 4.0

# A library that leaves a timer in the past must not make the loop spin.
MIN_TIMER_S: Final = 0.001

# So that timers run between batches: 64 packets are about 3 ms of aioquic.
MAX_PACKETS_PER_TURN: Final = 64
RECEIVE_BYTES: Final = 2048

# Linux's SO_TIMESTAMPNS, which Python does not name: the kernel notes when a packet came, as seconds and nanoseconds.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)


class Client:
    """One connection to a relay, on the running event loop.

    Everything happens on the loop's thread. `on_event` is called from the loop after `connect` has returned; its
    last event is `Closed`. Nothing may be sent before `certificate` was found to be the right one.
    """

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        library: Library,
        on_event: Callable[[Event], None],
        timeout_s: float = 5.0,
    ) -> Client:
        """Connect to the first of the host's addresses that answers.

        Raises:
            TransportError: there is no such host, it refuses, or does not answer in `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        addresses = await _resolve(host, port, timeout_s)
        failure = TransportError("the relay does not answer")
        for index, (family, address) in enumerate(addresses):
            share_s = (deadline - time.monotonic()) / (len(addresses) - index)
            if share_s <= 0:
                break
            try:
                client = cls(host, family, address, library=library, on_event=on_event)
            except OSError as error:
                failure = TransportError(f"the relay cannot be reached: {error.strerror or 'no route'}")
                continue
            try:
                await client._handshake(share_s)
            except TransportError as error:
                failure = error
                continue
            return client
        raise failure

    def __init__(
        self, host: str, family: int, address: Address, *, library: Library, on_event: Callable[[Event], None]
    ) -> None:
        """Use `connect`. Raises OSError when there is no way to the address."""
        self._loop = asyncio.get_running_loop()
        self._family = family
        self._address = address
        self._on_event = on_event
        now = time.monotonic()
        self._connection = Connector(library).connect(host=host, address=address, now=now)
        self._stamped = False  # the system says of each packet when it came
        self._socket: socket.socket | None = self._open_socket()
        self._waiting: deque[Event] = deque()
        self._answer: asyncio.Future[None] | None = self._loop.create_future()
        self._delivering = False
        self._certificate: certs.PeerCertificate | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._flushed_at = 0.0
        self._pinged_at = now
        self._flowing = False
        self._ticking = False  # `tick` is called: the loop wakes us up for nothing
        self._read_at = now
        self._rebound_at = 0.0
        self._rebind_wait_s = REBIND_AFTER_S
        self.refused_at: float | None = None
        """When the operating system last reported that nobody listens at the relay's port: a hint, easily forged."""
        self.rebinds = 0
        self.arrived_at = now
        """When the packet came that brought what `on_event` is being told, in seconds of time.monotonic()."""

    # --- what it knows

    @property
    def certificate(self) -> certs.PeerCertificate:
        """What the relay showed and has the key of. Whether it is the right one is for the caller to say."""
        if self._certificate is None:
            raise TransportError("the relay has not shown its certificate")
        return self._certificate

    @property
    def heard_at(self) -> float:
        """Monotonic time of the last packet that authenticated."""
        return self._connection.heard_at

    @property
    def rtt_s(self) -> float | None:
        """The smoothed round-trip time."""
        return self._connection.rtt_s

    @property
    def stream_backlog_bytes(self) -> int:
        """Bytes given to `send_stream` that QUIC still holds."""
        return self._connection.stream_backlog_bytes

    @property
    def faults(self) -> int:
        """How often the QUIC library failed."""
        return self._connection.faults

    # --- what it does

    def send_stream(self, data: bytes) -> None:
        """Put bytes on the control stream; they leave with the next `flush`, or soon by themselves."""
        self._connection.send_stream(data)
        self._arm(time.monotonic() + ACK_DELAY_S)

    def send_datagram(self, data: bytes) -> bool:
        """Queue a datagram for the next `flush`. False: too large, the relay is silent, or closed."""
        sent = self._connection.send_datagram(data)
        if sent:
            self._arm(time.monotonic() + ACK_DELAY_S)
        return sent

    def ping(self) -> None:
        """Ask the relay for a sign of life; leaves with the next `flush`."""
        self._connection.ping()
        self._arm(time.monotonic() + ACK_DELAY_S)

    def flush(self, *, now: float) -> None:
        """Write what is pending, acknowledgements included. `now` is `time.monotonic()`."""
        if self._socket is None:
            return
        for packet, _ in self._connection.send(now):
            if not self._write(packet):
                break
        self._flushed_at = now
        self._take(now)
        if not self._ticking:
            self._arm(self._due_at())

    def tick(self, *, now: float) -> None:
        """Take in what has come since the last call, and do what time asks for; `flush` writes the answers.

        Whoever calls this goes on calling it, about every 20 ms: from the first call on, nothing else wakes the
        process up. Waking it up for each packet and timer costs more than what is then done. Where a system does not
        say when a packet came, packets are taken in as they come all the same.
        """
        if self._socket is None:
            return
        if not self._ticking:
            self._ticking = True
            self._disarm()
            self._listen()
        if self._stamped:
            self._read_stamped(now)
        if self._socket is not None:
            self._see_to_timers(now)

    def rebind(self) -> None:
        """Go on from a new local port. What is under way to the old one is lost, and QUIC sends it again."""
        if self._socket is None:
            return
        try:
            fresh = self._open_socket()
        except OSError:
            return  # no network at the moment: stay, and try later
        self._drop_socket()
        self._socket = fresh
        self.rebinds += 1
        self._listen()
        self._connection.ping()
        self.flush(now=time.monotonic())

    async def close(self) -> None:
        """Say goodbye and let go of the socket. Does nothing the second time."""
        if self._socket is None:
            return
        now = time.monotonic()
        for packet, _ in self._connection.send(now):
            self._write(packet)
        self._connection.close()
        self._waiting.clear()
        for packet, _ in self._connection.send(now):
            self._write(packet)
        self._let_go()

    # --- the shell

    async def _handshake(self, timeout_s: float) -> None:
        if self._socket is None or self._answer is None:
            raise TransportError("the connection is closed")
        self._listen()
        try:
            self.flush(now=time.monotonic())
            async with asyncio.timeout(timeout_s):
                await self._answer
            self._certificate = self._connection.peer_certificate()
        except TimeoutError as error:
            self._let_go()
            raise TransportError("the relay does not answer") from error
        except BaseException:
            await self.close()
            self._let_go()
            raise
        self._answer = None
        self._loop.call_soon(self._deliver)

    def _open_socket(self) -> socket.socket:
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            self._stamped = _ask_for_stamps(opened)  # here already: it takes some milliseconds to begin
            opened.connect(self._address)
        except OSError:
            opened.close()
            raise
        # Asked before each packet: the exception that there is no more of them costs as much as three answers.
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN)
        return opened

    def _listen(self) -> None:
        """Have the loop call us when something has come, unless the ticks see to that."""
        if self._socket is None:
            return
        if self._ticking and self._stamped:
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _read_stamped(self, now: float) -> None:
        """As `_readable`, but each packet is taken in as of when it came."""
        boot = time.time() - time.monotonic()  # Unix time when the monotonic clock began
        for _ in range(MAX_PACKETS_PER_TURN):
            if self._socket is None or not self._poll.poll(0):
                break
            try:
                packet, notes, _, _ = self._socket.recvmsg(RECEIVE_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except OSError:
                self._refused(now)
                continue
            # Not before the last reading, and not in the future: a wall clock may be set meanwhile.
            self.arrived_at = min(max(_stamp(notes) - boot, self._read_at), now)
            self._connection.receive(packet, self._address, self.arrived_at)
            self._take(self.arrived_at)
        self._read_at = now

    def _readable(self) -> None:
        now = self.arrived_at = time.monotonic()
        connection = self._connection
        for _ in range(MAX_PACKETS_PER_TURN):
            if self._socket is None:
                return
            if not self._poll.poll(0):
                break
            try:
                packet = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                self._refused(now)
                continue
            connection.receive(packet, self._address, now)
        urgent = self._take(now) or not connection.established
        # What came may have made room for more of the stream, and no timer of the library tells.
        if urgent or connection.stream_backlog_bytes:
            self.flush(now=now)
        else:
            self._arm(self._due_at())

    def _write(self, packet: bytes) -> bool:
        """False when the socket takes no more. A packet that cannot leave is a lost packet, which QUIC knows."""
        for _ in range(2):
            if self._socket is None:
                return False
            try:
                self._socket.send(packet)
            except BlockingIOError:
                return False
            except OSError:
                self._refused(time.monotonic())  # about an earlier packet: this one was not tried
                continue
            return True
        return True

    def _refused(self, now: float) -> None:
        self.refused_at = now
        if self._answer is not None and not self._answer.done() and not self._connection.established:
            self._answer.set_exception(TransportError("nothing answers at the relay's address and port"))

    def _take(self, now: float) -> bool:
        """Sort what the connection has to tell. True when it should be answered without waiting for a tick."""
        urgent = False
        for event in self._connection.take_events():
            match event:
                case Established():
                    self._finish_handshake(None)
                case DatagramReceived():
                    self._flowing = True
                    self._waiting.append(event)
                case StreamData():
                    urgent = True
                    self._waiting.append(event)
                case Closed():
                    self._finish_handshake("the relay refused the connection")
                    self._waiting.append(event)
        if self._connection.heard_at >= now:
            self._rebind_wait_s = REBIND_AFTER_S
        self._connection.new_ids.clear()
        self._connection.old_ids.clear()
        if self._waiting and self._answer is None:
            self._deliver()
        return urgent

    def _finish_handshake(self, refusal: str | None) -> None:
        if self._answer is None or self._answer.done():
            return
        if refusal is None:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(TransportError(refusal))

    def _deliver(self) -> None:
        # What a callback does may bring further events: they are told after this one, not within it.
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                event = self._waiting.popleft()
                if isinstance(event, Closed):
                    self._say_closed()
                self._on_event(event)
        finally:
            self._delivering = False

    def _say_closed(self) -> None:
        for packet, _ in self._connection.send(time.monotonic()):
            self._write(packet)
        self._let_go()

    # --- time

    def _due_at(self) -> float | None:
        connection = self._connection
        due = connection.timer()
        if due is None or not connection.established:
            return due
        due = max(due, self._flushed_at + ACK_DELAY_S)
        return min(due, self._ping_at(), self._rebind_at(time.monotonic()))

    def _ping_at(self) -> float:
        quiet_s = FLOW_STOPPED_S if self._flowing else KEEP_ALIVE_S
        return max(self._connection.heard_at, self._pinged_at) + quiet_s

    def _rebind_at(self, now: float) -> float:
        unanswered_s = self._connection.unanswered_s(now)
        if not unanswered_s:
            return now + KEEP_ALIVE_S
        patience_s = max(self._rebind_wait_s, REBIND_AFTER_RTTS * (self.rtt_s or 0.0))
        return max(now - unanswered_s, self._rebound_at) + patience_s

    def _arm(self, at: float | None) -> None:
        """Make sure that `_wake` runs at `at` or before; an earlier timer is left, since it arms the next itself."""
        if self._ticking or at is None or self._socket is None or (self._timer is not None and self._timer_at <= at):
            return
        self._disarm()
        self._timer_at = at
        self._timer = self._loop.call_later(max(MIN_TIMER_S, at - time.monotonic()), self._wake)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        now = time.monotonic()
        urgent = self._see_to_timers(now)
        if urgent or self._flushed_at + ACK_DELAY_S <= now + MIN_TIMER_S:
            self.flush(now=now)
        else:
            self._take(now)
            self._arm(self._due_at())

    def _see_to_timers(self, now: float) -> bool:
        """Do what is due. True when something should be sent without waiting for a tick."""
        connection = self._connection
        connection.handle_timer(now)
        if not connection.established or connection.closed:
            return not connection.established
        if connection.unanswered_s(now) and now >= self._rebind_at(now):
            self._rebound_at = now
            self._rebind_wait_s = min(2 * self._rebind_wait_s, REBIND_WAIT_MAX_S)
            self.rebind()
        elif now >= self._ping_at():
            self._flowing = False
            self._pinged_at = now
            connection.ping()
            return True
        return False

    # --- letting go

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _let_go(self) -> None:
        self._drop_socket()
        self._disarm()


def _ask_for_stamps(opened: socket.socket) -> bool:
    """Whether the system will say of each packet when it came."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        return True
    return False


def _stamp(notes: list[tuple[int, int, bytes]]) -> float:
    """The Unix time of a packet's arrival, among what the system noted of it; if it is not there, now."""
    for level, kind, data in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds * 1e-9)
    return time.time()


async def _resolve(host: str, port: int, timeout_s: float) -> list[tuple[int, Address]]:
    """The addresses of a host, in the system's order of preference."""
    if not 0 < port < 65536:
        raise TransportError("the relay's port must be between 1 and 65535")
    try:
        async with asyncio.timeout(timeout_s):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise TransportError("the relay's host name is not known, or the network is down") from error
    addresses: dict[tuple[int, Address], None] = {}
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses[int(family), address] = None  # type: ignore[index]  # what an INET family's address is
    if not addresses:
        raise TransportError("the relay's host has no address")
    return list(addresses)
