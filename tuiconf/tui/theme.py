"""The colours: dark, light, the terminal's own sixteen, or none. Pure."""

from __future__ import annotations

from typing import Final, Literal

from textual.theme import Theme

from tuiconf.config import Tui

Name = Literal["dark", "light", "ansi", "none"]

_DARK: Final = Theme(
    name="tuiconf-dark",
    dark=True,
    primary="#7aa2c8",
    secondary="#8fa3b8",
    accent="#b8a4e3",
    success="#7fbf7f",
    warning="#d8b25c",
    error="#e07a6e",
    foreground="#d3d7de",
    background="#14171c",
    surface="#1a1e25",
    panel="#222833",
    variables={"quiet": "#8a919e"},
)

_LIGHT: Final = Theme(
    name="tuiconf-light",
    dark=False,
    primary="#2b5f93",
    secondary="#4f6275",
    accent="#6a4b9e",
    success="#22702f",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#20242b",
    background="#fbfbf9",
    surface="#f2f2ee",
    panel="#e7e7e1",
    variables={"quiet": "#666c76"},
)

_SIXTEEN: Final = {
    "quiet": "ansi_default",
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "border-blurred": "ansi_default",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_cyan",
    "input-cursor-background": "ansi_default",
    "input-cursor-foreground": "ansi_default",
    "input-cursor-text-style": "reverse",
    "input-selection-background": "ansi_cyan",
    "input-selection-foreground": "ansi_black",
    "screen-selection-background": "ansi_cyan",
    "screen-selection-foreground": "ansi_black",
}

# Of the sixteen only those that can be read on black and on white: the background is the terminal's own.
_ANSI: Final = Theme(
    name="tuiconf-ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables=_SIXTEEN,
)

# Colours are taken out of every line besides (`TuiconfApp.get_line_filters`): what is left is bold and reverse.
_NONE: Final = Theme(
    name="tuiconf-none",
    ansi=True,
    primary="ansi_default",
    secondary="ansi_default",
    accent="ansi_default",
    success="ansi_default",
    warning="ansi_default",
    error="ansi_default",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables=_SIXTEEN,
)

THEMES: Final = {"dark": _DARK, "light": _LIGHT, "ansi": _ANSI, "none": _NONE}


def choose(settings: Tui, colours: Literal["none", "16", "256", "true"], *, dark: bool) -> Name:
    """What the settings say, as far as the terminal can; without, what suits the terminal, whose background is dark."""
    if colours == "none":
        return "none"
    if settings.theme == "auto":
        return "ansi" if colours == "16" else "dark" if dark else "light"
    if settings.theme in ("dark", "light") and colours == "16":
        return "ansi"
    return settings.theme


def in_ascii(settings: Tui, *, unicode: bool) -> bool:
    """Whether to draw with ASCII characters only."""
    return not unicode if settings.ascii == "auto" else settings.ascii
