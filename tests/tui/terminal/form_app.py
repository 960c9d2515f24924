"""A process with a form: what is in its fields goes to standard output when Enter is pressed in one."""

from __future__ import annotations

import os
import sys

from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tuiconf.tui.terminal.driver import TerminalDriver
from tuiconf.tui.terminal.patient import PatientOutput


class Question(ModalScreen[None]):
    """What has the focus in it is gone with the first letter."""

    AUTO_FOCUS = "*"

    def compose(self) -> ComposeResult:
        yield Answer()


class Answer(Static, can_focus=True):
    """Any letter is one."""

    def on_key(self, event: Key) -> None:
        event.stop()
        self.screen.dismiss()


class Form(PatientOutput[None]):
    """Letters are commands until one of them opens the first field."""

    BINDINGS = [("c", "first"), ("o", "ask"), ("q", "leave"), ("h,e,l,w,r,d,x,y,a,g,i,n", "wrong")]  # noqa: RUF012
    AUTO_FOCUS = None

    def __init__(self, tells: int) -> None:
        super().__init__(driver_class=TerminalDriver)
        self._tells = tells

    def compose(self) -> ComposeResult:
        yield Input(id="first")
        yield Input(id="second")
        yield Static("form")

    def on_ready(self) -> None:
        self.tell("begun")

    def tell(self, line: str) -> None:
        os.write(self._tells, f"{line}\n".encode())

    def action_first(self) -> None:
        self.query_one("#first").focus()

    def action_ask(self) -> None:
        self.push_screen(Question())

    def action_leave(self) -> None:
        self.tell("quits")
        self.exit()

    def action_wrong(self) -> None:
        self.tell("wrong")

    def on_input_submitted(self) -> None:
        first, second = (self.query_one(name, Input).value for name in ("#first", "#second"))
        self.tell(f"fields {first} {second}")


if __name__ == "__main__":
    Form(os.dup(1)).run(mouse=False)
    sys.exit(0)
