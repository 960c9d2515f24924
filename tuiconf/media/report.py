"""What a participant tells the others about its sound: the payload of the REPORT stream, and what it counts.

A report is, big-endian: u8 version (1); u64 `counter`; u64 `wall_time_us`; and for each sender u16 leaf, u32
received, u32 lost. It is sealed like a frame, so the relay learns only that there is one and its size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tuiconf.errors import LocalProtocolError, RemoteProtocolError

VERSION: Final = 1

# A report goes to everybody in one datagram, once a second: the senders heard lately are few.
MAX_LOSSES: Final = 16

# The leaf index has 12 bits in an SFrame KID here.
MAX_LEAF: Final = (1 << 12) - 1

_HEAD: Final = struct.Struct(">BQQ")
_LOSS: Final = struct.Struct(">HII")
_U32_MAX: Final = (1 << 32) - 1
_U64_MAX: Final = (1 << 64) - 1


class ReportError(RemoteProtocolError):
    """A peer's report is malformed."""

    code = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What came from one sender since the last report: frames, not counting repeated ones."""

    leaf: int
    received: int
    lost: int

    @property
    def fraction(self) -> float:
        """The lost part of what was sent, 0 to 1."""
        sent = self.received + self.lost
        return self.lost / sent if sent else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The sender's frame `counter` was captured at `wall_time_us` (Unix time); `losses` of those it hears."""

    counter: int
    wall_time_us: int
    losses: tuple[Loss, ...] = ()

    def encode(self) -> bytes:
        """The bytes to seal.

        Raises:
            LocalProtocolError: too many losses, or a number out of range.
        """
        if len(self.losses) > MAX_LOSSES:
            raise LocalProtocolError(f"a report has at most {MAX_LOSSES} losses")
        _check_numbers(self, LocalProtocolError)
        losses = (_LOSS.pack(loss.leaf, loss.received, loss.lost) for loss in self.losses)
        return _HEAD.pack(VERSION, self.counter, self.wall_time_us) + b"".join(losses)


def decode_report(data: bytes) -> Report:
    """The report in a REPORT frame's payload.

    Raises:
        ReportError: it is not one.
    """
    body = len(data) - _HEAD.size
    if body < 0 or body % _LOSS.size or body > MAX_LOSSES * _LOSS.size:
        raise ReportError("a report has an impossible size")
    version, counter, wall_time_us = _HEAD.unpack_from(data)
    if version != VERSION:
        raise ReportError("a report is of an unknown version")
    losses = tuple(
        Loss(leaf=leaf, received=received, lost=lost) for leaf, received, lost in _LOSS.iter_unpack(data[_HEAD.size :])
    )
    report = Report(counter=counter, wall_time_us=wall_time_us, losses=losses)
    _check_numbers(report, ReportError)
    return report


def _check_numbers(report: Report, error: type[LocalProtocolError] | type[ReportError]) -> None:
    leaves = [loss.leaf for loss in report.losses]
    if len(set(leaves)) != len(leaves) or not all(0 <= leaf <= MAX_LEAF for leaf in leaves):
        raise error("a report names a leaf twice, or one that cannot be")
    counts = (count for loss in report.losses for count in (loss.received, loss.lost))
    if not all(0 <= count <= _U32_MAX for count in counts):
        raise error("a count in a report is out of range")
    if not (0 <= report.counter <= _U64_MAX and 0 <= report.wall_time_us <= _U64_MAX):
        raise error("a number in a report is out of range")


# A gap longer than this (1 s) is a pause or a speaker the relay left out, not loss that repeating could mend.
MAX_GAP_FRAMES: Final = 50


class LossMeter:
    """Counts what the network lost of one sender's datagrams, by the numbers of the frames they were sent for.

    Repeated frames are not to be counted: the question is what came by itself.
    """

    __slots__ = ("_lost", "_received", "_runs", "_top")

    def __init__(self) -> None:
        self._top: int | None = None
        self._received = self._lost = self._runs = 0

    def count(self, seq: int) -> int:
        """The datagram of frame `seq` came (count each once); how many before it are missing since the last."""
        self._received += 1
        gap = seq - self._top - 1 if self._top is not None else 0
        if self._top is None or gap >= 0 or gap < -MAX_GAP_FRAMES:
            self._top = seq
        if 0 < gap <= MAX_GAP_FRAMES:
            self._lost += gap
            self._runs += 1
            return gap
        if -MAX_GAP_FRAMES <= gap < 0 and self._lost:  # overtaken, not lost: most likely a gap of its own
            self._lost -= 1
            self._runs = max(self._runs - 1, min(self._lost, 1))
        return 0

    @property
    def burst_frames(self) -> float | None:
        """How many were lost in a row on average since the last `take`; None when none were."""
        return self._lost / self._runs if self._runs and self._lost else None

    def take(self) -> tuple[int, int]:
        """(received, lost) since the last time this was called."""
        counted = self._received, self._lost
        self._received = self._lost = self._runs = 0
        return counted
