"""What was said in the chat: the last line is seen unless one has scrolled back."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuiconf.control.schema import ChatLine
from tuiconf.tui.model import MAX_CHAT
from tuiconf.tui.widgets.chat_lines import name_column, rows_of
from tuiconf.tui.widgets.painted import TONES, Line, Tone
from tuiconf.untrusted import fit


class ChatLog(ScrollView, can_focus=False):
    """Shows lines; each is wrapped once for a width, and drawn only while it is seen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"painted--{tone}" for tone in TONES if tone != "plain"}
    DEFAULT_CSS = """
    ChatLog { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 0; }
    """

    def __init__(self, *, empty: str = "") -> None:
        super().__init__()
        self._empty = empty
        self._chat: tuple[ChatLine, ...] = ()
        self._own_name = ""
        self._timestamps = True
        self._rows: list[Line] = []
        self._wrapped: dict[ChatLine, list[Line]] = {}
        self._wrapped_for: tuple[object, ...] = ()
        self._follows = True  # unless one has scrolled back

    def show(self, chat: tuple[ChatLine, ...], own_name: str, *, timestamps: bool) -> None:
        """Show these lines."""
        if (chat, own_name, timestamps) != (self._chat, self._own_name, self._timestamps):
            self._chat, self._own_name, self._timestamps = chat, own_name, timestamps
            self._wrap()

    @property
    def text(self) -> str:
        """What is written there, seen or not."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self._rows)

    def on_resize(self) -> None:
        """Other words fit into a row."""
        self._wrap()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls back wants to read there; whoever comes back to the end, what is new."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y

    def render_line(self, y: int) -> Strip:
        """One row of what is seen. Few lines stand at the foot, where the next one will be."""
        width, base = self.scrollable_content_region.width, self.rich_style
        above = max(0, self.scrollable_content_region.height - len(self._rows))
        at = y + self.scroll_offset.y - above
        row: Line = self._rows[at] if 0 <= at < len(self._rows) else ()
        if y == self.size.height - 1 and (more := self.max_scroll_y - self.scroll_offset.y) > 0:
            row = ((fit(f"↓ {more + 1} more lines: End shows the last", width), "notice"),)
        return Strip([Segment(text, base + self._style(tone)) for text, tone in row]).adjust_cell_length(width, base)

    def _style(self, tone: Tone) -> Style:
        return Style.null() if tone == "plain" else self.get_component_rich_style(f"painted--{tone}", partial=True)

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if not width:
            return
        names = name_column(self._chat)
        settled = (width, names, self._own_name, self._timestamps)
        known = self._wrapped if settled == self._wrapped_for else {}
        self._wrapped_for, self._wrapped = settled, {}
        self._rows = []
        for line in self._chat[-MAX_CHAT:]:
            rows = known.get(line) or rows_of(line, self._own_name, names, width, timestamps=self._timestamps)
            self._wrapped[line] = rows
            self._rows += rows
        if not self._rows and self._empty:
            self._rows = [((self._empty, "quiet"),)]
        self.virtual_size = Size(0, len(self._rows))
        if self._follows:
            self.scroll_end(animate=False, immediate=True)
        self.refresh()
