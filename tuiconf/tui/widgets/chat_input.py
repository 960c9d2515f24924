"""Where one writes: chat, or a command after a slash, with what it can become in the line above."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from tuiconf.commands import complete, find_command
from tuiconf.control.schema import MAX_CHAT_CHARACTERS
from tuiconf.errors import UsageError
from tuiconf.tui.model import CallModel
from tuiconf.tui.widgets.field import Field
from tuiconf.tui.widgets.painted import Line, Painted, Span
from tuiconf.untrusted import cells, fit, visible


class _Field(Field):
    """A field whose Tab completes and whose Escape goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", "Complete", show=False),
        Binding("shift+tab", "complete(-1)", "Complete", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def action_complete(self, step: int) -> None:
        """The next way to go on."""
        if isinstance(self.parent, Horizontal) and isinstance(self.parent.parent, ChatInput):
            self.parent.parent.complete_next(step)

    def action_back(self) -> None:
        """Keys are for the call again; what was typed stays."""
        self.screen.set_focus(None)


class Completions(Painted):
    """What the line can become, or what the command in it does."""

    DEFAULT_CSS = """
    Completions { height: 1; display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.words: tuple[str, ...] = ()
        self.chosen = -1
        self.about = ""

    def draw(self, width: int, height: int) -> list[Line]:
        """As many as fit, from the chosen one on, and how many there are besides."""
        if len(self.words) < 2 and self.about:
            return [((fit(self.about, width), "quiet"),)]
        spans: list[Span] = []
        first = max(0, self.chosen)
        left, room = len(self.words) - first, width
        for at, word in [*enumerate(self.words)][first:]:
            shown = fit(word.strip(), width)
            if cells(shown) + (cells(_more(left - 1)) if left > 1 and spans else 0) > room:
                break
            spans += [(shown, "mention" if at == self.chosen else "quiet"), ("  ", "plain")]
            left, room = left - 1, room - cells(shown) - 2
        if left and cells(_more(left)) <= room:
            return [(*spans, (_more(left), "quiet"))]
        return [tuple(spans[:-1])]


class ChatInput(Vertical):
    """Posts `Said` when Enter is pressed; it is cleared by `clear` when that was done."""

    DEFAULT_CSS = """
    ChatInput {
        height: auto;
        & > Horizontal { height: 1; }
        & .prompt { width: 2; color: $text-muted; }
        & _Field {
            width: 1fr; height: 1; border: none; padding: 0; background: transparent;
            &:focus { border: none; background-tint: transparent; }
        }
        &:focus-within .prompt { color: $primary; text-style: bold; }
    }
    """

    class Said(Message):
        """Enter was pressed on this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, model: CallModel, placeholder: Callable[[], str]) -> None:
        super().__init__()
        self._model = model
        self._placeholder = placeholder
        self._ways: tuple[str, ...] = ()
        self._chosen = -1

    def compose(self) -> ComposeResult:
        """The line of completions, and the field."""
        yield Completions()
        with Horizontal():
            yield Static("› ", classes="prompt")
            field = _Field(placeholder=self._placeholder(), max_length=MAX_CHAT_CHARACTERS, select_on_focus=False)
            field.cursor_blink = False
            yield field

    @property
    def field(self) -> Field:
        """The field itself."""
        return self.query_one(_Field)

    @property
    def active(self) -> bool:
        """Whether keys are typed into it."""
        return self.field.has_focus

    def open(self, text: str = "") -> None:
        """Type from now on."""
        if text and not self.field.value:
            self.field.value = text
            self.field.cursor_position = len(text)
        self.field.focus()

    def clear(self) -> None:
        """It was said."""
        self.field.value = ""

    def complete_next(self, step: int) -> None:
        """Put the next of the ways to go on into the field."""
        if not self._ways:
            return
        self._chosen = (self._chosen + step) % len(self._ways) if self._chosen >= 0 or step > 0 else len(self._ways) - 1
        value = self._ways[self._chosen]
        with self.prevent(Input.Changed):
            self.field.value = value
            self.field.cursor_position = len(value)
        if len(self._ways) == 1:
            self._offer(value)
        else:
            self._show()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._offer(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.post_message(self.Said(event.value.strip()))
        else:
            self.screen.set_focus(None)

    def _offer(self, value: str) -> None:
        ways = complete(value, self._model.people, self._model.callers)
        self._ways = tuple(way for way in ways if way != value)
        self._chosen = -1
        self._show()

    def _show(self) -> None:
        line = self.query_one(Completions)
        value = self.field.value
        line.words = tuple(visible(_ending(way)) for way in self._ways)
        line.chosen = self._chosen
        line.about = _about(value)
        line.display = bool(self._ways or line.about)
        line.renew()


def _more(count: int) -> str:
    return f"+{count}"


def _ending(way: str) -> str:
    """A command as it is, and of what stands after it only that."""
    _, space, argument = way.rstrip().partition(" ")
    return argument if space and way.startswith("/") else way.rsplit(" @", 1)[-1]


def _about(value: str) -> str:
    """The usage and meaning of the command in the line."""
    if not value.startswith("/") or len(value) < 2:
        return ""
    try:
        command = find_command(value[1:].split(" ")[0])
    except UsageError:
        return ""
    return f"{command.usage}: {command.help}"
