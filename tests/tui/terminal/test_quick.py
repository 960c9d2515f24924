"""Garbage is left alone until the first screen is there, and not for longer."""

from __future__ import annotations

import gc

from tests.tui.terminal.test_motion import Typing
from tuiconf.tui.terminal import quick


async def test_garbage_is_looked_for_again_once_there_is_a_screen() -> None:
    quick.begin()
    try:
        assert not gc.isenabled()
        async with Typing().run_test() as pilot:
            await pilot.pause()
            assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
