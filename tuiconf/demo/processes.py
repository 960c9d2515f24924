"""The demo's processes: each started with a home of its own, and ended whatever happens.

All of them end when their standard input closes. So none outlives the demo, not even one that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tuiconf.adapters.own_program import own_command
from tuiconf.errors import TuiconfError

# A step that takes longer has gone wrong. Python starts in a second on a Raspberry Pi 3, the devices in less.
STEP_S: Final = 20.0

# How long a process may take to end by itself, and then on each stronger word.
END_S: Final = 3.0

# What is kept of a process's last words, to say why it ended.
MAX_WORDS_BYTES: Final = 4096

# For the user's own identity, not for the ones that are made for the demo.
_FOR_THE_USER: Final = ("TUICONF_", "CREDENTIALS_DIRECTORY")

_HOMES: Final = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


class DemoFailed(TuiconfError):
    """A step of the demo did not happen; the message says which, and what the process said last."""

    code = "demo"


class Process:
    """One child: the lines of its standard output as they come, and the end of its standard error."""

    def __init__(self, name: str, child: asyncio.subprocess.Process) -> None:
        self.name = name
        self._child = child
        self._words = bytearray()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, name: str, module: str, arguments: Sequence[str], *, home: Path) -> Process:
        """Run `python -m module arguments…` in its own home."""
        child = await asyncio.create_subprocess_exec(
            *own_command(module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(home),
            start_new_session=True,  # Ctrl-C is for the demo: it ends the others in order
        )
        return cls(name, child)

    async def line(self) -> bytes:
        """The next line of its output.

        Raises:
            DemoFailed: it has ended, or says nothing for too long.
        """
        output = self._child.stdout
        if output is None:
            raise DemoFailed(f"{self.name} has no output")
        try:
            async with asyncio.timeout(STEP_S):
                line = await output.readline()
        except TimeoutError as error:
            raise DemoFailed(f"{self.name} did not answer in {STEP_S:.0f} s") from error
        except ValueError as error:
            raise DemoFailed(f"{self.name} printed a line that is too long") from error
        if not line:
            await self._listening
            raise DemoFailed(f"{self.name} ended too early: {self._last_words()}")
        return line

    def write(self, line: str) -> None:
        """A line for its standard input."""
        if self._child.stdin is not None:
            self._child.stdin.write(line.encode() + b"\n")

    async def end(self) -> None:
        """Close its input, and see that it ends."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        for stronger in (None, signal.SIGTERM, signal.SIGKILL):
            if stronger is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._child.send_signal(stronger)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await asyncio.gather(self._drain(), self._child.wait())
                    break
        self._listening.cancel()

    async def _drain(self) -> None:
        """So that a child with more to say than a pipe holds can end."""
        while self._child.stdout is not None and await self._child.stdout.read(1 << 16):
            pass

    async def _listen(self) -> None:
        while self._child.stderr is not None and (data := await self._child.stderr.read(1024)):
            self._words += data
            del self._words[:-MAX_WORDS_BYTES]

    def _last_words(self) -> str:
        lines = self._words.decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("tuiconf: ") if lines else "it said nothing"


class Participant:
    """One participant's process, and what its events have said so far."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process
        self.events: list[dict[str, Any]] = []
        self.codes: dict[int, str] = {}
        self.stats: dict[str, Any] = {}
        self.ended = False
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())
        self._failure: DemoFailed | None = None

    @property
    def epoch(self) -> int:
        """The latest epoch it was in; -1 before the first."""
        return max(self.codes, default=-1)

    @property
    def reconnections(self) -> int:
        """How often it lost the relay so far."""
        return sum(event["event"] == "reconnecting" for event in self.events)

    @property
    def sources_ended(self) -> int:
        """How often what it sent came to its end."""
        return sum(event["event"] == "played" and event["finished"] for event in self.events)

    def type(self, line: str) -> None:
        """Type a line of chat or a command into it."""
        self._process.write(line)

    def seen(self, kind: str) -> dict[str, Any] | None:
        """The first event of this kind, if there was one."""
        return next((event for event in self.events if event["event"] == kind), None)

    def heard(self, speaker: str) -> dict[str, Any]:
        """The statistics of one speaker's sound as it has it now."""
        streams: list[dict[str, Any]] = self.stats.get("streams", [])
        return next((stream for stream in streams if stream["name"] == speaker), {})

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition()` holds.

        Raises:
            DemoFailed: it does not in time, or the process has ended.
        """
        try:
            async with asyncio.timeout(STEP_S), self._changed:
                await self._changed.wait_for(lambda: condition() or self._failure is not None)
        except TimeoutError as error:
            raise DemoFailed(f"{self.name}: {what} did not happen in {STEP_S:.0f} s") from error
        if not condition() and self._failure is not None:
            raise self._failure

    async def reaches(self, epoch: int) -> None:
        """Wait until it has this epoch's keys.

        Raises:
            DemoFailed: it does not get them.
        """
        await self.until(lambda: self.epoch >= epoch, "the change of keys")

    async def end(self) -> None:
        """See that its process ends, and read what it said last."""
        self.ended = True
        with contextlib.suppress(TimeoutError, DemoFailed):
            async with asyncio.timeout(STEP_S):
                self.type("/leave")
                await self._reading
        self._reading.cancel()
        await self._process.end()

    async def _read(self) -> None:
        while True:
            try:
                event: dict[str, Any] = json.loads(await self._process.line())
            except DemoFailed as failure:
                await self._note_failure(failure)
                return
            except ValueError:
                await self._note_failure(DemoFailed(f"{self.name} printed what is not an event"))
                return
            async with self._changed:
                self._take(event)
                self._changed.notify_all()

    async def _note_failure(self, failure: DemoFailed) -> None:
        async with self._changed:
            self._failure = failure
            self._changed.notify_all()

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "audio_stats":
                self.stats = event
                return
            case "joined" | "epoch_changed":
                self.codes[event["epoch"]] = event["security_code"]
            case "error":
                self._failure = DemoFailed(f"{self.name}: {event['message']}")
        self.events.append(event)


def _environment(home: Path) -> Mapping[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_FOR_THE_USER)}
    return environment | {variable: str(home / variable.lower()) for variable in _HOMES}
