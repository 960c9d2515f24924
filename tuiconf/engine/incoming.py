"""What a participant hears: the mix to its output, and each voice to whoever listens to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from tuiconf.adapters.audio import FRAME_SAMPLES, Sink
from tuiconf.adapters.audio.null import NullSink
from tuiconf.conference.sound import Sound
from tuiconf.media.mixer import mix
from tuiconf.media.opus import Pcm

# A machine that stood still for longer than this was asleep: nobody wants a recording of that.
MOST_SILENCE_FRAMES: Final = 500

# What a script may be behind with: one second. Then it loses the oldest, and sees a gap in the numbers.
MAX_TAP_FRAMES: Final = 50

# Scripts that listen at once, to the mix or to somebody.
MAX_TAPS: Final = 64


class Tap:
    """Frames for a script: one of each tick, numbered; the oldest are lost when it is slow."""

    def __init__(self, leaf: int | None) -> None:
        self.leaf = leaf
        self._frames: deque[tuple[int, Pcm]] = deque(maxlen=MAX_TAP_FRAMES)
        self._ready = asyncio.Event()
        self._ended = False

    async def take(self) -> tuple[int, Pcm] | None:
        """The next frame and its number; None at the end."""
        while not self._frames:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        return self._frames.popleft()

    def put(self, tick: int, frame: Pcm) -> None:
        """The frame of this tick."""
        self._frames.append((tick & 0xFFFFFFFF, frame))
        self._ready.set()

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._ready.set()


class Incoming:
    """`play` is called every tick."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._sink: Sink = NullSink()
        self._taps: list[Tap] = []
        self._next_tick = 0
        self._test_sound: deque[Pcm] = deque()
        self._tried_out = asyncio.Event()
        self._changing = asyncio.Lock()
        self.output_name = ""
        self.deafened = False

    async def set_output(self, sink: Sink, name: str) -> None:
        """Play to this from now on.

        Raises:
            AudioError: it cannot be opened, and the present one goes on; or that one could not be closed well.
        """
        async with self._changing:
            await sink.start()
            before, self._sink, self.output_name = self._sink, sink, name
            await before.close()

    @property
    def idle(self) -> bool:
        """Whether nobody listens."""
        return not self._taps and not self._test_sound and type(self._sink) is NullSink  # one made of it may count

    def try_out(self, sound: Sequence[Pcm]) -> None:
        """Play this to the output, from its beginning, besides what is heard. Nobody else hears it, scripts included.

        Also while deafened: whoever asks for it wants to hear it.
        """
        self._test_sound = deque(sound)
        self._tried_out.clear()

    async def tried_out(self) -> None:
        """Wait until that is over, or the call is."""
        await self._tried_out.wait()

    @property
    def taps_free(self) -> bool:
        """Whether one more may listen."""
        return len(self._taps) < MAX_TAPS

    def listen(self, leaf: int | None) -> Tap:
        """What this participant says from now on, or the mix of all. Only while there are `taps_free`."""
        tap = Tap(leaf)
        self._taps.append(tap)
        return tap

    def unlisten(self, tap: Tap) -> None:
        """Nobody takes it any more."""
        tap.end()
        self._taps.remove(tap)

    def forget(self, leaf: int) -> None:
        """Whoever was there is gone: those who listened have heard all."""
        for tap in self._taps:
            if tap.leaf == leaf:
                tap.end()

    def play(self, tick: int, *, now: float, unix: float) -> None:
        """One frame to the output, and silence for ticks that were skipped: a recording is as long as the call was.

        Raises:
            AudioError: the output has failed. Raised once.
        """
        missed, self._next_tick = tick - self._next_tick, tick + 1
        heard = self._sound.play(now=now, unix=unix)
        for tap in self._taps:
            frame = heard if tap.leaf is None else self._sound.voice_frame(tap.leaf)
            tap.put(tick, frame if frame is not None else _SILENCE)
        for _ in range(min(missed, MOST_SILENCE_FRAMES)):
            self._sink.write(_SILENCE)
        self._sink.write(self._with_test_sound(_SILENCE if self.deafened else heard))

    def _with_test_sound(self, frame: Pcm) -> Pcm:
        if not self._test_sound:
            return frame
        mixed = mix([frame, self._test_sound.popleft()])
        if not self._test_sound:
            self._tried_out.set()
        return mixed

    def skip(self, tick: int) -> None:
        """Nobody listens in this tick: an output that comes later is not owed it as silence."""
        self._next_tick = tick + 1

    async def close(self) -> None:
        """Let go of everything.

        Raises:
            AudioError: what was still held could not be written.
        """
        for tap in self._taps:
            tap.end()
        self._tried_out.set()
        await self._sink.close()


_SILENCE: Final = np.zeros(FRAME_SAMPLES, np.float32)
_SILENCE.setflags(write=False)
