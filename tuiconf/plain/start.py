"""`tuiconf --plain` without a command: which room, in questions and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tuiconf.errors import TuiconfError, UsageError
from tuiconf.plain.wording import day
from tuiconf.tui.launcher import Launcher, RecentRoom, RelayUnknown
from tuiconf.untrusted import visible

# Rooms that are read out; the ones before are in no hurry.
MAX_ROOMS: Final = 9

# More than there are choices; of thousands of digits Python makes no number.
_MAX_DIGITS: Final = 4

HELP: Final = "type a number, or paste a link; host makes a room, forget and a number forgets one, quit ends"

Ask = Callable[[str], Awaitable[str | None]]
"""Says a question and gives what was typed; None at the end of input."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """One of the numbers: a call to pick up, or a room to join."""

    words: str
    call: str | None = None
    room: RecentRoom | None = None


class _NoMoreInput(Exception):
    """There is nobody to answer."""


async def start_dialogue(launcher: Launcher, ask: Ask, say: Say) -> str | None:
    """The name of a call that is prepared, or runs already; None when the person wants none.

    A call that is prepared is in phase `ready`: its front end lets the person try the microphone and `/join`.
    """
    dialogue = _Dialogue(launcher, ask, say)
    try:
        return await dialogue.run()
    except _NoMoreInput:
        return None


class _Dialogue:
    def __init__(self, launcher: Launcher, ask: Ask, say: Say) -> None:
        self._launcher, self._ask_person, self._say = launcher, ask, say
        self._choices: Sequence[_Choice] = ()

    async def run(self) -> str | None:
        self._offer()
        while True:
            typed = await self._ask("which room?")
            if typed in ("quit", "q", "/quit", "/q", "/leave"):
                return None
            try:
                if (call := await self._do(typed)) is not None:
                    return call
            except TuiconfError as error:
                self._say(f"error: {visible(str(error))}")

    def _offer(self) -> None:
        """What there is to choose from, and how."""
        running = [_Choice(words=f"pick up the running call {call}", call=call) for call in self._launcher.running()]
        rooms = [_Choice(words=_words(room), room=room) for room in self._recent()[:MAX_ROOMS]]
        self._choices = [*running, *rooms]
        for number, choice in enumerate(self._choices, 1):
            self._say(f"{number}: {choice.words}")
        self._say(HELP)

    def _recent(self) -> Sequence[RecentRoom]:
        """A file of rooms that is damaged is told, and keeps nobody from calling."""
        try:
            return self._launcher.recent()
        except TuiconfError as error:
            self._say(f"error: {visible(str(error))}")
            return ()

    async def _do(self, typed: str) -> str | None:
        """One answer; the call that it led to."""
        word, _, rest = typed.removeprefix("/").partition(" ")
        match word:
            case "" | "help":
                self._offer()
                return None
            case "host":
                return await self._host(rest.strip())
            case "forget":
                self._forget(rest.strip())
                return None
            case _ if word.isdecimal():
                return await self._join_number(word)
            case _:
                return await self._at_relay(lambda: self._launcher.join(typed))

    async def _join_number(self, number: str) -> str:
        choice = self._choice(number)
        room = choice.room
        if room is not None:
            return await self._at_relay(lambda: self._launcher.join(room.ref))
        return choice.call or ""

    def _choice(self, number: str) -> _Choice:
        at = int(number) if number.isdecimal() and len(number) <= _MAX_DIGITS else 0
        if not 1 <= at <= len(self._choices):
            raise UsageError(f"there is no number {number[:_MAX_DIGITS]}; help says what there is")
        return self._choices[at - 1]

    def _forget(self, number: str) -> None:
        if not number:
            raise UsageError("say which: forget and a number")
        room = self._choice(number).room
        if room is None:
            raise UsageError("that is a running call, not a room")
        self._launcher.forget(room.ref)
        self._say(f"forgotten: room {visible(room.room)}")
        self._offer()

    # --- a room of one's own

    async def _host(self, relay: str) -> str:
        relay = relay or await self._ask_for_relay()
        room = await self._ask("name of the room, or nothing for one that nobody can guess?")
        lobby = await self._ask_for_lobby()
        return await self._at_relay(lambda: self._launcher.host(relay, room or None, lobby))

    async def _ask_for_relay(self) -> str:
        last = next((room.relay for room in self._recent()), None)
        again = f", or nothing for {visible(last)}" if last is not None else ""
        relay = await self._ask(f"which relay, as its operator told you{again}?") or last
        if relay is None:
            raise UsageError("a room needs a relay: its operator can tell you what to type")
        return relay

    async def _ask_for_lobby(self) -> str:
        while True:
            lobby = await self._ask("who has to wait until you let them in: off, unknown or everyone; nothing is off?")
            if lobby in ("", "off", "unknown", "everyone"):
                return lobby or "off"

    # --- relays

    async def _at_relay(self, begin: Callable[[], Awaitable[str]]) -> str:
        """Begin; where the relay was never used before, once a person has compared its pin."""
        try:
            return await begin()
        except RelayUnknown as question:
            self._say(f"this relay was never used before: {visible(question.address)}")
            self._say("its operator can tell you its pin, which has to be this one:")
            self._say(visible(question.pin))
            if (await self._ask("is this the pin, yes or no?")).lower() not in ("y", "yes"):
                raise UsageError("the relay is not used") from None
            await self._launcher.accept_relay(question)
        return await begin()

    async def _ask(self, question: str) -> str:
        if (typed := await self._ask_person(question)) is None:
            raise _NoMoreInput
        return typed.strip()


def _words(room: RecentRoom) -> str:
    return f"room {visible(room.room)}, relay {visible(room.relay)}, last joined {day(room.last_joined)}"
