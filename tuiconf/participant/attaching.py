"""Plain lines as a process of their own: like the terminal interface, with nothing loaded that only an engine needs."""

from __future__ import annotations

import argparse
import asyncio

from tuiconf.adapters.standard_streams import occupy_closed, stdin_is_open
from tuiconf.control.calls import find_call
from tuiconf.errors import UsageError
from tuiconf.participant.front_end import FrontEnd
from tuiconf.participant.loop import loop_factory


def run_start(args: argparse.Namespace) -> int:
    """The start dialogue, and the call that it leads to; the exit code.

    Raises:
        TuiconfError: no call could begin.
    """
    from tuiconf.participant import dialogue

    if not stdin_is_open():
        raise UsageError("standard input is closed: say which room, tuiconf join LINK or tuiconf host RELAY")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(dialogue.run(args))


def run_attach(args: argparse.Namespace) -> int:
    """A front end for a call that runs already; the exit code.

    Raises:
        UsageError: there is no such call.
        TuiconfError: its engine is gone.
    """
    occupy_closed()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_attach(find_call(args.call), as_json=args.json))


async def _attach(call: str, *, as_json: bool) -> int:
    return await FrontEnd(call, as_json=as_json).run(since=None)
