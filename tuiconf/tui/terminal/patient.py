"""An App whose loop never waits for its terminal, and which draws what is current when the terminal has caught up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.timer import Timer
from textual.widget import Widget

from tuiconf.tui.terminal import quick
from tuiconf.tui.terminal.driver import TerminalDriver
from tuiconf.tui.terminal.events import KeyDealtWith, KeyReleased, TerminalLost
from tuiconf.tui.terminal.shown import Shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

# How often a terminal that is behind is looked at.
LOOK_S = 0.05

# As a shell reports a process that a hang-up has ended.
HUNG_UP = 129


class PatientOutput(App[ReturnType]):
    """Drops frames while the terminal is behind, then shows what is current. To inherit from instead of `App`.

    `_display` is Textual's own name, and everything that Textual draws goes through it. What it is given mostly
    describes a change, so one that was dropped leaves nothing to build on, and the next thing drawn must be the whole
    screen; of which `Shown` lets through what the terminal does not show yet.
    """

    _owed: Timer | None = None
    frames_dropped: int = 0
    takes_mouse: bool = True
    """Whether the terminal is asked to tell of the mouse. Read when the driver is made."""
    when_focused: Callable[[Widget], None] | None = None

    def __init__(self, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class)
        self._shown = Shown()
        self._sized = False

    def repaint(self) -> None:
        """Paint everything, whatever the terminal shows: for a key, when another program has written there."""
        self._shown.forget()
        self.refresh()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        driver = self._driver
        ends = self._batch_count or not self._running or self._closed  # nothing will be drawn
        if renderable is None or ends or not isinstance(driver, TerminalDriver):
            super()._display(screen, renderable)
        elif driver.is_behind:
            self._drop()
        else:
            if driver.has_dropped():
                self._shown.forget()
            super()._display(screen, self._shown.reduced(renderable, self.console))

    def _drop(self) -> None:
        self.frames_dropped += 1
        if self._owed is None:
            self._owed = self.set_interval(LOOK_S, self._pay, name="repaint owed")
        self.post_display_hook()

    def _pay(self) -> None:
        """Show what is current, once there is room for it."""
        if self._owed is None or (isinstance(self._driver, TerminalDriver) and self._driver.is_behind):
            return
        self._owed.stop()
        self._owed = None
        self.refresh()

    def on_ready(self) -> None:
        """The first screen is laid out and painted."""
        quick.over()

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self.repaint())

    async def on_event(self, event: events.Event) -> None:
        """Textual sends keys to who has the focus, and only keys: their releases go the same way, and their ends."""
        if isinstance(event, events.Resize):
            if self._sized:
                self._shown.forget()
            self._sized = True  # the first says what was so already
        if isinstance(event, KeyReleased | KeyDealtWith) and not event.is_on_its_way:
            event.is_on_its_way = True
            if self._screen_stack:
                if isinstance(event, KeyDealtWith):
                    event.screen = self.screen
                (self.focused or self.screen).post_message(event)
        else:
            await super().on_event(event)

    def on_key_dealt_with(self, event: KeyDealtWith) -> None:
        """A screen that the key has opened, or come back to, first finds out who has its focus."""
        driver = self._driver
        if not isinstance(driver, TerminalDriver) or not self._screen_stack:
            return
        if self.screen is event.screen:
            driver.key_dealt_with(event.number)
        else:
            self.screen.call_after_refresh(driver.key_dealt_with, event.number)

    def on_terminal_lost(self, _: TerminalLost) -> None:
        self.exit(return_code=HUNG_UP)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.when_focused is not None:
            self.when_focused(event.widget)
