"""The sound card, through PortAudio. Its clock is not ours: what that piles up is dropped, never heard as delay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tuiconf.adapters.audio.base import FRAME_SAMPLES, SAMPLE_RATE, AudioError, Frame
from tuiconf.adapters.audio.fifo import BacklogWatch, SampleFifo

if TYPE_CHECKING:
    import sounddevice

Direction = Literal["input", "output"]
Callback = Callable[[NDArray[np.float32]], None]
"""Takes a block from the card, or fills one for it: shape (samples, channels). Runs in PortAudio's thread."""

# What is held between the card and the tick. Both deliver in steps of 10–20 ms, so this much absorbs their steps
# against each other; when in two seconds it never was under HIGH, KEEP is what remains.
KEEP_SAMPLES: Final = SAMPLE_RATE * 20 // 1000
HIGH_SAMPLES: Final = SAMPLE_RATE * 40 // 1000
WATCH_S: Final = 2

# Nobody took or gave anything for so long: the oldest goes. The tick may be late by 200 ms (see clock.py).
FULL_SAMPLES: Final = SAMPLE_RATE * 240 // 1000

# Playing begins, and begins again after it ran dry, with this much in hand: two frames.
CUSHION_SAMPLES: Final = SAMPLE_RATE * 40 // 1000

# A card that neither asks nor delivers for so long is gone, even if it did not say so.
SILENT_S: Final = 3.0

BLOCK_SAMPLES: Final = SAMPLE_RATE // 100  # 10 ms a callback: 5 ms costs twice the CPU and gains 5 ms

# What PortAudio is asked to hold itself: three of our blocks. With less, PulseAudio underruns on a busy machine.
LATENCY_S: Final = 0.03

# A hostile or broken driver can block a call for ever; it must not block us.
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0

NO_PORTAUDIO: Final = (
    "the sound card needs the PortAudio library: sudo apt install libportaudio2 (or use --audio-in null and "
    "--audio-out null)"
)


class _Card:
    """One direction of a sound card: opens it, hears whether it is still there, closes it."""

    def __init__(self, direction: Direction, device: str | None, *, tick_samples: int) -> None:
        self._direction = direction
        self._device = device
        self._silent_ticks = 0
        self._max_silent_ticks = round(SILENT_S * SAMPLE_RATE / tick_samples)
        self._called = False
        self._finished = False
        self._abandoned = False
        self._stream: sounddevice._StreamBase | None = None
        self.noun = "microphone" if direction == "input" else "speaker"
        self.label = f"the {self.noun} {device}" if device else f"the default {self.noun}"

    async def open(self, callback: Callback) -> None:
        """Open the device and start it.

        Raises:
            AudioError: there is no PortAudio, no such device, or it cannot be used.
        """
        # A thread of its own: the default executor's could be waited for when the program ends.
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        failed: AudioError | None = None

        def run() -> None:
            nonlocal failed
            try:
                self._open(callback)
            except AudioError as error:
                failed = error
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(done.set)

        threading.Thread(target=run, name=f"open {self.noun}", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), OPEN_TIMEOUT_S)
        except TimeoutError:
            self._abandoned = True
            raise AudioError(f"{self.label} does not answer") from None
        except asyncio.CancelledError:
            self._abandoned = True
            raise
        if failed:
            raise failed
        if self._stream is None:  # a bug, which the thread has told: at least not silence that nobody explains
            raise AudioError(f"{self.label} could not be opened")

    def _open(self, callback: Callback) -> None:
        sounddevice = _import_sounddevice()
        try:
            self._open_stream(callback)
        except sounddevice.PortAudioError as error:
            if not self._names():
                raise AudioError(self._no_such_device()) from error
            raise AudioError(f"{self.label} cannot be used: {_portaudio_words(error)}") from error
        except ValueError as error:
            raise AudioError(self._no_such_device()) from error
        if self._abandoned:
            self._close_stream()

    def _open_stream(self, callback: Callback) -> None:
        import sounddevice

        found = sounddevice.query_devices(self._device, self._direction)
        kind = sounddevice.InputStream if self._direction == "input" else sounddevice.OutputStream
        for channels in (1, 2):  # a raw device may refuse mono
            try:
                stream = kind(
                    device=found["index"],
                    samplerate=SAMPLE_RATE,
                    channels=channels,
                    dtype="float32",
                    blocksize=BLOCK_SAMPLES,
                    latency=LATENCY_S,
                    callback=self._counting(callback),
                    finished_callback=self._on_finished,
                )
                break
            except sounddevice.PortAudioError:
                if channels == 2 or found[f"max_{self._direction}_channels"] < 2:
                    raise
        try:
            stream.start()
        except sounddevice.PortAudioError:
            stream.close(ignore_errors=True)
            raise
        self._stream = stream

    def _names(self) -> list[str]:
        import sounddevice

        return [str(d["name"]) for d in sounddevice.query_devices() if d[f"max_{self._direction}_channels"] > 0]

    def _no_such_device(self) -> str:
        names = self._names()
        if not names:
            return f"this machine has no {self.noun}: use null, a file or a command instead"
        listed = ", ".join(names[:10])
        if self._device is None:
            return f"this machine has no default {self.noun}: name one with device:NAME, of {listed}"
        return f"no single {self.noun} is called {self._device}; there are: {listed}"

    def _counting(self, callback: Callback) -> Callable[[NDArray[np.float32], int, object, object], None]:
        def run(data: NDArray[np.float32], frames: int, time: object, status: object) -> None:
            self._called = True
            callback(data)

        return run

    def _on_finished(self) -> None:
        self._finished = True

    def check(self) -> None:
        """To be called once a tick.

        Raises:
            AudioError: the device is gone.
        """
        if self._stream is None:
            return
        self._silent_ticks = 0 if self._called else self._silent_ticks + 1
        self._called = False
        if self._finished or self._silent_ticks > self._max_silent_ticks:
            raise AudioError(f"{self.label} has stopped: was it unplugged?")

    async def close(self) -> None:
        """Stop the device. A driver that does not let go is left to a daemon thread."""
        if self._stream is None:
            return
        thread = threading.Thread(target=self._close_stream, name=f"close {self.noun}", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, CLOSE_TIMEOUT_S)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


class SoundCardSource:
    """A microphone."""

    def __init__(self, device: str | None = None, *, frame_samples: int = FRAME_SAMPLES) -> None:
        self._card = _Card("input", device, tick_samples=frame_samples)
        self.label = self._card.label
        self.ended = False
        self.dropped_samples = 0
        self._frame_samples = frame_samples
        self._fifo = SampleFifo()
        self._watch = _watch(frame_samples)

    async def start(self) -> None:
        """Open the microphone.

        Raises:
            AudioError: there is none, or it cannot be used.
        """
        await self._card.open(self._on_audio)

    def _on_audio(self, data: NDArray[np.float32]) -> None:
        # PortAudio uses its buffer again at once, so this copy is needed; of two channels it is the mean.
        self._fifo.push(data[:, 0].copy() if data.shape[1] == 1 else data.mean(axis=1, dtype=np.float32))
        if self._fifo.level > FULL_SAMPLES:
            self.dropped_samples += self._fifo.shorten(KEEP_SAMPLES)

    def frame(self) -> Frame | None:
        """The newest 20 ms, or None when the card's are not complete yet.

        Raises:
            AudioError: the microphone is gone.
        """
        if self.ended:
            return None
        try:
            self._card.check()
        except AudioError:
            self.ended = True
            raise
        excess = self._watch.observe(self._fifo.level)
        if excess:
            self.dropped_samples += self._fifo.shorten(self._fifo.level - excess)
        return self._fifo.take(self._frame_samples)

    async def close(self) -> None:
        """Let go of the microphone."""
        self.ended = True
        await self._card.close()
        self._fifo.clear()


class SoundCardSink:
    """A speaker."""

    def __init__(self, device: str | None = None) -> None:
        self._card = _Card("output", device, tick_samples=FRAME_SAMPLES)
        self.label = self._card.label
        self.dropped_samples = 0
        self.underruns = 0
        self._fifo = SampleFifo()
        self._watch = _watch(FRAME_SAMPLES)
        self._playing = False
        self._failed = False

    async def start(self) -> None:
        """Open the speaker.

        Raises:
            AudioError: there is none, or it cannot be used.
        """
        await self._card.open(self._on_demand)

    def _on_demand(self, data: NDArray[np.float32]) -> None:
        if not self._playing and self._fifo.level >= CUSHION_SAMPLES:
            self._playing = True
        samples = self._fifo.take(len(data)) if self._playing else None
        if samples is None:
            self.underruns += self._playing
            self._playing = False
            data.fill(0)
        else:
            data[:] = samples[:, np.newaxis]

    def write(self, frame: Frame) -> None:
        """Play a frame.

        Raises:
            AudioError: the speaker is gone.
        """
        if self._failed:
            return
        try:
            self._card.check()
        except AudioError:
            self._failed = True
            raise
        excess = self._watch.observe(self._fifo.level)
        self._fifo.push(frame)
        if excess or self._fifo.level > FULL_SAMPLES:
            self.dropped_samples += self._fifo.shorten(self._fifo.level - excess if excess else CUSHION_SAMPLES)

    async def close(self) -> None:
        """Let go of the speaker."""
        self._failed = True
        await self._card.close()
        self._fifo.clear()


def _watch(frame_samples: int) -> BacklogWatch:
    window = round(WATCH_S * SAMPLE_RATE / frame_samples)
    # A card always keeps its own time, full buffer or not: "full" is out of reach.
    return BacklogWatch(high=HIGH_SAMPLES, keep=KEEP_SAMPLES, full=2 * FULL_SAMPLES + SAMPLE_RATE, window=window)


_importing: Final = threading.Lock()


def _import_sounddevice() -> ModuleType:
    """The library; its import looks for all devices of the machine, so it comes late and only once.

    Raises:
        AudioError: PortAudio is missing.
    """
    with _importing:
        if "sounddevice" not in sys.modules:
            mute_c_libraries()
        try:
            import sounddevice
        except OSError as error:
            raise AudioError(NO_PORTAUDIO) from error
        module: ModuleType = sounddevice
        return module


def _portaudio_words(error: Exception) -> str:
    # PortAudioError("Error opening InputStream: Invalid sample rate [PaErrorCode -9997]"): the middle is for people.
    text = str(error.args[0]) if error.args else str(error)
    return text.rpartition(": ")[2].partition(" [PaErrorCode")[0].strip().lower() or "PortAudio does not say why"


def mute_c_libraries() -> None:
    """Keep what PortAudio, ALSA and JACK print, on opening and when a device goes away, off the terminal. For good.

    They write to C's `stderr` variable, which the GNU library lets one point elsewhere; Python's own standard error
    is a descriptor and not touched. Without the GNU library nothing is done: there it may be read-only.
    """
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return
    except (ValueError, OSError):  # not a name that this system knows
        return
    import ctypes

    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    null = libc.fopen(os.fsencode(os.devnull), b"we")
    if null:
        ctypes.c_void_p.in_dll(libc, "stderr").value = null
