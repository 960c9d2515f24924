"""What can go wrong in a call, as types with stable codes.

Programs match on the type or on `code`, never on the text. The text is one sentence for a person.
"""

from __future__ import annotations


class TuiconfError(Exception):
    """Base of every error this package raises on purpose."""

    code: str = "error"


class UsageError(TuiconfError):
    """What the user typed or configured cannot be used: exit code 2."""

    code = "usage"


class RemoteProtocolError(TuiconfError):
    """A peer broke the protocol: never retry the same bytes."""

    code = "remote_protocol"


class LocalProtocolError(TuiconfError):
    """This program asked for something its own state does not allow: a bug of ours, not of the peer."""

    code = "local_protocol"
