"""What others wrote, made harmless for a terminal: chat, names, and whatever else came from outside. Pure.

Text from others may try to move the cursor, to change colours or the clipboard, to hide or reorder words, to cover the
lines above and below, or to be wider than it says. What such characters are replaced with is a middle dot, one for each
run of them: a person sees that there was something. What is left has the width that `cells` says in every terminal, as
far as terminals agree, and in Textual (`rich.cells.cell_len`).

Three things people do write are dropped without a dot, as terminals disagree about their width, and whoever can make a
row wider than it was counted writes into the next: joiners within emoji (a family of three is three people side by
side), the skin tone of an emoji, and whether a symbol is a picture (variation selectors). Direction marks are dropped
in text that has right-to-left letters; a joiner in Persian or Hindi words stays or goes as their letters need it.

What this cannot do: a terminal that reorders right-to-left text by itself may reorder the rest of that one line.
Square brackets stay, since people write them: text of others is given to Textual as `Content` or rich `Text`, which are
characters, and never as a `str` where markup is read ("[@click=app.quit]").
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

HIDDEN_MARK: Final = "\N{MIDDLE DOT}"
"""What stands where something was that may not be shown."""

# Accents, vowel signs and the like on one character. Hebrew with vowels and cantillation has up to 4, and so has
# Tibetan; more run over the lines above and below. A name in a call may have as many (`identity.names`).
MAX_MARKS: Final = 4

# Of these, signs that take room of their own in some terminals and none in others: no Indian script has 3 in a row.
MAX_SPACING_MARKS: Final = 2

# A row of spaces pushes what follows into the next line of the terminal, where it can look like someone else's.
MAX_SPACES: Final = 2

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

_BLANK: Final = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4, 0x1D159)))
"""Letters and symbols that look like nothing."""

_OVERSIZE: Final = frozenset(map(chr, (0x2E3A, 0x2E3B, 0xFDFD, 0x12219, 0x12429, 0x1242A, 0x1242B)))
"""One cell says the standard, and many fonts draw them over their neighbours."""

_ZWNJ: Final = "\u200c"
_ZWJ: Final = "\u200d"
_DIRECTION_MARKS: Final = frozenset("\u200e\u200f\u061c")
_BLACK_FLAG: Final = "\U0001f3f4"  # the flags of England, Scotland and Wales are this one and invisible tags
_LETTER_I: Final = "\N{INFORMATION SOURCE}"  # the one letter that is also a picture

Ranges = tuple[tuple[int, int], ...]

_SELECTORS: Final[Ranges] = ((0x180B, 0x180D), (0x180F, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_SKIN_TONES: Final[Ranges] = ((0x1F3FB, 0x1F3FF),)
_TAGS: Final[Ranges] = ((0xE0020, 0xE007F),)
# Arabic, from Devanagari to Sinhala, Burmese, Khmer, Mongolian: where joiners belong to how words are written.
_JOINING: Final[Ranges] = (
    *((0x0620, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08FF), (0x0900, 0x0DFF)),
    *((0x1000, 0x109F), (0x1780, 0x17FF), (0x1820, 0x18AA)),
)
# Vowels and finals that are drawn into the syllable before, and those that can be before.
_JAMO: Final[Ranges] = ((0x1160, 0x11FF), (0xD7B0, 0xD7FB))
_HANGUL: Final[Ranges] = ((0x1100, 0x11FF), (0xA960, 0xA97C), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FB))
# Wide since Unicode 16, whichever Unicode this Python knows: trigrams and hexagrams, counting rods.
_WIDE: Final[Ranges] = (
    *((0x2630, 0x2637), (0x268A, 0x268F), (0x4DC0, 0x4DFF)),
    *((0x1D300, 0x1D356), (0x1D360, 0x1D376)),
)

_NOT_AS_IT_IS: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

_IN_ASCII: Final = {
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    **dict.fromkeys("•‣◦●", "*"),
    **dict(zip("→←×⁄ØøŁłĐđı¡¿", "><x/OoLlDdi!?", strict=True)),
    **dict(zip("…ßÆæŒœÞþ€", ("...", "ss", "AE", "ae", "OE", "oe", "Th", "th", "EUR"), strict=True)),
}


def visible(text: str) -> str:
    """`text` as one line in which nothing moves, hides, reorders or overflows. Doing it twice changes nothing more."""
    if text.isascii() and text.isprintable() and " " * (MAX_SPACES + 1) not in text:
        return text
    return _composed(_neutralised(_composed(text)))


def in_json(line: str) -> str:
    """A line of JSON for a program, harmless also where a person looks at it: what moves, hides or reorders is `\\u…`.

    JSON itself escapes what is below a space, and not the control characters above, which some terminals obey. The
    value is the same, since such characters stand in strings only.
    """
    return line if line.isascii() and "\x7f" not in line else _NOT_AS_IT_IS.sub(_escaped, line)


def fit(text: str, cells: int, ellipsis: str = "…") -> str:
    """`text` as `visible` shows it, in no more than so many terminal cells: what is cut ends in `ellipsis`."""
    text = visible(text)
    if _cells(text) <= cells:
        return text
    left = cells - _cells(ellipsis)
    return text[: _end_of(text, left)].rstrip(" " + _ZWNJ) + ellipsis if left >= 0 else ""


def cells(text: str) -> int:
    """How many terminal cells a text takes, as `visible` or `fit` give it."""
    return _cells(text)


def ascii_only(text: str) -> str:
    """`text` as `visible` shows it, for a terminal without UTF-8: letters without accents, "?" for what ASCII lacks.

    To `fit` it: `fit(ascii_only(text), cells, "~")`.
    """
    return visible("".join(map(_char_in_ascii, visible(text))))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


# --- one character after the other


def _neutralised(text: str) -> str:
    line = _Line(right_to_left=any(map(_is_right_to_left, text)))
    for char, after in zip(text, [*text[1:], ""], strict=True):
        line.add(char, after)
    return "".join(line.shown)


class _Line:
    """What is shown of a text so far."""

    def __init__(self, *, right_to_left: bool) -> None:
        self.shown: list[str] = []
        self._right_to_left = right_to_left
        self._marks = self._spacing_marks = self._spaces = 0
        self._has_hidden = True  # there is nothing yet that a mark could belong to

    @property
    def _last(self) -> str:
        return self.shown[-1] if self.shown and not self._has_hidden else ""

    def add(self, char: str, after: str) -> None:
        """The next character, and the one that follows it."""
        category = unicodedata.category(char)
        if self._is_dropped(char, after):
            return
        if category == "Zs" or char == "\t":
            self._add_space()
        elif char == _ZWNJ and self._within_word(after):
            self.shown.append(char)
        elif category in _HIDDEN_CATEGORIES or char in _BLANK or char in _OVERSIZE or _within(char, _UNATTACHED):
            self._hide()
        elif category[0] == "M" or _within(char, _JAMO):
            self._add_mark(char, spacing=category == "Mc")
        else:
            self.shown.append(char)
            self._marks = self._spacing_marks = self._spaces = 0
            self._has_hidden = False

    def _is_dropped(self, char: str, after: str) -> bool:
        """Whether it belongs to what people write, and is better left out."""
        if char == _ZWJ:
            return self._within_word(after) or (_is_picture(self._last) and _is_picture(after))
        if char in _DIRECTION_MARKS:
            return self._right_to_left
        if _within(char, _SELECTORS):
            return self._last not in ("", " ") and not (self._last.isalpha() and not _has_variants(self._last))
        if _within(char, _SKIN_TONES):
            return unicodedata.category(self._last or " ") == "So"
        return self._last == _BLACK_FLAG and _within(char, _TAGS)

    def _within_word(self, after: str) -> bool:
        """Whether a joiner here stands within a word of a script that has them."""
        last = self._last
        return bool(last and after) and _within(last, _JOINING) and _within(after, _JOINING) and after.isalpha()

    def _add_space(self) -> None:
        self._spaces += 1
        if self._spaces <= MAX_SPACES:
            self.shown.append(" ")
        self._marks = self._spacing_marks = 0
        self._has_hidden = False

    def _add_mark(self, char: str, *, spacing: bool) -> None:
        self._marks += 1
        self._spacing_marks += spacing
        fits = self._marks <= MAX_MARKS and self._spacing_marks <= MAX_SPACING_MARKS
        belongs = _within(self._last, _HANGUL) if _within(char, _JAMO) else self._last not in ("", _ZWNJ)
        if fits and belongs:
            self.shown.append(char)
            self._spaces = 0
        else:
            self._hide()

    def _hide(self) -> None:
        if not (self.shown and self._has_hidden):
            self.shown.append(HIDDEN_MARK)
        self._has_hidden = True
        self._spaces = 0


# Where they do not belong to what is before them, these would be zero cells wide to some terminals and two to others.
_UNATTACHED: Final[Ranges] = (*_SELECTORS, *_SKIN_TONES)


def _within(char: str, ranges: Ranges) -> bool:
    return bool(char) and any(first <= ord(char) <= last for first, last in ranges)


def _is_picture(char: str) -> bool:
    return bool(char) and unicodedata.category(char) in ("So", "Sm")


def _has_variants(letter: str) -> bool:
    """Whether a letter is written in more than one way: Chinese characters, Mongolian letters."""
    return letter == _LETTER_I or unicodedata.east_asian_width(letter) == "W" or _within(letter, ((0x1820, 0x18AA),))


def _is_right_to_left(char: str) -> bool:
    return char > "\u0590" and unicodedata.bidirectional(char) in ("R", "AL") and unicodedata.category(char)[0] == "L"


def _composed(text: str) -> str:
    """In NFC: a letter with its accent, and a Korean syllable, are one character wherever Unicode has it."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


# --- widths


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or _within(char, _JAMO):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" or _within(char, _WIDE) else 1


def _end_of(text: str, cells: int) -> int:
    """Where to cut so that no more than so many cells are left, and no accent loses its letter."""
    for end, char in enumerate(text):
        cells -= _width(char)
        if cells < 0:
            return end
    return len(text)


def _char_in_ascii(char: str) -> str:
    if char.isascii():
        return char
    if (known := _IN_ASCII.get(char)) is not None:
        return known
    if unicodedata.category(char)[0] == "M" or char == _ZWNJ or _within(char, _JAMO):
        return ""
    parts = unicodedata.normalize("NFKD", char)
    plain = "".join(_IN_ASCII.get(part, part) for part in parts if not unicodedata.combining(part))
    return plain if plain.isascii() and plain.isprintable() and plain else "?"
