"""Printing for a person or a pipe, where standard output may be closed, full, or of an encoding that lacks much."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TextIO

from tuiconf.errors import TuiconfError


class OutputLost(TuiconfError):
    """What was to be printed cannot be: its reader is gone, or the disk it goes to is full."""

    code = "output"


def escape_what_is_missing() -> None:
    """From now on, a character that an output's encoding does not have is printed as its number, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_to(stream: TextIO | None, text: str) -> None:
    """Write `text` as it is, and at once. To None, which is a closed output, nothing is written.

    Raises:
        OutputLost: it cannot be written. The stream then leads nowhere, or Python would complain again at its exit.
    """
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _lead_nowhere(stream)
        why = (error.strerror or "unknown reason").lower()
        raise OutputLost(f"standard output cannot be written: {why}") from error


def _lead_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError):  # a stream in memory has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
