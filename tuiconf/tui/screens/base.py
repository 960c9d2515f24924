"""What all screens have in common: they show the app's model, ask through the app, and hold nothing themselves."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen

from tuiconf.tui.keymap import bindings

if TYPE_CHECKING:
    from tuiconf.tui.app import TuiconfApp
    from tuiconf.tui.model import Parts

R = TypeVar("R")


class Waits(Screen[R]):
    """A screen that may be closed while it waits for what the engine answers."""

    def work(self, work: Coroutine[Any, Any, object], *, group: str = "default", exclusive: bool = False) -> None:
        """Do it beside; with `exclusive` in place of what is still done in this group."""
        self.run_worker(self._while_open(work), group=group, exclusive=exclusive)

    async def _while_open(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except NoMatches:
            if self in self.app.screen_stack:
                raise
            # Closed meanwhile: there is nothing left to show the answer in.


class ModelScreen(Waits[R]):
    """A whole screen that shows the call."""

    AUTO_FOCUS: ClassVar[str | None] = ""

    @property
    def tui(self) -> TuiconfApp:
        """The app, with its model."""
        return cast("TuiconfApp", self.app)

    def model_changed(self, parts: Parts) -> None:
        """Called by the app, with what has changed."""
        self.refresh_model(parts)

    def refresh_model(self, parts: Parts) -> None:
        """These parts of the model have changed. Called at most a few times a second, and once when it is shown."""


class Modal(Waits[R], ModalScreen[R]):
    """A dialog over the call; Escape closes it with None. Its body is a container with the class `dialog`.

    Muting works in all of them: whoever wants to be silent does not have to find the way back first.
    """

    DEFAULT_CSS = """
    Modal {
        align: center middle;
        background: $background 60%;

        .dialog { width: 100%; max-width: 76; height: auto; max-height: 100%; padding: 1 2; background: $surface; }
        .dialog-title { height: 1; margin-bottom: 1; text-style: bold; }
        .dialog-hints { height: 1; margin-top: 1; color: $quiet; }

        /* On 16 colours and none there is no shade to tell a dialog by: a border does. */
        &:ansi { background: transparent; }
        &:ansi .dialog { border: round $foreground; padding: 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back", show=False),
        Binding("ctrl+q,ctrl+c", "end", "Quit", show=False),  # those of the app do not reach what is modal
        *bindings("mute"),
    ]

    @property
    def tui(self) -> TuiconfApp:
        """The app, with its model."""
        return cast("TuiconfApp", self.app)

    def refresh_model(self, parts: Parts) -> None:
        """These parts of the model have changed. Called at most a few times a second, and once when it is shown."""

    def model_changed(self, parts: Parts) -> None:
        """Called by the app, with what has changed."""
        self.refresh_model(parts)

    async def action_mute(self) -> None:
        """Mute, or be heard again."""
        await self.tui.toggle_mute()

    def action_end(self) -> None:
        """Ask whether to leave, as in the call."""
        self.tui.action_quit()

    def action_close(self) -> None:
        """Back to where one came from."""
        self.dismiss(None)
