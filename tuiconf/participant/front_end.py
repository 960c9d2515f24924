"""A person's front end of plain lines, attached to an engine that is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import AsyncIterator
from typing import Final

from tuiconf.adapters.printing import OutputLost
from tuiconf.adapters.standard_streams import LineWriter, typed_lines
from tuiconf.control import schema
from tuiconf.control.calls import socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.events import Envelope, Failed, Joined, Left, Levels, Notice, Ready
from tuiconf.control.rpc import ControlError
from tuiconf.errors import TuiconfError
from tuiconf.participant.exit_codes import EXIT_CODES
from tuiconf.plain.answers import RECENT_CHAT, chat, who
from tuiconf.plain.printer import Printer, shows_utf8
from tuiconf.plain.sentences import heard
from tuiconf.plain.typed import Commands

# As long as it takes to say a sentence.
LISTEN_S: Final = 3.0

# How long whoever presses Ctrl-Z waits for an engine to say what becomes of their microphone.
STOP_S: Final = 1.0

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class FrontEnd:
    """Shows what happens in one call, and does what is typed."""

    def __init__(self, call: str, *, as_json: bool, typed: AsyncIterator[str] | None = None) -> None:
        """`typed`: the lines of standard input, where somebody reads them already."""
        self._call = call
        self._typed = typed if typed is not None else typed_lines()
        self._as_json = as_json
        self._errors = LineWriter(2, on_broken=lambda _: None)
        self._words = LineWriter(1, on_broken=self._broken)
        self._printer = _printer(self._words, self._errors, as_json=as_json)
        self._loop = asyncio.get_running_loop()
        self._output_error: OSError | None = None
        self._told_to_leave = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._failed = False
        self._was_terminal = os.isatty(0)
        self._terminal_lost = asyncio.Event()
        self._client: ControlClient | None = None
        self._commands: Commands | None = None

    async def run(self, *, since: int | None) -> int:
        """Until the call is over, or the person detaches; the exit code. `since` None: tell first what is so.

        Raises:
            EngineGone: nobody answers, or no longer does.
            OutputLost: what is said cannot be written.
        """
        client = self._client = await ControlClient.connect(socket_path(self._call))
        try:
            await client.call(schema.Attach())
            if since is None:
                since = await self._tell_state(client)
            await client.call(schema.Subscribe(since=since))
            for number in _SIGNALS:
                self._loop.add_signal_handler(number, self._leave)
            if self._was_terminal:
                self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
            return await self._both(client)
        finally:
            for number in (*_SIGNALS, signal.SIGTSTP):
                self._loop.remove_signal_handler(number)
            await client.close()
            self._words.close()
            self._errors.close()
            self._check_output()

    async def _both(self, client: ControlClient) -> int:
        """Show and read, until one of them is over."""
        showing = asyncio.create_task(self._show_events(client))
        reading = asyncio.create_task(self._read_commands(client))
        losing = asyncio.create_task(self._terminal_lost.wait())
        try:
            await asyncio.wait((showing, reading, losing), return_when=asyncio.FIRST_COMPLETED)
            if losing.done() or (reading.done() and reading.result()):
                return 0  # the call goes on
            return await showing
        finally:
            for task in (showing, reading, losing):
                task.cancel()
            await asyncio.gather(showing, reading, losing, return_exceptions=True)

    async def _show_events(self, client: ControlClient) -> int:
        async for envelope in client.events():
            self._show(envelope)
            if isinstance(envelope.data, Joined) and not self._as_json:
                await self._say_whether_heard(client)
            if isinstance(envelope.data, Left):
                return EXIT_CODES[envelope.data.reason] or int(self._failed)
        raise EngineGone("the engine has ended without a word: the call is over")

    def _show(self, envelope: Envelope) -> None:
        event = envelope.data
        self._failed |= isinstance(event, Failed) and event.code == "audio"
        if self._as_json or self._commands is None or not self._commands.is_echo(event):
            self._printer.show(event)

    async def _read_commands(self, client: ControlClient) -> bool:
        """Until the person leaves; True when they detach, or their terminal is gone."""
        commands = self._commands = Commands(client, self._printer, self._listen)
        async for line in self._typed:
            await commands.run(line)
            if commands.detached:
                await self._say_goodbye(client)
                return True
        if os.isatty(0) or not self._was_terminal:
            self._leave()
        # Otherwise the terminal is gone, and with it this front end: the engine sees that nobody detached.
        return not os.isatty(0) and self._was_terminal

    async def _tell_state(self, client: ControlClient) -> int:
        """What a person who comes back has to know."""
        state = await client.call(schema.GetState())
        if self._as_json:
            return state.seq
        self._printer.sentences.begin(state)
        if state.phase == "ready":
            self._printer.show(Ready())
            return state.seq
        self._printer.say((*chat(state, RECENT_CHAT), *who(state)))
        if state.phase != "joined":
            self._printer.show(Notice(message=f"the call is {state.phase}"))
        if state.audio.muted:
            self._printer.show(Notice(message="you are muted: /unmute when you want to speak"))
        return state.seq

    async def _say_whether_heard(self, client: ControlClient) -> None:
        """To whoever has just joined: a microphone is never hot by surprise."""
        with contextlib.suppress(ControlError, EngineGone):  # the call may be over already
            audio = (await client.call(schema.GetState())).audio
            self._printer.sentences.sound_is(audio)
            self._printer.say((heard(audio),))

    async def _listen(self) -> float | None:
        """How loud the microphone is at its loudest, over a connection of its own: levels are for whoever asks."""
        client = await ControlClient.connect(socket_path(self._call))
        loudest: float | None = None
        try:
            await client.call(schema.Subscribe(events=["levels"]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_S):
                    async for envelope in client.events():
                        if isinstance(envelope.data, Levels) and envelope.data.own is not None:
                            level = envelope.data.own.dbfs
                            loudest = level if loudest is None else max(loudest, level)
        finally:
            await client.close()
        return loudest

    async def _say_goodbye(self, client: ControlClient) -> None:
        """To a person who detaches: nothing about their microphone is to be a surprise."""
        audio = (await client.call(schema.GetState())).audio
        heard = "you can still be heard" if audio.live else "you are muted"
        self._errors.write(f"detached: the call goes on, and {heard}; tuiconf attach {self._call} picks it up")

    def _stop(self) -> None:
        """Ctrl-Z stops what shows the call, and not the call: that is said before, as afterwards nothing can be."""
        self._keep(self._loop.create_task(self._say_and_stop()))

    async def _say_and_stop(self) -> None:
        heard = "you may still be heard"
        with contextlib.suppress(ControlError, EngineGone, TimeoutError):
            async with asyncio.timeout(STOP_S):
                if self._client is not None:
                    audio = (await self._client.call(schema.GetState())).audio
                    heard = "you can still be heard" if audio.live else "nobody hears you"
        self._errors.write(f"stopped: the call goes on, and {heard}; fg shows it again")
        await asyncio.to_thread(self._errors.wait_written, STOP_S)
        os.kill(os.getpid(), signal.SIGSTOP)

    def _leave(self) -> None:
        """Told to leave; told twice, without a goodbye."""
        self._keep(self._loop.create_task(self._ask_to_leave(now=self._told_to_leave)))
        self._told_to_leave = True

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _ask_to_leave(self, *, now: bool) -> None:
        if self._client is not None:
            with contextlib.suppress(ControlError, EngineGone):
                await self._client.call(schema.Leave(now=now))

    def _broken(self, error: OSError) -> None:
        """Whoever read our lines is gone: there is nobody to be in the call for. Called on another thread.

        Unless it is a terminal that hung up: its person may come back.
        """
        self._output_error = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._terminal_lost.set if error.errno == errno.EIO else self._leave)

    def _check_output(self) -> None:
        error = self._output_error
        if error is not None and error.errno not in (errno.EPIPE, errno.EIO):
            raise OutputLost(f"standard output cannot be written: {(error.strerror or 'unknown reason').lower()}")


async def wait_until_joined(call: str, *, as_json: bool) -> int:
    """Show what happens until the call is joined, or was not; the exit code. Interrupted, the call is left."""
    client = await ControlClient.connect(socket_path(call))
    words, errors = LineWriter(1, on_broken=lambda _: None), LineWriter(2, on_broken=lambda _: None)
    printer = _printer(words, errors, as_json=as_json)
    try:
        await client.call(schema.Subscribe(since=0))
        async for envelope in client.events():
            event = envelope.data
            printer.show(event)
            if isinstance(event, Joined):
                return 0
            if isinstance(event, Left):
                return EXIT_CODES[event.reason] or 1
    except asyncio.CancelledError:
        with contextlib.suppress(TuiconfError):
            await client.call(schema.Leave(now=True))
        raise
    finally:
        await client.close()
        words.close()
        errors.close()
    raise EngineGone("the engine has ended without a word: the call is over")


def _printer(words: LineWriter, errors: LineWriter, *, as_json: bool) -> Printer:
    return Printer(words.write, errors.write, as_json=as_json, ascii=not shows_utf8(os.environ))
