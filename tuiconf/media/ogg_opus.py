"""An Ogg Opus stream (RFC 3533, RFC 7845) around packets as they came, as bytes to append to a file. Pure.

Why not PyAV's muxer, which writes Ogg as well: it replaces the pre-skip it is given by that of an encoder that has to
be opened for each file (tried with 18.1), so that a part could not begin with pre-roll; it wants a seekable file of its
own, where we encrypt and count pages; and it is 23 MB that a headless participant does not need.

Each page ends with a packet's end, and goes out whole: a file that is cut anywhere plays up to its last whole page.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from tuiconf.media.opus import SAMPLE_RATE

# What a recording counts time in: every frame length of a call is a multiple, and so is every gap that is filled.
SLOT_SAMPLES: Final = SAMPLE_RATE // 100
SLOT_S: Final = 0.01

# CELT's packet for digital silence, 20 ms and 10 ms, as libopus encodes it: decoders give exact zeros.
SILENCE_20_MS: Final = b"\xf8\xff\xfe"
SILENCE_10_MS: Final = b"\xf0\xff\xfe"

# What a decoder gives first is libopus's look-ahead and not yet sound: its mode for voice, at 48 kHz.
PRE_SKIP: Final = 312

# A decoder that begins in the middle needs 80 ms until it sounds right (RFC 7845 §4.6).
PRE_ROLL_SLOTS: Final = 8

# Half a second is at most lost with an unfinished page, at 27 bytes a page.
PAGE_SAMPLES: Final = SAMPLE_RATE // 2

# As much of a name as fits on a player's screen; also keeps the tags in one page.
MAX_TITLE_CHARS: Final = 128

_MAX_SEGMENTS: Final = 255
_FIRST: Final = 2
_LAST: Final = 4
_PAGE: Final = struct.Struct("<4sBBqIIIB")
_CRC: Final = struct.Struct("<I")
_CRC_AT: Final = 22
_MIRROR: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggOpus:
    """One logical stream, mono. `head` is the file's beginning; what `add` and `finish` return goes behind it."""

    __slots__ = ("_body", "_granule", "_lacing", "_page_samples", "_sequence", "_serial", "_written", "head")

    def __init__(self, *, serial: int, title: str, pre_skip: int = PRE_SKIP) -> None:
        self._serial = serial
        self._sequence = 0
        self._granule = 0
        self._page_samples = 0
        self._lacing = bytearray()
        self._body = bytearray()
        self._written = 0
        self.head = self._header_page(_head(pre_skip), _FIRST) + self._header_page(_tags(title), 0)

    @property
    def size(self) -> int:
        """Bytes of the stream so far, also those that no page has gone out with yet."""
        return self._written + (_PAGE.size + len(self._lacing) + len(self._body) if self._lacing else 0)

    def add(self, packet: bytes, samples: int, count: int = 1) -> bytes:
        """The pages that are full when `packet`, of `samples` at 48 kHz, has been added `count` times."""
        lacing = _lace(len(packet))
        pages = bytearray()
        while count:
            if len(self._lacing) + len(lacing) > _MAX_SEGMENTS:
                pages += self.flush()
            room = min((_MAX_SEGMENTS - len(self._lacing)) // len(lacing), -(-self._page_room // samples))
            fitting = min(count, room)
            self._lacing += lacing * fitting
            self._body += packet * fitting
            self._page_samples += samples * fitting
            count -= fitting
            if self._page_room <= 0:
                pages += self.flush()
        return bytes(pages)

    def flush(self) -> bytes:
        """The page begun, if there is one: what the file should have when a pause begins."""
        return self._page(0) if self._lacing else b""

    def finish(self, look_ahead: int = PRE_SKIP) -> bytes:
        """The last pages: with silence that pushes the last `look_ahead` samples, at most 960, out of a decoder.

        What is heard is then exactly as long as what was added, and parts can be joined.
        """
        pages = self.flush()  # a page that was written cannot become the last, so the last is one of its own
        self._lacing += _lace(len(SILENCE_20_MS))
        self._body += SILENCE_20_MS
        self._page_samples = look_ahead  # players leave out what the last page has beyond its position (RFC 7845 §4.4)
        return pages + self._page(_LAST)

    @property
    def _page_room(self) -> int:
        return PAGE_SAMPLES - self._page_samples

    def _header_page(self, packet: bytes, flags: int) -> bytes:
        self._lacing += _lace(len(packet))
        self._body += packet
        return self._page(flags)

    def _page(self, flags: int) -> bytes:
        self._granule += self._page_samples
        start = _PAGE.pack(b"OggS", 0, flags, self._granule, self._serial, self._sequence, 0, len(self._lacing))
        page = bytearray(start + self._lacing + self._body)
        _CRC.pack_into(page, _CRC_AT, _crc(page))
        self._sequence += 1
        self._page_samples = 0
        self._lacing.clear()
        self._body.clear()
        self._written += len(page)
        return bytes(page)


def segments(packet: bytes) -> int:
    """How many lacing bytes a packet takes."""
    return len(packet) // 255 + 1


def _head(pre_skip: int) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, 1, pre_skip, SAMPLE_RATE, 0, 0)


def _tags(title: str) -> bytes:
    printable = "".join(char for char in title if char.isprintable())[:MAX_TITLE_CHARS]
    comment = b"TITLE=" + printable.encode("utf-8", "replace")
    vendor = b"tuiconf"
    return b"".join(
        (b"OpusTags", _CRC.pack(len(vendor)), vendor, _CRC.pack(1), _CRC.pack(len(comment)), comment),
    )


def _lace(size: int) -> bytes:
    return b"\xff" * (size // 255) + bytes((size % 255,))


def _crc(page: bytes | bytearray) -> int:
    """Ogg's CRC is zlib's with every bit order turned round, and without its inversions."""
    register = zlib.crc32(page.translate(_MIRROR), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(register.to_bytes(4, "little").translate(_MIRROR), "big")
