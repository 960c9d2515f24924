"""The terminal interface as a process: on the person's terminal, and with nothing loaded that only an engine needs."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from tuiconf import config, paths
from tuiconf.adapters.standard_streams import occupy_closed
from tuiconf.config import Tui
from tuiconf.control.calls import find_call, socket_path
from tuiconf.control.client import ControlClient
from tuiconf.participant.launcher import ProcessLauncher, SettingsKeeper
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.launcher import Control, Keeper, Launcher
from tuiconf.tui.outcome import Outcome
from tuiconf.tui.terminal import detect


def run_start(args: argparse.Namespace) -> int:
    """From the start screen to the end of a call; the exit code.

    Raises:
        TuiconfError: the identity or the settings cannot be used.
    """
    occupy_closed()
    return asyncio.run(_start(args))


def run_attach(args: argparse.Namespace) -> int:
    """The interface of a call that runs, or is prepared; the exit code.

    Raises:
        UsageError: there is no such call, or the settings cannot be used.
    """
    occupy_closed()
    call = find_call(args.call)
    return asyncio.run(_show(call, _settings(args), keeper=SettingsKeeper(args)))


async def _start(args: argparse.Namespace) -> int:
    settings = _settings(args)
    launcher = ProcessLauncher(args)
    try:
        await launcher.begin()
        return await _show(None, settings, keeper=launcher, launcher=launcher)
    finally:
        launcher.close()


async def _show(call: str | None, settings: Tui, *, keeper: Keeper, launcher: Launcher | None = None) -> int:
    terminal = detect(os.environ)
    app = TuiconfApp(
        call=call, connect=_connect, launcher=launcher, keeper=keeper, settings=settings, terminal=terminal
    )
    outcome = await app.run_async() or Outcome(how="quit")
    if outcome.message:
        print(outcome.message, file=sys.stderr, flush=True)  # noqa: T201
    return app.return_code or outcome.exit_code


def _settings(args: argparse.Namespace) -> Tui:
    return config.load(args.config or paths.config_file(), must_exist=args.config is not None).tui


async def _connect(call: str) -> Control:
    return await ControlClient.connect(socket_path(call))
