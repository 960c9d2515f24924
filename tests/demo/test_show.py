"""The demo's story as it is written."""

from __future__ import annotations

import io
import os

import pytest

from tuiconf.demo.show import Story
from tuiconf.demo.verdict import StreamVerdict, Verdict

STREAM = StreamVerdict(
    from_="Ada",
    to="Cleo",
    frames_sent=223,
    frames_played=222,
    frames_concealed=1,
    delay_ms_p50=43.0,
    delay_ms_p95=107.0,
)
VERDICT = Verdict(
    ok=True,
    participants=("Ada", "Cleo"),
    epochs=(0, 1),
    security_codes_equal=True,
    removed_could_decrypt=False,
    removed_frames_tried=9,
    streams=(STREAM,),
    failures=(),
)


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal of this encoding."""

    def __init__(self, encoding: str) -> None:
        self.raw_bytes = io.BytesIO()
        super().__init__(self.raw_bytes, encoding=encoding)

    def isatty(self) -> bool:
        return True

    def written(self) -> bytes:
        self.flush()
        return self.raw_bytes.getvalue()


def tell(stream: io.TextIOWrapper) -> None:
    story = Story(stream)
    story.title("title")
    story.step("something happens", "why it is secure")
    story.live(f"level {story.meter(-20.0)} and whatever else there is to say about it …")
    story.codes(1, {"Ada": "1 2", "Ben": "1 2"})
    story.streams([STREAM])
    story.detail("pin=…#…")
    story.verdict(VERDICT)


def test_on_a_terminal_it_has_colours_and_a_living_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal("utf-8")
    tell(terminal)
    assert b"\x1b[32m" in terminal.written()
    assert b"\r\x1b[K" in terminal.written()
    assert "✓".encode() in terminal.written()


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal("utf-8")
    tell(terminal)
    assert b"\x1b[3" not in terminal.written()


def test_a_dumb_terminal_gets_no_escape_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal("utf-8")
    tell(terminal)
    assert b"\x1b" not in terminal.written()
    assert b"\r" not in terminal.written()


def test_an_ascii_terminal_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal("ascii")
    tell(terminal)
    assert terminal.written().isascii()


@pytest.mark.parametrize("columns", [80, 44, 24])
def test_no_line_is_wider_than_the_terminal_and_words_stay_whole(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((columns, 24)))
    monkeypatch.setattr(Terminal, "fileno", lambda _: 1)
    terminal = Terminal("utf-8")
    tell(terminal)
    lines = terminal.written().decode().replace("\r\x1b[K", "\n").splitlines()
    assert max(map(len, lines)) <= columns
    assert " ".join(" ".join(lines).split()).count("one group, the same people, nobody in between") == 1


def test_who_heard_whom_is_one_line_in_the_usual_terminal() -> None:
    stream = io.StringIO()
    story = Story(stream)
    story.streams([STREAM])
    assert len(stream.getvalue().splitlines()) == 1


def test_unequal_codes_are_shouted() -> None:
    stream = io.StringIO()
    Story(stream).codes(1, {"Ada": "1 2", "Ben": "3 4"})
    assert "NOT EQUAL" in stream.getvalue()


def test_without_anyone_to_tell_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    story = Story(None)
    story.title("title")
    story.step("step")
    assert capsys.readouterr().out == ""
