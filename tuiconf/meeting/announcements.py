"""Which announcement is due when. Pure; `now` is in seconds of the meeting's clock."""

from __future__ import annotations

from collections.abc import Sequence

from tuiconf.meeting.script import MINUTE_S, Announcement


class Announcements:
    """Those of one meeting. What a method gives is due now, in the order of the script, and is not given again."""

    def __init__(self, script: Sequence[Announcement]) -> None:
        self._script = script
        self._present_done: set[int] = set()
        self._timed: dict[int, float] = {}  # when that one is due next

    def at(self, when: str) -> list[Announcement]:
        """At a moment that comes once: joined, start."""
        return [what for what in self._script if what.when == when]

    def present(self, others: int) -> list[Announcement]:
        """So many others are here."""
        due = [
            number
            for number, what in enumerate(self._script)
            if what.when == "present" and others >= (what.participants or 1) and number not in self._present_done
        ]
        self._present_done.update(due)
        return [self._script[number] for number in due]

    def begin(self, *, now: float, end: float) -> None:
        """The meeting begins, and will be over then at the latest."""
        for number, what in enumerate(self._script):
            if what.when == "every":
                self._timed[number] = now + _seconds(what)
            elif what.when == "before_end":
                self._timed[number] = end - _seconds(what)

    def timed(self, now: float) -> list[Announcement]:
        """What has its time now. What was missed is announced once."""
        due = sorted(number for number, at in self._timed.items() if now >= at)
        for number in due:
            at = self._timed.pop(number)
            if self._script[number].when == "every":
                period = _seconds(self._script[number])
                self._timed[number] = at + period * ((now - at) // period + 1)
        return [self._script[number] for number in due]

    def next_time(self) -> float | None:
        """When `timed` has something."""
        return min(self._timed.values(), default=None)


def _seconds(what: Announcement) -> float:
    return (what.minutes or 0.0) * MINUTE_S
