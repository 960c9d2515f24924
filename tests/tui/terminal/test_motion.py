"""Nothing moves by itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Button, Input, TextArea

from tuiconf.tui.terminal.motion import keep_still
from tuiconf.tui.terminal.patient import PatientOutput


class Typing(PatientOutput[None]):
    def compose(self) -> ComposeResult:
        yield Button()
        yield Input()
        yield TextArea()


async def test_nothing_is_animated_and_no_cursor_blinks() -> None:
    app = Typing()
    keep_still(app)
    async with app.run_test() as pilot:
        app.query_one(Input).focus()
        await pilot.pause()
        app.query_one(TextArea).focus()
        await pilot.pause()
        assert app.animation_level == "none"
        assert not app.query_one(Input).cursor_blink
        assert not app.query_one(TextArea).cursor_blink


async def test_what_has_the_focus_already_stops_as_well() -> None:
    app = Typing()
    async with app.run_test() as pilot:
        app.query_one(Input).focus()
        await pilot.pause()
        assert app.query_one(Input).cursor_blink
        keep_still(app)
        assert not app.query_one(Input).cursor_blink
