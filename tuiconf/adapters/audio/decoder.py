"""Decoding a file that PyAV reads, in a thread of its own, a bounded time ahead of what is played."""

from __future__ import annotations

import contextlib
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tuiconf.adapters.audio.base import SAMPLE_RATE, AudioError, Frame
from tuiconf.adapters.audio.fifo import SampleFifo

if TYPE_CHECKING:
    import av

# Two seconds, 384 kB: rides out a slow disk. More only costs memory.
AHEAD_SAMPLES: Final = 2 * SAMPLE_RATE

# Real ones are within; at 1 Hz a file of some kilobytes would become gigabytes at 48 kHz.
MIN_RATE: Final = 2_000
MAX_RATE: Final = 768_000

# A loop opens the file anew each time: a shorter one would keep a core busy with that alone.
MIN_LOOP_SAMPLES: Final = SAMPLE_RATE // 20

# A loop of up to 20 s is decoded once and kept, 4 MB: decoding speech over and over costs a participant as much CPU as
# hearing somebody. Doubling it doubles the memory; what is longer is decoded again each time.
KEPT_SAMPLES: Final = 20 * SAMPLE_RATE

# Ten seconds and more of nothing but damage: such a file is at its end, however long it goes on. Each packet costs
# microseconds, so a larger number would only cost time on a file of gigabytes.
MAX_BROKEN_PACKETS: Final = 500

# Formats that are lists of other files, or of none at all: a playlist somebody sent must not make us read, and say
# aloud into a call, what it names.
REFERRING_FORMATS: Final = frozenset(
    (
        "concat",
        "concatf",
        "dash",
        "ffmetadata",
        "hls",
        "imf",
        "lavfi",
        "rtp",
        "rtsp",
        "sap",
        "sdp",
        "webm_dash_manifest",
    )
)


class FileDecoder:
    """Fills `fifo` with the file's first audio stream, mixed down to mono at 48 kHz."""

    def __init__(self, path: Path, *, loop: bool) -> None:
        self.fifo = SampleFifo()
        self.failed: AudioError | None = None
        self.finished = False
        self._path = path
        self._loop = loop
        self._kept: Frame | None = None  # the whole file, when it is a short loop
        self._room = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="audio file", daemon=True)

    def start(self, *, on_ready: Callable[[], None]) -> None:
        """Begin. `on_ready` is called once, in the thread, when there is something to play, or never will be."""
        self._on_ready = on_ready
        self._thread.start()

    def consumed(self) -> None:
        """To be called after taking from `fifo`."""
        if self.fifo.level < AHEAD_SAMPLES // 2:
            with self._room:
                self._room.notify()

    def stop(self) -> None:
        """Ask the thread to end; it is not waited for."""
        with self._room:
            self._stopping = True
            self._room.notify()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread. A decoder stuck in a hostile file is left behind: the thread is a daemon."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        import av

        try:
            while True:
                samples = self._decode_once()
                if not samples:
                    raise AudioError(f"{self._path} has an audio track without any audio in it")
                if not self._loop or self._stopping:
                    break
                if samples < MIN_LOOP_SAMPLES:
                    raise AudioError(f"{self._path} is too short to be played over and over")
        except AudioError as error:
            self.failed = error
        except av.error.FFmpegError:
            # Its numbers mean what FFmpeg makes them mean: "operation not permitted" is a bad header.
            self.failed = AudioError(f"{self._path} is damaged, or not audio that can be decoded")
        except (OSError, ValueError, MemoryError) as error:
            self.failed = AudioError(f"{self._path} cannot be played: {reason(error)}")
        finally:
            self.finished = True
            self._announce()

    def _decode_once(self) -> int:
        if self._kept is not None:
            self._put(self._kept)
            return len(self._kept)
        samples, kept = 0, list[Frame]()
        with contextlib.closing(decode(self._path)) as blocks:
            for block in blocks:
                samples += len(block)
                if self._loop and samples <= KEPT_SAMPLES:
                    kept.append(block)
                if not self._put(block):
                    break
        if self._loop and 0 < samples <= KEPT_SAMPLES:
            self._kept = np.concatenate(kept)
        return samples

    def _put(self, block: Frame) -> bool:
        self.fifo.push(block)
        self._announce()
        with self._room:
            while self.fifo.level >= AHEAD_SAMPLES and not self._stopping:
                self._room.wait()
            return not self._stopping

    def _announce(self) -> None:
        on_ready, self._on_ready = self._on_ready, lambda: None
        on_ready()


def decode(path: Path) -> Generator[Frame]:
    """The file's first audio stream in mono blocks at 48 kHz, decoded as they are asked for.

    Raises:
        AudioError: it is not audio.
        FFmpegError, OSError, ValueError: it cannot be read.
    """
    import av

    check_readable(path)
    # PyAV up to 18 fails on tags that are not UTF-8, unless told not to. From 19 on it does not, and cannot be told.
    tolerant: dict[str, Any] = {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
    try:
        # `file:` and the whitelists: whatever its name or content, only this one local file is ever opened.
        container = av.open(
            f"file:{path}",
            options={
                "protocol_whitelist": "file",
                "format_whitelist": ",".join(sorted(av.formats_available - REFERRING_FORMATS)),
            },
            **tolerant,
        )
    except av.error.FFmpegError as error:  # it was readable just now, so it is its content
        raise AudioError(f"{path} is not an audio file that can be read") from error
    with container:
        if not container.streams.audio:
            raise AudioError(f"{path} has no audio track")
        codec = container.streams.audio[0].codec_context
        if codec is None:
            raise AudioError(f"{path} holds a kind of audio that cannot be decoded")
        if not MIN_RATE <= codec.sample_rate <= MAX_RATE:
            raise AudioError(f"{path} has a sample rate of {codec.sample_rate} Hz, which is not one of audio")
        yield from _resampled(_frames(container))


def _frames(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """Every frame that decodes: a damaged packet costs itself only, and a file that breaks off ends there."""
    import av

    stream = container.streams.audio[0]
    packets = container.demux(stream)
    broken = 0
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            return
        if packet is None:
            return
        try:
            frames = stream.codec_context.decode(packet if packet.size else None)
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            broken += 1
            if broken > MAX_BROKEN_PACKETS:
                return
            continue
        if frames:
            broken = 0
        yield from frames


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[Frame]:
    """Mono blocks at 48 kHz. A file may change its rate or channels in the middle, a resampler may not."""
    import av

    shape, resampler = None, None
    for frame in frames:
        if not MIN_RATE <= frame.sample_rate <= MAX_RATE:
            continue
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or now != shape:
            if resampler is not None:
                yield from _blocks(resampler, None)
            shape, resampler = now, av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        yield from _blocks(resampler, frame)
    if resampler is not None:
        yield from _blocks(resampler, None)


def _blocks(resampler: av.AudioResampler, decoded: av.AudioFrame | None) -> Iterator[Frame]:
    for frame in resampler.resample(decoded):
        yield np.ascontiguousarray(frame.to_ndarray()[0], dtype=np.float32)


def check_readable(path: Path) -> None:
    """Refuse what cannot be read, would block, or never end.

    Raises:
        AudioError: the path is not a readable regular file.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
    except OSError as error:
        raise AudioError(f"{path} cannot be opened: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path} is a folder, not an audio file")
    if not stat.S_ISREG(mode):
        raise AudioError(f"{path} is not a regular file: pipe it in, with - as the audio input")


def reason(error: BaseException) -> str:
    """Why, in the system's own words and without its numbers."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:1].lower() + str(text)[1:200]
