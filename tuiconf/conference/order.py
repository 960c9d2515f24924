"""What a message in the room's order is to a member: opened, refused, or a sign of something missed. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from relay_quic import wire
from tuiconf.conference.events import CommitRefused, Failed
from tuiconf.conference.membership import Instant, Self
from tuiconf.crypto.mls import Application, ContentType, Group, MlsError, ProposalReceived, Staged, peek

# Which MLS content the relay may call by which name. A commit passed off as anything else would escape the order
# of commits, and split the group.
_KINDS: Final[Mapping[wire.Kind, ContentType]] = {
    wire.Kind.COMMIT: ContentType.COMMIT,
    wire.Kind.HANDSHAKE: ContentType.PROPOSAL,
    wire.Kind.APPLICATION: ContentType.APPLICATION,
}

Opened = Application | ProposalReceived | Staged
"""An authentic message of a member. A `Staged` is valid MLS; whether policy allows it is still to be judged."""


class Missed(enum.Enum):
    """What can be told from a header alone. Nobody has vouched for it: whoever holds the link can write one."""

    FOREIGN = "foreign"  # of another group in this room
    LATER = "later"  # of an epoch that we have not reached
    TOO_OLD = "too_old"  # said, not committed, in an epoch whose keys are gone


def open_ordered(
    message: wire.Ordered, group: Group, me: Self, at: Instant
) -> Opened | Missed | CommitRefused | Failed:
    """Open a message. A commit changes nothing before its `Staged` is merged; the key of any other is used up."""
    try:
        header = peek(message.data)
        if header.group_id != group.group_id:
            return Missed.FOREIGN
        if header.content_type is not _KINDS[message.kind]:
            return Failed(code="kind", message="a message was not what the relay says, and was ignored", fatal=False)
        if header.epoch > group.epoch:
            return Missed.LATER
        return group.process(message.data, psks=me.psks, now=int(at.unix))
    except MlsError as error:
        if message.kind is wire.Kind.COMMIT:
            return CommitRefused(reason=error.code)
        if error.code == "wrong_epoch":
            return Missed.TOO_OLD
        sentence = "a message could not be opened or was not authentic, and was ignored"
        return Failed(code=error.code, message=sentence, fatal=False)
