"""What a terminal sends, put into whole sequences first: keys, key releases and replies.

Textual's own parser tries at each character whether what it has is something it knows. What it does not know it types
into the app, character by character: a reply of the terminal, a sequence cut by noise, an escape in a paste.
Here a stray `m` opens a microphone. So this parser frames sequences as ECMA-48 says, and what nobody understands is
dropped, never typed. What each sequence means is still Textual's own knowledge, except for:

- kitty's event types and alternate keys (`CSI 32;1:3u`, `CSI 97:65;2u`, `CSI 1;1:3A`), on which Textual raises;
- replies to what our driver asks (`CSI ? flags u`, DA1, OSC 11);
- pastes, which are text whatever is in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TypeAlias

from textual import constants, events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._parser import ParseEOF, ParseTimeout, Peek1, Read1
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.message import Message

from tuiconf.tui.terminal.events import BackgroundColour, DeviceAttributes, KeyboardFlags, KeyReleased

ESC = "\x1b"
STRING_OPENERS = "]PX^_"  # OSC, DCS, SOS, PM and APC: text until ST or BEL
ENDS_STRING = "\x07\x18\x1a"  # BEL, and CAN and SUB, which break off

# How long the rest of a sequence may take once it cannot be the Escape key or Alt with a key any more.
# Longer: whoever types after noise waits longer for the keyboard. Shorter: a bad link types replies into the app.
SEQUENCE_PATIENCE_S = 0.5

# How long a paste may stall before it counts as over. After less, the rest of a paste that a bad link delays would be
# keys. Without an end, one lost end mark would kill the keyboard.
PASTE_PATIENCE_S = 10.0

# The longest sequence Textual looks at before it gives up, and types it.
MAX_SEQUENCE = 32

# The longest reply that is looked at (`OSC 11` has about 30); of longer ones the rest is read and forgotten.
MAX_STRING = 64

# Nobody pastes more into a line of chat; ten times as much would be ten times the memory.
MAX_PASTE = 65_536

# Keys held at once. Keyboards report about ten; a terminal that reports presses only would fill this for ever.
MAX_HELD = 64

_COMPLETE = re.compile(
    r"""\x1b(?:
        \[M.{3}                              # a mouse of 1988: three characters follow
      | \[\[.                                # function keys of the Linux console
      | \[(?![M\[])[ -?]*[@-~]               # CSI
      | O[0-9;]*[^0-9;]                      # SS3
      | [\]PX^_].*(?:[\x07\x18\x1a]|\x1b\\)  # strings
      | [^\[O\]PX^_\x1b]                     # Alt and a key
    )\Z""",
    re.VERBOSE | re.DOTALL,
)
_KITTY_KEY = re.compile(
    r"\x1b\[(?P<code>\d*)(?::[\d:]*)?(?:;(?P<modifiers>\d{0,4})(?::(?P<event>\d*))?)?(?:;(?P<text>[\d:]*))?"
    r"(?P<end>[u~ABCDEFHPQRS])"
)
_FLAGS = re.compile(r"\x1b\[\?(\d{0,4})u")
_ATTRIBUTES = re.compile(r"\x1b\[\?[\d;]*c")
_BACKGROUND = re.compile(r"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)[^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS = dict.fromkeys([*range(9), *range(11, 13), *range(14, 32), *range(127, 160)])

PRESS, REPEAT, RELEASE = "1", "2", "3"

Reading: TypeAlias = Generator[Read1 | Peek1, str, str]


class KeyParser(XTermParser):
    """Textual's parser, with key releases, and deaf to what is no key.

    No input makes it raise. `faults` counts the sequences on which Textual did.
    """

    def __init__(self, debug: bool = False) -> None:
        self.faults = 0
        self._held: dict[tuple[str, str], str] = {}
        super().__init__(debug)

    def parse(self, token_callback: Callable[[Message], None]) -> Generator[Read1 | Peek1, str, None]:
        self._emit = token_callback
        self._start_textual()
        try:
            while True:
                char = yield Read1()
                if char == ESC:
                    char = yield from self._rest_of_sequence()
                if char == BRACKETED_PASTE_START:
                    self._emit(events.Paste((yield from self._rest_of_paste())))
                elif char:
                    self._understand(char)
        except ParseEOF:
            return

    # Framing

    def _rest_of_sequence(self) -> Reading:
        """A whole sequence, or the one character it turned out to be, or nothing when it is to be dropped."""
        sequence, overlong = ESC, False
        while not _COMPLETE.match(sequence) and sequence not in _RXVT:
            try:
                char = yield Read1(constants.ESCAPE_DELAY if len(sequence) < 3 else SEQUENCE_PATIENCE_S)
            except ParseTimeout:
                return self._cut_short(sequence)
            if _may_follow(sequence, char):
                sequence += char
            else:
                self._understand(self._cut_short(sequence))
                if char != ESC and not sequence.endswith(ESC):
                    return char
                sequence, overlong = ESC + char.strip(ESC), False
            if len(sequence) > MAX_STRING:
                sequence, overlong = sequence[:2] + sequence[-2:], True
        return "" if overlong else sequence

    def _cut_short(self, sequence: str) -> str:
        """What a sequence is after which nothing came: the Escape key, Alt and a key, or noise."""
        if len(sequence) == 2:
            self._alt(sequence[1])
        return sequence if sequence == ESC else ""

    def _rest_of_paste(self) -> Reading:
        text: list[str] = []
        tail = ""
        while tail != BRACKETED_PASTE_END:
            try:
                char = yield Read1(PASTE_PATIENCE_S)
            except ParseTimeout:
                break
            tail = (tail + char)[-len(BRACKETED_PASTE_END) :]
            if len(text) < MAX_PASTE:
                text.append(char)
        return "".join(text).removesuffix(BRACKETED_PASTE_END).translate(_CONTROLS)

    # Meaning

    def _understand(self, sequence: str) -> None:
        if not sequence:
            return
        if sequence == ESC:
            self._emit(events.Key("escape", ESC))
        elif (reply := _reply(sequence)) is not None:
            self._emit(reply)
        elif not constants.DISABLE_KITTY_KEY and (key := _kitty_key(sequence)) is not None:
            self._key(key)
        elif not self._ask_textual(sequence) and len(sequence) == 2:
            self._alt(sequence[1])

    def _alt(self, char: str) -> None:
        for key in self._sequence_to_key_events(char, alt=True):
            self._emit(key)

    def _key(self, key: re.Match[str]) -> None:
        physical, event = (key["code"], key["end"]), key["event"] or PRESS
        names = self._names(key)
        if event == RELEASE:
            name = self._held.pop(physical, "") or (names[0].key if names else "")
            if name:
                self._emit(KeyReleased(name))
        elif event in (PRESS, REPEAT) and names:
            self._hold(physical, names[0].key, again=event == REPEAT)
            for pressed in names:
                self._emit(pressed.copy())

    def _hold(self, physical: tuple[str, str], name: str, *, again: bool) -> None:
        """Its release will be that of `name`, also when Shift has gone or come by then."""
        if not (again and physical in self._held):
            self._held[physical] = name
        if len(self._held) > MAX_HELD:
            del self._held[next(iter(self._held))]

    def _names(self, key: re.Match[str]) -> list[events.Key]:
        """What Textual calls this key, from the form of the sequence that Textual reads."""
        text, modifiers = key["text"] or "", key["modifiers"] or ""
        if not all(_is_character(code) for code in [key["code"], *text.split(":")] if code):
            return []
        if modifiers in ("0", "1"):  # none; Textual gives Enter its character only where none are written
            modifiers = ""
        fields = ";".join([key["code"], modifiers, text]).rstrip(";") if modifiers or text else key["code"]
        return self._parse_extended_key(f"{ESC}[{fields}{key['end']}") or []

    # Textual

    def _start_textual(self) -> None:
        self._textual = super().parse(self._emit)
        next(self._textual)

    def _ask_textual(self, sequence: str) -> bool:
        """Give Textual a whole character or sequence; if it wants more afterwards, it did not understand."""
        if len(sequence) > MAX_SEQUENCE:
            return False
        try:
            for number, char in enumerate(sequence, 1):
                understood = self._textual.send(char).timeout is None
                if understood and number < len(sequence):
                    return True  # It knew the beginning, and would type the rest.
        except Exception:  # noqa: BLE001 - an input thread that dies takes the app with it; Textual raises anything
            self.faults += 1
            understood = True
            self._start_textual()
        if not understood:
            self._start_textual()
        return understood


_RXVT = frozenset(known for known in ANSI_SEQUENCES_KEYS if known.startswith("\x1b[") and known.endswith("$"))


def _may_follow(sequence: str, char: str) -> bool:
    """Can this sequence, which is not complete, go on like that?"""
    if sequence == ESC:
        return char != ESC
    if sequence[1] in STRING_OPENERS:
        return sequence[-1] != ESC or char == "\\"
    if char == ESC:
        return False
    return sequence.startswith(("\x1b[M", "\x1b[[")) or " " <= char <= "~"


def _reply(sequence: str) -> Message | None:
    if match := _FLAGS.fullmatch(sequence):
        return KeyboardFlags(int(match[1] or 0))
    if _ATTRIBUTES.fullmatch(sequence):
        return DeviceAttributes()
    if match := _BACKGROUND.fullmatch(sequence):
        return BackgroundColour(dark=_luminance(*match.groups()) < 0.5)
    return None


def _luminance(*channels: str) -> float:
    """Of red, green and blue in hex of any width: 0 is black, 1 is white."""
    red, green, blue = (int(channel, 16) / int("f" * len(channel), 16) for channel in channels)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _kitty_key(sequence: str) -> re.Match[str] | None:
    match = _KITTY_KEY.fullmatch(sequence)
    if match is not None and match["end"] == "R" and match["event"] is None:
        return None  # where the cursor is
    return match


def _is_character(code: str) -> bool:
    return code.isascii() and len(code) < 8 and (int(code) < 0xD800 or 0xDFFF < int(code) <= 0x10FFFF)
