"""Every page as it looked when a person looked at it: at 80 by 24, and where it matters smaller, and in ASCII."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui.showing import PREPARED
from tests.tui.support import (
    ADA,
    BEN,
    MARA,
    NOW,
    ROBIN,
    ZOE,
    FakeControl,
    FakeLauncher,
    FakeTerminal,
    levels,
    make_app,
    peer_shown,
    screen_text,
    state,
    until,
)
from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.control.events import Caller
from tuiconf.tui.app import TuiconfApp, make_screen
from tuiconf.tui.launcher import RelayUnknown
from tuiconf.tui.outcome import Outcome
from tuiconf.tui.screens import lobby, start
from tuiconf.tui.screens.hosting import HostScreen
from tuiconf.tui.screens.safety import SafetyScreen

Snapshot = Callable[..., bool]
Before = Callable[[Pilot[Outcome]], Awaitable[None]]

_ASCII = FakeTerminal(colours="none", unicode=False)
_SIXTEEN = FakeTerminal(colours="16")

_CALLERS = (
    msgspec.structs.replace(ROBIN, since=NOW - 4000),
    Caller(ref="k2", name="Ben", fingerprint=BEN.fingerprint, known=True, trust="known", since=NOW - 900),
    Caller(ref="k3", name="Ada", fingerprint=ADA.fingerprint, known=True, trust="verified", since=NOW - 130),
    Caller(ref="k4", name="Zoe", fingerprint=ZOE.fingerprint, known=False, trust="changed", since=NOW - 20),
)

_PEERS = schema.Peers(
    peers=(
        schema.Peer(
            fingerprint=ADA.fingerprint,
            name="Ada",
            trust="verified",
            first_met=NOW - 90 * 86_400,
            last_met=NOW - 86_400,
            verified_at=NOW - 30 * 86_400,
            verified_how="safety_number",
        ),
        schema.Peer(
            fingerprint=BEN.fingerprint, name="Ben", trust="known", first_met=NOW - 9 * 86_400, last_met=NOW - 86_400
        ),
    )
)


@pytest.fixture(autouse=True)
def _the_third_of_march(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (start, lobby):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: NOW))


def _page(make: Callable[[], Screen[Any]], wanted: str, *keys: str) -> Before:
    """Open it, wait until it has what it asked the engine for, and press keys."""

    async def before(pilot: Pilot[Outcome]) -> None:
        app = pilot.app
        assert isinstance(app, TuiconfApp)
        app.push_screen(make())
        await pilot.pause()
        await until(pilot, lambda: wanted in screen_text(app))
        await pilot.press(*keys)
        await pilot.pause()

    return before


def _named(name: str, wanted: str, *keys: str) -> Before:
    return _page(lambda: make_screen(name), wanted, *keys)


def _there(wanted: str, *keys: str) -> Before:
    """What the app shows by itself."""

    async def before(pilot: Pilot[Outcome]) -> None:
        app = pilot.app
        assert isinstance(app, TuiconfApp)
        await until(pilot, lambda: wanted in screen_text(app))
        await pilot.press(*keys)
        await pilot.pause()

    return before


def _control(**changes: Any) -> FakeControl:
    return FakeControl(state=state(**changes), answers={schema.ListPeers: _PEERS})


def _speaking(**changes: Any) -> FakeControl:
    """Whose own level is told as soon as somebody wants to know it."""
    control = _control(**changes)

    def subscribed(_: schema.Subscribe) -> schema.Subscribed:
        control.happen(levels(own=-22.0))
        return schema.Subscribed(seq=control.state.seq)

    control.answers[schema.Subscribe] = subscribed
    return control


def _starting(**changes: Any) -> dict[str, Any]:
    return {"call": None, "launcher": FakeLauncher(calls=("k3f9",), **changes)}


def _zoe() -> FakeControl:
    before = schema.Peer(fingerprint=MARA.fingerprint, name="Zoe", trust="verified", first_met=1e9, last_met=NOW)
    shown = peer_shown("Zoe", "changed")
    return FakeControl(answers={schema.ShowPeer: schema.PeerShown(**{**_fields(shown), "others": (before,)})})


def _fields(shown: schema.PeerShown) -> dict[str, Any]:
    return {name: getattr(shown, name) for name in shown.__struct_fields__}


Case = tuple[Callable[[], dict[str, Any]], Before]

_PAGES: dict[str, Case] = {
    "start": (_starting, _there("attach")),
    "start_relay": (
        lambda: _starting(unknown=RelayUnknown("relay.example:4433", "pinpinpinpinpinpinpinpinpinpinpinpinpinpinp")),
        _there("attach", "down", "enter"),
    ),
    "hosting": (_starting, _page(HostScreen, "Host a room")),
    "check": (lambda: {"control": _speaking(**PREPARED)}, _there("-22 dB")),
    "verify": (lambda: {"control": _control()}, _named("verify", "8 wagon", "down", "down", "space")),
    "safety": (dict, _page(lambda: SafetyScreen(MARA.leaf, name="Mara"), "0 3 3 1 7")),
    "safety_changed": (lambda: {"control": _zoe()}, _page(lambda: SafetyScreen(ZOE.leaf, name="Zoe"), "CHANGED")),
    "lobby": (lambda: {"control": _control(callers=_CALLERS)}, _named("lobby", "4 waiting", "end")),
    "lobby_empty": (dict, _named("lobby", "Nobody is waiting")),
    "participants": (dict, _named("participants", "5 people", "down")),
    "devices": (lambda: {"control": _speaking()}, _named("devices", "-22 dB")),
    "settings": (dict, _named("settings", "Theme")),
    "statistics": (dict, _named("statistics", "14.0 %")),
    "help": (dict, _named("help", "Keys")),
    "leaving": (dict, _named("leaving", "Leave the call?", "down")),
}

_SMALL = ("start", "check", "verify", "safety", "lobby", "participants", "devices", "statistics", "leaving")


@pytest.mark.parametrize("page", _PAGES)
def test_at_80_by_24(snap_compare: Snapshot, page: str) -> None:
    options, before = _PAGES[page]
    assert snap_compare(make_app(settings=Tui(theme="dark"), **options()), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("page", _SMALL)
def test_at_40_by_12(snap_compare: Snapshot, page: str) -> None:
    options, before = _PAGES[page]
    assert snap_compare(make_app(settings=Tui(theme="dark"), **options()), terminal_size=(40, 12), run_before=before)


@pytest.mark.parametrize("page", ["verify", "safety", "statistics"])
def test_in_ascii_without_colour(snap_compare: Snapshot, page: str) -> None:
    options, before = _PAGES[page]
    assert snap_compare(make_app(terminal=_ASCII, **options()), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("page", ["participants", "leaving"])
def test_in_16_colours(snap_compare: Snapshot, page: str) -> None:
    options, before = _PAGES[page]
    assert snap_compare(make_app(terminal=_SIXTEEN, **options()), terminal_size=(80, 24), run_before=before)
