"""Writes down what each one says: their sound goes to a transcriber of your choice, its lines into a file.

    python -m tuiconf.examples.minutes minutes.toml

For each speaker the command is run once. It gets signed 16-bit little-endian mono PCM of 48 kHz on standard input,
at the speed of speech and also of silence, and writes a line of text for each thing that was said, at once. `ffmpeg
-f s16le -ar 48000 -i - -ar 16000 …` before it makes any other rate. When they leave, its input ends.
Everyone is told that minutes are taken; `!minutes` gives the last lines into the chat.

[bot]
link_file = "room.link"               # or link = "tuiconf://…", host = "RELAY", call = "NAME of one that runs here"
name = "Minutes"

[settings]
command = ["my-transcriber", "--language", "en"]      # never a shell: a list of words
file = "minutes.txt"                  # beside this one; lines are added: [10:31:07] Mara: good morning
restarts = 3                          # how often a command that ends is started anew, for each speaker
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import datetime
import os
import signal
import sys
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from tuiconf.bot import (
    FRAME_S,
    SAMPLE_RATE,
    AudioIn,
    Bot,
    ConfigError,
    ControlError,
    EngineGone,
    events,
    program,
    to_s16le,
)

# What a transcriber may be behind with: ten seconds of sound, 1 MB. Whatever comes then is lost, and that is said.
MAX_BEHIND_BYTES: Final = 10 * 2 * SAMPLE_RATE

# A line of a transcriber is a sentence; what is longer is cut into pieces of this.
MAX_LINE_BYTES: Final = 4096

# What a transcriber may take for its last words, once nothing more comes.
LAST_WORDS_S: Final = 20.0

RESTART_S: Final = 1.0
# An engine refuses to be listened to by too many at once: in a room of a hundred, say. One who goes makes place.
AGAIN_S: Final = 30

CHAT_LINES: Final = 20

# A gap of a tenth of a second is not worth a line.
FRAMES_TOLD: Final = 5

HELLO: Final = "minutes are taken of what is said here: !minutes shows the last lines"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in [settings]."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    file: Path = Path("minutes.txt")
    restarts: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 3


class Minutes:
    """A transcriber for each speaker, and one file."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.settings = bot.config.own_settings(Settings)
        self.last: collections.deque[str] = collections.deque(maxlen=CHAT_LINES)
        self.listening: set[tuple[int, str]] = set()  # leaf and fingerprint: a leaf may be somebody else's later
        self.refused: set[tuple[int, str]] = set()  # of those, whom the engine does not let us hear for now
        self.path = bot.config.resolve(self.settings.file)
        try:
            self.path.touch(mode=0o600)  # what was said is nobody else's business
        except OSError as error:
            raise ConfigError(f"{self.path}: it cannot be written: {(error.strerror or '').lower()}") from error
        bot.on(events.Joined)(self.say_hello)
        for kind in (events.Joined, events.ParticipantJoined, events.Reconnected):
            bot.on(kind)(self.look_around)
        bot.command("!minutes")(self.show)

    async def say_hello(self, event: events.Joined) -> None:
        """Nobody is written down without having been told."""
        await self.bot.chat(HELLO)

    async def look_around(self, event: events.Event | None = None) -> None:
        """Listen to everyone who is here, and was not listened to yet. Newcomers are told what goes on."""
        state = await self.bot.state_get()
        others = [who for who in state.participants if state.me is not None and who.leaf != state.me.leaf]
        self.refused &= {(who.leaf, who.fingerprint) for who in others}
        for who in others:
            if (who.leaf, who.fingerprint) not in self.listening:
                self.listening.add((who.leaf, who.fingerprint))
                self.bot.spawn(self.listen_to(who), finish_s=2 * LAST_WORDS_S)
        if isinstance(event, events.ParticipantJoined):
            await self.bot.chat(HELLO)

    async def listen_to(self, who: events.Person) -> None:
        """Until they leave; then their transcriber may finish its sentence."""
        speaker, them, refused = Speaker(self, who.name), (who.leaf, who.fingerprint), False
        try:
            await speaker.hear(self.bot.audio_in(who.leaf))
        except ControlError as error:
            refused = True
            if them not in self.refused:
                self.refused.add(them)
                self.write(who.name, f"({error})")
        finally:
            if not refused:
                self.listening.discard(them)
                self.refused.discard(them)
            await speaker.finish()
        if refused:
            await self.wait()
            self.listening.discard(them)
        if self.bot.in_call:
            await self.look_around()  # whoever came to their place in the meantime

    async def wait(self) -> None:
        """Some time, or until the call is over."""
        for _ in range(AGAIN_S):
            if self.bot.in_call:
                await asyncio.sleep(1)

    def show(self, message: events.ChatReceived, argument: str) -> str:
        """The last lines."""
        return "\n".join(self.last) or "nothing was said yet"

    def write(self, name: str, text: str) -> None:
        """A line of the minutes. What others wrote or said must not look like more than one."""
        line = f"[{datetime.datetime.now():%H:%M:%S}] {one_line(name)}: {one_line(text)}"
        self.last.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class Speaker:
    """One participant: their sound to a transcriber, its lines to the minutes."""

    def __init__(self, minutes: Minutes, name: str) -> None:
        self.minutes, self.name = minutes, name
        self.stdin: asyncio.StreamWriter | None = None
        self.lost_frames = 0
        self.over = False
        self.transcribing = asyncio.create_task(self.transcribe())

    async def hear(self, audio: AudioIn) -> None:
        """All of it."""
        async for frame in audio:
            self.give(to_s16le(frame))
        self.lost_frames += audio.lost

    async def finish(self) -> None:
        """The transcriber gets no more, and may say its last words."""
        self.over = True
        if self.stdin is not None:
            self.stdin.close()
        await asyncio.wait((self.transcribing,), timeout=LAST_WORDS_S)
        self.transcribing.cancel()
        await asyncio.gather(self.transcribing, return_exceptions=True)
        self.tell_lost()

    def give(self, data: bytes) -> None:
        """One frame. A transcriber that is too slow loses some: the call does not wait for it."""
        stdin = self.stdin
        if stdin is None or stdin.is_closing() or stdin.transport.get_write_buffer_size() > MAX_BEHIND_BYTES:
            self.lost_frames += 1
            return
        self.tell_lost()
        stdin.write(data)

    def tell_lost(self) -> None:
        """Once it is over: how much."""
        if self.lost_frames >= FRAMES_TOLD:
            self.write(f"({self.lost_frames * FRAME_S:.1f} s were lost: the transcriber was too slow, or not running)")
        self.lost_frames = 0

    async def transcribe(self) -> None:
        """Keep a transcriber running, within reason."""
        for _ in range(self.minutes.settings.restarts + 1):
            why = await self.run_command()
            if self.over:
                return
            self.write(f"(the transcriber {why})")
            await asyncio.sleep(RESTART_S)
        self.write("(no more minutes of them)")
        with contextlib.suppress(EngineGone):
            await self.minutes.bot.chat(f"no more minutes of {self.name}: the transcriber {why}")

    async def run_command(self) -> str:
        """One transcriber, until it ends; how it did. Nothing of the call is on its command line."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self.minutes.settings.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # to end what it starts, too
            )
        except (OSError, ValueError):
            return "cannot be run"
        try:
            self.stdin = child.stdin
            async for line in lines_of(child.stdout):
                self.write(line)
            return f"ended with exit code {await child.wait()}"
        finally:
            self.stdin = None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()

    def write(self, text: str) -> None:
        """A line of theirs."""
        self.minutes.write(self.name, text)


async def lines_of(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    """What is written there, line by line; a line that is too long is several."""
    held = b""
    while stream is not None and (data := await stream.read(MAX_LINE_BYTES)):
        *lines, held = (held + data).split(b"\n")
        if len(held) > MAX_LINE_BYTES:
            lines, held = [*lines, held], b""
        for line in lines:
            if line.strip():
                yield line.decode(errors="replace").strip()
    if held.strip():
        yield held.decode(errors="replace").strip()


def one_line(text: str) -> str:
    """Without what could move a cursor, begin a line, or hide something."""
    return "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)


def make(path: str) -> Bot:
    """The bot with these settings."""
    return Minutes(Bot.from_config(path)).bot


if __name__ == "__main__":
    sys.exit(program(make, __doc__))
