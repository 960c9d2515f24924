"""What --audio-in and --audio-out take, in a line each: apart from what reads it, which is not loaded."""

from __future__ import annotations

from typing import Final

INPUT_HELP: Final = (
    "default, device:NAME, a file, file:FILE, loop:FILE, - (raw 16-bit 48 kHz mono), cmd:COMMAND, tone[:HZ] or null"
)
OUTPUT_HELP: Final = (
    "default, device:NAME, a file (.wav, .ogg, .opus), file:FILE, - (raw 16-bit 48 kHz mono), cmd:COMMAND or null"
)
