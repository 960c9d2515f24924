"""One participant's track: packets are placed, gaps between them filled, and the files written."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Final

from tuiconf.adapters.recording.reel import Reel
from tuiconf.adapters.recording.sidecar import Gap, Participant, Sidecar
from tuiconf.media.alignment import HOLD_S, Aligner, Placed
from tuiconf.media.ogg_opus import SLOT_S, SLOT_SAMPLES
from tuiconf.media.opus_packet import concealment, frame_samples

# Lost frames are made up by the player's decoder for so long, as in a call; after that there is silence.
CONCEALED_SLOTS: Final = 10

# A sender's hiccup: two frames without a sound would be heard as clicks. Who pauses for longer means it.
HICCUP_SLOTS: Final = 4

# A page is written, however little is in it, when nothing has come for so long.
IDLE_S: Final = 1.0


class Track:
    """Sound of one participant, from joining to leaving. Times are seconds since the recording began."""

    def __init__(self, participant: Participant, reel: Reel, sidecar: Sidecar) -> None:
        self.participant = participant
        self.reel = reel
        self.written_at = 0.0
        self._sidecar = sidecar
        self._aligner = Aligner()
        self._toc = 0
        participant.parts = reel.parts

    def push(self, counter: int, packet: bytes, at: float) -> None:
        """A frame that came."""
        self._aligner.push(counter, packet, at=at)

    def told(self, counter: int, captured: float, at: float) -> None:
        """What the sender's report says."""
        self._aligner.told(counter, captured, at=at)

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return self._aligner.waiting

    def advance(self, now: float) -> list[Placed]:
        """Write what is due, and return it.

        Raises:
            OSError: the disk is full, or the like.
        """
        placed = self._write(until=now - HOLD_S)
        if placed:
            self.written_at = now
        elif now - self.written_at > IDLE_S:
            self.reel.flush()
        return placed

    def finish(self) -> list[Placed]:
        """Write all that came, and return it.

        Raises:
            OSError: the disk is full, or the like.
        """
        return self._write(until=math.inf)

    def _write(self, *, until: float) -> list[Placed]:
        placed = self._aligner.take(until=until)
        for packet in placed:
            self._bridge(packet)
            self.reel.put(packet.packet, packet.slots)
            self._toc = packet.packet[0]
            self.participant.frames += 1
        if placed:
            self._describe(placed)
        return placed

    def _bridge(self, packet: Placed) -> None:
        """Fill what is between the end and the packet: a player would otherwise close the gap."""
        gap = packet.slot - self.reel.end
        self.participant.frames_lost += packet.lost if gap > 0 else 0
        if gap > 0 and self.participant.frames:
            self._list_gap(packet)
            if self.reel.is_open:
                self._conceal(min(gap, packet.lost * packet.slots if packet.lost else gap * (gap <= HICCUP_SLOTS)))
        self.reel.silence(packet.slot)

    def _conceal(self, slots: int) -> None:
        length = frame_samples(self._toc) // SLOT_SAMPLES
        if length:
            self.reel.put(concealment(self._toc), length, min(slots, CONCEALED_SLOTS) // length)

    def _list_gap(self, packet: Placed) -> None:
        reason = "lost" if packet.lost else "silent"
        gap = Gap(from_s=round(self.reel.end * SLOT_S, 3), to_s=round(packet.slot * SLOT_S, 3), reason=reason)
        self._sidecar.gap(self.participant, gap)

    def _describe(self, placed: list[Placed]) -> None:
        about, delay = self.participant, self._aligner.delay_s
        if about.first_s is None:
            about.first_s = round(placed[0].slot * SLOT_S, 3)
        about.last_s = round((placed[-1].slot + placed[-1].slots) * SLOT_S, 3)
        about.aligned_by = "arrival" if delay is None else "clock"
        about.delay_ms = None if delay is None else round(delay * 1000, 1)
        about.frames_refused = {reason: count for reason, count in asdict(self._aligner.refused).items() if count}
