"""An audio file as the microphone: anything PyAV reads, played once or over and over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from tuiconf.adapters.audio.base import FRAME_SAMPLES, SAMPLE_RATE, AudioError, Frame
from tuiconf.adapters.audio.decoder import FileDecoder

# Long enough for a slow disk to spin up; a file that decodes nothing for so long is not worth a call's waiting.
START_TIMEOUT_S: Final = 15.0

CLOSE_TIMEOUT_S: Final = 1.0


class FileSource:
    """Plays a file, a frame for every `frame()`: the caller's tick is the clock, and nothing is skipped.

    `delay_s` counts from the first `frame()`.
    """

    def __init__(
        self, path: Path, *, loop: bool = False, delay_s: float = 0.0, frame_samples: int = FRAME_SAMPLES
    ) -> None:
        self.label = f"the file {path.name}"
        self.ended = False
        self._path = path
        self._frame_samples = frame_samples
        self._delay_frames = round(delay_s * SAMPLE_RATE / frame_samples)
        self._decoder = FileDecoder(path, loop=loop)
        self._started = False

    async def start(self) -> None:
        """Open the file and decode its beginning.

        Raises:
            AudioError: it is not there, not audio, or not readable.
        """
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        self._started = True
        self._decoder.start(on_ready=lambda: _wake(loop, ready))
        try:
            await asyncio.wait_for(ready.wait(), START_TIMEOUT_S)
        except TimeoutError:
            await self.close()
            raise AudioError(f"{self._path} cannot be played: nothing was read from it in time") from None
        if self._decoder.finished and not self._decoder.fifo.level:
            self.ended = True
            # Without a reason it was a bug, which the thread has told: at least not silence that nobody explains.
            raise self._decoder.failed or AudioError(f"{self._path} could not be played")

    def frame(self) -> Frame | None:
        """The file's next frame; None before the delay is over, after the end, or while the disk is too slow.

        Raises:
            AudioError: the file could not be read on.
        """
        if self.ended:
            return None
        if self._delay_frames > 0:
            self._delay_frames -= 1
            return None
        finished = self._decoder.finished  # before taking: what was pushed until then is there to be taken
        frame = self._decoder.fifo.take(self._frame_samples, pad=finished)
        self._decoder.consumed()
        if frame is None and finished:
            self.ended = True
            if self._decoder.failed:
                raise self._decoder.failed
        return frame

    async def close(self) -> None:
        """Stop decoding."""
        self.ended = True
        if self._started:
            self._started = False
            self._decoder.stop()
            await asyncio.to_thread(self._decoder.join, CLOSE_TIMEOUT_S)
            self._decoder.fifo.clear()


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        # The loop closed while the file was being opened: nobody is waiting any more.
        return
