"""What can go wrong in the relay and on its wire, as types with stable codes."""

from __future__ import annotations


class RelayError(Exception):
    """Base of every error this package raises on purpose.

    `code` is stable and meant for programs; the message is one sentence meant for people.
    """

    code: str = "relay_error"


class WireError(RelayError):
    """Bytes from the other side that are not a message of the protocol: close the connection."""

    code = "wire"


class TransportError(RelayError):
    """The QUIC connection could not be made, or is gone."""

    code = "transport"


class CertificateError(TransportError):
    """The relay's certificate is not the one that was expected."""

    code = "certificate"


class ConfigError(RelayError):
    """A setting is wrong; the message names it and says what it may be."""

    code = "config"
