"""What the terminal can show and tell."""

from __future__ import annotations

import locale
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from typing import Final

from tuiconf.doctor.findings import Context, Finding, ok, skipped, warning

SMALLEST: Final = (80, 24)

# «Which of your keyboard modes are on?» of kitty's keyboard protocol, then «what are you?», which every terminal
# answers: so one without the protocol is known by its answer, not only by its silence.
_QUESTION: Final = b"\x1b[?u\x1b[c"
_KITTY: Final = re.compile(rb"\x1b\[\?\d+u")
_ATTRIBUTES: Final = re.compile(rb"\x1b\[\?[\d;]*c")

ANSWER_S: Final = 0.2
# Over a slow line an answer that comes after the program has ended is typed into the shell: so it is waited for.
LATE_ANSWER_S: Final = 1.0


def terminal(context: Context) -> Iterator[Finding]:
    """Size, characters, colours, multiplexer, key releases."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        yield skipped("no_terminal", "this is not a terminal: --headless works without one")
        return
    yield size(*os.get_terminal_size(sys.stdout.fileno()))
    yield characters(sys.stdout.encoding or locale.getpreferredencoding(False))
    yield colours(context.environ)
    yield multiplexer(context.environ)
    yield key_releases(ask_for_key_releases(sys.stdin.fileno(), sys.stdout.fileno()))


def size(columns: int, rows: int) -> Finding:
    """Is there room?"""
    facts = {"columns": columns, "rows": rows}
    if columns < SMALLEST[0] or rows < SMALLEST[1]:
        return warning(
            "small", f"the terminal has {columns}×{rows} characters: 80×24 are needed to see all", facts=facts
        )
    return ok("size", f"{columns}×{rows} characters", facts=facts)


def characters(encoding: str) -> Finding:
    """Is there more than ASCII?"""
    if encoding.lower().replace("-", "").replace("_", "") == "utf8":
        return ok("unicode", "it shows Unicode", facts={"encoding": encoding})
    sentence = f"the locale's characters are {encoding}: meters and names are shown in ASCII"
    return warning("no_unicode", sentence, "export LANG=C.UTF-8", facts={"encoding": encoding})


def colours(environ: Mapping[str, str]) -> Finding:
    """How many colours it says it has."""
    kind = environ.get("TERM", "")
    if environ.get("NO_COLOR"):
        return ok("no_color", "NO_COLOR is set: nothing is coloured", facts={"colours": 0})
    if environ.get("COLORTERM") in ("truecolor", "24bit") or kind.endswith("-direct"):
        return ok("colours", "all colours", facts={"colours": 1 << 24})
    if kind.endswith("-256color"):
        return ok("colours", "256 colours", facts={"colours": 256})
    if kind in ("", "dumb", "unknown"):
        return warning(
            "dumb",
            "TERM does not say what this terminal can: lines only",
            "export TERM=xterm",
            facts={"colours": 0},
        )
    return ok("colours", "16 colours", facts={"colours": 16})


def multiplexer(environ: Mapping[str, str]) -> Finding:
    """tmux and screen change what the terminal can do."""
    kind = environ.get("TERM", "")
    if environ.get("TMUX"):
        return ok(
            "tmux",
            "inside tmux: a call survives a lost connection, key releases do not come through",
            facts={"inside": "tmux"},
        )
    if environ.get("STY") or kind.startswith("screen"):
        return ok(
            "screen",
            "inside screen: a call survives a lost connection, key releases do not",
            facts={"inside": "screen"},
        )
    remote = bool(environ.get("SSH_CONNECTION"))
    where = "over SSH, without tmux or screen" if remote else "on this machine, without tmux or screen"
    return ok("direct", where, facts={"inside": None, "ssh": remote})


def key_releases(answer: bool | None) -> Finding:
    """Does it tell when a key is let go?"""
    if answer is None:
        return skipped(
            "keys_unknown", f"the terminal did not answer within {ANSWER_S * 1000:.0f} ms what its keyboard can"
        )
    if answer:
        return ok(
            "key_releases", "it can tell when a key is let go (kitty's keyboard protocol)", facts={"key_releases": True}
        )
    sentence = "it does not tell when a key is let go: push-to-talk cannot be held, only switched"
    return ok("no_key_releases", sentence, facts={"key_releases": False})


def ask_for_key_releases(fd_in: int, fd_out: int) -> bool | None:
    """Whether the terminal knows kitty's keyboard protocol; None when it says nothing in time."""
    try:
        before = termios.tcgetattr(fd_in)
    except termios.error:
        return None
    try:
        tty.setcbreak(fd_in, termios.TCSANOW)
        os.write(fd_out, _QUESTION)
        answer = _read_answer(fd_in, ANSWER_S)
        in_time = bool(_ATTRIBUTES.search(answer)) or bool(_KITTY.search(answer))
        if not _ATTRIBUTES.search(answer):
            answer += _read_answer(fd_in, LATE_ANSWER_S)
    except (OSError, termios.error):
        return None
    finally:
        termios.tcsetattr(fd_in, termios.TCSAFLUSH, before)
    return bool(_KITTY.search(answer)) if in_time else None


def _read_answer(fd: int, patience_s: float) -> bytes:
    """What comes until the last answer is complete, or the time is over."""
    answer = b""
    deadline = time.monotonic() + patience_s
    while not _ATTRIBUTES.search(answer):
        ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
        if not ready or not (data := os.read(fd, 1024)):
            break
        answer += data
    return answer
