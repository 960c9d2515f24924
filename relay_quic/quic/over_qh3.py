"""A connection over qh3, with what FACTS.md found wrong in it put right.

- `datagrams_to_send` raises near the anti-amplification limit and loses the packets it had built: here packets are
  taken from its core one at a time, and the error only means that no more may be sent yet.
- It never says that a peer has moved: `peer_address` asks its core.
- It drops the report that tells an authentic packet from noise: here the core is asked directly, which also saves
  a fifth of the time.
- It sends every datagram whether or not the peer answers: `Connection` stops that for both libraries.
"""

from __future__ import annotations

from typing import Any

from qh3._hazmat import QuicConnectionCore
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.packet import QuicProtocolVersion

from relay_quic import certs
from relay_quic.errors import CertificateError
from relay_quic.quic.connection import CONTROL_STREAM, Address, Connection
from relay_quic.quic.events import DatagramReceived

# Places in the report of the core's `receive_datagram`.
_ACCEPTED = 2


class Qh3Connection(Connection):
    """See the module."""

    def __init__(self, quic: QuicConnection, *, is_client: bool, idle_timeout_s: float, now: float) -> None:
        super().__init__(is_client=is_client, idle_timeout_s=idle_timeout_s, now=now)
        self._quic = quic

    def _receive(self, packet: bytes, address: Address, now: float) -> bool:
        quic = self._quic
        core = quic._core
        if not self.established or core is None:
            # Authentic or not is not told here; the handshake has its own time limit, so it need not be.
            quic.receive_datagram(packet, address, now)
            return quic._core is not None and bool(quic._core.received_authenticated_packet)
        accepted = core.receive_datagram(packet, address, now, len(packet))[_ACCEPTED] > 0
        if core.has_events:
            quic._drain_core()
        return accepted

    def _send(self, now: float) -> list[tuple[bytes, Address]]:
        packets: list[tuple[bytes, Address]] = []
        core = self._quic._core
        if core is None:
            return packets
        # RuntimeError: "packet builder capacity exhausted". What it wanted to send stays queued and goes out with
        # a later call, when the client has sent more (or when a timer repeats it).
        try:
            while (packet := core.poll_transmit(now)) is not None:
                packets.append((packet[0], packet[1]))
        except RuntimeError:
            return packets
        return packets

    def _send_datagram(self, data: bytes) -> None:
        core = self._quic._core
        if core is not None:
            core.send_datagram(data)

    def _collect(self) -> None:
        quic = self._quic
        waiting = quic._events
        while waiting:
            event = waiting.popleft()
            if isinstance(event, events.DatagramFrameReceived):  # nearly all are
                self._events.append(DatagramReceived(data=event.data))
            else:
                self._translate(event)
        if quic._close_event is not None:
            self._terminated(frame_type=quic._close_event.frame_type, sent_by_us=False)

    def _translate(self, event: events.QuicEvent) -> None:
        match event:
            case events.StreamDataReceived():
                self._stream_event(event.stream_id, event.data, event.end_stream)
            case events.StreamReset() | events.StopSendingReceived():
                self._end("protocol")
            case events.HandshakeCompleted():
                self._establish(event.alpn_protocol)
            case events.ConnectionIdIssued():
                self.new_ids.append(event.connection_id)
            case events.ConnectionIdRetired():
                self.old_ids.append(event.connection_id)
            case _:
                pass

    def _library(self) -> QuicConnection:
        return self._quic

    def _live_core(self) -> QuicConnectionCore | None:
        # After a panic every call into the core panics again.
        return None if self.faults else self._quic._core

    @property
    def rtt_s(self) -> float | None:
        core = self._live_core()
        return None if core is None else core.smoothed_rtt

    @property
    def stream_backlog_bytes(self) -> int:
        return 0 if self.closed else len(self._held) + self._quic.get_send_buffer_size(CONTROL_STREAM)

    @property
    def stream_settled(self) -> bool:
        core = self._live_core()
        return self.stream_backlog_bytes == 0 and (core is None or not core.bytes_in_flight)

    @property
    def peer_address(self) -> Address | None:
        core = self._live_core()
        return None if core is None else core.active_path[2]

    def peer_certificate(self) -> certs.PeerCertificate:
        leaf = self._quic.get_peercert()
        if leaf is None:
            raise CertificateError("the relay showed no certificate")
        others = tuple(c.public_bytes() for c in self._quic.get_issuercerts())
        return certs.PeerCertificate(leaf_der=leaf.public_bytes(), others_der=others)


def configuration(*, certificate: certs.Certificate | None, **settings: Any) -> QuicConfiguration:
    """qh3's settings; with a certificate, a relay's."""
    made = QuicConfiguration(supported_versions=[QuicProtocolVersion.VERSION_1], probe_datagram_size=False, **settings)
    if certificate is not None:
        made.load_cert_chain(certificate.chain_pem, certificate.key_pem)
    return made


def client(settings: QuicConfiguration, *, address: Address, now: float) -> Connection:
    """A connection that has its first packets ready."""
    quic = QuicConnection(configuration=settings)
    quic.connect(address, now)
    return Qh3Connection(quic, is_client=True, idle_timeout_s=settings.idle_timeout, now=now)


def server(settings: QuicConfiguration, *, original_id: bytes, retry_id: bytes | None, now: float) -> Connection:
    """A connection for a client whose first packet was sent to `original_id`."""
    quic = QuicConnection(
        configuration=settings, original_destination_connection_id=original_id, retry_source_connection_id=retry_id
    )
    made = Qh3Connection(quic, is_client=False, idle_timeout_s=settings.idle_timeout, now=now)
    made.new_ids.append(quic.host_cid)
    return made
