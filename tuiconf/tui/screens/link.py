"""The link that lets people in: a secret, shown only when it is asked for."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tuiconf.control import schema
from tuiconf.tui.screens.base import Modal
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.untrusted import visible


class LinkScreen(Modal[None]):
    """Asked of the engine each time, and kept nowhere."""

    DEFAULT_CSS = """
    LinkScreen .link { height: auto; margin: 1 0; color: $primary; }
    LinkScreen .about { height: auto; color: $text-muted; }
    LinkScreen KeyLine { padding: 0; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._link = ""

    def compose(self) -> ComposeResult:
        """The dialog."""
        with Vertical(classes="dialog"):
            yield Static("The link to this room", classes="dialog-title")
            yield Static(classes="link")
            yield Static("Whoever has it can come to the door. Give it to those you invite only.", classes="about")
            yield KeyLine((("y", "copy"), ("Esc", "back")))

    def on_mount(self) -> None:
        """Ask for it: Escape works meanwhile."""
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        answer = await self.tui.do(schema.GetLink())
        if answer is None:
            if self.is_current:
                self.dismiss(None)
            return
        self._link = answer.link
        self.query_one(".link", Static).update(Content(visible(self._link)))

    def action_copy(self) -> None:
        """Into the clipboard, where the terminal allows it."""
        self.app.copy_to_clipboard(self._link)
        self.tui.tell("Given to the terminal's clipboard")
