"""Which front end a person gets: the terminal interface, or plain lines; and the start of both without a call.

Loads neither before it is known which, and no engine for either: a front end is to be light, and quickly there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from tuiconf.adapters.own_program import own_command
from tuiconf.adapters.standard_streams import is_terminal
from tuiconf.tui.terminal import quick
from tuiconf.tui.terminal.detect import detect


def run(args: argparse.Namespace) -> int:
    """`tuiconf` alone: choose a room, and be in it; the exit code.

    Raises:
        TuiconfError: no call could begin.
    """
    if wants_screen(args):
        quick.begin()
        from tuiconf.participant import terminal

        return terminal.run_start(args)
    from tuiconf.participant import attaching

    return attaching.run_start(args)


def attach(args: argparse.Namespace) -> int:
    """`tuiconf attach`: pick up a call; the exit code.

    Raises:
        UsageError: there is no such call.
        TuiconfError: its engine is gone.
    """
    if wants_screen(args):
        quick.begin()
        from tuiconf.participant import terminal

        return terminal.run_attach(args)
    from tuiconf.participant import attaching

    return attaching.run_attach(args)


def wants_screen(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal interface is what this person expects: a terminal on all sides that can move its cursor."""
    if args.plain or args.json:
        return False
    output = is_terminal(sys.stdout) and is_terminal(sys.stderr)
    return not detect(environ, input_is_tty=is_terminal(sys.stdin), output_is_tty=output).dumb


def become_screen(call: str, args: argparse.Namespace) -> int:
    """Go on as the terminal interface of this call, in the same process and with nothing of before in its memory.

    Raises:
        OSError: this Python cannot be started again.
    """
    options = [] if args.config is None else ["--config", str(args.config)]
    command = own_command("tuiconf", "attach", call, *options)
    os.execv(command[0], command)  # noqa: S606 - ourselves
