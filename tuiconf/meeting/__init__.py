"""Scripted meetings: `tuiconf run meeting.toml`. config/meeting.toml documents every key."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tuiconf run` takes."""
    parser.add_argument("script", metavar="MEETING.toml", type=Path, help="the meeting: see config/meeting.toml")
    parser.add_argument("--dry-run", action="store_true", help="check the script, and say what would happen")
    parser.add_argument("--now", action="store_true", help="at once, and once, whatever the script says about when")


def run_meeting(args: argparse.Namespace) -> int:
    """Do it; the exit code.

    Raises:
        UsageError: the script cannot be used.
        TuiconfError: the meeting could not be held.
    """
    import asyncio
    import sys

    from tuiconf.adapters.printing import print_to
    from tuiconf.meeting.running import Runner
    from tuiconf.meeting.script import load

    runner = Runner(load(args.script), now=args.now)
    if not args.dry_run:
        return asyncio.run(runner.run())
    print_to(sys.stdout, asyncio.run(runner.explain()))
    return 0
