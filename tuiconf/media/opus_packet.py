"""What an Opus packet says of itself: how long it is, and whether a decoder could take it apart (RFC 6716 §3). Pure.

A member of the call may send anything as a frame. Only what this file accepts is written into a recording.
"""

from __future__ import annotations

from typing import Final

from tuiconf.media.opus import MAX_PACKET_BYTES, SAMPLE_RATE

MAX_FRAME_BYTES: Final = 1275
_MAX_PACKET_MS: Final = 120
_LARGEST_ONE_BYTE_LENGTH: Final = 251

# §3.1, table 2, in 10ths of a millisecond: SILK, hybrid, CELT.
_FRAME_TENTHS: Final = (100, 200, 400, 600) * 3 + (100, 200) * 2 + (25, 50, 100, 200) * 4


def frame_samples(toc: int) -> int:
    """Samples at 48 kHz of each frame in a packet that begins with this byte."""
    return _FRAME_TENTHS[toc >> 3] * SAMPLE_RATE // 10_000


def packet_samples(packet: bytes) -> int | None:
    """Samples at 48 kHz in a well-formed packet; None when it is malformed, or longer than a call's frames."""
    if not 0 < len(packet) <= MAX_PACKET_BYTES:
        return None
    frames = (_one, _two_equal, _two, _many)[packet[0] & 3](packet)
    samples = frames * frame_samples(packet[0])
    return samples if 0 < samples <= SAMPLE_RATE // 1000 * _MAX_PACKET_MS else None


def concealment(toc: int) -> bytes:
    """A packet of one frame without a byte, which makes a decoder go on as after `toc` (RFC 7845 §4.1)."""
    return bytes((toc & 0xFC,))


# How many frames a packet has by each of the four codes of §3.2; 0 is malformed.


def _one(packet: bytes) -> int:
    return 1 if len(packet) - 1 <= MAX_FRAME_BYTES else 0


def _two_equal(packet: bytes) -> int:
    return 0 if (len(packet) - 1) % 2 else 2


def _two(packet: bytes) -> int:
    read = _length(packet, 1)
    return 2 if read is not None and sum(read) <= len(packet) else 0


def _many(packet: bytes) -> int:
    if len(packet) < 2:
        return 0
    variable, padded, count = packet[1] & 0x80, packet[1] & 0x40, packet[1] & 0x3F
    at, padding = _padding(packet) if padded else (2, 0)
    rest = len(packet) - at - padding
    if rest < 0 or count == 0:
        return 0
    if not variable:
        return 0 if rest % count else count
    return count if _variable_fits(packet, at, len(packet) - padding, count) else 0


def _padding(packet: bytes) -> tuple[int, int]:
    """Where the padding's length ends, and how much there is; each 255 is 254 bytes and goes on (§3.2.5)."""
    at, padding = 2, 0
    while at < len(packet) and packet[at] == 255:
        at, padding = at + 1, padding + 254
    return (at + 1, padding + packet[at]) if at < len(packet) else (at, len(packet))


def _variable_fits(packet: bytes, at: int, end: int, count: int) -> bool:
    """Whether `count` frames, of which all but the last state their length, fit in front of `end`."""
    total = 0
    for _ in range(count - 1):
        read = _length(packet, at)
        if read is None:
            return False
        at, total = read[0], total + read[1]
    return at + total <= end


def _length(packet: bytes, at: int) -> tuple[int, int] | None:
    """The offset after a frame's length, and the length (§3.2.1)."""
    if at >= len(packet):
        return None
    first = packet[at]
    if first <= _LARGEST_ONE_BYTE_LENGTH:
        return at + 1, first
    return (at + 2, packet[at + 1] * 4 + first) if at + 1 < len(packet) else None
