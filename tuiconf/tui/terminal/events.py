"""What a terminal says that Textual has no event for."""

from __future__ import annotations

from textual import events


class _Said(events.Event, bubble=False, verbose=True):
    """Textual's parser looks at the `key` of what it passes on; these are no keys."""

    key = ""


class KeyReleased(events.Event, bubble=True, verbose=True):
    """A key was let go.

    `key` is the name its press had (`space`, `m`, `T`), whatever modifiers changed in between. It goes the way of its
    press, from the focused widget up to the App (`on_key_released`), so that it cannot overtake it.
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.is_on_its_way = False


class KeyDealtWith(events.Event, bubble=True, verbose=True):
    """Goes behind a key, the same way; when it arrives at the App, whatever the key did is done."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.is_on_its_way = False
        self.screen: object = None
        """Which one the key went to."""


class KeyReleasesKnown(events.Event, bubble=False):
    """The terminal has answered, or shown that it never will: does it tell when a key is let go?

    Arrives at the App as `on_key_releases_known`, once after each start and each resumption.
    """

    def __init__(self, *, supported: bool) -> None:
        super().__init__()
        self.supported = supported


class BackgroundKnown(events.Event, bubble=False):
    """The terminal has told its background colour. Arrives at the App as `on_background_known`, perhaps never."""

    def __init__(self, *, dark: bool) -> None:
        super().__init__()
        self.dark = dark


class TerminalLost(events.Event, bubble=False):
    """There is no terminal any more: it hung up without a signal, or whatever typed has closed its end."""


class KeyboardFlags(_Said):
    """Reply to `CSI ? u`: which of kitty's enhancements are on. For the driver only."""

    def __init__(self, flags: int) -> None:
        super().__init__()
        self.flags = flags


class DeviceAttributes(_Said):
    """Reply to `CSI c`: all that was written before it has been seen by the terminal. For the driver only."""


class BackgroundColour(_Said):
    """Reply to `OSC 11 ; ?`. For the driver only."""

    def __init__(self, *, dark: bool) -> None:
        super().__init__()
        self.dark = dark
