"""The front end of plain lines: events as sentences or as JSON, and commands from standard input.

What others wrote is untrusted: whatever could move the cursor, hide or reorder text is replaced before it is shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

from tuiconf.adapters.audio import AudioError, Kind, open_source, parse_input
from tuiconf.conference.events import (
    AudioStats,
    ChatReceived,
    CommitRefused,
    EpochChanged,
    Event,
    Failed,
    Joined,
    Left,
    LeftReason,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Reconnected,
    Reconnecting,
    RoomCreated,
    SourceEnded,
    Undecryptable,
    Waiting,
)
from tuiconf.engine import Engine
from tuiconf.errors import LocalProtocolError, UsageError

HELP: Final = "lines you type are chat; /who /mute /unmute /play FILE /remove NAME /leave"

_HIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """`text` with everything replaced that a terminal or a reader could be misled by."""
    return "".join("\N{MIDDLE DOT}" if unicodedata.category(char) in _HIDDEN else char for char in text)


def sentence(event: Event) -> str | None:
    """The event for a person, in one line; None for what would only be noise there."""
    match event:
        case RoomCreated(link=link):
            return link
        case Waiting():
            return "waiting to be let in …"
        case Joined(me=me, participants=people, security_code=code):
            others = ", ".join(_name(who) for who in people if who.leaf != me.leaf) or "nobody else yet"
            return f"joined as {_name(me)}; here: {others}; security code {code}"
        case ParticipantJoined(participant=who):
            return f"{_name(who)} joined ({who.fingerprint})"
        case ParticipantLeft(participant=who, reason=reason):
            how = {"left": "left", "removed": "was removed", "vanished": "is gone"}[reason]
            return f"{_name(who)} {how}"
        case EpochChanged(epoch=epoch, security_code=code):
            return f"new keys (epoch {epoch}); security code {code}"
        case ChatReceived(participant=who, text=text):
            return f"<{_name(who)}> {visible(text)}"
        case SourceEnded():
            return "what you were sending is over"
        case Undecryptable(active=active):
            return "some sound cannot be decrypted: it is silenced" if active else "all sound can be decrypted again"
        case CommitRefused(reason=reason):
            return f"a change to the group was refused ({reason}); nothing has changed"
        case Reconnecting():
            return "the relay is out of reach; trying again …"
        case Reconnected():
            return "back in the call"
        case Failed(message=message):
            return f"error: {message}"
        case Left(reason=reason):
            return {
                LeftReason.LEFT: "left",
                LeftReason.REMOVED: "you were removed by the host",
                LeftReason.FAILED: "the call has ended",
            }[reason]
        case AudioStats():
            return None
    return None


def _name(who: Person) -> str:
    return f"{visible(who.name)} (host)" if who.host else visible(who.name)


class Printer:
    """Shows events, a line each; in plain lines what went wrong goes to standard error."""

    def __init__(self, write: Callable[[str], None], write_error: Callable[[str], None], *, as_json: bool) -> None:
        self._write = write
        self._write_error = write_error
        self._as_json = as_json

    def show(self, event: Event) -> None:
        """Write one event."""
        if self._as_json:
            self._write(event.to_json().decode())
        elif (line := sentence(event)) is not None:
            (self._write_error if isinstance(event, Failed) else self._write)(line)


class Commands:
    """What a person types, or a script writes, into the call."""

    def __init__(self, engine: Engine, show: Callable[[Event], None]) -> None:
        self._engine = engine
        self._show = show
        self.said = False
        """Whether there was chat among it."""

    async def run(self, line: str) -> None:
        """Do what one line says; what is wrong with it is shown."""
        try:
            await self._do(line.strip())
        except (LocalProtocolError, UsageError, AudioError) as error:
            self._show(Failed(code=error.code, message=str(error), fatal=False))

    async def _do(self, line: str) -> None:
        engine = self._engine
        if not line.startswith("/"):
            if line:
                engine.say(line)
                self.said = True
            return
        command, _, argument = line[1:].partition(" ")
        match command:
            case "mute" | "unmute":
                engine.mute(command == "mute")
            case "play":
                await self._play(argument.strip())
            case "remove":
                engine.remove(self._leaf(argument.strip()))
            case "who":
                self._who()
            case "leave" | "quit" | "q":
                engine.leave()
            case _:
                raise UsageError(f"there is no such command: {HELP}")

    async def _play(self, text: str) -> None:
        spec = parse_input(text)
        if spec.kind is Kind.STANDARD:
            raise UsageError("standard input is where commands come from: play a file or a command")
        await self._engine.play(open_source(spec))

    def _leaf(self, wanted: str) -> int:
        """The participant meant by a name or the beginning of a fingerprint; it must be clear which."""
        membership = self._engine.membership
        people = membership.people() if membership is not None else ()
        matches = [
            who.leaf
            for who in people
            if who.name == wanted or (len(wanted) >= 4 and who.fingerprint.startswith(wanted))
        ]
        if len(matches) != 1:
            raise UsageError("there is nobody of that name" if not matches else "several are called that: use /who")
        return matches[0]

    def _who(self) -> None:
        if (membership := self._engine.membership) is not None:
            self._show(membership.joined_event())
