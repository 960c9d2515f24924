"""The methods about who people are: the codes that are compared, and the store of those who were met (peers)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tuiconf.control.requests import Done, Participant, Request, Result

How = Literal["room_code", "safety_number", "fingerprint"]
"""What was compared."""


class RoomCode(Result, frozen=True, kw_only=True):
    """The code of the group as it is now, in two notations: equal for all only if all are in one group."""

    epoch: int
    digits: str  # 30, in groups of 5: `security_code` of the events
    words: tuple[str, ...]  # 8


class GetRoomCode(Request[RoomCode], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is read aloud to see that all are in one group, with nobody in between."""

    method = "code.get"
    result = RoomCode


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """An identity in the store. Times are seconds since 1970.

    `trust` is as in the roster for who is in the call: also `new`, and `changed` where the name was another's.
    """

    fingerprint: str
    name: str  # at the last meeting
    trust: Literal["new", "known", "verified", "changed"]
    first_met: float
    last_met: float
    verified_at: float | None = None
    verified_how: How | None = None

    def __repr__(self) -> str:
        return "<Peer>"


class Peers(Result, frozen=True, kw_only=True):
    """All of them, who was met last first."""

    peers: tuple[Peer, ...]


class ListPeers(Request[Peers], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The identities that this participant has met."""

    method = "peers.list"
    result = Peers


class PeerShown(Result, frozen=True, kw_only=True):
    """One identity: what is stored of it (None: nothing yet), and what two people compare."""

    fingerprint: str
    name: str
    trust: Literal["new", "known", "verified", "changed"]
    stored: Peer | None
    others: tuple[Peer, ...]  # whom the same name stood for before, where it is `changed`
    safety_number: str  # 60 digits, in groups of 5: equal on both sides, and stable for life
    qr: str  # what a QR code of it holds

    def __repr__(self) -> str:
        return "<PeerShown>"


class ShowPeer(Request[PeerShown], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One identity, of someone in the call or in the store. It has a safety number with this participant."""

    method = "peers.show"
    result = PeerShown

    peer: Participant


class VerifyPeer(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person has compared, and it matches; or it does not, which makes them `changed` until `peers.accept`.

    `epoch`: of the room code that was compared; refused when the group has gone on to another since.
    """

    method = "peers.verify"
    result = Done

    peer: Participant
    how: How
    matches: bool = True
    epoch: Annotated[int, msgspec.Meta(ge=0)] | None = None


class AcceptPeer(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Someone who is `changed` is heard again: as known, and not verified."""

    method = "peers.accept"
    result = Done

    peer: Participant


class ForgetPeer(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As if they had never been met."""

    method = "peers.forget"
    result = Done

    peer: Participant
