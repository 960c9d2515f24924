"""What handlers do wrong: told and counted, and never anything of what they were told."""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

FaultKind = Literal["raised", "timed_out", "blocked", "overrun", "stuck"]
"""`blocked`: kept the loop to itself; `overrun`: events came faster than it handles them; `stuck`: called no more,
since too many of its calls have not come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFault:
    """A handler did something wrong. `where` is a place in its code, or a number: nothing that anybody said."""

    handler: str
    what: FaultKind
    where: str


Report = Callable[[HandlerFault], None]


def print_fault(fault: HandlerFault) -> None:
    """One line on standard error."""
    line = f"tuiconf.bot: the handler {fault.handler} {fault.what.replace('_', ' ')} ({fault.where})"
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(line, file=sys.stderr, flush=True)  # noqa: T201


class Faults:
    """Counts, and tells `report`, on whatever thread sees it: a loop that is blocked could not."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self.count = 0

    def tell(self, handler: str, what: FaultKind, where: str) -> None:
        """Something went wrong."""
        with self._lock:
            self.count += 1
        fault = HandlerFault(handler=handler, what=what, where=where)
        try:
            self._report(fault)
        except Exception:  # noqa: BLE001 - a report that fails must not take the handlers with it
            print_fault(fault)


def place_of_error(error: BaseException) -> str:
    """What kind of error and where, never its text: it may hold a name, or what somebody said."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    return f"{type(error).__name__}, {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def place_of_frame(frame: FrameType) -> str:
    """Where a thread is."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
