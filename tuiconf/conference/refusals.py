"""Why a command of the user is not carried out: a type for each reason that a program must be able to tell apart."""

from __future__ import annotations

from tuiconf.errors import LocalProtocolError


class NotInCall(LocalProtocolError):
    """What was asked for takes being in the call."""

    code = "not_in_call"


class NotAllowed(LocalProtocolError):
    """The room's policy does not give this participant the right."""

    code = "not_allowed"


class NoSuchParticipant(LocalProtocolError):
    """Nobody else is at that leaf."""

    code = "no_such_participant"


class NoSuchCaller(LocalProtocolError):
    """Nobody of that reference waits in the lobby."""

    code = "no_such_caller"
