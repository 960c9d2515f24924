"""What a terminal interface asks of `tuiconf prepare`, and what it answers: a line of JSON each. Pure, and light."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

# A link has at most 1,024 characters, each of which JSON may write as six.
MAX_ORDER_BYTES: Final = 1 << 14

_Text = Annotated[str, msgspec.Meta(max_length=2048)]


class Join(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="join", forbid_unknown_fields=True):
    """Prepare a call: `where` is a link, or the `ref` of a recent room."""

    where: _Text

    def __repr__(self) -> str:
        return "<Join>"


class Host(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="host", forbid_unknown_fields=True):
    """Prepare a call in a new room on this relay."""

    relay: _Text
    room: _Text | None = None
    lobby: Literal["off", "unknown", "everyone"] = "off"

    def __repr__(self) -> str:
        return "<Host>"


class AcceptRelay(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="accept", forbid_unknown_fields=True):
    """A person says that this is the relay's pin."""

    relay: _Text
    pin: _Text

    def __repr__(self) -> str:
        return "<AcceptRelay>"


Order = Join | Host | AcceptRelay


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The call that was prepared; or why it was not. The first, with nothing in it, says that orders are taken."""

    call: str = ""
    error: str = ""
    code: str = ""
    usage: bool = False
    # Of a relay that nothing is known of (`code` is `relay_unknown`).
    relay: str = ""
    pin: str = ""

    def __repr__(self) -> str:
        return "<Answer>"
