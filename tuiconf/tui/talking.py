"""The talk key: what `HoldToTalk` decides of presses, releases and silence becomes `ptt.down` and `ptt.up`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from textual.keys import key_to_character
from textual.message_pump import MessagePump
from textual.timer import Timer

from tuiconf.tui.keymap import shown
from tuiconf.tui.launcher import Capabilities
from tuiconf.tui.terminal.talk import Down, HoldToTalk, Mode, Up

# Between a key that is let go unnoticed and silence, besides what `HoldToTalk` waits.
TICK_S: Final = 0.1

# The engine takes the key for up when this interface has not said for so long that it is down: it may hang, or have
# been stopped. Longer, and one is heard for longer then; shorter, and a busy machine cuts words.
RENEW_S: Final = 3.0

# It is said again so often: two may come late.
SAY_AGAIN_S: Final = 1.0

_WORDS: Final[dict[Mode, tuple[str, ...]]] = {
    "release": ("hold {key} to talk", "hold {key}"),
    "repeat": ("hold {key} to talk (ends a moment later)", "hold {key} to talk", "hold {key}"),
    "toggle": ("{key} to talk, {key} to stop", "{key} on/off"),
}


class Talking:
    """`say` is called with True when one is to be live, again and again, and with False when no longer."""

    def __init__(self, app: MessagePump, terminal: Capabilities, say: Callable[[bool], None]) -> None:
        self._app = app
        self._multiplexed = bool(terminal.multiplexer)
        self._hold = HoldToTalk("toggle" if self._multiplexed else "repeat")
        self._say = say
        self._ticking: Timer | None = None
        self._said_at = 0.0  # that the key is down

    @property
    def mode(self) -> Mode:
        """How the terminal lets one hold a key."""
        return self._hold.mode

    def words(self, key: str) -> tuple[str, ...]:
        """What to do to talk, the longest way to say it first."""
        return tuple(words.format(key=shown(key)) for words in _WORDS[self._hold.mode])

    def key(self) -> None:
        """The talk key was pressed, or repeats."""
        self._act(self._hold.key(time.monotonic()))

    def released(self, key: str, talk_key: str) -> None:
        """A key was let go."""
        if talk_key in (key, key_to_character(key)):
            self._act(self._hold.released(time.monotonic()))

    def know_releases(self, *, supported: bool) -> None:
        """The terminal has said whether it tells when keys are let go. Through a multiplexer nothing is certain."""
        if not self._multiplexed:
            self._act(self._hold.use("release" if supported else "repeat"))

    def lost(self) -> None:
        """A release may have gone unnoticed."""
        self._act(self._hold.lost())

    def _act(self, what: Down | Up | None) -> None:
        if isinstance(what, Down):
            self._say_down(time.monotonic())
        elif what is not None:
            self._say(False)
        if self._hold.is_down and self._ticking is None:
            self._ticking = self._app.set_interval(TICK_S, self._tick)
        elif not self._hold.is_down and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _say_down(self, now: float) -> None:
        self._said_at = now
        self._say(True)

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._said_at >= RENEW_S:  # we hung: for the engine it is up, and whether it still is down, who knows
            self.lost()
            return
        self._act(self._hold.tick(now))
        if self._hold.is_down and now - self._said_at >= SAY_AGAIN_S:
            self._say_down(now)
