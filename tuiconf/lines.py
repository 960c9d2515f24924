"""The front end of plain lines: events as sentences or as JSON, and commands from standard input.

What others wrote is untrusted: whatever could move the cursor, hide or reorder text is replaced before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

import msgspec

from tuiconf.conference.events import (
    ChatReceived,
    CommitRefused,
    EpochChanged,
    Event,
    Failed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    LeftReason,
    MuteRequested,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    PolicyChanged,
    Reconnected,
    Reconnecting,
    RecordingRefused,
    RoomCreated,
    SourceEnded,
    Undecryptable,
    Waiting,
)
from tuiconf.control import schema
from tuiconf.control.events import ChatSent, Notice, Played, RecordingChanged
from tuiconf.control.schema import AnyRequest, Request
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.untrusted import visible as visible

HELP: Final = (
    "lines you type are chat; /who /mute /unmute /deafen /undeafen /hand /unhand /play FILE /stop /record /unrecord "
    "/leave /detach, and for hosts /admit NAME /deny NAME /remove NAME /silence NAME /handover NAME /lock /unlock "
    "/lobby off|unknown|everyone"
)

R = TypeVar("R", bound=msgspec.Struct)


def sentence(event: Event) -> str | None:
    """The event for a person, in one line; None for what would only be noise there."""
    return _of_people(event) or _of_call(event)


def _of_people(event: Event) -> str | None:
    match event:
        case Joined(me=me, created=True) if not me.host:
            return f"joined as {_name(me)}, alone in a new room: nobody was there to let you in. Is it the right link?"
        case Joined(me=me, participants=people, security_code=code):
            others = ", ".join(_name(who) for who in people if who.leaf != me.leaf) or "nobody else yet"
            return f"joined as {_name(me)}; here: {others}; security code {code}"
        case ParticipantJoined(participant=who):
            return f"{_name(who)} joined ({who.fingerprint})"
        case ParticipantLeft(participant=who, reason=reason):
            return f"{_name(who)} {_HOW_GONE[reason]}"
        case ChatReceived(participant=who, text=text) | ChatSent(participant=who, text=text):
            return f"<{_name(who)}> {visible(text)}"
        case Knocked(caller=caller):
            known = "known" if caller.known else "not known"
            return f"{visible(caller.name)} knocks ({known}, {caller.fingerprint}): /admit or /deny"
        case KnockEnded(caller=caller, reason=reason):
            return f"{visible(caller.name)} {_HOW_ANSWERED[reason]}"
        case MuteRequested(by=who):
            return f"{_name(who)} asked for quiet: you are muted, /unmute when you want to speak"
        case RecordingRefused(participant=who):
            return f"{_name(who)} says that they record, which the room's policy does not allow"
        case _:
            return None


def _of_call(event: Event) -> str | None:
    match event:
        case RoomCreated(link=link):
            return link
        case Waiting():
            return "waiting to be let in …"
        case EpochChanged(epoch=epoch, security_code=code):
            return f"new keys (epoch {epoch}); security code {code}"
        case PolicyChanged():
            return _policy(event)
        case SourceEnded():
            return "what you were sending is over"
        case Played(finished=True):
            return "what was played is over"
        case RecordingChanged(active=active, folder=folder, reason=reason):
            return f"recording into {visible(folder)}" if active else f"not recording any more ({visible(reason)})"
        case Undecryptable(active=active):
            return "some sound cannot be decrypted: it is silenced" if active else "all sound can be decrypted again"
        case CommitRefused(reason=reason):
            return f"a change to the group was refused ({reason}); nothing has changed"
        case Reconnecting():
            return "the relay is out of reach; trying again …"
        case Reconnected():
            return "back in the call"
        case Notice(message=message):
            return visible(message)
        case Failed(message=message):
            return f"error: {message}"
        case Left(reason=reason):
            return _WHY_LEFT[reason]
        case _:
            return None


def _policy(event: PolicyChanged) -> str:
    hosts = ", ".join(visible(who.name) for who in event.hosts) or "nobody"
    return f"the room: host {hosts}, lobby {event.lobby}, {'locked' if event.locked else 'not locked'}"


_HOW_GONE: Final[Mapping[str, str]] = {"left": "left", "removed": "was removed", "vanished": "is gone"}

_HOW_ANSWERED: Final[Mapping[str, str]] = {
    "admitted": "was let in",
    "denied": "was not let in",
    "gone": "no longer knocks",
}

_WHY_LEFT: Final[Mapping[LeftReason, str]] = {
    LeftReason.LEFT: "left",
    LeftReason.REMOVED: "you were removed by the host",
    LeftReason.FAILED: "the call has ended",
}


def _name(who: Person) -> str:
    return f"{visible(who.name)} (host)" if who.host else visible(who.name)


class Printer:
    """Shows events, a line each; in plain lines what is about this program, and not the call, to standard error."""

    def __init__(self, write: Callable[[str], None], write_error: Callable[[str], None], *, as_json: bool) -> None:
        self._write = write
        self._write_error = write_error
        self._as_json = as_json

    def show(self, event: Event) -> None:
        """Write one event."""
        if self._as_json:
            self._write(event.to_json().decode())
        elif (line := sentence(event)) is not None:
            (self._write_error if isinstance(event, Failed | Notice) else self._write)(line)


class Control(Protocol):
    """A call, in this process or another."""

    async def call(self, request: Request[R]) -> R:
        """Do what it says.

        Raises:
            TuiconfError: it cannot be done.
        """
        ...


class Commands:
    """What a person types, or a script writes, into the call."""

    def __init__(self, control: Control, show: Callable[[Event], None]) -> None:
        self._control = control
        self._show = show
        self.said = False
        """Whether there was chat among it."""
        self._typed: list[str] = []  # chat that was not heard of yet
        self.detached = False
        """Whether the person goes, and the call is to stay."""

    async def run(self, line: str) -> None:
        """Do what one line says; what is wrong with it is shown."""
        try:
            await self._do(line.strip())
        except TuiconfError as error:
            self._show(Failed(code=error.code, message=str(error), fatal=False))

    async def _do(self, line: str) -> None:
        if not line.startswith("/"):
            if line:
                await self._say(line)
            return
        command, _, argument = line[1:].partition(" ")
        argument = argument.strip()
        match command:
            case "who":
                await self._who()
            case "detach":
                await self._control.call(schema.Detach())
                self.detached = True
            case "say":
                await self._say(argument)
            case _:
                await self._control.call(_request(command, argument))

    def is_echo(self, event: Event) -> bool:
        """Whether it only tells what was typed here, and not by another front end or a script. To be asked once."""
        if not isinstance(event, ChatSent) or event.text not in self._typed:
            return False
        self._typed.remove(event.text)
        return True

    async def _say(self, text: str) -> None:
        self.said = True
        self._typed.append(text)
        try:
            await self._control.call(schema.ChatSend(text=text))
        except TuiconfError:
            self._typed.remove(text)
            raise

    async def _who(self) -> None:
        state = await self._control.call(schema.GetState())
        if state.me is not None and state.epoch is not None and state.security_code is not None:
            self._show(
                Joined(
                    epoch=state.epoch,
                    security_code=state.security_code,
                    me=state.me,
                    participants=state.participants,
                )
            )


def _request(command: str, argument: str) -> AnyRequest:
    """What a command asks for.

    Raises:
        UsageError: there is no such command, or it needs to be told more.
    """
    if (simple := _SIMPLE.get(command)) is not None:
        return simple
    try:
        if (make := _WITH_ARGUMENT.get(command)) is not None and argument:
            return make(argument)
    except msgspec.ValidationError as error:
        raise UsageError(f"/{command}: {error}") from error
    if make is not None:
        raise UsageError(f"/{command} needs to be told more: {HELP}")
    raise UsageError(f"there is no such command: {HELP}")


_SIMPLE: Final[Mapping[str, AnyRequest]] = {
    "mute": schema.Mute(),
    "unmute": schema.Unmute(),
    "deafen": schema.Deafen(),
    "undeafen": schema.Undeafen(),
    "hand": schema.HandRaise(),
    "unhand": schema.HandLower(),
    "stop": schema.PlayStop(),
    "lock": schema.Lock(),
    "unlock": schema.Unlock(),
    "record": schema.RecordStart(),
    "unrecord": schema.RecordStop(),
    **dict.fromkeys(("leave", "quit", "q"), schema.Leave()),
}

_WITH_ARGUMENT: Final[Mapping[str, Callable[[str], AnyRequest]]] = {
    "play": lambda text: schema.Play(path=text),
    "remove": lambda text: schema.Remove(participant=text),
    "admit": lambda text: schema.Admit(caller=text),
    "deny": lambda text: schema.Deny(caller=text),
    "handover": lambda text: schema.HandOver(participant=text),
    "silence": lambda text: schema.MuteRequest(participant=text),
    "lobby": lambda text: msgspec.convert({"lobby": text}, schema.LobbySet),
}
