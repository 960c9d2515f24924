"""What a person types, or a script writes, into the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar, assert_never

import msgspec

from tuiconf.commands import LocalCommand, Who, parse_command
from tuiconf.control import schema
from tuiconf.control.events import ChatSent, Event, Failed, Joined
from tuiconf.control.schema import AnyRequest, Request
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.plain.answers import chat, compare, help_for, who
from tuiconf.plain.printer import Printer
from tuiconf.plain.wording import level

R = TypeVar("R", bound=msgspec.Struct)

# People whose numbers were said, by what was typed for them. Nobody compares with more at once.
MAX_SHOWN: Final = 64

# Lines of our own whose echo has not come yet: whoever pastes more sees some of them twice.
MAX_ECHOES: Final = 256


class Control(Protocol):
    """A call, in this process or another."""

    async def call(self, request: Request[R]) -> R:
        """Do what it says.

        Raises:
            TuiconfError: it cannot be done.
        """
        ...


class Commands:
    """`measure` listens to the microphone for a moment and gives its loudest, in dBFS; None where nothing came."""

    def __init__(
        self, control: Control, printer: Printer, measure: Callable[[], Awaitable[float | None]] | None = None
    ) -> None:
        self._control = control
        self._printer = printer
        self._measure = measure or self._last_second
        self._typed: list[str] = []  # chat that was not heard of yet
        self._code: schema.RoomCode | None = None  # that was said last
        self._shown: dict[Who, str] = {}  # whose number was said for what was typed, by fingerprint
        self.said = False
        """Whether there was chat among it."""
        self.detached = False
        """Whether the person goes, and the call is to stay."""

    async def run(self, line: str) -> None:
        """Do what one line says; what is wrong with it is shown."""
        try:
            if line.strip():
                await self._do(line)
        except TuiconfError as error:
            self._printer.show(Failed(code=error.code, message=str(error), fatal=False))

    def is_echo(self, event: Event) -> bool:
        """Whether it only tells what was typed here, and not by another front end or a script. To be asked once."""
        if not isinstance(event, ChatSent) or event.text not in self._typed:
            return False
        self._typed.remove(event.text)
        return True

    async def _do(self, line: str) -> None:
        match parse_command(line):
            case LocalCommand() as command:
                await self._do_here(command)
            case schema.ChatSend(text=text):
                await self._say(text)
            case schema.VerifyPeer() as request:
                await self._ask(self._compared(request), typed=request)
            case request:
                await self._ask(request)

    async def _do_here(self, command: LocalCommand) -> None:
        match command.name:
            case "who":
                await self._who()
            case "help":
                self._printer.say(help_for(str(command.argument)))
            case "verify":
                await self._compare(command.argument)
            case "level":
                await self._level()
            case "chat":
                self._printer.say(chat(await self._control.call(schema.GetState())))
            case never:
                assert_never(never)

    async def _ask(self, request: AnyRequest, *, typed: AnyRequest | None = None) -> None:
        """What is answered is about what was `typed`."""
        result = await self._control.call(request)
        if isinstance(result, schema.RoomCode):
            self._code = result
        if isinstance(request, schema.ShowPeer) and isinstance(result, schema.PeerShown):
            self._remember(request.peer, result)
        if isinstance(request, schema.Detach):
            self.detached = True
        self._printer.answer(typed or request, result)

    async def _say(self, text: str) -> None:
        self.said = True
        self._typed.append(text)
        del self._typed[:-MAX_ECHOES]
        try:
            await self._control.call(schema.ChatSend(text=text))
        except TuiconfError:
            self._typed.remove(text)
            raise

    async def _who(self) -> None:
        state = await self._control.call(schema.GetState())
        if not self._printer.as_json:
            self._printer.say(who(state))
        elif state.me is not None and state.epoch is not None and state.security_code is not None:
            people = state.participants
            self._printer.show(
                Joined(epoch=state.epoch, security_code=state.security_code, me=state.me, participants=people)
            )

    # --- comparing

    async def _compare(self, wanted: Who) -> None:
        """Say what can be compared with someone. The room code counts only for those who are in the room."""
        request = schema.ShowPeer(peer=wanted)
        peer = await self._control.call(request)
        self._remember(wanted, peer)
        state = await self._control.call(schema.GetState())
        is_here = any(person.fingerprint == peer.fingerprint for person in state.participants)
        code = self._code = await self._control.call(schema.GetRoomCode()) if is_here else None
        if not self._printer.as_json:
            self._printer.say(compare(peer, code))
            return
        self._printer.answer(request, peer)
        if code is not None:
            self._printer.answer(schema.GetRoomCode(), code)

    def _remember(self, wanted: Who, peer: schema.PeerShown) -> None:
        self._shown.pop(wanted, None)
        self._shown[wanted] = peer.fingerprint
        if len(self._shown) > MAX_SHOWN:
            del self._shown[next(iter(self._shown))]

    def _compared(self, request: schema.VerifyPeer) -> schema.VerifyPeer:
        """What was compared is what was said here: whoever is at that number, or knocks under that name, by now; and
        whatever the room code is."""
        peer = self._shown.get(request.peer)
        if peer is not None:
            request = msgspec.structs.replace(request, peer=peer)
        elif isinstance(request.peer, int):
            raise UsageError(f"compare first: /verify #{request.peer} says who that is, and their number")
        if request.how != "room_code":
            return request
        if self._code is None:
            raise UsageError("compare first: /code says the room code")
        return msgspec.structs.replace(request, epoch=self._code.epoch)

    # --- loudness

    async def _level(self) -> None:
        state = await self._control.call(schema.GetState())
        if state.phase != "ready" and not state.audio.live:
            raise UsageError("you are not heard now, so there is nothing to measure: /unmute first")
        self._printer.say(("speak now …",))
        self._printer.say((f"your microphone: {level(await self._measure())}",))

    async def _last_second(self) -> float | None:
        audio = (await self._control.call(schema.GetStats())).audio
        return audio.level_dbfs if audio is not None else None
