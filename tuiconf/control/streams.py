"""Connections that carry sound instead of lines: what is heard, to a client, and what a client sends, to the call."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

from tuiconf.adapters.audio import FRAME_SAMPLES
from tuiconf.adapters.audio.base import from_s16le, to_s16le
from tuiconf.engine.incoming import Tap
from tuiconf.engine.outgoing import Stream

FRAME_BYTES: Final = 2 * FRAME_SAMPLES
_NUMBER: Final = struct.Struct(">I")


async def write_heard(tap: Tap, writer: asyncio.StreamWriter) -> None:
    """Until nothing more comes, or the client is gone.

    Raises:
        OSError: the client is gone.
    """
    while (heard := await tap.take()) is not None:
        number, frame = heard
        writer.write(_NUMBER.pack(number) + to_s16le(frame))
        await writer.drain()


async def read_sent(stream: Stream, first: bytes, reader: asyncio.StreamReader) -> None:
    """Until the client has closed its side, and all of it was sent. The last frame is filled up with silence.

    Raises:
        OSError: the client is gone.
    """
    held = bytearray(first)
    while True:
        while len(held) >= FRAME_BYTES:
            await stream.put(from_s16le(bytes(held[:FRAME_BYTES])))
            del held[:FRAME_BYTES]
        if not (data := await reader.read(FRAME_BYTES)):
            break
        held += data
    if held:
        await stream.put(from_s16le(bytes(held).ljust(FRAME_BYTES, b"\0")))
    await stream.sent()
