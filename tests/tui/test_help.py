"""Help lists what is bound, as it is bound."""

from __future__ import annotations

from tests.tui.showing import PREPARED, shown
from tests.tui.support import FakeControl, screen_text, state
from tuiconf.commands import COMMANDS
from tuiconf.config import Keys, Tui
from tuiconf.tui.keymap import ACTIONS
from tuiconf.tui.screens.help import HelpScreen, bound, commands


async def test_every_action_is_listed_with_the_key_it_has_by_default() -> None:
    async with shown("help", size=(80, 60)) as there:
        for action in ACTIONS:
            assert action.about in there.text
        assert "c or " in there.text


async def test_a_key_that_was_bound_anew_is_listed_as_it_is_now() -> None:
    settings = Tui(keys=Keys(mute="u", talk="b", help="w"))
    async with shown(None, settings=settings, size=(80, 60)) as there:
        await there.press("w")
        lines = [line.split() for line in there.text.splitlines() if "Mute yourself" in line]
        assert lines[0][0] == "u"
        keys = {about: key for key, about in bound(there.app.screen_stack[-2])}
        assert keys["Talk while it is held, although muted"] == "b"
        assert "m" not in keys.values()


async def test_all_commands_are_listed() -> None:
    async with shown("help", size=(100, 90)) as there:
        for command in COMMANDS:
            assert command.usage.split()[0] in there.text
    assert len(commands()) == len(COMMANDS)


async def test_the_help_of_another_page_lists_that_pages_keys() -> None:
    async with shown("participants") as there:
        there.app.push_screen(HelpScreen())
        await there.pilot.pause()
        assert "Find someone by name or fingerprint" in screen_text(there.app)


async def test_what_a_command_may_be_told_is_not_taken_for_markup() -> None:
    async with shown("help", size=(120, 90)) as there:
        assert "/join [muted]" in there.text
        assert "[code|number|" in there.text


async def test_before_a_call_there_is_nowhere_to_type_commands() -> None:
    async with shown("help", FakeControl(state(**PREPARED)), size=(80, 60)) as there:
        assert "Esc" in there.text
        assert "Commands" not in there.text


async def test_it_lists_the_same_keys_when_something_is_asked_over_it() -> None:
    async with shown("help", size=(80, 60)) as there:
        await there.press("ctrl+c")
        assert "Leave the call?" in there.text
        await there.pilot.resize_terminal(90, 60)
        await there.press("escape")
        assert "Raise your hand" in there.text


async def test_it_scrolls_with_the_keyboard_and_escape_goes_back() -> None:
    async with shown("help", size=(40, 12)) as there:
        assert "/mute" not in there.text
        await there.press("end")
        assert COMMANDS[-1].usage.split()[0] in there.text
        await there.press("escape")
        assert there.results == [None]


async def test_on_a_page_the_help_key_lists_that_pages_keys() -> None:
    async with shown("lobby") as there:
        await there.press("question_mark")
        assert "Let in all who are known or verified" in there.text
