"""The tracks of a recording as one: each decoded, put where it belongs, and summed. Pure but for libopus.

It is made of the tracks and not of what the recorder heard: so it lines up with them, its own user is in it, and
nobody is who may not be recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from tuiconf.media.alignment import Placed
from tuiconf.media.mixer import limit
from tuiconf.media.ogg_opus import SLOT_SAMPLES
from tuiconf.media.opus import Decoder, Encoder, Opus, OpusError, Pcm

# Fine speech of several people in 22 MB an hour: it has been through the call's own 32 kb/s already.
BIT_RATE: Final = 48_000

# Concealed at most, as in a call: longer continuations are a drone.
CONCEALED_SLOTS: Final = 10

# What lies farther ahead of what was taken is not kept (10 s, 2 MB): nobody's frames are placed in the future.
MAX_AHEAD_SLOTS: Final = 1000

FRAME_SLOTS: Final = 2


class Mixdown:
    """Sums tracks. `add` in any order of tracks, `take` what is old enough to have come from all of them."""

    def __init__(self, opus: Opus) -> None:
        self._opus = opus
        self._encoder = Encoder(opus, bitrate=BIT_RATE)
        self._decoders: dict[int, Decoder] = {}
        self._ends: dict[int, int] = {}
        self._sums: dict[int, Pcm] = {}
        self._position = 0

    def add(self, track: int, placed: Placed) -> None:
        """A track's next packet. One that cannot be decoded is silence, as it is in a call."""
        decoder = self._decoders.get(track)
        if decoder is None:
            decoder = self._decoders[track] = Decoder(self._opus, frame_ms=placed.slots * 10)
        try:
            self._conceal(track, decoder, placed)
            self._sum(placed.slot, decoder.decode(placed.packet))
        except OpusError:
            pass
        self._ends[track] = placed.slot + placed.slots

    def forget(self, track: int) -> None:
        """Its sound is over, or for long."""
        self._decoders.pop(track, None)
        self._ends.pop(track, None)

    def take(self, until: int) -> Iterator[tuple[int, bytes]]:
        """Slots and packets of 20 ms up to `until`; between them is silence."""
        end = until // FRAME_SLOTS * FRAME_SLOTS
        while (sounding := min(self._sums, default=end)) < end:
            self._position = sounding // FRAME_SLOTS * FRAME_SLOTS
            yield self._position, self._encoder.encode(limit(self._frame()))
            self._position += FRAME_SLOTS
        self._position = max(self._position, end)

    def _conceal(self, track: int, decoder: Decoder, placed: Placed) -> None:
        end = self._ends.get(track, placed.slot)
        until = min(placed.slot, end + min(placed.lost * placed.slots, CONCEALED_SLOTS))
        for slot in range(end, until - placed.slots + 1, placed.slots):
            self._sum(slot, decoder.conceal())

    def _sum(self, slot: int, pcm: Pcm) -> None:
        for at, part in enumerate(pcm.reshape(-1, SLOT_SAMPLES), slot):
            if self._position <= at < self._position + MAX_AHEAD_SLOTS:
                known = self._sums.get(at)
                self._sums[at] = part.copy() if known is None else known + part

    def _frame(self) -> Pcm:
        silence = np.zeros(SLOT_SAMPLES, np.float32)
        return np.concatenate(
            [self._sums.pop(slot, silence) for slot in range(self._position, self._position + FRAME_SLOTS)]
        )
