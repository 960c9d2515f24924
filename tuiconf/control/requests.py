"""What every method of the control API is made of: the bases of requests and results, and the types of parameters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Generic, TypeVar

import msgspec

from tuiconf.conference.content import MAX_CHAT_CHARACTERS as MAX_CHAT_CHARACTERS

R = TypeVar("R")

ChatText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHAT_CHARACTERS)]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Decibels = Annotated[float, msgspec.Meta(ge=-60.0, le=24.0)]
Participant = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)] | ShortText
"""A participant: the number of their leaf, their whole name, or the beginning of their fingerprint."""

# A talk key that is down for longer has something lying on it, or nobody heard that it went up: a microphone that is
# hot by surprise. Whoever speaks for longer than this presses again.
MAX_HOLD_S: Final = 120.0

# What fits into one line (`rpc.MAX_LINE_BYTES`); more belong into the settings.
MAX_ALLOWED: Final = 1024


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what methods answer with."""


class Done(Result, frozen=True, kw_only=True):
    """It was done, and there is nothing more to say."""


class Request(msgspec.Struct, Generic[R], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all methods; `R` is the type of the result."""

    method: ClassVar[str]
    result: ClassVar[type]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
