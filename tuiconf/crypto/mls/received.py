"""What `Group.process` gives for a message that is not a commit."""

from __future__ import annotations

from dataclasses import dataclass

from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.messages import AuthenticatedContent, Proposal


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Application:
    """An application message: authentic, and by that member.

    `epoch` may be one of the few before the group's: the sender was a member then, and may not be any more.
    """

    sender_leaf: int
    data: bytes
    authenticated_data: bytes
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProposalReceived:
    """A valid proposal, remembered for the next commit under `ref`."""

    ref: bytes
    sender_leaf: int
    proposal: Proposal


def application(content: AuthenticatedContent) -> Application:
    """Verified application content, as the caller sees it."""
    framed = content.framed
    if not isinstance(framed.content, bytes):
        raise MlsError("malformed", "a message does not hold what it says")
    return Application(
        sender_leaf=framed.sender,
        data=framed.content,
        authenticated_data=framed.authenticated_data,
        epoch=framed.epoch,
    )
