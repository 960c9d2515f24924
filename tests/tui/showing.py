"""The pages and dialogs, each shown alone over a call that is none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.support import FakeControl, FakeLauncher, FakeTerminal, make_app, running, screen_text
from tuiconf.config import Tui
from tuiconf.tui.app import TuiconfApp, make_screen
from tuiconf.tui.outcome import Outcome

# What the screen below is not a part of: a call that was prepared, and whose room nobody has entered.
PREPARED: dict[str, Any] = {
    "phase": "ready",
    "me": None,
    "participants": (),
    "chat": (),
    "epoch": None,
    "security_code": None,
    "policy": None,
}


@dataclass
class Shown:
    """A page that is open, and what it was left with."""

    app: TuiconfApp
    pilot: Pilot[Outcome]
    control: FakeControl
    launcher: FakeLauncher
    results: list[Any]

    @property
    def text(self) -> str:
        """What a person sees."""
        return screen_text(self.app)

    async def press(self, *keys: str) -> None:
        """One after the other, each done before the next."""
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()


@contextlib.asynccontextmanager
async def shown(
    page: str | Screen[Any] | None,
    control: FakeControl | None = None,
    *,
    launcher: FakeLauncher | None = None,
    settings: Tui | None = None,
    terminal: FakeTerminal | None = None,
    size: tuple[int, int] = (80, 24),
) -> AsyncGenerator[Shown]:
    """The page over the call of `control`; with None, whatever the app shows by itself."""
    control, launcher = control or FakeControl(), launcher or FakeLauncher()
    app = make_app(control, launcher=launcher, settings=settings, terminal=terminal)
    async with running(app, size) as (_, pilot):
        there = Shown(app, pilot, control, launcher, [])
        if page is not None:
            app.push_screen(make_screen(page) if isinstance(page, str) else page, there.results.append)
            await pilot.pause()
        yield there
