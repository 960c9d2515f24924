"""One side of one QUIC connection, without a socket, whichever library is underneath.

Pure: packets, commands and `now` go in, packets and events come out. What is wrong with the libraries (FACTS.md,
"QUIC") ends here and in the two adapters, over_aioquic.py and over_qh3.py, and so does whatever they raise: a fault
closes its connection, is counted, and goes no further. Some mends need private attributes of the libraries, which
is why pyproject.toml pins both to a major version and why each mend has a test that fails when it stops working.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from relay_quic import certs
from relay_quic.quic.events import Closed, ConnectionEvent, Established, StreamData
from relay_quic.wire import ALPN, MAX_DATAGRAM_BYTES

Address = tuple[str, int] | tuple[str, int, int, int]

CONTROL_STREAM: Final = 0

# What one peer can make us hold of streams that are still incomplete. A Welcome of 400 kB takes seven round trips
# of this; doubling it doubles the memory of a hostile peer.
MAX_STREAM_DATA: Final = 64 * 1024
MAX_DATA: Final = 256 * 1024

# The smallest any path must carry (RFC 9000 §14): tunnels inside tunnels still pass it, so none is searched for.
MAX_UDP_PAYLOAD_BYTES: Final = 1200
# Announced to the peer; ours are limited to `wire.MAX_DATAGRAM_BYTES`.
MAX_DATAGRAM_FRAME_BYTES: Final = 65536

DEFAULT_IDLE_TIMEOUT_S: Final = 10.0

# Voice older than this is not worth sending; and this many frames are 160 ms of eight speakers. aioquic, left
# alone, holds all that its congestion window does not let out, for ever.
MAX_DATAGRAM_AGE_S: Final = 0.06
MAX_PENDING_DATAGRAMS: Final = 64

# A peer that has answered nothing for this long is not sent datagrams (qh3 would send them all), only a ping each
# PROBE_EVERY_S to see whether it is back. Shorter, and a Wi-Fi scan mutes the call.
SILENCE_STOPS_AFTER_S: Final = 1.0
PROBE_EVERY_S: Final = 1.0

# The start of a round-trip estimate: the libraries' own (100 ms and 333 ms) suit neither a lossy link nor us.
INITIAL_RTT_S: Final = 0.2

_CLOSED_IN_ORDER: Final = 0
_PROTOCOL_ERROR: Final = 1


class Connection(abc.ABC):
    """One side of one connection. `take_events` after each `receive` and `handle_timer`, then `send`."""

    def __init__(self, *, is_client: bool, idle_timeout_s: float, now: float) -> None:
        self.is_client = is_client
        self.established = False
        self.closed = False
        self.faults = 0
        self.heard_at = now
        self._latest = now  # that was told to the library
        # Ids that packets for this connection are addressed to, for whoever shares a socket among connections.
        self.new_ids: list[bytes] = []
        self.old_ids: list[bytes] = []
        self._idle_timeout_s = idle_timeout_s
        self._events: deque[ConnectionEvent] = deque()
        self._asked = False  # something that must be answered was given to the library and not yet sent
        self._unanswered_since: float | None = None
        self._muted = False
        self._probe_at = 0.0
        self._goodbye_sent = False
        self._timer_runs = False
        # The control stream is the client's to open: what a relay says before that waits for it.
        self._stream_open = is_client
        self._held = bytearray()

    # --- what a library has to do

    @abc.abstractmethod
    def _receive(self, packet: bytes, address: Address, now: float) -> bool:
        """Process a packet; True when some of it authenticated."""

    @abc.abstractmethod
    def _send(self, now: float) -> list[tuple[bytes, Address]]: ...

    @abc.abstractmethod
    def _send_datagram(self, data: bytes) -> None: ...

    @abc.abstractmethod
    def _collect(self) -> None:
        """Turn the library's events into ours."""

    @abc.abstractmethod
    def _library(self) -> Any:  # both have the same verbs, in unrelated classes
        ...

    @property
    @abc.abstractmethod
    def rtt_s(self) -> float | None:
        """The smoothed round-trip time, once measured."""

    @property
    @abc.abstractmethod
    def stream_backlog_bytes(self) -> int:
        """Bytes given to `send_stream` that have not left (qh3) or not been acknowledged (aioquic)."""

    @property
    @abc.abstractmethod
    def stream_settled(self) -> bool:
        """Has everything given to `send_stream` been acknowledged?"""

    @property
    @abc.abstractmethod
    def peer_address(self) -> Address | None:
        """Where packets are sent now: follows a peer that moves, which qh3 does not announce."""

    @abc.abstractmethod
    def peer_certificate(self) -> certs.PeerCertificate:
        """What a relay showed.

        Raises:
            CertificateError: nothing readable.
        """

    # --- verbs

    def receive(self, packet: bytes, address: Address, now: float) -> None:
        """Take in one UDP payload, whatever it is."""
        if self.closed:
            return
        now = self._not_back(now)
        try:
            if self._receive(packet, address, now):
                self.heard_at = now
                self._unanswered_since = None
                self._muted = False
            self._collect()
        except BaseException as error:  # noqa: BLE001 - the one place that contains a library's faults
            self._contain(error)

    def handle_timer(self, now: float) -> None:
        """Let the library do what is due."""
        if self.closed:
            return
        now = self._not_back(now)
        if now - self.heard_at >= self._idle_timeout_s:
            self._end("idle")
            return
        try:
            due = self._library().get_timer()
            if due is not None and due <= now:
                self._timer_runs = True
                self._library().handle_timer(now)
                self._collect()
                self._timer_runs = False
        except BaseException as error:  # noqa: BLE001
            self._contain(error)

    def timer(self) -> float | None:
        """When `handle_timer` and `send` are due next."""
        if self.closed:
            return None
        try:
            due: float | None = self._library().get_timer()
        except BaseException as error:  # noqa: BLE001
            self._contain(error)
            return None
        idle_at = self.heard_at + self._idle_timeout_s
        due = idle_at if due is None else min(due, idle_at)
        return min(due, self._probe_at) if self._muted else due

    def send(self, now: float) -> list[tuple[bytes, Address]]:
        """The packets to send now, in order."""
        if self._goodbye_sent:
            return []
        self._goodbye_sent = self.closed
        now = self._not_back(now)
        try:
            since = self._unanswered_since
            if since is not None and now - since > SILENCE_STOPS_AFTER_S and self.established and not self.closed:
                self._probe(now)
            packets = self._send(now)
        except BaseException as error:  # noqa: BLE001
            self._contain(error)
            return []
        if packets and self._asked:
            self._asked = False
            if self._unanswered_since is None:
                self._unanswered_since = now
        return packets

    def take_events(self) -> deque[ConnectionEvent]:
        """What happened since the last call."""
        events, self._events = self._events, deque()
        return events

    def send_stream(self, data: bytes) -> None:
        """Put bytes on the control stream. Nothing limits the backlog but its owner."""
        if self.closed:
            return
        if not self._stream_open:
            self._held += data
            return
        self._asked = True
        self._attempt(lambda: self._library().send_stream_data(CONTROL_STREAM, data))

    def send_datagram(self, data: bytes) -> bool:
        """Queue a DATAGRAM. False when it is too large, the peer has gone silent, or the connection is over."""
        if self.closed or self._muted or not self.established or not 0 < len(data) <= MAX_DATAGRAM_BYTES:
            return False
        self._asked = True
        try:
            self._send_datagram(data)
        except BaseException as error:  # noqa: BLE001
            self._contain(error)
            return False
        return True

    def ping(self) -> None:
        """Ask for a sign of life."""
        if not self.closed and self.established:
            self._asked = True
            self._attempt(lambda: self._library().send_ping(0))

    def close(self) -> None:
        """Close in order; `send` then gives the CONNECTION_CLOSE, once."""
        self._end("closed")

    def unanswered_s(self, now: float) -> float:
        """For how long the peer has owed us an answer; 0 when it owes none."""
        return 0.0 if self._unanswered_since is None else max(0.0, now - self._unanswered_since)

    # --- shared by both

    def _not_back(self, now: float) -> float:
        """`now`, or what was now before if that is later.

        qh3 ends a connection in which an acknowledgement comes before its packet was sent. Callers have read the clock
        at different moments of a turn, or know when a packet came that they take in later.
        """
        self._latest = max(self._latest, now)
        return self._latest

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001
            self._contain(error)

    def _probe(self, now: float) -> None:
        if not self._muted:
            self._muted = True
            self._probe_at = now
        if now >= self._probe_at:
            self._probe_at = now + PROBE_EVERY_S
            self._library().send_ping(0)

    def _establish(self, alpn: str | None) -> None:
        if alpn != ALPN:
            self._end("protocol")
            return
        self.established = True
        self._events.append(Established())

    def _stream_event(self, stream_id: int, data: bytes, ended: bool) -> None:
        # One stream carries everything. Bytes on another are a peer that speaks something else.
        if stream_id != CONTROL_STREAM:
            self._end("protocol")
            return
        if not self._stream_open:
            self._stream_open = True
            if self._held:
                self.send_stream(bytes(self._held))
                self._held.clear()
        if data or ended:
            self._events.append(StreamData(data=data, ended=ended))

    def _terminated(self, *, frame_type: int | None, sent_by_us: bool) -> None:
        """The library says that the connection is over: closed by the peer, or by a broken rule of QUIC's.

        With `sent_by_us` it still has a CONNECTION_CLOSE to send.
        """
        if self.closed:
            return
        self.closed = True
        if not self.established:
            reason = "handshake_failed"
        elif self._timer_runs:
            reason = "idle"  # the one end that comes with time: the peer's idle timeout is shorter than ours
        else:
            reason = "closed_by_peer" if frame_type is None and not sent_by_us else "protocol"
        self._events.append(Closed(reason=reason))

    def _end(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._events.append(Closed(reason=reason))
        code = _CLOSED_IN_ORDER if reason == "closed" else _PROTOCOL_ERROR
        try:
            self._library().close(error_code=code)
        except BaseException as error:  # noqa: BLE001
            self._contain(error)

    def _contain(self, error: BaseException) -> None:
        # A panic in qh3's Rust core arrives as a BaseException; ^C and cancellation do too, and are not ours.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise error
        self.faults += 1
        self._goodbye_sent = True  # whatever state the library is in, it is not asked again
        if not self.closed:
            self.closed = True
            self._events.append(Closed(reason="fault" if self.established else "handshake_failed"))
