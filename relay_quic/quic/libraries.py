"""Which QUIC library, and how its connections are made.

aioquic and qh3 are imported by over_aioquic.py and over_qh3.py only, and those here, when first needed.
"""

from __future__ import annotations

import importlib.util
import logging
import ssl
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from relay_quic import certs
from relay_quic.errors import ConfigError, TransportError
from relay_quic.quic.connection import (
    DEFAULT_IDLE_TIMEOUT_S,
    INITIAL_RTT_S,
    MAX_DATA,
    MAX_DATAGRAM_FRAME_BYTES,
    MAX_STREAM_DATA,
    MAX_UDP_PAYLOAD_BYTES,
    Address,
    Connection,
)
from relay_quic.quic.packets import ID_BYTES
from relay_quic.wire import ALPN


class Library(StrEnum):
    """The QUIC libraries this can stand on."""

    AIOQUIC = "aioquic"
    QH3 = "qh3"


def choose(name: str = "auto") -> Library:
    """The library called `name`; for `auto` qh3 when it is installed, else aioquic.

    Raises:
        ConfigError: there is no library of this name.
        TransportError: it is not installed.
    """
    if name == "auto":
        return Library.QH3 if _installed(Library.QH3) else Library.AIOQUIC
    try:
        library = Library(name)
    except ValueError as error:
        raise ConfigError("the QUIC library must be aioquic, qh3 or auto") from error
    if not _installed(library):
        raise TransportError(f"{library} is not installed: install it, or choose another QUIC library")
    return library


def _installed(library: Library) -> bool:
    return importlib.util.find_spec(library.value) is not None


def _settings(*, is_client: bool, idle_timeout_s: float) -> dict[str, Any]:
    # Both libraries log peers' addresses and reasons as warnings; ours are the errors and counters.
    logging.getLogger("quic").setLevel(logging.CRITICAL)
    return {
        "is_client": is_client,
        "alpn_protocols": [ALPN],
        "idle_timeout": idle_timeout_s,
        "connection_id_length": ID_BYTES,
        "max_data": MAX_DATA,
        "max_stream_data": MAX_STREAM_DATA,
        "max_datagram_size": MAX_UDP_PAYLOAD_BYTES,
        "max_datagram_frame_size": MAX_DATAGRAM_FRAME_BYTES,
        "initial_rtt": INITIAL_RTT_S,
    }


class Connector:
    """Makes the client side of connections."""

    def __init__(self, library: Library, *, idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S) -> None:
        self._library = library
        self._idle_timeout_s = idle_timeout_s

    def connect(self, *, host: str, address: Address, now: float) -> Connection:
        """A connection to `address` that has its first packets ready.

        Raises:
            TransportError: `host` cannot be a host's name.
        """
        settings = _settings(is_client=True, idle_timeout_s=self._idle_timeout_s)
        # Who the relay is, its pin or `publicly_trusted` decides. That it has the key of the certificate it shows,
        # both libraries verify whatever this mode says (test_quic_handshake.py).
        settings |= {"server_name": _ascii(host), "verify_mode": ssl.CERT_NONE}
        if self._library is Library.QH3:
            from relay_quic.quic import over_qh3

            return over_qh3.client(over_qh3.configuration(certificate=None, **settings), address=address, now=now)
        from relay_quic.quic import over_aioquic

        return over_aioquic.client(over_aioquic.configuration(certificate=None, **settings), address=address, now=now)


def _ascii(host: str) -> str:
    """A host name as it goes into TLS; both libraries fail on others."""
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise TransportError("the relay's host name is not a valid one") from error


class Listener:
    """Makes the relay's side of connections. Keys and settings are read once."""

    def __init__(
        self, library: Library, certificate: certs.Certificate, *, idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S
    ) -> None:
        settings = _settings(is_client=False, idle_timeout_s=idle_timeout_s)
        self.accept: Callable[..., Connection] = self._maker(library, certificate, settings)
        """(original_id=, retry_id=, now=) -> the connection of a client whose first packet went to `original_id`"""

    @staticmethod
    def _maker(library: Library, certificate: certs.Certificate, settings: dict[str, Any]) -> Callable[..., Connection]:
        if library is Library.QH3:
            from relay_quic.quic import over_qh3

            fast = over_qh3.configuration(certificate=certificate, **settings)
            return lambda **who: over_qh3.server(fast, **who)
        from relay_quic.quic import over_aioquic

        reference = over_aioquic.configuration(certificate=certificate, **settings)
        return lambda **who: over_aioquic.server(reference, **who)
