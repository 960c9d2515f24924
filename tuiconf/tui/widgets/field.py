"""One line to type into, which takes all of what is pasted: Textual's takes the first line, and loses the rest."""

from __future__ import annotations

from textual.events import Paste
from textual.message import Message
from textual.widgets import Input


class Field(Input):
    """Lines that are pasted become one, with `glue` in between. Posts `TooMuch` when not all of it fits."""

    class TooMuch(Message):
        """Of what was pasted, only so many characters were taken."""

        def __init__(self, taken: int) -> None:
            super().__init__()
            self.taken = taken

    glue = " "

    def on_paste(self, event: Paste) -> None:
        """All of it, and not as Textual does."""
        event.prevent_default()
        event.stop()
        self.put(event.text)

    def put(self, text: str) -> None:
        """In place of what is selected, or where the cursor is."""
        start, end = sorted(self.selection)
        pasted = joined(text, self.glue)
        room = len(pasted) if not self.max_length else max(0, self.max_length - len(self.value) + end - start)
        self.replace(pasted[:room], start, end)
        if room < len(pasted):
            self.post_message(self.TooMuch(room))


class LinkField(Field):
    """A link that was copied from a narrow window comes in several lines, and is one word."""

    glue = ""


def joined(text: str, glue: str) -> str:
    """The lines of a text that have something in them, as one."""
    return glue.join(line for line in map(str.strip, text.splitlines()) if line)
