"""The call."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from tuiconf.tui.keymap import bindings
from tuiconf.tui.screens.base import ModelScreen


class CallScreen(ModelScreen[None]):
    """Who is here, what they say and write, and whether all of it is protected."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("mute", "verify", "participants", "help", "quit")]

    def compose(self) -> ComposeResult:
        """To be built."""
        yield Static("call")

    async def action_mute(self) -> None:
        """Mute, or be heard again."""
        await self.tui.toggle_mute()

    def action_quit(self) -> None:
        """Ask whether to leave or to detach."""
        self.tui.action_quit()
