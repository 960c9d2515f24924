"""The bot: an engine to drive, handlers for what happens, and the things a participant does."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from tuiconf.bot import sound
from tuiconf.bot.config import BotConfig, Participant, load
from tuiconf.bot.handlers import Handler, HandlerFault, Worker, print_fault
from tuiconf.bot.sound import HeardFrame, Samples
from tuiconf.bot.speech import synthesise
from tuiconf.control import schema
from tuiconf.control.calls import find_call, socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.events import NAMES, ChatReceived, Envelope, Left, Person, Played, name_of
from tuiconf.control.schema import Request
from tuiconf.control.spawn import engine
from tuiconf.errors import UsageError

R = TypeVar("R", bound=msgspec.Struct)
H = TypeVar("H", bound=Handler)

_ANY: Final = "*"


class Bot:
    """One participant, driven by a program.

    ```python
    bot = Bot.from_config("bot.toml")

    @bot.command("!time")
    def tell_time(message, argument):
        return datetime.now().strftime("%H:%M")

    asyncio.run(bot.run())
    ```

    Handlers are called with the event; a coroutine function runs in the loop, a plain function on a thread. One
    that raises or takes longer than the settings' `handler_timeout_s` is reported and counted (`faults`), and
    disturbs nobody: sound is the engine's, and the engine is a process of its own.
    """

    def __init__(self, config: BotConfig, *, report: Callable[[HandlerFault], None] = print_fault) -> None:
        self.config = config
        self.faults = 0
        self._report = report
        self._handlers: list[tuple[str, Worker]] = []
        self._commands: dict[str, Worker] = {}
        self._client: ControlClient | None = None
        self._stack = contextlib.AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket: Path | None = None
        self._playing: dict[str, list[asyncio.Future[bool]]] = {}
        self._left = asyncio.Event()

    @classmethod
    def from_config(cls, path: str | Path) -> Self:
        """A bot with the settings in this file.

        Raises:
            ConfigError: they cannot be used.
        """
        return cls(load(Path(path)))

    # --- handlers

    def on(self, event: str) -> Callable[[H], H]:
        """Decorator: call this with each event of that name (`"participant_joined"`), or with all (`"*"`).

        Raises:
            UsageError: there is no such event.
        """
        if event != _ANY and event not in NAMES:
            raise UsageError(f"there is no event {event!r}: {', '.join(sorted(NAMES))}")

        def register(handler: H) -> H:
            self._handlers.append((event, self._worker(handler)))
            return handler

        return register

    def command(self, word: str) -> Callable[[H], H]:
        """Decorator: call this with (message, argument) for a line of chat that begins with `word`.

        What it returns, if it is text, is said in the chat.
        """

        def register(handler: H) -> H:
            self._commands[word] = self._worker(handler)
            return handler

        return register

    def _worker(self, handler: Handler) -> Worker:
        worker = Worker(handler, timeout_s=self.config.handler_timeout_s, report=self._fault)
        if self._client is not None:
            self._start(worker)
        return worker

    def _start(self, worker: Worker) -> None:
        task = asyncio.get_running_loop().create_task(worker.run())
        self._tasks.add(task)

    def _fault(self, fault: HandlerFault) -> None:
        self.faults += 1
        self._report(fault)

    # --- the run

    async def __aenter__(self) -> Self:
        """Start the engine, or attach to the one that runs.

        Raises:
            TuiconfError: it cannot be.
        """
        try:
            client = self._client = await self._stack.enter_async_context(self._connected())
            hello = await client.call(schema.SayHello())
            self._socket = Path(hello.socket)
            for worker in (*(worker for _, worker in self._handlers), *self._commands.values()):
                self._start(worker)
            self._tasks.add(asyncio.get_running_loop().create_task(self._dispatch(client)))
            await client.call(schema.Subscribe(events=self._wanted(), since=0))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the call, unless it was somebody else's."""
        if self._client is not None and self.config.bot.call is None:
            with contextlib.suppress(EngineGone, TimeoutError):
                async with asyncio.timeout(5):
                    await self.call(schema.Leave())
                    await self._left.wait()
        await self._close()

    async def run(self) -> None:
        """Be in the call until it is over.

        Raises:
            TuiconfError: it could not begin.
        """
        async with self:
            await self.left()

    async def left(self) -> None:
        """Wait until the call is over."""
        await self._left.wait()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.aclose()
        self._client = None

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[ControlClient]:
        """To the engine that runs already, or to one of our own."""
        where = self.config.bot
        if where.call is not None:
            client = await ControlClient.connect(socket_path(find_call(where.call or None)))
            try:
                yield client
            finally:
                await client.close()
            return
        command, target = ("host", where.host) if where.host is not None else ("join", _link(where))
        async with engine(command, target, _options(where)) as client:
            yield client

    def _wanted(self) -> list[str] | None:
        """All that happens; levels, which come four times a second, only if somebody handles them."""
        names = {name for name, _ in self._handlers}
        return sorted(NAMES - {"events_missed"}) if "levels" in names else None

    async def _dispatch(self, client: ControlClient) -> None:
        async for envelope in client.events():
            self._take(envelope)
        self._left.set()
        for waiting in self._playing.values():
            for done in waiting:
                if not done.done():
                    done.set_exception(EngineGone("the call is over"))

    def _take(self, envelope: Envelope) -> None:
        event = envelope.data
        name = name_of(event)
        for wanted, worker in self._handlers:
            if wanted in (name, _ANY):
                worker.put(event)
        match event:
            case ChatReceived():
                self._take_command(event)
            case Played(path=path, finished=finished):
                for done in self._playing.pop(path, []):
                    if not done.done():
                        done.set_result(finished)
            case Left():
                self._left.set()

    def _take_command(self, event: ChatReceived) -> None:
        word, _, argument = event.text.partition(" ")
        if (worker := self._commands.get(word)) is not None:
            worker.put(event, argument.strip(), then=self._reply)

    async def _reply(self, answer: object) -> None:
        if isinstance(answer, str) and answer:
            await self.chat(answer)

    # --- what a participant does

    async def call(self, request: Request[R]) -> R:
        """Anything of the control API: `await bot.call(schema.Remove(participant="Ben"))`.

        Raises:
            ControlError: it was not done; `code` says why.
            EngineGone: the call is over.
        """
        if self._client is None:
            raise EngineGone("the bot is not in a call: use `async with bot`")
        return await self._client.call(request)

    async def chat(self, text: str) -> None:
        """Say a line of chat.

        Raises:
            ControlError, EngineGone: as `call`.
        """
        await self.call(schema.ChatSend(text=text))

    async def leave(self) -> None:
        """Leave the call.

        Raises:
            ControlError, EngineGone: as `call`.
        """
        await self.call(schema.Leave())

    async def participants(self) -> tuple[Person, ...]:
        """Everyone in the call, this participant included.

        Raises:
            ControlError, EngineGone: as `call`.
        """
        return (await self.call(schema.GetRoster())).participants

    # --- sound

    async def audio_in(self, participant: int | str | None = None) -> AsyncIterator[HeardFrame]:
        """What a participant says (leaf, name, or fingerprint), or the mix of all: 20 ms at a time, also of silence.

        It ends when they leave. Whoever does not keep up loses the oldest, and sees a gap in the numbers.

        Raises:
            ControlError: there is no such participant.
            EngineGone: the call is over.
        """
        async for frame in sound.heard(self._socket_path, participant):
            yield frame

    async def play(self, what: str | Path | Samples) -> bool:
        """Send a file (or whatever else an input can be), or samples of 48 kHz mono; return when it was sent.

        False: something else was played before its end.

        Raises:
            ControlError: it cannot be read.
            EngineGone: the call is over.
            ValueError: the samples are not mono float32 or int16.
        """
        if not isinstance(what, str | Path):
            await sound.send(self._socket_path, what)
            return True
        path = str(what)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._playing.setdefault(path, []).append(done)
        try:
            await self.call(schema.Play(path=path))
            return await done
        finally:
            if done in self._playing.get(path, []):
                self._playing[path].remove(done)

    async def say(self, text: str) -> bool:
        """Speak a text, by the settings' `speech.command`; return when it was said.

        Raises:
            SpeechFailed: the command does not do it.
            ControlError, EngineGone: as `play`.
        """
        with tempfile.TemporaryDirectory(prefix="tuiconf-") as folder:
            path = Path(folder) / "speech.wav"
            await synthesise(self.config.speech.command, text, path)
            return await self.play(path)

    @property
    def _socket_path(self) -> Path:
        if self._socket is None:
            raise EngineGone("the bot is not in a call: use `async with bot`")
        return self._socket

    @property
    def settings(self) -> Mapping[str, Any]:
        """The bot's own settings."""
        return self.config.settings


def _link(where: Participant) -> str:
    if where.link is not None:
        return where.link
    path = where.link_file or Path()
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the link cannot be read") from error


def _options(where: Participant) -> Sequence[str]:
    options = ["--wait"] if where.wait else []
    for option, value in (
        ("--name", where.name),
        ("--audio-in", where.audio_in),
        ("--audio-out", where.audio_out),
        ("--config", where.config),
        ("--lobby", where.lobby),
    ):
        if value is not None:
            options += [option, str(value)]
    return options
