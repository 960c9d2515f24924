"""The bot: an engine to drive, handlers for what happens, and the things a participant does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import AsyncIterable, Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import msgspec

from tuiconf.bot.config import BotConfig, load
from tuiconf.bot.faults import Faults, Report, place_of_error, print_fault
from tuiconf.bot.handlers import Handler
from tuiconf.bot.joining import connected
from tuiconf.bot.methods import Methods
from tuiconf.bot.plays import Plays
from tuiconf.bot.registry import Registry, event_name
from tuiconf.bot.samples import Samples
from tuiconf.bot.sound import AudioIn, Connections
from tuiconf.bot.speech import synthesise
from tuiconf.control import schema
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.events import NAMES, Envelope, Event, EventsMissed, Failed, Joined, Left, Played
from tuiconf.control.rpc import ControlError
from tuiconf.errors import LocalProtocolError, TuiconfError

R = TypeVar("R", bound=msgspec.Struct)
E = TypeVar("E", bound=Event)
H = TypeVar("H", bound=Handler)
T = TypeVar("T", bound=Callable[[], Coroutine[Any, Any, object]])

# How long leaving may take: what was said last is sent, and the others are told.
LEAVE_S: Final = 5.0


class CallFailed(TuiconfError):
    """The call could not be joined, or kept; the message says why."""

    code = "call_failed"


class Bot(Methods):
    """One participant, driven by a program.

    ```python
    bot = Bot.from_config("bot.toml")

    @bot.command("!time")
    def tell_time(message, argument):
        return datetime.now().strftime("%H:%M")

    asyncio.run(bot.run())
    ```

    Handlers are called with the event; a coroutine function runs in the loop, a plain function on a thread, where it
    may block. Each is called for one event after the other, beside the rest. One that raises, blocks the loop or takes
    too long is reported and counted (`faults`), and disturbs nobody: sound is the engine's, a process of its own.
    """

    def __init__(
        self, config: BotConfig, *, report: Report = print_fault, watch: Callable[[Envelope], None] | None = None
    ) -> None:
        """`report` is told what handlers do wrong, on whatever thread it is seen.

        `watch` is called in the loop with every event as it comes, with its time and number, before the handlers are.
        """
        self.config = config
        self._watch = watch
        self._faults = Faults(report)
        self._handlers = Registry(self._faults)
        self._client: ControlClient | None = None
        self._sound: Connections | None = None
        self._stack = contextlib.AsyncExitStack()
        self._tasks: dict[asyncio.Task[object], float] = {}  # and how long each may go on after the call
        self._beside: list[Callable[[], Coroutine[Any, Any, object]]] = []
        self._joined = False
        self._plays = Plays()
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()
        self._end: Left | None = None
        self._why = ""

    @classmethod
    def from_config(cls, path: str | Path) -> Self:
        """A bot with the settings in this file.

        Raises:
            ConfigError: they cannot be used.
        """
        return cls(load(Path(path)))

    # --- handlers

    @property
    def faults(self) -> int:
        """How often a handler did something wrong."""
        return self._faults.count

    @overload
    def on(
        self, event: type[E], *, timeout_s: float | None = None
    ) -> Callable[[Callable[[E], object]], Callable[[E], object]]: ...

    @overload
    def on(self, event: str, *, timeout_s: float | None = None) -> Callable[[H], H]: ...

    def on(self, event: str | type[Event], *, timeout_s: float | None = None) -> Callable[[H], H]:
        """Decorator: call this with each event of that type or name (`"participant_joined"`), or with all (`"*"`).

        Raises:
            UsageError: there is no such event.
        """
        name = event_name(event)

        def register(handler: H) -> H:
            wanted_levels = self._handlers.wants_levels
            self._handlers.add_event(name, handler, timeout_s or self.config.handler_timeout_s)
            if self._client is not None and self._handlers.wants_levels and not wanted_levels:
                self.spawn(self._subscribe(self._client, since=None))
            return handler

        return register

    def command(self, word: str, *, timeout_s: float | None = None) -> Callable[[H], H]:
        """Decorator: call this with (message, argument) for a line of chat of others that begins with `word`.

        However it is written, "!time" and "!Time" are the same. What the handler returns, if it is text, is said in
        the chat.

        Raises:
            UsageError: it is not one word, or has a handler already.
        """

        def register(handler: H) -> H:
            self._handlers.add_command(word, handler, timeout_s or self.config.handler_timeout_s)
            return handler

        return register

    def task(self, function: T) -> T:
        """Decorator: run this coroutine function beside the handlers, as long as the bot is in the call."""
        self._beside.append(function)
        if self._joined:
            self.spawn(function())
        return function

    def spawn(self, coroutine: Coroutine[Any, Any, object], *, finish_s: float = 0.0) -> asyncio.Task[object]:
        """Run this beside the handlers, however long it takes. When the call is over it may go on for `finish_s`."""
        name = str(getattr(coroutine, "__qualname__", "task")).rsplit(".", 1)[-1]
        task = asyncio.get_running_loop().create_task(self._handlers.watch.over(name, coroutine))
        self._tasks[task] = finish_s
        task.add_done_callback(functools.partial(self._ended, name))
        return task

    def _ended(self, name: str, task: asyncio.Task[object]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineGone):
            self._faults.tell(name, "raised", place_of_error(error))

    # --- the run

    async def __aenter__(self) -> Self:
        """Start the engine, or attach to the one that runs.

        Raises:
            TuiconfError: it cannot be.
        """
        if self._client is not None:
            raise LocalProtocolError("the bot is in a call already")
        self._begin()
        try:
            client = self._client = await self._stack.enter_async_context(connected(self.config.bot))
            await self._enter(client)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the call, unless it is somebody else's."""
        try:
            if self.config.bot.call is None and not self._over.is_set():
                with contextlib.suppress(ControlError, EngineGone, TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await self.leave()
                        await self._over.wait()
        finally:
            await self._close()

    async def run(self) -> None:
        """Be in the call until it is over.

        Raises:
            CallFailed: it could not be joined, or kept, or this participant was removed.
            TuiconfError: it could not begin.
        """
        async with self:
            left = await self.left()
        if left.reason != "left":
            raise CallFailed(self._why or f"the call is over for this participant: {left.reason}")

    @property
    def in_call(self) -> bool:
        """Whether the call has been joined, and is not over."""
        return self._joined and not self._over.is_set()

    async def left(self) -> Left:
        """Wait until the call is over; why it is.

        Raises:
            EngineGone: the engine ended without a word.
        """
        await self._over.wait()
        if self._end is None:
            raise EngineGone("the engine has ended without a word: the call is over")
        return self._end

    def _begin(self) -> None:
        """Nothing is left of the call before."""
        self._plays, self._turn, self._over = Plays(), asyncio.Lock(), asyncio.Event()
        self._end, self._why, self._joined = None, "", False

    async def _enter(self, client: ControlClient) -> None:
        hello = await client.call(schema.SayHello())
        self._sound = Connections(Path(hello.socket))
        if self.config.allow:
            await client.call(schema.AllowSet(fingerprints=self.config.allow))
        self._handlers.start()
        since = 0
        if self.config.bot.call is not None:
            since = await self._catch_up(client)
        await self._subscribe(client, since=since)
        self.spawn(self._dispatch(client))

    async def _catch_up(self, client: ControlClient) -> int:
        """Tell of a call that runs already as if it was joined now: commands of before are not done again."""
        state = await client.call(schema.GetState())
        if state.me is not None and state.epoch is not None and state.security_code is not None:
            joined = Joined(
                epoch=state.epoch, security_code=state.security_code, me=state.me, participants=state.participants
            )
            self._take(joined)
        return state.seq

    async def _subscribe(self, client: ControlClient, *, since: int | None) -> None:
        names = sorted(NAMES) if self._handlers.wants_levels else None
        await client.call(schema.Subscribe(events=names, since=since))

    async def _close(self) -> None:
        """End all that runs beside, each within its time, and let go of the engine."""
        self._joined = False
        if self._sound is not None:
            self._sound.close()
        self._plays.close()
        await self._handlers.finish()
        await self._end_tasks()
        await self._stack.aclose()
        self._client = self._sound = None

    async def _end_tasks(self) -> None:
        now = asyncio.get_running_loop().time()
        ends = {task: now + finish_s for task, finish_s in self._tasks.items() if task is not asyncio.current_task()}
        for task, end in sorted(ends.items(), key=lambda item: item[1]):
            await asyncio.wait((task,), timeout=max(end - asyncio.get_running_loop().time(), 0))
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def _dispatch(self, client: ControlClient) -> None:
        lost = 0
        try:
            async for envelope in client.events():
                self._follow(envelope)
                if isinstance(envelope.data, EventsMissed) or client.events_lost > lost:
                    lost = client.events_lost
                    self.spawn(self._look_again(client))
        finally:
            self._over.set()
            self._plays.close()

    def _follow(self, envelope: Envelope) -> None:
        """Whoever watches, what the bot itself has to know, and then the handlers."""
        if self._watch is not None:
            self._watch(envelope)
        match envelope.data:
            case Played(number=number, finished=finished):
                self._plays.ended(number, finished=finished)
            case Failed(message=message, fatal=True):
                self._why = message
        self._take(envelope.data)
        if isinstance(envelope.data, Left):
            self._end = envelope.data
            self._over.set()

    def _take(self, event: Event) -> None:
        self._handlers.take(event, self._reply)
        if isinstance(event, Joined) and not self._joined:
            self._joined = True
            for function in self._beside:
                self.spawn(function())

    async def _reply(self, answer: object) -> None:
        if isinstance(answer, str) and answer:
            await self.chat(answer)

    async def _look_again(self, client: ControlClient) -> None:
        """Some events were not told: what waits for them must not wait for ever."""
        self._plays.playing((await client.call(schema.GetState())).playing)

    # --- what a participant does

    async def call(self, request: schema.Request[R]) -> R:
        """Anything of the control API: `await bot.call(schema.Remove(participant="Ben"))`.

        Raises:
            ControlError: it was not done; `code` says why.
            EngineGone: the call is over.
        """
        if self._client is None:
            raise EngineGone("the bot is not in a call: use `async with bot`")
        return await self._client.call(request)

    async def chat(self, text: str) -> None:
        """Say a line of chat, or the beginning of one that is too long.

        Raises:
            ControlError, EngineGone: as `call`.
        """
        sendable = text.encode(errors="replace").decode()  # lone surrogates, of a file's name, say
        await self.chat_send(text=sendable[: schema.MAX_CHAT_CHARACTERS])

    # --- sound

    def audio_in(self, participant: int | str | None = None) -> AudioIn:
        """What a participant says (leaf, name, or fingerprint), or the mix of all: `async for frame in` it.

        Raises:
            EngineGone: the bot is in no call.
        """
        return AudioIn(self._connections, participant)

    async def play(self, what: str | Path | Samples | AsyncIterable[Samples]) -> bool:
        """Send a file (or, as text, whatever else an input can be), or samples of 48 kHz mono; return when it was sent.

        Files are played one after the other; samples at once, beside whatever else is sent. When this is cancelled,
        it stops. False: somebody else stopped it, or played something in its place.

        Raises:
            NotSamples: it is nothing that can be played.
            ControlError: it cannot be read, or too much is played at once.
            EngineGone: the call is over.
        """
        if isinstance(what, str | Path):
            async with self._turn:
                return await self._play_file(_input(what))
        await self._connections.send(what)
        await self.call(schema.SayHello())  # an engine that ended has closed the connection, too
        return True

    async def say(self, text: str) -> bool:
        """Speak a text, by the settings' `speech.command`, after what is being played; return when it was said.

        Raises:
            SpeechFailed: the command does not do it.
            ControlError, EngineGone: as `play`.
        """
        speech = await synthesise(self.config.speech.command, text)
        with self._file_for_engine(speech) as path:
            return await self.play(path)

    async def _play_file(self, path: str) -> bool:
        try:
            playing = await self.call(schema.Play(path=path))
            return await self._plays.end_of(playing.number)
        except asyncio.CancelledError:
            self.spawn(self.play_stop())  # goes out before whatever is played next
            raise

    @contextlib.contextmanager
    def _file_for_engine(self, data: bytes) -> Iterator[Path]:
        """Beside its socket: an engine that is a service may have a /tmp of its own."""
        folder = self._connections.path.parent
        with tempfile.TemporaryDirectory(prefix=".speech.", dir=folder) as own:
            path = Path(own) / "speech.wav"
            path.write_bytes(data)
            yield path

    @property
    def _connections(self) -> Connections:
        if self._sound is None:
            raise EngineGone("the bot is not in a call: use `async with bot`")
        return self._sound


def _input(what: str | Path) -> str:
    """As the engine names it; it may be in another folder than this program."""
    return what if isinstance(what, str) else f"file:{what.absolute()}"
