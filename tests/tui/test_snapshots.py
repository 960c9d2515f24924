"""The call screen as it was looked at and found right: sizes by themes. `pytest --snapshot-update` takes new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from tests.tui.support import (
    ADA,
    AUDIO,
    BEN,
    ME,
    ROBIN,
    FakeControl,
    FakeTerminal,
    chat,
    levels,
    make_app,
    state,
    stats,
    until,
)
from tuiconf.config import Tui
from tuiconf.control.events import CallEvent, Knocked, StatusChanged, Undecryptable
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.terminal.events import KeyReleasesKnown

Compare = Callable[..., bool]

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "40x12": (40, 12)}
LOOKS = {
    "colour": (Tui(theme="dark"), FakeTerminal()),
    "sixteen": (Tui(), FakeTerminal(colours="16")),
    "ascii": (Tui(), FakeTerminal(colours="16", unicode=False)),
}


def shows(app: TuiconfApp, events: Sequence[CallEvent], *keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """These happen; wait until all of it is on the screen, and press some keys."""

    async def before(pilot: Pilot[Any]) -> None:
        control = app.control
        assert isinstance(control, FakeControl)
        app.post_message(KeyReleasesKnown(supported=True))
        control.happen(*events)
        await until(pilot, lambda: app.model.levels is not None and not app._changed and app._timer is None)
        await pilot.press(*keys)
        for _ in range(3):
            await pilot.pause()

    return before


TWO_SPEAK = (stats(), levels(ada=-18.0, mara=-32.0))


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("size", list(SIZES))
def test_the_call(snap_compare: Compare, size: str, look: str) -> None:
    settings, terminal = LOOKS[look]
    app = make_app(settings=settings, terminal=terminal)
    assert snap_compare(app, terminal_size=SIZES[size], run_before=shows(app, TWO_SPEAK))


@pytest.mark.parametrize(
    "terminal",
    [pytest.param(FakeTerminal(dark=False), id="light"), pytest.param(FakeTerminal(colours="none"), id="none")],
)
def test_the_call_in_other_themes(snap_compare: Compare, terminal: FakeTerminal) -> None:
    app = make_app(terminal=terminal)
    assert snap_compare(app, terminal_size=(80, 24), run_before=shows(app, TWO_SPEAK))


def test_muted_warned_and_typing_a_command(snap_compare: Compare) -> None:
    muted = msgspec.structs.replace(AUDIO, live=False, muted=True)
    recording = StatusChanged(participant=msgspec.structs.replace(BEN, recording=True))
    app = make_app()
    events = (*TWO_SPEAK, muted, recording, Undecryptable(active=True, frames=3), Knocked(caller=ROBIN))
    assert snap_compare(app, terminal_size=(80, 24), run_before=shows(app, events, "slash", "u", "n", "tab"))


def test_three_in_a_quiet_call(snap_compare: Compare) -> None:
    ben = msgspec.structs.replace(BEN, trust="verified", muted=True)
    said = (
        chat(0, ADA, "Good morning! Notes are at https://notes.example/standup"),
        chat(1, ben, "Thanks. I am on the train, so I stay muted for the first few minutes"),
        chat(1, ME, "Fine with me"),
        chat(3, ADA, "@Jules can you show the numbers from last week?"),
        chat(4, ME, "Yes, one moment"),
    )
    good = tuple(msgspec.structs.replace(stream, loss_percent=0.0) for stream in stats().streams[:2])
    app = make_app(FakeControl(state(participants=(ADA, ben, ME), chat=said)))
    run_before = shows(app, (stats(streams=good), levels(ada=-16.0)))
    assert snap_compare(app, terminal_size=(100, 28), run_before=run_before)
