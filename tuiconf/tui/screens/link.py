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
from tuiconf.tui.screens.panel import LOW
from tuiconf.tui.widgets.keyline import KeyLine
from tuiconf.untrusted import visible


class LinkScreen(Modal[None]):
    """Asked of the engine each time, and kept nowhere."""

    DEFAULT_CSS = """
    LinkScreen .link { height: auto; margin: 1 0; color: $primary; }
    LinkScreen .about { height: auto; color: $text-muted; }
    LinkScreen KeyLine { padding: 0; margin-top: 1; }
    LinkScreen.-low .dialog { padding: 0 1; }
    LinkScreen.-low .dialog-title, LinkScreen.-low KeyLine { margin: 0; }
    LinkScreen.-low .link { margin: 0 0 1 0; }
    LinkScreen.-low .about { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy('link')", "Copy the link", show=False),
        Binding("i", "copy('code')", "Copy the invite code", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown = schema.Link(link="")

    def compose(self) -> ComposeResult:
        """The dialog."""
        with Vertical(classes="dialog"):
            yield Static("The link to this room", classes="dialog-title")
            yield Static(classes="link")
            yield Static("Or as an invite code, which needs no quotes:", classes="about")
            yield Static(classes="link code")
            yield Static(
                "Whoever has one of them can come to the door. Give it to nobody else than those you invite.",
                classes="about",
            )
            yield KeyLine((("y", "copy link"), ("i", "copy code"), ("Esc", "back")))

    def on_resize(self) -> None:
        """Without what explains it where there is little room."""
        self.set_class(self.size.height < LOW, "-low")

    def on_mount(self) -> None:
        """Ask for it: Escape works meanwhile."""
        self.run_worker(self._ask(), exclusive=True)

    async def _ask(self) -> None:
        answer = await self.tui.do(schema.GetLink())
        if answer is None:
            if self.is_current:
                self.dismiss(None)
            return
        self._shown = answer
        self.query_one(".link", Static).update(Content(visible(answer.link)))
        self.query_one(".code", Static).update(Content(visible(answer.code)))

    def action_copy(self, which: str) -> None:
        """Into the clipboard, where the terminal allows it."""
        self.app.copy_to_clipboard(self._shown.code if which == "code" else self._shown.link)
        self.tui.tell("Given to the terminal's clipboard")
