"""The names of keys and buttons as in Linux's `linux/input-event-codes.h`. Those without one here have their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tuiconf.errors import UsageError

# From 1 on; a dot stands for a number that has no name.
_KEYS: Final = """
ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER LEFTCTRL
A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N M COMMA DOT SLASH RIGHTSHIFT
KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK SCROLLLOCK KP7 KP8 KP9 KPMINUS
KP4 KP5 KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT . ZENKAKUHANKAKU 102ND F11 F12 RO KATAKANA HIRAGANA HENKAN
KATAKANAHIRAGANA MUHENKAN KPJPCOMMA KPENTER RIGHTCTRL KPSLASH SYSRQ RIGHTALT LINEFEED HOME UP PAGEUP LEFT
RIGHT END DOWN PAGEDOWN INSERT DELETE MACRO MUTE VOLUMEDOWN VOLUMEUP POWER KPEQUAL KPPLUSMINUS PAUSE SCALE
KPCOMMA HANGEUL HANJA YEN LEFTMETA RIGHTMETA COMPOSE STOP AGAIN PROPS UNDO FRONT COPY OPEN PASTE FIND CUT
HELP MENU CALC SETUP SLEEP WAKEUP FILE SENDFILE DELETEFILE XFER PROG1 PROG2 WWW MSDOS COFFEE
ROTATE_DISPLAY CYCLEWINDOWS MAIL BOOKMARKS COMPUTER BACK FORWARD CLOSECD EJECTCD EJECTCLOSECD NEXTSONG
PLAYPAUSE PREVIOUSSONG STOPCD RECORD REWIND PHONE ISO CONFIG HOMEPAGE REFRESH EXIT MOVE EDIT SCROLLUP
SCROLLDOWN KPLEFTPAREN KPRIGHTPAREN NEW REDO F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24 . . . . .
PLAYCD PAUSECD PROG3 PROG4 ALL_APPLICATIONS SUSPEND CLOSE PLAY FASTFORWARD BASSBOOST PRINT HP CAMERA SOUND
QUESTION EMAIL CHAT SEARCH CONNECT FINANCE SPORT SHOP ALTERASE CANCEL BRIGHTNESSDOWN BRIGHTNESSUP MEDIA
SWITCHVIDEOMODE KBDILLUMTOGGLE KBDILLUMDOWN KBDILLUMUP SEND REPLY FORWARDMAIL SAVE DOCUMENTS BATTERY
BLUETOOTH WLAN UWB UNKNOWN VIDEO_NEXT VIDEO_PREV BRIGHTNESS_CYCLE BRIGHTNESS_AUTO DISPLAY_OFF WWAN RFKILL
MICMUTE
"""

# From 0x100 on: mice, joysticks, game pads, and switches that say they are one of these.
_BUTTONS: Final = """
0 1 2 3 4 5 6 7 8 9 . . . . . . LEFT RIGHT MIDDLE SIDE EXTRA FORWARD BACK TASK . . . . . . . . TRIGGER
THUMB THUMB2 TOP TOP2 PINKIE BASE BASE2 BASE3 BASE4 BASE5 BASE6 . . . DEAD SOUTH EAST C NORTH WEST Z TL TR
TL2 TR2 SELECT START MODE THUMBL THUMBR
"""

_FIRST_KEY: Final = 1
_FIRST_BUTTON: Final = 0x100

# A code is a `__u16`, and there are none above.
MAX_CODE: Final = 0x2FF


class NoSuchKey(UsageError):
    """There is no key of this name or number."""

    code = "no_such_key"


def name_of_key(code: int) -> str:
    """As it can be given to `code_of_key`."""
    return _by_code().get(code, str(code))


def code_of_key(text: str) -> int:
    """The code of what was typed: a number, or a name in any case, with or without `KEY_` or `BTN_`.

    Raises:
        NoSuchKey: it is neither.
    """
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_CODE)) and int(text) <= MAX_CODE:
        return int(text)
    wanted = text.upper()
    for code, name in _by_code().items():
        if wanted in (name, name.partition("_")[2]):
            return code
    raise NoSuchKey(
        f"there is no key called {text!r}: without --key, tuiconf ptt prints what the one pressed is called"
    )


def _by_code() -> dict[int, str]:
    return dict([*_named("KEY_", _KEYS, _FIRST_KEY), *_named("BTN_", _BUTTONS, _FIRST_BUTTON)])


def _named(prefix: str, names: str, first: int) -> Iterator[tuple[int, str]]:
    for code, name in enumerate(names.split(), first):
        if name != ".":
            yield code, prefix + name
