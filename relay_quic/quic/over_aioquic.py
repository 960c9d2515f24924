"""A connection over aioquic, with what FACTS.md found wrong in it put right.

- It queues datagrams without bound while its congestion window is shut: here they are few and young.
- Its flow-control windows double with use, so a stream could hold 20 MB: here they slide and keep their size.
- It admits 128 streams each way: here one, from the client.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from relay_quic import certs
from relay_quic.quic.connection import (
    CONTROL_STREAM,
    MAX_DATA,
    MAX_DATAGRAM_AGE_S,
    MAX_PENDING_DATAGRAMS,
    MAX_STREAM_DATA,
    Address,
    Connection,
)
from relay_quic.quic.events import DatagramReceived


class _BoundedConnection(QuicConnection):
    """aioquic's connection, with receive windows of constant size and a single stream."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._local_max_streams_bidi.value = 0 if self._is_client else 1
        self._local_max_streams_uni.value = 0

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        limit = self._local_max_data
        used = limit.used
        if limit.value - used < MAX_DATA // 2:
            limit.value = used + MAX_DATA
        # The parent doubles the window when more than half is used; it must not see that it is.
        limit.used = 0
        try:
            super()._write_connection_limits(builder, space)
        finally:
            limit.used = used

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        receiver = stream.receiver
        highest, delivered = receiver.highest_offset, receiver.starting_offset()
        if stream.max_stream_data_local and stream.max_stream_data_local - delivered < MAX_STREAM_DATA // 2:
            stream.max_stream_data_local = delivered + MAX_STREAM_DATA
        receiver.highest_offset = 0
        try:
            super()._write_stream_limits(builder, space, stream)
        finally:
            receiver.highest_offset = highest


class AioquicConnection(Connection):
    """See the module."""

    def __init__(self, quic: QuicConnection, *, is_client: bool, idle_timeout_s: float, now: float) -> None:
        super().__init__(is_client=is_client, idle_timeout_s=idle_timeout_s, now=now)
        self._quic = quic
        self._queued_at: deque[float] = deque()  # one for each datagram that aioquic still holds, oldest first
        self._sent_at = now

    def _send_datagram(self, data: bytes) -> None:
        self._quic.send_datagram_frame(data)
        # When it was really given is between the last `send` and now: the older is the safe guess.
        self._queued_at.append(self._sent_at)
        if len(self._queued_at) > MAX_PENDING_DATAGRAMS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._queued_at.popleft()
        if self._quic._datagrams_pending:
            self._quic._datagrams_pending.popleft()

    def _receive(self, packet: bytes, address: Address, now: float) -> bool:
        # The idle timer is set anew by each packet that authenticates, and by nothing else on the way in.
        quic = self._quic
        before = quic._close_at
        quic.receive_datagram(packet, address, now)
        return quic._close_at != before

    def _send(self, now: float) -> list[tuple[bytes, Address]]:
        quic, queued_at = self._quic, self._queued_at
        while queued_at and now - queued_at[0] > MAX_DATAGRAM_AGE_S and self._sent_at > queued_at[0]:
            self._drop_oldest()
        packets: list[tuple[bytes, Address]] = quic.datagrams_to_send(now)
        while len(queued_at) > len(quic._datagrams_pending):
            queued_at.popleft()
        self._sent_at = now
        return packets

    def _collect(self) -> None:
        quic = self._quic
        while (event := quic.next_event()) is not None:
            match event:
                case events.DatagramFrameReceived():
                    self._events.append(DatagramReceived(data=event.data))
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
        # Set as soon as either side closes; the event comes three probe timeouts later.
        if quic._close_event is not None:
            self._terminated(frame_type=quic._close_event.frame_type, sent_by_us=quic._close_pending)

    def _library(self) -> QuicConnection:
        return self._quic

    @property
    def rtt_s(self) -> float | None:
        recovery = self._quic._loss
        return recovery._rtt_smoothed if recovery._rtt_initialized else None

    @property
    def stream_backlog_bytes(self) -> int:
        stream = self._quic._streams.get(CONTROL_STREAM)
        return len(self._held) if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start

    @property
    def stream_settled(self) -> bool:
        return self.stream_backlog_bytes == 0

    @property
    def peer_address(self) -> Address | None:
        return self._quic.get_peer_address()

    def peer_certificate(self) -> certs.PeerCertificate:
        tls = self._quic.tls
        others = tuple(certs.der_of(c) for c in tls._peer_certificate_chain)
        return certs.PeerCertificate(leaf_der=certs.der_of(tls._peer_certificate), others_der=others)


def configuration(*, certificate: certs.Certificate | None, **settings: Any) -> QuicConfiguration:
    """aioquic's settings; with a certificate, a relay's."""
    made = QuicConfiguration(supported_versions=[QuicProtocolVersion.VERSION_1], **settings)
    if certificate is not None:
        chain, made.private_key = certs.parsed(certificate)
        made.certificate, made.certificate_chain = chain[0], chain[1:]
    return made


def client(settings: QuicConfiguration, *, address: Address, now: float) -> Connection:
    """A connection that has its first packets ready."""
    quic = _BoundedConnection(configuration=settings)
    quic.connect(address, now)
    return AioquicConnection(quic, is_client=True, idle_timeout_s=settings.idle_timeout, now=now)


def server(settings: QuicConfiguration, *, original_id: bytes, retry_id: bytes | None, now: float) -> Connection:
    """A connection for a client whose first packet was sent to `original_id`."""
    quic = _BoundedConnection(
        configuration=settings, original_destination_connection_id=original_id, retry_source_connection_id=retry_id
    )
    made = AioquicConnection(quic, is_client=False, idle_timeout_s=settings.idle_timeout, now=now)
    made.new_ids.append(quic.host_cid)
    return made
