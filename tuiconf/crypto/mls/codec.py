"""TLS presentation language as RFC 9420 §2 uses it: strict, canonical, and never reading past the end."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from tuiconf.crypto.mls.errors import MlsError

T = TypeVar("T")

MAX_LENGTH: Final = (1 << 30) - 1
"""The longest a variable-size vector can say it is (RFC 9420 §2.1.2)."""


def u8(value: int) -> bytes:
    """One byte."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """Two bytes, big-endian, as all integers here."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Eight bytes."""
    return value.to_bytes(8, "big")


def length(value: int) -> bytes:
    """A vector's length, in as few bytes as it fits in (RFC 9420 §2.1.2)."""
    if value < 1 << 6:
        return value.to_bytes(1, "big")
    if value < 1 << 14:
        return (value | 1 << 14).to_bytes(2, "big")
    if value <= MAX_LENGTH:
        return (value | 1 << 31).to_bytes(4, "big")
    raise ValueError("longer than any vector of MLS can be")


def opaque(data: bytes) -> bytes:
    """`opaque data<V>`."""
    return length(len(data)) + data


def vector(items: Iterable[bytes]) -> bytes:
    """`T items<V>` of items that are already encoded."""
    return opaque(b"".join(items))


def u16s(values: Sequence[int]) -> bytes:
    """`uint16 values<V>`."""
    return opaque(struct.pack(f">{len(values)}H", *values))


def u32s(values: Sequence[int]) -> bytes:
    """`uint32 values<V>`."""
    return opaque(struct.pack(f">{len(values)}I", *values))


def optional(data: bytes | None) -> bytes:
    """`optional<T>` of an encoded T."""
    return b"\x00" if data is None else b"\x01" + data


def extensions(values: Mapping[int, bytes]) -> bytes:
    """`Extension extensions<V>`, in the mapping's order."""
    return vector(u16(kind) + opaque(data) for kind, data in values.items())


def truncated() -> MlsError:
    """The error for bytes that end too soon."""
    return MlsError("malformed", "a message ends too soon")


class Reader:
    """Reads `data` from its start. Every method raises `MlsError` where the bytes are not what it reads."""

    __slots__ = ("_data", "_end", "pos")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self.pos = 0

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        start = self.pos
        stop = start + count
        if stop > self._end:
            raise truncated()
        self.pos = stop
        return self._data[start:stop]

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Eight bytes."""
        return int.from_bytes(self.take(8), "big")

    def length(self) -> int:
        """A vector's length; one in more bytes than needed is refused, so that every value has one encoding."""
        first = self.u8()
        prefix = first >> 6
        if prefix == 0:
            return first
        if prefix == 1:
            value, least = (first & 0x3F) << 8 | self.u8(), 1 << 6
        elif prefix == 2:
            value, least = (first & 0x3F) << 24 | int.from_bytes(self.take(3), "big"), 1 << 14
        else:
            raise MlsError("malformed", "a length has a prefix that does not exist")
        if value < least:
            raise MlsError("malformed", "a length is not in its shortest form")
        return value

    def opaque(self) -> bytes:
        """`opaque data<V>`."""
        return self.take(self.length())

    def present(self) -> bool:
        """The first byte of an `optional<T>`."""
        value = self.u8()
        if value > 1:
            raise MlsError("malformed", "an optional value is neither there nor not")
        return value == 1

    def vector(self, item: Callable[[Reader], T]) -> tuple[T, ...]:
        """`T items<V>`."""
        inner = Reader(self.opaque())
        items: list[T] = []
        while inner.pos < inner._end:
            items.append(item(inner))
        return tuple(items)

    def u16s(self) -> tuple[int, ...]:
        """`uint16 values<V>`."""
        data = self.opaque()
        if len(data) % 2:
            raise truncated()
        return struct.unpack(f">{len(data) // 2}H", data)

    def u32s(self) -> tuple[int, ...]:
        """`uint32 values<V>`."""
        data = self.opaque()
        if len(data) % 4:
            raise truncated()
        return struct.unpack(f">{len(data) // 4}I", data)

    def extensions(self) -> dict[int, bytes]:
        """`Extension extensions<V>`; one type twice is refused (RFC 9420 §13.4)."""
        data = self.opaque()
        found: dict[int, bytes] = {}
        inner = Reader(data)
        while inner.pos < inner._end:
            kind = inner.u16()
            if kind in found:
                raise MlsError("malformed", "an extension is there twice")
            found[kind] = inner.opaque()
        return found

    def since(self, start: int) -> bytes:
        """The bytes read since `pos` was `start`."""
        return self._data[start : self.pos]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self._end - self.pos)

    def finish(self) -> None:
        """Nothing may be left."""
        if self.pos != self._end:
            raise MlsError("malformed", "bytes are left after the end of a message")


def decode(data: bytes, item: Callable[[Reader], T]) -> T:
    """The whole of `data` as one item.

    Raises:
        MlsError: it is not one, or more follows.
    """
    reader = Reader(data)
    value = item(reader)
    reader.finish()
    return value
