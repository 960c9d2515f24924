"""What a participant sends: its input, or what of it is speech, and whatever is played or streamed beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final

from tuiconf.adapters.audio import FRAME_SAMPLES, AudioError, Source
from tuiconf.adapters.audio.null import NullSource
from tuiconf.media.mixer import mix
from tuiconf.media.opus import Pcm
from tuiconf.media.voice_gate import VoiceGate

# What a script may be ahead with: half a second. More would be what is still heard after it was told to stop.
MAX_STREAM_FRAMES: Final = 25

# Scripts that send sound at once: each is mixed in every tick.
MAX_STREAMS: Final = 8


class Stream:
    """Frames that a script sends, taken one each 20 ms."""

    def __init__(self) -> None:
        self._frames: deque[Pcm] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def put(self, frame: Pcm) -> None:
        """Add a frame, once there is room for it."""
        await self._room.wait()
        self._frames.append(frame)
        self._empty.clear()
        if len(self._frames) >= MAX_STREAM_FRAMES:
            self._room.clear()

    async def sent(self) -> None:
        """Wait until all that was put has been taken."""
        await self._empty.wait()

    def take(self) -> Pcm | None:
        """The frame that is due; None when the script has none ready."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._room.set()
        if not self._frames:
            self._empty.set()
        return frame


class Outgoing:
    """`on_played(path, finished)` is called when what was played is over."""

    def __init__(self, on_played: Callable[[str, bool], None]) -> None:
        self._on_played = on_played
        self._input: Source = NullSource()  # until the call's own is open
        self._played: tuple[str, Source] | None = None
        self._streams: list[Stream] = []
        self._changing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._gate: VoiceGate | None = None
        self._is_awaited = True  # the call's own is yet to come, unless another is set before
        self.input_name = ""
        self.gain_db = 0.0
        self.muted = False
        self.push_to_talk = False
        self.deafened = False
        self.held_back = False
        """Whoever is to decide about the microphone is not there yet."""

    @property
    def live(self) -> bool:
        """Whether what there is to send is sent. Whoever hears nothing would talk into a conversation.

        With `voice_activation`, what there is of the input is its speech.
        """
        return (not self.muted or self.push_to_talk) and not (self.deafened or self.held_back)

    @property
    def voice_activation(self) -> bool:
        """Whether only speech of the input is sent, and silence in between. Not while a talk key is down."""
        return self._gate is not None

    @voice_activation.setter
    def voice_activation(self, on: bool) -> None:
        if on is not self.voice_activation:
            self._gate = VoiceGate(frame_samples=FRAME_SAMPLES) if on else None

    @property
    def idle(self) -> bool:
        """Whether there is nothing that could be sent."""
        return self._played is None and not self._streams and isinstance(self._input, NullSource)

    @property
    def input_ended(self) -> Source | None:
        """The input, if it has ended."""
        return self._input if self._input.ended else None

    async def set_input(self, source: Source, name: str) -> None:
        """Send this from now on, in place of the present input.

        Raises:
            AudioError: it cannot be opened; the present one goes on.
        """
        async with self._changing:
            await self._put_input(source, name)

    def await_input(self, name: str) -> None:
        """What `set_awaited_input` will set is called that, if it is still to be set."""
        if self._is_awaited:
            self.input_name = name

    def await_another(self) -> None:
        """Whatever was set so far was to try it out."""
        self._is_awaited = True

    async def set_awaited_input(self, source: Source, name: str) -> None:
        """As `set_input`, for the call's own; not where another was set before: who chose silence must not be heard.

        Raises:
            AudioError: as `set_input`.
        """
        async with self._changing:
            if self._is_awaited:
                await self._put_input(source, name)

    async def _put_input(self, source: Source, name: str) -> None:
        await source.start()
        before, self._input, self.input_name = self._input, source, name
        self._is_awaited = False
        await before.close()

    async def play(self, source: Source, path: str) -> None:
        """Send this beside the input, in place of what was being played.

        Raises:
            AudioError: it cannot be opened; what is being played goes on.
        """
        async with self._changing:
            await source.start()
            self.stop_playing()
            self._played = path, source

    def stop_playing(self) -> bool:
        """Send no more of what is played; False when nothing was."""
        return self._end_played(finished=False)

    @property
    def streams_free(self) -> bool:
        """Whether one more script may send sound."""
        return len(self._streams) < MAX_STREAMS

    def open_stream(self) -> Stream:
        """A stream for a script. Only while there are `streams_free`."""
        stream = Stream()
        self._streams.append(stream)
        return stream

    def close_stream(self, stream: Stream) -> None:
        """Nothing more comes of it."""
        self._streams.remove(stream)

    def frame(self) -> Pcm | None:
        """The frame that is due, or None: nothing is to be sent. To be called every 20 ms, also while muted.

        Raises:
            AudioError: a source has failed. It is raised once, and then that source has ended.
        """
        own = self._frame_to_send()
        frames = [
            frame for frame in (self._played_frame(), *(stream.take() for stream in self._streams)) if frame is not None
        ]
        if not self.live or (own is None and not frames):
            return None
        if own is not None:
            frames.append(own)
        return frames[0] if len(frames) == 1 else mix(frames)

    def own_frame(self) -> Pcm | None:
        """The input's frame that is due, muted or not: to be measured, and not to be sent. Instead of `frame`.

        Raises:
            AudioError: the input has failed. It is raised once.
        """
        own = self._input.frame()
        return mix([own], gains=[10 ** (self.gain_db / 20)]) if own is not None and self.gain_db else own

    def _frame_to_send(self) -> Pcm | None:
        """What of the input there is to send. Whoever holds a key down decides themselves what is speech."""
        own = self.own_frame()
        if own is None or self._gate is None:
            return own
        if self.live and not self.push_to_talk:
            return self._gate.frame(own)
        self._gate.hear(own)
        return own

    async def close(self) -> None:
        """Let go of everything.

        Raises:
            AudioError: the input could not be closed well.
        """
        self.stop_playing()
        await asyncio.gather(*self._closing)
        await self._input.close()

    def _played_frame(self) -> Pcm | None:
        if self._played is None:
            return None
        _, source = self._played
        try:
            frame = source.frame()
        except AudioError:
            self._end_played(finished=False)
            raise
        if source.ended and frame is None:
            self._end_played(finished=True)
        return frame

    def _end_played(self, *, finished: bool) -> bool:
        if self._played is None:
            return False
        (path, source), self._played = self._played, None
        closing = asyncio.get_running_loop().create_task(_close_played(source))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._on_played(path, finished)
        return True


async def _close_played(source: Source) -> None:
    """How a command ends that is no longer heard is nobody's concern."""
    with contextlib.suppress(AudioError):
        await source.close()
