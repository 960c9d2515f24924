"""One question, answered with yes or no, for what cannot be taken back or has to be compared first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from tuiconf.tui.screens.base import Modal
from tuiconf.tui.screens.panel import said
from tuiconf.tui.widgets.keyline import KeyLine


class Question(Modal[bool], inherit_bindings=False):
    """`y` is True, `n` False, Escape None, whatever the settings bind. Enter is nothing: it may still be held down."""

    DEFAULT_CSS = """
    Question .dialog { max-width: 64; }
    Question .question, Question .detail { height: auto; }
    Question .detail { margin-top: 1; }
    Question KeyLine { padding: 0; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back", show=False),
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n", "answer(False)", "No", show=False),
    ]

    def __init__(self, question: str, *, details: Sequence[str] = (), yes: str = "yes", no: str = "no") -> None:
        super().__init__()
        self._question = question
        self._details = tuple(details)
        self._yes, self._no = yes, no

    def compose(self) -> ComposeResult:
        """The dialog."""
        with Vertical(classes="dialog"):
            yield Static(said(self._question, "strong"), classes="question")
            for detail in self._details:
                yield Static(said(detail), classes="detail")
            yield KeyLine((("y", self._yes), ("n", self._no)))

    def action_answer(self, yes: bool) -> None:
        """It was decided."""
        self.dismiss(yes)
