"""What a person sees of the demo: a story in numbered steps, with a line that lives while somebody speaks."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from tuiconf.adapters.printing import print_to
from tuiconf.demo.verdict import StreamVerdict, Verdict

_BOLD, _DIM, _GREEN, _RED, _CYAN = "1", "2", "32", "31", "36"

_LEVELS: Final = " ▁▂▃▄▅▆▇█"

# What is shown of the few characters that are not ASCII where there is nothing else.
_PLAIN: Final = str.maketrans(
    {"✓": "+", "✗": "x", "→": "->", "…": "...", **dict(zip(_LEVELS, " .:-=+*#@", strict=True))}
)

# A pipe or a file has no width, and a terminal that does not tell its own gets the usual one.
USUAL_WIDTH: Final = 80
LEAST_WIDTH: Final = 20

_WHY, _DETAIL = "    ", "      "


class Story:
    """Writes to a stream; silent when there is nobody to tell.

    Raises, from every method that writes:
        OutputLost: the stream takes no more.
    """

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
        self._write("", text, style=_BOLD)

    def step(self, text: str, *why: str) -> None:
        """What happens now, and beneath it why that is secure."""
        self._step += 1
        self._write("", "")
        self._write(f"{self._step:>2}  ", text, style=_BOLD, mark_style=_CYAN)
        for line in why:
            self._write(_WHY, line, style=_DIM)

    def detail(self, text: str, *, good: bool | None = None) -> None:
        """A fact of this step; `good` marks it as passed or failed."""
        if good is None:
            self._write(_DETAIL, text)
        else:
            self._write(f"    {'✓' if good else '✗'} ", text, mark_style=_GREEN if good else _RED)

    def live(self, text: str) -> None:
        """A line that is written over by the next one; only on a terminal."""
        if self._lives:
            # To the last column but one: some terminals go to the next line after the last.
            line = self._spelled(_DETAIL + text)[: self._width() - 1]
            print_to(self._stream, f"\r\x1b[K{line}")
            self._live_shown = True

    def end_live(self) -> None:
        """Take the living line away."""
        if self._live_shown:
            self._live_shown = False
            print_to(self._stream, "\r\x1b[K")

    def meter(self, dbfs: float | None) -> str:
        """A level as one character, from silence to full scale."""
        share = 0.0 if dbfs is None else min(max((dbfs + 60) / 50, 0.0), 1.0)
        return _LEVELS[round(share * (len(_LEVELS) - 1))]

    def codes(self, epoch: int, codes: Mapping[str, str | None]) -> None:
        """The security codes that the participants show."""
        equal = len(set(codes.values())) == 1
        width = max(map(len, codes))
        for name, code in codes.items():
            self.detail(f"{name:<{width}}  epoch {epoch}  {code or 'none'}")
        self.detail("equal: one group, the same people, nobody in between" if equal else "NOT EQUAL", good=equal)

    def streams(self, streams: Sequence[StreamVerdict]) -> None:
        """Who heard how much of whom."""
        width = max((len(stream.to) for stream in streams), default=0)
        for stream in streams:
            lost = 100 * (1 - min(1.0, stream.frames_played / max(stream.frames_sent, 1)))
            delay = (
                "delay unknown"
                if stream.delay_ms_p50 is None
                else f"delay {stream.delay_ms_p50:.0f} ms (95 %: {stream.delay_ms_p95:.0f} ms)"
            )
            self.detail(
                f"{stream.from_} → {stream.to:<{width}}  {stream.frames_played} of {stream.frames_sent} frames,"
                f" {lost:.1f} % lost, {delay}",
                good=stream.arrived,
            )

    def verdict(self, verdict: Verdict) -> None:
        """The end."""
        self._write("", "")
        if verdict.ok:
            good = "Everyone heard everyone. The one who was removed could open nothing."
            self._write("✓ ", good, style=_GREEN, mark_style=_GREEN)
        for failure in verdict.failures:
            self.detail(failure, good=False)

    def _write(self, mark: str, text: str, *, style: str | None = None, mark_style: str | None = None) -> None:
        """A paragraph that begins with `mark`; where it is wider than the terminal, it goes on below the text."""
        if self._stream is None:
            return
        self.end_live()
        room = max(self._width() - len(mark), LEAST_WIDTH)
        first, *rest = textwrap.wrap(self._spelled(text), room, break_on_hyphens=False) or [""]
        lines = [self._paint(self._spelled(mark), mark_style) + self._paint(first, style)]
        lines += [" " * len(mark) + self._paint(line, style) for line in rest]
        print_to(self._stream, "".join(line.rstrip() + "\n" for line in lines))

    def _width(self) -> int:
        if self._lives and self._stream is not None:
            try:
                return os.get_terminal_size(self._stream.fileno()).columns or USUAL_WIDTH
            except OSError:
                return USUAL_WIDTH
        return USUAL_WIDTH

    def _paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour is not None and text else text

    def _spelled(self, text: str) -> str:
        return text if self._unicode else text.translate(_PLAIN)


def story_for_terminal() -> Story:
    """On standard output."""
    return Story(sys.stdout)
