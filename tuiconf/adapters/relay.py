"""The connection to a relay: QUIC underneath, the relay's messages and datagrams on top.

Nothing of the room is sent before the relay's certificate was found to be the right one: by the pin in the link,
by a pin that a person accepted before, or by a public certificate authority.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from relay_quic.errors import CertificateError, ConfigError, TransportError, WireError
from relay_quic.quic import Client, Closed, DatagramReceived, Event, StreamData, choose
from relay_quic.wire import MAX_MESSAGE_BYTES, ClientMessage, Deframer, RelayMessage, decode_relay, encode
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.identity.link import RelayAddress

CONNECT_S: Final = 5.0

# With nothing heard for this long although something was asked, the connection is given up and made anew.
SILENT_S: Final = 2.0

# The least that what was sent is given to be answered. An acknowledgement takes a round trip and a tick.
ANSWER_S: Final = 1.0

# The machine there says that nobody listens: with this much silence it is believed, as a hint to reconnect.
REFUSED_SILENT_S: Final = 0.25

# How long nothing may be heard when nothing was asked or expected: the transport asks after 2.5 s.
IDLE_SILENT_S: Final = 4.5

# What was heard last was sound, and it stopped: the transport asks after 0.4 s, so silence is an answer soon. More
# than a tick and its jitter, and less than those 0.4 s: whoever has answered since is there.
FLOWING_S: Final = 0.3

# Not read by the relay: it would have closed the connection long before. A backlog as large as the largest
# message twice is a dead connection, not a slow one.
MAX_BACKLOG_BYTES: Final = 2 * MAX_MESSAGE_BYTES


class RelayUnreachable(TuiconfError):
    """No connection to the relay, for now; the message says why."""

    code = "relay_unreachable"


class RelayNotTrusted(TuiconfError):
    """The relay's certificate is not the right one, or there is nothing to tell by. Never retried."""

    code = "relay_not_trusted"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Offered:
    """What a relay showed, to be judged. `publicly_trusted()` reads the machine's authorities, so ask it last."""

    pin: bytes
    publicly_trusted: Callable[[], bool]


Trust = Callable[[RelayAddress, Offered], None]
"""Raises RelayNotTrusted unless this relay may be used."""


def check_library(name: str) -> None:
    """Whether the QUIC library `name` can be used.

    Raises:
        UsageError: there is no such library, or it is not installed.
    """
    try:
        choose(name)
    except (ConfigError, TransportError) as error:
        raise UsageError(str(error)) from error


class RelayConnection:
    """One connection, on the running event loop. `on_closed` is called once, unless we close it ourselves."""

    def __init__(
        self,
        *,
        on_message: Callable[[RelayMessage], None],
        on_datagram: Callable[[bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._on_message = on_message
        self._on_datagram = on_datagram
        self._on_closed = on_closed
        self._deframer = Deframer(MAX_MESSAGE_BYTES)
        self._client: Client | None = None
        self._sent_at = self._asked_at = -math.inf
        self.datagram_at = -math.inf
        """When the last datagram came, which is the one that `on_datagram` is called with; in time.monotonic()."""

    async def open(self, address: RelayAddress, *, library: str, trust: Trust) -> None:
        """Connect, and see whether it is the right relay.

        Raises:
            RelayUnreachable: no connection could be made.
            RelayNotTrusted: it is not a relay to be used.
        """
        try:
            client = await Client.connect(
                address.host, address.port, library=choose(library), on_event=self._event, timeout_s=CONNECT_S
            )
        except CertificateError as error:
            raise RelayNotTrusted(str(error)) from error
        except (TransportError, ConfigError) as error:
            raise RelayUnreachable(str(error)) from error
        try:
            shown = client.certificate
            trust(address, Offered(pin=shown.pin, publicly_trusted=partial(shown.publicly_trusted, address.host)))
        except BaseException:
            await client.close()
            raise
        self._client = client

    def send(self, message: ClientMessage) -> None:
        """Send on the control stream; what cannot be sent any more is lost with the connection."""
        if self._client is not None:
            self._client.send_stream(encode(message))

    def send_datagram(self, datagram: bytes) -> None:
        """Send a datagram, if it can be sent now."""
        if self._client is not None:
            self._client.send_datagram(datagram)
            self._sent_at = time.monotonic()
            if self._asked_at <= self._client.heard_at:
                self._asked_at = self._sent_at  # the first that was not answered yet

    def tick(self, now: float) -> None:
        """Take in what has come, in every tick from now on, before its sound is played. See `Client.tick`."""
        if self._client is not None:
            self._client.tick(now=now)

    def flush(self, now: float) -> None:
        """Write what is pending. `now` is time.monotonic()."""
        if self._client is not None:
            self._client.flush(now=now)

    def is_lost(self, now: float) -> bool:
        """Whether the relay has been silent for so long that a new connection is the better bet."""
        if (client := self._client) is None:
            return False
        if client.stream_backlog_bytes > MAX_BACKLOG_BYTES:
            return True
        silent = now - client.heard_at
        refused = client.refused_at is not None and client.refused_at > client.heard_at
        # Nothing was to be expected while nobody spoke: who does now gives the relay the time to answer that.
        asked = now - self._sent_at < SILENT_S and self._asked_at > client.heard_at and now - self._asked_at > ANSWER_S
        flowing = client.heard_at - self.datagram_at < FLOWING_S
        return silent > (REFUSED_SILENT_S if refused else SILENT_S if asked or flowing else IDLE_SILENT_S)

    @property
    def rtt_ms(self) -> float | None:
        """The smoothed round-trip time to the relay."""
        rtt_s = self._client.rtt_s if self._client is not None else None
        return None if rtt_s is None else round(1000 * rtt_s, 1)

    async def close(self) -> None:
        """Say goodbye. May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _event(self, event: Event) -> None:
        match event:
            case DatagramReceived(data=data):
                self.datagram_at = self._client.arrived_at if self._client is not None else time.monotonic()
                self._on_datagram(data)
            case StreamData(data=data, ended=ended):
                self._read(data)
                if ended:
                    self._lost()
            case Closed():
                self._lost()

    def _read(self, data: bytes) -> None:
        try:
            for body in self._deframer.feed(data):
                self._on_message(decode_relay(body))
                if self._client is None:
                    return  # the message made us close
        except WireError:
            self._lost()

    def _lost(self) -> None:
        if self._client is not None:
            self._on_closed()
