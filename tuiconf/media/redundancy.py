"""Redundancy: a datagram carries a frame and chosen earlier ones, all as they were sealed.

Which frames to repeat matters more than how many: −1 and −3 survive bursts of three that −1 and −2 do not
(DESIGN.md §4). A repeated frame is byte for byte the one sent before, so the receiver's replay window drops it
when it was not needed, and nothing is ever sealed twice under one nonce.

A bundle is the frames, newest first, each behind a big-endian u16: how many frames back it is in the upper 4 bits
(0 for the first, then rising, at most 8), its length in the lower 12.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from relay_quic.wire import MAX_DATAGRAM_BYTES
from tuiconf.errors import LocalProtocolError, RemoteProtocolError

# What is left of a datagram behind the relay's prefix byte.
MAX_BUNDLE_BYTES: Final = MAX_DATAGRAM_BYTES - 1

# Three copies make four times the bit rate already. Also what one datagram can make a receiver try to open.
MAX_REPEATS: Final = 3
MAX_FRAMES: Final = 1 + MAX_REPEATS

# A copy 160 ms late is later than any jitter buffer should be deep.
MAX_OFFSET: Final = 8

_HEAD_BYTES: Final = 2
_OFFSET_SHIFT: Final = 12
_LENGTH_MASK: Final = (1 << _OFFSET_SHIFT) - 1


class BundleError(RemoteProtocolError):
    """A datagram from a peer is not a bundle."""

    code = "bundle"


class Bundler:
    """The sender's side: remembers the last sealed frames and repeats the chosen ones."""

    __slots__ = ("_frames", "_offsets")

    def __init__(self, offsets: tuple[int, ...] = ()) -> None:
        self._frames: deque[bytes] = deque(maxlen=MAX_OFFSET)  # newest first
        self.set_offsets(offsets)

    @property
    def offsets(self) -> tuple[int, ...]:
        """How many frames back the repeated ones are."""
        return self._offsets

    def set_offsets(self, offsets: tuple[int, ...]) -> None:
        """Repeat these from now on, such as (1, 3); () repeats nothing.

        Raises:
            LocalProtocolError: more than three, twice the same, or not within 1 to 8.
        """
        if len(offsets) > MAX_REPEATS or len(set(offsets)) != len(offsets):
            raise LocalProtocolError(f"up to {MAX_REPEATS} different frames can be repeated")
        if not all(1 <= offset <= MAX_OFFSET for offset in offsets):
            raise LocalProtocolError(f"a repeated frame is 1 to {MAX_OFFSET} frames back")
        self._offsets = tuple(sorted(offsets))

    def bundle(self, sealed_frame: bytes) -> bytes:
        """The datagram's payload for this frame; copies that do not fit are left out, oldest first.

        Raises:
            LocalProtocolError: the frame is empty or does not fit by itself.
        """
        size = len(sealed_frame)
        room = MAX_BUNDLE_BYTES - _HEAD_BYTES - size
        if not size or room < 0:
            raise LocalProtocolError("a sealed frame does not fit a datagram")
        newest = size.to_bytes(_HEAD_BYTES, "big") + sealed_frame
        if not self._offsets:
            self._frames.appendleft(sealed_frame)
            return newest
        parts = [newest]
        for offset in self._offsets:
            if offset > len(self._frames):
                break
            earlier = self._frames[offset - 1]
            room -= _HEAD_BYTES + len(earlier)
            if room < 0:
                break
            head = offset << _OFFSET_SHIFT | len(earlier)
            parts += (head.to_bytes(_HEAD_BYTES, "big"), earlier)
        self._frames.appendleft(sealed_frame)
        return b"".join(parts)

    def clear(self) -> None:
        """Forget what was sent, as after a pause: nobody waits for it any more."""
        self._frames.clear()


def unbundle(data: bytes) -> list[bytes]:
    """The sealed frames in a datagram's payload, newest first: 1 to 4.

    Raises:
        BundleError: it is not a bundle.
    """
    return [frame for _, frame in unbundle_with_offsets(data)]


def unbundle_with_offsets(data: bytes) -> list[tuple[int, bytes]]:
    """As `unbundle`, each with how many frames back it is. Nobody has vouched for these numbers but the relay.

    Raises:
        BundleError: it is not a bundle.
    """
    if not _HEAD_BYTES < len(data) <= MAX_BUNDLE_BYTES:
        raise BundleError("a bundle's size is not possible")
    if int.from_bytes(data[:_HEAD_BYTES], "big") == len(data) - _HEAD_BYTES:
        return [(0, data[_HEAD_BYTES:])]  # as long as nothing is lost, there is one frame
    frames: list[tuple[int, bytes]] = []
    at, least = 0, 0
    while at < len(data):
        start = at + _HEAD_BYTES
        head = int.from_bytes(data[at:start], "big")
        offset, at = head >> _OFFSET_SHIFT, start + (head & _LENGTH_MASK)
        if start >= at or at > len(data):
            raise BundleError("a frame in a bundle is empty or cut off")
        if not least <= offset <= (MAX_OFFSET if frames else 0) or len(frames) == MAX_FRAMES:
            raise BundleError("a bundle's frames are too many or out of order")
        frames.append((offset, data[start:at]))
        least = offset + 1
    return frames


# --- how much to repeat

# A report says how the last second or so was; after this it says nothing about now.
REPORT_LIFETIME_S: Final = 10.0

# More loss than these starts repeating; it goes on until the loss has been below half of it for HOLD_S.
LOSS_FOR_ONE: Final = 0.02
LOSS_FOR_TWO: Final = 0.05
LOSS_FOR_TWO_IN_BURSTS: Final = 0.02
BURST_FRAMES: Final = 1.5
HOLD_S: Final = 8.0

# As many as a room has members at most; a report more from someone else replaces the oldest.
MAX_RECEIVERS: Final = 1024

_LADDER: Final[tuple[tuple[int, ...], ...]] = ((), (1,), (1, 3))


@dataclass(frozen=True, slots=True)
class _Report:
    at: float
    loss: float
    bursty: bool

    def level(self, relief: float) -> int:
        """The rung of the ladder this loss asks for, with every threshold times `relief`."""
        if self.loss > LOSS_FOR_TWO * relief or (self.bursty and self.loss > LOSS_FOR_TWO_IN_BURSTS * relief):
            return 2
        return int(self.loss > LOSS_FOR_ONE * relief)


class RedundancyPolicy:
    """Which frames a sender repeats, from what its receivers report. Pure.

    The receiver that is worst off decides; what it can ask for is bounded by the ladder, so a liar costs at
    most three times the bit rate.
    """

    __slots__ = ("_forced", "_level", "_needed_at", "_reports")

    def __init__(self, *, forced: tuple[int, ...] | None = None) -> None:
        """`forced` is repeated whatever is reported; None decides by reports."""
        self._forced = forced
        self._reports: dict[int, _Report] = {}
        self._level = 0
        self._needed_at = -math.inf  # when the present level was last asked for

    def report(self, receiver: int, loss: float, *, now: float, burst_frames: float | None = None) -> None:
        """`receiver` (a leaf) lost this fraction of the datagrams, in runs of `burst_frames` on average if known."""
        self._reports.pop(receiver, None)  # so that the dict stays in the order of the reports
        if len(self._reports) >= MAX_RECEIVERS:
            del self._reports[next(iter(self._reports))]
        bursty = burst_frames is not None and burst_frames >= BURST_FRAMES
        self._reports[receiver] = _Report(now, min(max(loss, 0.0), 1.0), bursty)

    def forget(self, receiver: int) -> None:
        """`receiver` has left."""
        self._reports.pop(receiver, None)

    def offsets(self, *, now: float) -> tuple[int, ...]:
        """What to repeat now: () or (1,) or (1, 3), unless forced."""
        if self._forced is not None:
            return self._forced
        self._expire(now)
        wanted = max((report.level(1.0) for report in self._reports.values()), default=0)
        kept = max((report.level(0.5) for report in self._reports.values()), default=0)
        if wanted > self._level:
            self._level = wanted
        if max(wanted, kept) >= self._level:
            self._needed_at = now
        elif now - self._needed_at >= HOLD_S:
            self._level, self._needed_at = self._level - 1, now
        return _LADDER[self._level]

    def _expire(self, now: float) -> None:
        while self._reports:
            oldest = next(iter(self._reports))
            if now - self._reports[oldest].at < REPORT_LIFETIME_S:
                return
            del self._reports[oldest]
