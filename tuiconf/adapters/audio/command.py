"""A command as microphone or speaker: `cmd:arecord -t raw -f S16_LE -r 48000 -c 1`, raw PCM through a pipe."""

from __future__ import annotations

import contextlib
from typing import Final

from tuiconf.adapters.audio.base import FRAME_SAMPLES, AudioError, Frame
from tuiconf.adapters.audio.pipes import PcmReader, PcmWriter
from tuiconf.adapters.audio.process import Command

# A command that closes its pipe mostly exits at once; after this many ticks more it is not waited for.
EXIT_TICKS: Final = 25

# An encoder that we write to has some work left when its input ends.
FINISH_S: Final = 3.0


class CommandSource:
    """What a command writes to its standard output, as raw PCM."""

    def __init__(self, argv: list[str], *, frame_samples: int = FRAME_SAMPLES) -> None:
        self._command = Command(argv, to_us=True)
        self.label = f"the command {self._command.name}"
        self.ended = False
        self._frame_samples = frame_samples
        self._reader: PcmReader | None = None
        self._patience = EXIT_TICKS

    async def start(self) -> None:
        """Run the command.

        Raises:
            AudioError: it cannot be run.
        """
        self._reader = PcmReader(self._command.start(), frame_samples=self._frame_samples)

    def frame(self) -> Frame | None:
        """The next 20 ms, if the command has written them.

        Raises:
            AudioError: the command has failed.
        """
        if self._reader is None or self.ended:
            return None
        self._command.listen()
        try:
            frame = self._reader.frame()
        except OSError as error:
            self.ended = True
            raise AudioError(self._command.epitaph()) from error
        if self._reader.drained and frame is None:
            self._look_for_the_end()
        return frame

    def _look_for_the_end(self) -> None:
        outcome = self._command.outcome()
        self._patience -= 1
        if outcome is None and self._patience > 0:
            return
        self.ended = True
        if outcome:
            raise AudioError(self._command.epitaph())

    async def close(self) -> None:
        """End the command and its children."""
        self.ended = True
        self._reader = None
        await self._command.stop()


class CommandSink:
    """A command that is given what is heard, as raw PCM on its standard input."""

    def __init__(self, argv: list[str]) -> None:
        self._command = Command(argv, to_us=False)
        self.label = f"the command {self._command.name}"
        self._writer: PcmWriter | None = None
        self._broken = False
        self._patience = EXIT_TICKS

    async def start(self) -> None:
        """Run the command.

        Raises:
            AudioError: it cannot be run.
        """
        self._writer = PcmWriter(self._command.start())

    def write(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            AudioError: the command has ended, or closed its input.
        """
        if self._writer is None:
            return
        self._command.listen()
        if not self._broken:
            try:
                self._writer.write(frame)
            except OSError:
                self._broken = True
        if self._broken:
            self._patience -= 1
            if self._command.outcome() is not None or self._patience <= 0:
                self._writer = None
                raise AudioError(f"{self._command.epitaph()}; it takes no more audio")

    async def close(self) -> None:
        """Send what is held as far as the command takes it, let it finish, and end it and its children."""
        writer, self._writer = self._writer, None
        if writer is not None and not self._broken:
            with contextlib.suppress(OSError):  # it has ended before: nobody is left to tell
                writer.flush()
        await self._command.stop(finish_s=FINISH_S)
