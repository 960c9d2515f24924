"""A call whose engine is this process: headless, or driven by what a script writes to standard input."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Coroutine
from typing import TypeVar

import msgspec

from tuiconf.adapters.audio import Kind
from tuiconf.adapters.journal import JournalLog, leads_to_journal
from tuiconf.adapters.printing import OutputLost
from tuiconf.adapters.standard_streams import LineWriter, typed_lines
from tuiconf.conference.events import Event
from tuiconf.control.schema import Detach, Request
from tuiconf.control.service import CallService
from tuiconf.errors import UsageError
from tuiconf.participant.engine_process import EngineProcess, Setting
from tuiconf.participant.plan import Plan
from tuiconf.participant.stdio import StandardClient
from tuiconf.plain.printer import Printer, shows_utf8
from tuiconf.plain.typed import Commands

R = TypeVar("R", bound=msgspec.Struct)


class _Control:
    """The control API without a socket in between."""

    def __init__(self, service: CallService) -> None:
        self._service = service

    async def call(self, request: Request[R]) -> R:
        """Do what it says."""
        if isinstance(request, Detach):
            raise UsageError("the call lives in this process: start it with --detach, or at a terminal")
        result = await self._service.do(request)
        return msgspec.convert(result, request.result)


class InThisProcess:
    """Runs the call; to be made within the loop."""

    def __init__(self, plan: Plan, setting: Setting) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._output_error: OSError | None = None
        self._errors = LineWriter(2, on_broken=lambda _: None)
        # Sound on standard output leaves only standard error for words.
        on_words = plan.sink.kind is not Kind.STANDARD
        self._words = LineWriter(1, on_broken=self._broken) if on_words else self._errors
        self._printer = Printer(
            self._words.write, self._errors.write, as_json=plan.as_json, ascii=not shows_utf8(os.environ)
        )
        self._log = JournalLog(self._errors.write, level_prefix=leads_to_journal()) if plan.log_json else None
        self._commands: Commands | None = None
        self._engine = EngineProcess(plan, setting, self._show)
        self._client = StandardClient(self._engine.service, self._words) if plan.stdio else None

    async def run(self) -> int:
        """The call, from the first packet to the exit code.

        Raises:
            OutputLost: what is said cannot be written.
            TuiconfError: the call could not begin.
        """
        beside = [asyncio.create_task(task) for task in self._beside()]
        try:
            return await self._engine.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            if self._client is not None:
                await self._client.close()
            self._words.close()
            self._errors.close()
            self._check_output()

    def _beside(self) -> list[Coroutine[object, object, None]]:
        """What goes on beside the call."""
        if self._client is not None:
            return [self._client.write(), self._serve(self._client)]
        return [self._read_commands()] if self._plan.reads_commands else []

    async def _serve(self, client: StandardClient) -> None:
        """Whoever started us to drive us is gone when standard input ends."""
        await client.run()
        self._engine.leave()

    async def _read_commands(self) -> None:
        """Until standard input ends. Then leave, unless it was said for how long to stay; what was typed is sent."""
        commands = self._commands = Commands(_Control(self._engine.service), self._printer)
        async for line in typed_lines():
            await commands.run(line)
        # What was said is sent, and whoever makes a room is told its link, also when there is nothing to read.
        if commands.said or self._plan.say or self._plan.creator:
            await self._engine.joined.wait()
        if self._plan.seconds is None:
            if not sys.stdin.isatty():
                self._errors.write("standard input has ended: leaving (--headless stays without one)")
            self._engine.leave()

    def _show(self, event: Event) -> None:
        """To whoever reads our lines. No names belong in a journal: with a log only JSON that was asked for is said."""
        if self._log is not None:
            self._log.record(event)
        if self._plan.stdio or not (self._log is None or self._plan.as_json):
            return
        if self._plan.as_json or self._commands is None or not self._commands.is_echo(event):
            self._printer.show(event)

    def _broken(self, error: OSError) -> None:
        """Whoever read our lines is gone: there is nobody to be in the call for. Called on another thread."""
        self._output_error = error
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the call
            self._loop.call_soon_threadsafe(self._engine.leave)

    def _check_output(self) -> None:
        error = self._output_error
        if error is not None and error.errno != errno.EPIPE:
            raise OutputLost(f"standard output cannot be written: {(error.strerror or 'unknown reason').lower()}")
