"""The front end of plain lines: events as sentences or as JSON, and commands from standard input.

What others wrote is untrusted: whatever could move the cursor, hide or reorder text is replaced before it is shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import Final, TextIO

from tuiconf.adapters.audio import AudioError, open_source, parse_input
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
    Undecryptable,
    Waiting,
)
from tuiconf.engine import Engine
from tuiconf.errors import LocalProtocolError, UsageError

HELP: Final = "lines you type are chat; /who /mute /unmute /play FILE /remove NAME /leave"

# A command is a line somebody types; a pipe that sends no newline is not kept for ever.
MAX_LINE_BYTES: Final = 1 << 14

READ_BYTES: Final = 1 << 12

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
    """Writes events to a stream, a line each; when nobody reads any more, it says so once and stays quiet."""

    def __init__(self, stream: TextIO, *, as_json: bool, on_broken: Callable[[], None]) -> None:
        self._stream = stream
        self._as_json = as_json
        self._on_broken = on_broken
        self._broken = False

    def show(self, event: Event) -> None:
        """Write one event."""
        line = event.to_json().decode() if self._as_json else sentence(event)
        if line is None or self._broken:
            return
        errors_apart = isinstance(event, Failed) and not self._as_json
        try:
            print(line, file=sys.stderr if errors_apart else self._stream, flush=True)
        except (OSError, ValueError):
            self._broken = True
            # Or Python complains once more when it flushes at exit.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._on_broken()


class Commands:
    """What a person types, or a script writes, into the call."""

    def __init__(self, engine: Engine, show: Callable[[Event], None]) -> None:
        self._engine = engine
        self._show = show

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
            return
        command, _, argument = line[1:].partition(" ")
        match command:
            case "mute" | "unmute":
                engine.mute(command == "mute")
            case "play":
                await engine.play(open_source(parse_input(argument.strip())))
            case "remove":
                engine.remove(self._leaf(argument.strip()))
            case "who":
                self._who()
            case "leave" | "quit" | "q":
                engine.leave()
            case _:
                raise UsageError(f"there is no such command: {HELP}")

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


async def read_lines(on_line: Callable[[str], None]) -> None:
    """Call `on_line` with each line of standard input until it ends. Never blocks the loop.

    Too long a line is cut, not kept.
    """
    lines = _Lines(on_line)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def readable() -> None:
        try:
            data = os.read(0, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        lines.feed(data)
        if not data and not ended.done():
            ended.set_result(None)

    loop = asyncio.get_running_loop()
    try:
        loop.add_reader(0, readable)
    except OSError:  # a file, or /dev/null: always readable, so epoll does not take it
        while data := await asyncio.to_thread(os.read, 0, READ_BYTES):
            lines.feed(data)
        lines.feed(b"")
        return
    try:
        await ended
    finally:
        loop.remove_reader(0)


class _Lines:
    """Cuts input into lines; the last one counts even without its newline."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        """More input; nothing is its end."""
        held = self._held
        held += data
        if not data and held:
            held += b"\n"
        while (end := held.find(b"\n")) >= 0:
            line = bytes(held[: min(end, MAX_LINE_BYTES)])
            del held[: end + 1]
            self._on_line(line.decode(errors="replace"))
        del held[MAX_LINE_BYTES:]


def stdin_is_open() -> bool:
    """Whether there is a standard input at all: some starters close it."""
    try:
        os.fstat(0)
    except OSError:
        return False
    return sys.stdin is not None
