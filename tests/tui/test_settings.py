"""Settings hold at once, and are kept for the next time."""

from __future__ import annotations

import pytest

from tests.tui.showing import shown
from tests.tui.support import FakeLauncher, FakeTerminal, make_app, running, until
from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.control.client import EngineGone
from tuiconf.errors import TuiconfError
from tuiconf.tui.screens.settings import SETTINGS


async def test_what_is_set_and_what_it_comes_to_here_are_there_with_where_it_is_kept() -> None:
    async with shown("settings", terminal=FakeTerminal(colours="16", unicode=False)) as there:
        for words in ("auto: 16 colours", "auto: yes", "on and off with a key", "~/.config/tuiconf/client.toml"):
            assert words in there.text


async def test_a_change_holds_at_once_and_is_kept() -> None:
    async with shown("settings") as there:
        await there.press("right", "right")
        assert there.app.settings.theme == "light"
        assert there.app.theme == "tuiconf-light"
        await there.press("left", "down", "enter")
        assert there.app.ascii
        assert there.text.isascii()
        assert there.launcher.done == [
            ("save", "tui", "theme", "dark"),
            ("save", "tui", "theme", "light"),
            ("save", "tui", "theme", "dark"),
            ("save", "tui", "ascii", True),
        ]


async def test_every_setting_can_be_changed_and_comes_round_again() -> None:
    async with shown("settings") as there:
        for setting in SETTINGS:
            before = getattr(there.app.settings, setting.key)
            for _ in setting.values:
                await there.press("space")
            assert getattr(there.app.settings, setting.key) == before
            await there.press("down")
        assert len(there.launcher.done) == sum(len(setting.values) for setting in SETTINGS)


async def test_what_cannot_be_kept_holds_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TuiconfError("client.toml: read-only file system")

    monkeypatch.setattr(FakeLauncher, "save", fail)
    async with shown("settings") as there:
        await there.press("enter")
        assert there.app.settings.theme == "dark"
        assert "not kept: client.toml: read-only file system" in there.text


async def test_without_a_file_that_is_said() -> None:
    app = make_app()
    app.keeper = None
    async with running(app) as (_, pilot):
        app.open("settings")
        await pilot.pause()
        await pilot.press("enter")
        assert app.settings.theme == "dark"


async def test_talking_by_voice_is_asked_of_the_engine() -> None:
    async with shown("settings", settings=Tui(talk="hold")) as there:
        await there.press("end", "enter")
        assert [one.voice_activation for one in there.control.asked_for(schema.AudioSet)] == [True]
        assert there.app.settings.talk == "voice"


async def test_before_any_call_there_is_no_engine_to_ask() -> None:
    async with running(make_app(call=None)) as (app, pilot):
        await pilot.press("s", "end", "enter")
        await until(pilot, lambda: app.settings.talk == "hold")


async def test_an_engine_that_is_gone_ends_the_interface_and_not_with_a_traceback() -> None:
    async with shown("settings") as there:
        there.control.answers[schema.AudioSet] = EngineGone("the engine is gone")
        await there.press("end", "enter")
        await until(there.pilot, lambda: there.app.return_value is not None)
        assert there.app.return_value is not None
        assert there.app.return_value.how == "failed"
