"""What a person sees of the demo: a story in numbered steps, with a line that lives while somebody speaks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from tuiconf.demo.verdict import StreamVerdict, Verdict

_BOLD, _DIM, _GREEN, _RED, _CYAN = "1", "2", "32", "31", "36"

_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = " .:-=+*#@"


class Story:
    """Writes to a stream; silent when there is nobody to tell."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
        self._lives = terminal
        self._colours = terminal and not os.environ.get("NO_COLOR")
        encoding = (getattr(stream, "encoding", None) or "ascii").lower()
        self._unicode = encoding.startswith("utf")
        self._step = 0
        self._live_shown = False

    def title(self, text: str) -> None:
        """The first line."""
        self._write(self._paint(text, _BOLD))

    def step(self, text: str, *why: str) -> None:
        """What happens now, and beneath it why that is secure."""
        self._step += 1
        self._write("")
        self._write(f"{self._paint(f'{self._step:>2}', _CYAN)}  {self._paint(text, _BOLD)}")
        for line in why:
            self._write("    " + self._paint(line, _DIM))

    def detail(self, text: str, *, good: bool | None = None) -> None:
        """A fact of this step; `good` marks it as passed or failed."""
        mark = {None: " ", True: self._glyph("✓", "+"), False: self._glyph("✗", "x")}[good]
        colour = {None: None, True: _GREEN, False: _RED}[good]
        self._write(f"    {self._paint(mark, colour)} {text}")

    def live(self, text: str) -> None:
        """A line that is written over by the next one; only on a terminal."""
        if self._lives and self._stream is not None:
            self._stream.write(f"\r\x1b[K      {text}")
            self._stream.flush()
            self._live_shown = True

    def meter(self, dbfs: float | None) -> str:
        """A level as one character, from silence to full scale."""
        levels = _LEVELS if self._unicode else _ASCII_LEVELS
        share = 0.0 if dbfs is None else min(max((dbfs + 60) / 50, 0.0), 1.0)
        return levels[round(share * (len(levels) - 1))]

    def codes(self, epoch: int, codes: Mapping[str, str | None]) -> None:
        """The security codes that the participants show."""
        equal = len(set(codes.values())) == 1
        width = max(map(len, codes))
        for name, code in codes.items():
            self._write(f"      {name:<{width}}  epoch {epoch}  {code or 'none'}")
        self.detail("equal: one group, the same people, nobody in between" if equal else "NOT EQUAL", good=equal)

    def streams(self, streams: Sequence[StreamVerdict]) -> None:
        """Who heard how much of whom."""
        arrow = self._glyph("→", "->")
        for stream in streams:
            lost = 100 * (1 - min(1.0, stream.frames_played / max(stream.frames_sent, 1)))
            delay = (
                "delay unknown"
                if stream.delay_ms_p50 is None
                else f"delay {stream.delay_ms_p50:.0f} ms (95 %: {stream.delay_ms_p95:.0f} ms)"
            )
            self.detail(
                f"{stream.from_} {arrow} {stream.to}: {stream.frames_played} of {stream.frames_sent} frames,"
                f" {lost:.1f} % lost, {delay}",
                good=stream.arrived,
            )

    def verdict(self, verdict: Verdict) -> None:
        """The end."""
        self._write("")
        if verdict.ok:
            good = "Everyone heard everyone. The one who was removed could open nothing."
            self._write(self._paint(f"{self._glyph(chr(0x2713), chr(43))} {good}", _GREEN))
        for failure in verdict.failures:
            self.detail(failure, good=False)

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        if self._live_shown:
            self._stream.write("\r\x1b[K")
            self._live_shown = False
        self._stream.write(line.rstrip() + "\n")
        self._stream.flush()

    def _paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour is not None else text

    def _glyph(self, pretty: str, plain: str) -> str:
        return pretty if self._unicode else plain


def story_for_terminal() -> Story:
    """On standard output."""
    return Story(sys.stdout)
