"""Getting at an engine: one of the bot's own, or one that runs already."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from tuiconf.bot.config import Where
from tuiconf.control.calls import find_call, socket_path
from tuiconf.control.client import ControlClient
from tuiconf.control.spawn import engine
from tuiconf.errors import UsageError

# A link has some 200 characters.
MAX_LINK_BYTES: Final = 4096


@contextlib.asynccontextmanager
async def connected(where: Where) -> AsyncIterator[ControlClient]:
    """A client of the engine. One of our own ends with the block.

    Raises:
        UsageError: there is no such call, or the link cannot be read.
        EngineGone: it ended at once, or does not answer.
    """
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


def _link(where: Where) -> str:
    if where.link is not None or where.link_file is None:
        return where.link or ""
    try:
        with where.link_file.open("rb") as file:
            return file.read(MAX_LINK_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{where.link_file}: the link cannot be read") from error


def _options(where: Where) -> Sequence[str]:
    options = ["--wait"] if where.wait else []
    for option, value in (
        ("--name", where.name),
        ("--audio-in", where.audio_in),
        ("--audio-out", where.audio_out),
        ("--config", where.config),
        ("--lobby", where.lobby),
    ):
        if value is not None:
            options.append(f"{option}={value}")  # a value may begin with a dash
    return options
