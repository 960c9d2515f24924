"""An App whose loop never waits for its terminal, and which draws what is current when the terminal has caught up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events
from textual.app import App, ReturnType
from textual.timer import Timer
from textual.widget import Widget

from tuiconf.tui.terminal.driver import TerminalDriver
from tuiconf.tui.terminal.events import KeyReleased, TerminalLost

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

# How often a terminal that is behind is looked at.
LOOK_S = 0.05

# As a shell reports a process that a hang-up has ended.
HUNG_UP = 129


class PatientOutput(App[ReturnType]):
    """Drops frames while the terminal is behind, then paints the whole screen once. To inherit from instead of `App`.

    `_display` is Textual's own name and the only one of its private ones that is overridden here: everything that it
    draws goes through it. What it is given mostly describes a change, so one that was dropped leaves nothing to build
    on, and the next thing drawn must be everything.
    """

    _owed: Timer | None = None
    frames_dropped: int = 0
    when_focused: Callable[[Widget], None] | None = None

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if renderable is None or self._batch_count or not self._terminal_is_behind():
            super()._display(screen, renderable)
            return
        self.frames_dropped += 1
        if self._owed is None:
            self._owed = self.set_interval(LOOK_S, self._pay, name="repaint owed")
        self.post_display_hook()

    def _pay(self) -> None:
        """Paint everything, once there is room for it."""
        if self._owed is None or self._terminal_is_behind():
            return
        self._owed.stop()
        self._owed = None
        self.refresh()

    def _terminal_is_behind(self) -> bool:
        return isinstance(self._driver, TerminalDriver) and self._driver.is_behind

    async def on_event(self, event: events.Event) -> None:
        """Textual sends keys to who has the focus, and only keys."""
        if isinstance(event, KeyReleased) and not event.is_on_its_way:
            event.is_on_its_way = True
            if self._screen_stack:
                (self.focused or self.screen).post_message(event)
        else:
            await super().on_event(event)

    def on_terminal_lost(self, _: TerminalLost) -> None:
        self.exit(return_code=HUNG_UP)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.when_focused is not None:
            self.when_focused(event.widget)
