"""A call that was prepared and shall not begin: its engine ends, and nobody was ever asked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tuiconf.control import schema
from tuiconf.errors import TuiconfError
from tuiconf.tui.launcher import Control
from tuiconf.tui.model import CallModel
from tuiconf.tui.outcome import Outcome

if TYPE_CHECKING:
    from tuiconf.tui.app import TuiconfApp


async def give_up(app: TuiconfApp) -> None:
    """From the device check: back to the start screen, or to the shell where the call came from there."""
    control, app.control = app.control, None
    app.workers.cancel_group(app, "events")  # the engine's last word is no surprise
    if control is not None:
        await _end(control)
    if app.launcher is None:
        app.exit(Outcome(how="quit"))
        return
    app.model = CallModel()
    while len(app.screen_stack) > 1:
        app.pop_screen()
    from tuiconf.tui.screens.start import StartScreen

    await app.push_screen(StartScreen())


async def discard(app: TuiconfApp, call: str) -> None:
    """A call whose preparation was stopped too late to prevent it."""
    with contextlib.suppress(TuiconfError):  # it has ended by itself
        await _end(await app._connect(call))


async def _end(control: Control) -> None:
    with contextlib.suppress(TuiconfError):
        await control.call(schema.Leave(now=True))
    await control.close()
