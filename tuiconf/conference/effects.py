"""What the conference core asks its shell to do. The order of a list of effects is the order to do them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay_quic.wire import ClientMessage
from tuiconf.conference.events import Event, LeftReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send this on the relay's control stream."""

    message: ClientMessage


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class InstallKeys:
    """Media keys of a new epoch: open with them from now on, and seal with nothing older."""

    epoch: int
    base_key: bytes
    own_leaf: int
    members: Mapping[int, bytes]  # the identity key at each leaf whose frames may be opened
    new_group: bool  # nothing installed before has to do with it
    removal: bool  # someone was removed: keep older epochs for 1 s only

    def __repr__(self) -> str:
        """Without the key."""
        return f"<InstallKeys epoch={self.epoch}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Tell the front ends."""

    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """This connection is of no use any more: close it and make a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The call is over: send what is queued, then close."""

    reason: LeftReason


Effect = Send | InstallKeys | Emit | Reconnect | Finish
