"""A track as a row of files: packets one after the other on the recording's time line, cut into parts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from tuiconf.adapters.recording.folder import Folder, PartFile
from tuiconf.adapters.recording.sidecar import Part
from tuiconf.media.ogg_opus import (
    PRE_ROLL_SLOTS,
    PRE_SKIP,
    SILENCE_10_MS,
    SILENCE_20_MS,
    SLOT_S,
    SLOT_SAMPLES,
    OggOpus,
    segments,
)

SUFFIX: Final = ".opus"

# What a page header costs each packet at most, when it is one of three in its page; and what the last page takes.
_HEADER_SHARE: Final = 9
_LAST_PAGE_BYTES: Final = 64

_NO_LIMIT: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where parts end; None is nowhere."""

    slots: int | None
    size: int | None

    @classmethod
    def of(cls, split_s: float | None, split_bytes: int | None) -> Split:
        """As the user says it."""
        return cls(slots=None if split_s is None else round(split_s / SLOT_S), size=split_bytes)


class Reel:
    """One track's files. Time is in slots of 10 ms; `end` is where the next packet goes.

    Every method that writes raises OSError when the disk is full, or the like.
    """

    def __init__(
        self, folder: Folder, *, stem: str, title: str, serial: int, split: Split, pre_skip: int = PRE_SKIP
    ) -> None:
        self.end = 0
        self.parts: list[Part] = []
        self._folder = folder
        self._stem = stem
        self._title = title
        self._serial = serial
        self._split = split
        self._pre_skip = pre_skip
        self._ogg: OggOpus | None = None
        self._file: PartFile | None = None
        self._recent: deque[tuple[bytes, int]] = deque(maxlen=PRE_ROLL_SLOTS)

    @property
    def is_open(self) -> bool:
        """Whether a file of it is."""
        return self._file is not None

    def put(self, packet: bytes, slots: int, count: int = 1) -> None:
        """Add a packet, `count` times."""
        while count:
            ogg, file = self._opened()
            fitting = min(count, self._room_in_time(slots), self._room_in_bytes(ogg, packet))
            if fitting <= 0:
                self._close_part()
                continue
            file.append(ogg.add(packet, slots * SLOT_SAMPLES, fitting))
            self._recent.extend([(packet, slots)] * min(fitting, PRE_ROLL_SLOTS))
            self.end += slots * fitting
            self.parts[-1].samples += slots * fitting * SLOT_SAMPLES
            count -= fitting

    def silence(self, until: int) -> None:
        """Nothing is heard until then. Parts in which nothing would be are not written."""
        if until <= self.end:
            return
        beginning = 0 if self._split.slots is None else until // self._split.slots * self._split.slots
        if beginning > self.end:
            self.close()
            self.end = beginning
        elif self.parts and not self.is_open:
            self.end = until
        self.put(SILENCE_20_MS, 2, (until - self.end) // 2)
        self.put(SILENCE_10_MS, 1, (until - self.end) % 2)

    def flush(self) -> None:
        """Write the page begun: nothing may come for long."""
        if self._ogg is not None and self._file is not None:
            self._file.append(self._ogg.flush())

    def save(self) -> None:
        """Keep what was added from being lost to a kill, as far as the files can."""
        if self._file is not None:
            self._file.save()

    def close(self) -> None:
        """Finish the file that is open. What is put afterwards begins another, without memory of this one."""
        self._close_part()
        self._recent.clear()

    def _opened(self) -> tuple[OggOpus, PartFile]:
        if self._ogg is None or self._file is None:
            self._ogg, self._file = self._begin_part()
        return self._ogg, self._file

    def _begin_part(self) -> tuple[OggOpus, PartFile]:
        """A part that begins amid sound repeats the last moments of the one before for the decoder, unheard."""
        number = len(self.parts) + 1
        name = (self._stem if number == 1 else f"{self._stem}-{number}") + SUFFIX
        pre_roll = self._pre_roll()
        pre_skip = self._pre_skip + sum(slots for _, slots in pre_roll) * SLOT_SAMPLES
        ogg = OggOpus(serial=self._serial, title=self._title, pre_skip=pre_skip)
        file = self._folder.create(name)
        file.append(ogg.head)
        for packet, slots in pre_roll:
            file.append(ogg.add(packet, slots * SLOT_SAMPLES))
        self.parts.append(Part(file=name, start_s=round(self.end * SLOT_S, 3), start_sample=self.end * SLOT_SAMPLES))
        return ogg, file

    def _pre_roll(self) -> list[tuple[bytes, int]]:
        chosen: list[tuple[bytes, int]] = []
        for packet, slots in reversed(self._recent):
            if sum(known for _, known in chosen) < PRE_ROLL_SLOTS:
                chosen.insert(0, (packet, slots))
        return chosen

    def _room_in_time(self, slots: int) -> int:
        """How many packets of so many slots begin before the part ends."""
        if self._split.slots is None:
            return _NO_LIMIT
        begun = self.parts[-1].start_sample // SLOT_SAMPLES
        boundary = (begun // self._split.slots + 1) * self._split.slots
        return -(-(boundary - self.end) // slots)

    def _room_in_bytes(self, ogg: OggOpus, packet: bytes) -> int:
        if self._split.size is None:
            return _NO_LIMIT
        return (self._split.size - ogg.size - _LAST_PAGE_BYTES) // (len(packet) + segments(packet) + _HEADER_SHARE)

    def _close_part(self) -> None:
        ogg, file = self._ogg, self._file
        self._ogg = self._file = None
        if ogg is None or file is None:
            return
        try:
            file.append(ogg.finish(self._pre_skip))
        finally:
            file.close()
