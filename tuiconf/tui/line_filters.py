"""The last thing that happens to a line before it goes to the terminal, whichever widget drew it: ASCII only."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tuiconf.untrusted import ascii_only, cells

# One sign each, so that what stood below another still does.
_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("─━═╌╍┄┅┈┉▔‾⎺", "-"),
        **dict.fromkeys("│┃║╎╏┆┇┊┋▏▎▍▌▐▕", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰┏┓┗┛╔╗╚╝╠╣╦╩╬▛▜▙▟", "+"),
        **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
        **dict.fromkeys("▮■▰▀", "#"),
        **dict.fromkeys("▯□▱·∙⋅", "."),
        **dict.fromkeys("●◆▪•", "*"),
        **dict.fromkeys("○◇▫", "o"),
        **dict.fromkeys("›»▶▸►→⏵", ">"),
        **dict.fromkeys("‹«◀◂◄←", "<"),
        **dict.fromkeys("▲▴↑", "^"),
        **dict.fromkeys("▼▾↓", "v"),
        **dict.fromkeys("✓✔", "+"),
        **dict.fromkeys("✗✘×⨯", "x"),
        "⚠": "!",
        "…": "~",
        "–": "-",
        "—": "-",
    }
)


class AsciiOnly(LineFilter):
    """Nothing but ASCII, and each line as wide as it was."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Called by Textual for each line that has changed."""
        return [
            segment if segment.text.isascii() else Segment(in_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


@lru_cache(2048)
def in_ascii(text: str) -> str:
    """As wide as `text`: what has no equivalent of its width is cut or filled up."""
    return "".join(_one(char) for char in text.translate(_SIGNS))


def _one(char: str) -> str:
    if char.isascii():
        return char
    width = cells(char)
    return ascii_only(char)[:width].ljust(width) if width else ""
