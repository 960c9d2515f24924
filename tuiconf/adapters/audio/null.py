"""Nothing in, nothing out: a participant without audio is normal."""

from __future__ import annotations

from tuiconf.adapters.audio.base import Frame


class NullSource:
    """Never has anything to send, and never ends."""

    label = "no microphone"
    ended = False

    async def start(self) -> None:
        """Nothing to open."""

    def frame(self) -> Frame | None:
        """Always None."""
        return None

    async def close(self) -> None:
        """Nothing to let go of."""


class NullSink:
    """Hears everything and keeps nothing."""

    label = "no speaker"

    async def start(self) -> None:
        """Nothing to open."""

    def write(self, frame: Frame) -> None:
        """Drop it."""

    async def close(self) -> None:
        """Nothing to let go of."""
