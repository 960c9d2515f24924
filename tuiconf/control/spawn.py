"""An engine that a program starts for itself, and talks to over standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

from tuiconf import paths
from tuiconf.adapters import private_files
from tuiconf.adapters.own_program import own_command
from tuiconf.control.client import MAX_ANSWER_BYTES, ControlClient, EngineGone
from tuiconf.control.schema import SayHello

# What an engine may take to end once its standard input has: it says goodbye, and closes files.
END_S: Final = 10.0

# What is kept of an engine's last words, to say why it ended.
MAX_WORDS_BYTES: Final = 4096


@contextlib.asynccontextmanager
async def engine(command: str, where: str, options: Sequence[str]) -> AsyncIterator[ControlClient]:
    """`tuiconf COMMAND WHERE OPTIONS --stdio`: `join` with a link, or `host` with a relay. It ends with the block.

    Raises:
        EngineGone: it ended at once; the message is what it said.
        FileError: the link cannot be handed over.
    """
    with _told_privately(command, where) as arguments:
        child = await asyncio.create_subprocess_exec(
            *own_command("tuiconf", command, *arguments, "--stdio", *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_ANSWER_BYTES,
            start_new_session=True,  # Ctrl-C is for the program: it decides when the call ends
        )
        words = asyncio.create_task(_last_words(child))
        try:
            client = await _greeted(child, words)
        except BaseException:
            await _end(child)
            raise
    try:
        yield client
    finally:
        await client.close()
        await _end(child)
        words.cancel()
        await asyncio.gather(words, return_exceptions=True)


async def _greeted(child: asyncio.subprocess.Process, words: asyncio.Task[str]) -> ControlClient:
    if child.stdin is None or child.stdout is None:
        raise EngineGone("the engine could not be started")
    client = ControlClient(child.stdout, child.stdin)
    try:
        await client.call(SayHello())
    except EngineGone as error:
        await client.close()
        raise EngineGone((await words).removeprefix("tuiconf: ") or str(error)) from error
    return client


async def _last_words(child: asyncio.subprocess.Process) -> str:
    """Read standard error to its end; its last line."""
    last = b""
    while child.stderr is not None and (data := await child.stderr.read(MAX_WORDS_BYTES)):
        last = (last + data)[-MAX_WORDS_BYTES:]
    lines = last.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


async def _end(child: asyncio.subprocess.Process) -> None:
    """It leaves when its standard input ends; whatever does not, is killed."""
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


@contextlib.contextmanager
def _told_privately(command: str, where: str) -> Iterator[Sequence[str]]:
    """A link is a secret, and a command line is not: it goes through a file that is there for a moment."""
    if command != "join":
        yield (where,)
        return
    folder = paths.runtime_dir()
    private_files.make_folder(folder)
    fd, name = tempfile.mkstemp(prefix=".link.", dir=folder)  # 0600
    try:
        with os.fdopen(fd, "w") as file:
            file.write(where)
        yield ("--link-file", name)
    finally:
        Path(name).unlink(missing_ok=True)
