"""A bot as a program: its settings from the command line, signals, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

from tuiconf.bot.bot import Bot
from tuiconf.errors import TuiconfError, UsageError


def program(make: Callable[[str], Bot], about: str | None, argv: Sequence[str] | None = None) -> int:
    """Run the bot that `make` makes of the file of settings on the command line; the exit code.

    Ctrl-C or SIGTERM make it leave. `about` is told with --help.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", metavar="SETTINGS.toml", help="the bot's settings")
    args = parser.parse_args(argv)
    try:
        asyncio.run(_run(make(args.settings)))
    except TuiconfError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, UsageError) else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass  # it has left
    return 0


async def _run(bot: Bot) -> None:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await bot.run()
