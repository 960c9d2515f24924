"""What environments say about terminals."""

from __future__ import annotations

import pytest

from tuiconf.tui.terminal import Terminal, detect

UTF8 = {"LANG": "en_GB.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "true"),
        ({"TERM": "xterm-kitty"}, "true"),
        ({"TERM": "tmux-256color", "COLORTERM": "truecolor", "TMUX": "x"}, "true"),
        ({"TERM": "screen-256color", "COLORTERM": "truecolor", "STY": "x"}, "256"),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, "16"),
        ({"TERM": "vt220"}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "256"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "256"),
        ({"TERM": "dumb"}, "none"),
    ],
)
def test_colours(environ: dict[str, str], colours: str) -> None:
    assert detect(environ).colours == colours


@pytest.mark.parametrize(
    ("environ", "multiplexer"),
    [
        ({"TERM": "tmux-256color"}, "tmux"),
        ({"TERM": "screen-256color"}, "screen"),
        ({"TERM": "screen-256color", "TMUX": "/tmp/tmux"}, "tmux"),
        ({"TERM": "xterm-256color", "TMUX": "/tmp/tmux"}, "tmux"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, ""),
        ({"TERM": "xterm-256color", "STY": "1.pts"}, "screen"),
        ({"TERM": "xterm-256color"}, ""),
    ],
)
def test_multiplexers_also_through_ssh(environ: dict[str, str], multiplexer: str) -> None:
    terminal = detect(environ)
    assert terminal.multiplexer == multiplexer
    assert terminal.key_releases is not bool(multiplexer)
    assert terminal.mouse is (multiplexer != "screen")


def test_in_screen_within_tmux_there_is_no_mouse_and_an_old_session_counts_for_nothing() -> None:
    assert not detect({"TERM": "screen.xterm-256color", "TMUX": "/tmp/tmux", "STY": "1.pts"}).mouse
    assert detect({"TERM": "xterm-kitty", "STY": "1.pts"}).mouse


@pytest.mark.parametrize(
    ("locale", "unicode"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "C.utf8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
    ],
)
def test_unicode_is_what_the_locale_says(locale: dict[str, str], unicode: bool) -> None:
    assert detect({"TERM": "xterm", **locale}).unicode is unicode


@pytest.mark.parametrize(
    ("colours", "dark"),
    [({}, True), ({"COLORFGBG": "15;0"}, True), ({"COLORFGBG": "0;default;15"}, False), ({"COLORFGBG": "0;x"}, True)],
)
def test_a_light_background_is_known_where_it_is_said(colours: dict[str, str], dark: bool) -> None:
    assert detect({"TERM": "rxvt", **colours}).dark is dark


def test_the_linux_console_has_few_colours_few_characters_and_no_motion() -> None:
    assert detect({"TERM": "linux", **UTF8}) == Terminal(
        colours="16", unicode=False, motion=False, console=True, key_releases=False
    )


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_a_dumb_terminal_is_for_the_plain_front_end(term: str) -> None:
    assert detect({"TERM": term}).dumb


def test_a_pipe_is_dumb_whatever_the_environment_says() -> None:
    assert detect({"TERM": "xterm-kitty"}, input_is_tty=False).dumb
    assert detect({"TERM": "xterm-kitty"}, output_is_tty=False).dumb
    assert not detect({"TERM": "xterm-kitty"}).dumb


def test_over_ssh_is_remote() -> None:
    assert detect({"TERM": "xterm", "SSH_TTY": "/dev/pts/1"}).remote
    assert not detect({"TERM": "xterm"}).remote
