"""What the terminal interface is given by the process it runs in: calls to connect to, and a way to begin new ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import msgspec

from tuiconf.control.events import Envelope
from tuiconf.control.requests import Request
from tuiconf.errors import TuiconfError

R = TypeVar("R", bound=msgspec.Struct)


class Control(Protocol):
    """A connection to the engine of one call: a `ControlClient`, or what a test puts in its place."""

    async def call(self, request: Request[R]) -> R:
        """Ask, and wait for the answer.

        Raises:
            TuiconfError: it was not done.
        """
        ...

    def events(self) -> AsyncIterator[Envelope]:
        """What happens, once `Subscribe` was called, until the engine is gone."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Capabilities(Protocol):
    """What the terminal can. `tuiconf.tui.terminal` finds it out."""

    @property
    def colours(self) -> Literal["none", "16", "256", "true"]:
        """How many colours it shows."""
        ...

    @property
    def unicode(self) -> bool:
        """Whether it shows more than ASCII."""
        ...

    @property
    def multiplexer(self) -> Literal["", "tmux", "screen"]:
        """What is in between."""
        ...

    @property
    def key_releases(self) -> bool:
        """Whether it tells when a key is let go."""
        ...

    @property
    def mouse(self) -> bool:
        """Whether it may be asked to tell of the mouse."""
        ...

    @property
    def motion(self) -> bool:
        """Whether it is quick enough for things that move."""
        ...

    @property
    def dark(self) -> bool:
        """Whether its background is, as far as is known before it was asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRoom:
    """A room one was in. Its secret stays where it is: `ref` is what to name it by."""

    room: str
    relay: str
    last_joined: float  # seconds since 1970
    ref: str


class RelayUnknown(TuiconfError):
    """Nobody has ever been at this relay from here: a person compares its pin, and decides."""

    code = "relay_unknown"

    def __init__(self, address: str, pin: str) -> None:
        super().__init__(f"{address} was never used before")
        self.address = address
        self.pin = pin


class Keeper(Protocol):
    """Keeps what is set."""

    def save(self, table: str, key: str, value: str | bool | float) -> None:
        """One setting, kept for the next time.

        Raises:
            TuiconfError: it cannot be written.
        """
        ...

    def settings_file(self) -> str:
        """Where `save` keeps them, for a person."""
        ...


class Launcher(Protocol):
    """Begins calls, and knows those of before."""

    def recent(self) -> tuple[RecentRoom, ...]:
        """The rooms one was in, the last first."""
        ...

    def forget(self, ref: str) -> None:
        """Keep nothing of a room."""
        ...

    async def join(self, where: str) -> str:
        """Prepare a call to a link, or to the `ref` of a recent room; the call's name. It begins with `schema.Join`.

        Raises:
            RelayUnknown: see there.
            TuiconfError: it cannot be.
        """
        ...

    async def host(self, relay: str, room: str | None, lobby: str) -> str:
        """Prepare a call in a new room; the call's name.

        Raises:
            RelayUnknown: see there.
            TuiconfError: it cannot be.
        """
        ...

    def running(self) -> tuple[str, ...]:
        """The calls that go on on this machine, and can be attached to."""
        ...

    async def accept_relay(self, question: RelayUnknown) -> None:
        """A person has compared the pin: from now on it is known."""
        ...
