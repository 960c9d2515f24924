"""Hold a key to talk, on terminals that tell when it is let go and on those that do not. Pure.

Whatever is lost on the way (a release, the focus, the terminal) ends in silence, once the caller says so or ticks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["release", "repeat", "toggle"]
Why = Literal["let go", "lost", "too long"]

# From a press to the keyboard's first repeat: 250 ms on the Linux console, 375 to 500 on macOS, 500 in GNOME, 600 in
# KDE and 660 under plain X; and a link may delay it. Longer: a tap stays live for longer. Shorter: every hold begins
# with a gap on the slowest of these.
FIRST_REPEAT_S = 0.9

# Between repeats: 25 to 40 ms, 90 on macOS; a link may hold one back and bring several at once. Longer: whoever lets go
# is heard for longer. Shorter: a late packet cuts a word.
NEXT_REPEAT_S = 0.35

# Keys nearer to one another than this are one key that is held: nobody taps four times a second for long.
SAME_PRESS_S = 0.25

# Without any sign that the key is still down (a repeat), the microphone closes: a release that got lost must not leave
# it open for the rest of the call. Whoever speaks for longer at a time unmutes.
MAX_HOLD_S = 60.0

# So many presses without a single repeat, and this keyboard has none: holding would only be heard for 0.9 s.
LONE_PRESSES = 3

# So many repeats in a row, and it has them after all.
SURE_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Down:
    """Be live."""


@dataclass(frozen=True, slots=True)
class Up:
    """Be live no more."""

    why: Why


class HoldToTalk:
    """Says when to be live.

    The caller sends every press and repeat of the talk key to `key`, its release to `released`, calls `tick` at least
    every 100 ms while `is_down`, and `lost` when the focus, the screen or the terminal goes: all give what to do.
    """

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._down_until: float | None = None
        self._last_key = float("-inf")
        self._repeats = 0  # of this press
        self._lone_presses = 0
        self._learned_to_toggle = False

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def is_down(self) -> bool:
        return self._down_until is not None

    @property
    def words(self) -> str:
        """What to do, for the status line and the help; `KEY` stands for the key."""
        return {
            "release": "hold KEY to talk",
            "repeat": "hold KEY to talk (ends a moment after you let go)",
            "toggle": "press KEY to talk, again to stop",
        }[self._mode]

    def use(self, mode: Mode) -> Up | None:
        """Change the mode, as when the terminal has said what it can; nobody stays live over it."""
        if mode == self._mode:
            return None
        self._mode = mode
        self._lone_presses, self._learned_to_toggle = 0, False
        return self._up("lost")

    def key(self, now: float) -> Down | Up | None:
        """The key was pressed, or repeats."""
        repeats = now - self._last_key < self._one_press_s()
        self._last_key = now
        self._repeats = self._repeats + 1 if repeats else 0
        if self._mode == "toggle" and not self._unlearns():
            return self._toggled(now, repeats=repeats)
        was_down = self.is_down
        self._down_until = now + self._patience_s(repeats=repeats)
        return None if was_down else Down()

    def released(self, now: float) -> Up | None:
        """The terminal says that the key was let go."""
        del now
        return self._up("let go") if self._mode == "release" else None

    def tick(self, now: float) -> Up | None:
        """Time has passed."""
        if self._down_until is None or now < self._down_until:
            return None
        if self._mode != "repeat":
            return self._up("too long")
        self._learns()
        return self._up("let go")

    def lost(self) -> Up | None:
        """A release may have gone unnoticed: the focus, the screen or the terminal is another."""
        self._last_key = float("-inf")
        return self._up("lost")

    def _up(self, why: Why) -> Up | None:
        was_down, self._down_until = self.is_down, None
        return Up(why) if was_down else None

    def _one_press_s(self) -> float:
        """How near to the last a key must come to be its repeat."""
        return SAME_PRESS_S if self._mode == "toggle" else FIRST_REPEAT_S

    def _patience_s(self, *, repeats: bool) -> float:
        if self._mode == "release":
            return MAX_HOLD_S
        return NEXT_REPEAT_S if repeats else FIRST_REPEAT_S

    def _toggled(self, now: float, *, repeats: bool) -> Down | Up | None:
        if repeats:
            return None
        if self.is_down:
            return self._up("let go")
        self._down_until = now + MAX_HOLD_S
        return Down()

    def _learns(self) -> None:
        """A keyboard that never repeats is one that toggles."""
        self._lone_presses = 0 if self._repeats else self._lone_presses + 1
        if self._lone_presses >= LONE_PRESSES:
            self._mode, self._learned_to_toggle = "toggle", True

    def _unlearns(self) -> bool:
        """It does repeat: somebody had only tapped."""
        if self._learned_to_toggle and self._repeats >= SURE_REPEATS:
            self._mode, self._learned_to_toggle, self._lone_presses = "repeat", False, 0
            return True
        return False
