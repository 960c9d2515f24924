"""A sound card that is used if there is one: a call without is normal, and only has to be told."""

from __future__ import annotations

from collections.abc import Callable

from tuiconf.adapters.audio.base import AudioError, Frame, Sink, Source
from tuiconf.adapters.audio.null import NullSink, NullSource

Say = Callable[[str], None]


class OptionalSource:
    """`source`, or silence when it cannot be opened."""

    def __init__(self, source: Source, say: Say) -> None:
        self._source = source
        self._say = say
        self.label = source.label

    @property
    def ended(self) -> bool:
        """No frame will come any more."""
        return self._source.ended

    async def start(self) -> None:
        """Open it, or say that nothing will be sent."""
        try:
            await self._source.start()
        except AudioError as error:
            self._say(f"{error}; nothing of you will be heard")
            self._source = NullSource()
            self.label = self._source.label

    def frame(self) -> Frame | None:
        """As the source's."""
        return self._source.frame()

    async def close(self) -> None:
        """As the source's."""
        await self._source.close()


class OptionalSink:
    """`sink`, or nothing when it cannot be opened."""

    def __init__(self, sink: Sink, say: Say) -> None:
        self._sink = sink
        self._say = say
        self.label = sink.label

    async def start(self) -> None:
        """Open it, or say that nothing will be heard."""
        try:
            await self._sink.start()
        except AudioError as error:
            self._say(f"{error}; you will hear nothing")
            self._sink = NullSink()
            self.label = self._sink.label

    def write(self, frame: Frame) -> None:
        """As the sink's."""
        self._sink.write(frame)

    async def close(self) -> None:
        """As the sink's."""
        await self._sink.close()
