"""What a terminal can do, as far as its environment tells. Pure, and cheap to import: no Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Colours = Literal["none", "16", "256", "true"]
Multiplexer = Literal["", "tmux", "screen"]

# Terminals that have 24 bits of colour, by what they call themselves; TERM also gets through SSH, COLORTERM does not.
TRUE_COLOUR_TERMS = ("xterm-kitty", "xterm-ghostty", "ghostty", "foot", "alacritty", "wezterm", "contour", "rio")
TRUE_COLOUR_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "rio", "Hyper")

# Terminals that never run inside a multiplexer: TMUX and STY are then left over from the shell that started them.
NEVER_INSIDE = ("xterm-kitty", "xterm-ghostty", "ghostty", "foot", "alacritty", "wezterm", "contour", "rio", "linux")

DUMB = ("", "dumb", "unknown", "emacs", "network")
MONOCHROME = ("vt", "ansi-m", "xterm-mono", "linux-m", "hp", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """What the interface adapts to."""

    colours: Colours = "true"
    unicode: bool = True
    multiplexer: Multiplexer = ""
    key_releases: bool = False  # worth asking; what it answers is `KeyReleasesKnown`
    mouse: bool = True
    motion: bool = True
    dark: bool = True
    console: bool = False  # of Linux: box drawing and Latin letters in a font of 256 or 512, and 16 colours
    dumb: bool = False  # no cursor that moves: only the plain front end will do
    remote: bool = False  # over SSH: every byte counts


def detect(environ: Mapping[str, str], *, input_is_tty: bool = True, output_is_tty: bool = True) -> Terminal:
    """Read the environment; the first of LC_ALL, LC_CTYPE and LANG that is set decides about Unicode."""
    term = environ.get("TERM", "")
    console = term == "linux" or term.startswith("linux-")
    dumb = term in DUMB or not (input_is_tty and output_is_tty)
    multiplexer = _multiplexer(environ, term)
    return Terminal(
        colours="none" if dumb else _colours(environ, term, multiplexer),
        unicode=not console and _utf8(environ),
        multiplexer=multiplexer,
        key_releases=not (dumb or console or multiplexer),
        mouse=_mouse(environ, term, multiplexer),
        motion=not (dumb or console) and environ.get("TEXTUAL_ANIMATIONS", "").lower() != "none",
        dark=_dark(environ),
        console=console,
        dumb=dumb,
        remote=any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")),
    )


def _multiplexer(environ: Mapping[str, str], term: str) -> Multiplexer:
    if term.startswith("tmux") or environ.get("TERM_PROGRAM") == "tmux":
        return "tmux"
    if term.startswith(NEVER_INSIDE):
        return ""
    if environ.get("TMUX"):
        return "tmux"
    return "screen" if environ.get("STY") or term.startswith("screen") else ""


def _mouse(environ: Mapping[str, str], term: str, multiplexer: Multiplexer) -> bool:
    """GNU screen (4.9) keeps Escape to itself while it reports the mouse, until another key comes.

    Whoever thinks that a page is closed then types commands into it, and `m` opens a microphone.
    """
    inside_screen = multiplexer == "screen" or (environ.get("STY") and not term.startswith(NEVER_INSIDE))
    return not inside_screen


def _colours(environ: Mapping[str, str], term: str, multiplexer: Multiplexer) -> Colours:
    if environ.get("NO_COLOR") or term.startswith(MONOCHROME) or term.endswith(("-m", "-mono")):
        return "none"
    if term == "linux" or term.startswith("linux-"):
        return "16"
    # GNU screen hands its own terminal's COLORTERM down, and until version 5 understands 256.
    if multiplexer != "screen" and _has_true_colour(environ, term):
        return "true"
    return "256" if "256" in term or environ.get("TERM_PROGRAM") == "Apple_Terminal" else "16"


def _has_true_colour(environ: Mapping[str, str], term: str) -> bool:
    return (
        environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit")
        or term.startswith(TRUE_COLOUR_TERMS)
        or "direct" in term
        or environ.get("TERM_PROGRAM") in TRUE_COLOUR_PROGRAMS
        or bool(environ.get("WT_SESSION"))
    )


def _utf8(environ: Mapping[str, str]) -> bool:
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environ.get(name))), "")
    return "utf8" in locale.lower().replace("-", "")


def _dark(environ: Mapping[str, str]) -> bool:
    """COLORFGBG is `foreground;background` or `foreground;default;background`, in the 16 colours; dark when unsaid."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return not (background.isascii() and background.isdecimal()) or int(background[:3]) in (*range(7), 8)
