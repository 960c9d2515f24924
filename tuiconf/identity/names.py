"""What may be a participant's name: shown to everyone, so nothing in it may be invisible or disturb a terminal. Pure.

Two people may still look alike or be called the same: who someone is, their key says.
The rules for others' names are fixed lists, not the running Python's Unicode tables: those differ between
versions, and members who disagree on whether a name is allowed would disagree on the commit that adds it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tuiconf.errors import UsageError

# As long as the longest real names; what a row of the roster can show is less.
MAX_NAME_CHARACTERS: Final = 64

# First and last of each range that is refused.
_REFUSED: Final = (
    (0x0000, 0x001F),  # controls
    (0x007F, 0x00A0),  # delete, more controls, no-break space
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x0600, 0x0605),  # Arabic number signs (format characters)
    (0x061C, 0x061C),  # Arabic letter mark (bidi)
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),  # Hangul fillers: letters that look like nothing
    (0x1680, 0x1680),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),  # Mongolian selectors and vowel separator
    (0x2000, 0x200F),  # spaces of all widths, zero-width characters, direction marks
    (0x2028, 0x202F),  # line and paragraph separators, bidi embeddings and overrides, narrow space
    (0x205F, 0x206F),  # invisible operators, bidi isolates
    (0x2800, 0x2800),  # braille without dots
    (0x3000, 0x3000),
    (0x3164, 0x3164),
    (0xD800, 0xF8FF),  # surrogates and private use: no agreed meaning
    (0xFDD0, 0xFDEF),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),  # interlinear annotation
    (0xFFFE, 0xFFFF),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),  # hieroglyph joiners
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical format controls
    (0xE0000, 0x10FFFF),  # tags, more selectors, private use
)

_CLASS: Final = "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in _REFUSED)

# More combining marks on one character than any language writes run over the lines above and below.
_MARKS: Final = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5}"

_NOT_IN_A_NAME: Final = re.compile(f"[{_CLASS}]|{_MARKS}|^ | $|  ")


class NameRefused(UsageError):
    """The name the user wants cannot be shown to others."""

    code = "name"


def is_name(text: str) -> bool:
    """Whether a name someone else goes by may be shown as it is: the same answer in every program."""
    return 1 <= len(text) <= MAX_NAME_CHARACTERS and not _NOT_IN_A_NAME.search(text)


def normalise_name(text: str) -> str:
    """One's own name as others will see it: in Unicode's composed form (NFC), with single spaces.

    Raises:
        NameRefused: it is empty, too long, or holds invisible, control or direction characters.
    """
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise NameRefused("a name may not be empty")
    if len(name) > MAX_NAME_CHARACTERS:
        raise NameRefused(f"a name may have at most {MAX_NAME_CHARACTERS} characters")
    if not is_name(name) or unicodedata.combining(name[0]):
        raise NameRefused("a name may not hold invisible, control or direction-changing characters")
    return name
