"""Nothing moves by itself: for people it makes ill, for the Linux console, and for links where each byte counts."""

from __future__ import annotations

from typing import Any

from textual.widget import Widget
from textual.widgets import Input, TextArea

from tuiconf.tui.terminal.patient import PatientOutput


def keep_still(app: PatientOutput[Any]) -> None:
    """Turn off all that Textual animates, from now on and in every screen.

    Scrolling, fading, the bars of tabs, indeterminate progress and loading indicators go by `animation_level`. The
    cursor of inputs blinks whatever that says, and costs bytes while nobody types: it stands. Toasts appear and go at
    once as it is, and Textual never shows the terminal's own cursor.
    """
    app.animation_level = "none"
    app.when_focused = stop_blinking
    if app.screen_stack and app.focused is not None:
        stop_blinking(app.focused)


def stop_blinking(widget: Widget) -> None:
    """The cursor of this widget stands still, if it has one."""
    if isinstance(widget, Input | TextArea):
        widget.cursor_blink = False
