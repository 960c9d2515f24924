"""Whether anything is to be heard in a meeting. Pure; `now` is in seconds of the meeting's clock."""

from __future__ import annotations

from tuiconf.control.events import AudioStats, Event, Reconnected, Reconnecting


class Hearing:
    """Since when nothing is to be heard: nobody speaks, and nothing is announced."""

    def __init__(self) -> None:
        self._since = 0.0
        self._announcing = 0
        self._connected = True
        self._spoke_s: dict[int, float] = {}

    @property
    def silent_since(self) -> float | None:
        """None: there is something, or it cannot be known, as the relay is out of reach."""
        return self._since if self._connected and not self._announcing else None

    def happened(self, event: Event, now: float) -> None:
        """What tells of sound."""
        match event:
            case AudioStats(streams=streams):
                if any(stream.spoke_s > self._spoke_s.get(stream.leaf, 0.0) for stream in streams):
                    self.heard(now)
                self._spoke_s = {stream.leaf: stream.spoke_s for stream in streams}
            case Reconnecting():
                self._connected = False
            case Reconnected():
                self._connected = True
                self.heard(now)

    def heard(self, now: float) -> None:
        """There was something, or nothing was expected so far."""
        self._since = now

    def announcing(self, count: int) -> None:
        """So many more announcements are about to be played."""
        self._announcing += count

    def announced(self, now: float) -> None:
        """One of them is over."""
        self._announcing = max(0, self._announcing - 1)
        self.heard(now)
