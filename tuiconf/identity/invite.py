"""A link as an invite code: one word of letters and digits, in groups of four. Pure.

A link has characters that shells and message programs take for their own, and one that was copied wrong leads to an
empty room. A code has neither: it needs no quotes, can be typed from paper, and says when a character is wrong.

    tc1-  base32 (RFC 4648, small letters) of: port, pin or not, host, room, secret, pin, checksum

It is the link's secret in another spelling, to be kept like it. The checksum is against mistakes, and no protection.
"""

from __future__ import annotations

import base64
import struct
from typing import Final

from tuiconf.crypto.primitives import equal, sha256
from tuiconf.identity.link import (
    MAX_LINK_CHARACTERS,
    PIN_BYTES,
    SECRET_BYTES,
    Link,
    LinkError,
    RelayAddress,
    format_link,
    parse_link,
)

MARK: Final = "tc1"

# One wrong code in four thousand million is taken for another, which leads to a room that nobody is in.
_CHECKSUM_BYTES: Final = 4
_GROUP: Final = 4

_HEAD: Final = struct.Struct("!HB")  # port, whether there is a pin
_WRONG: Final = "a character of the invite code is wrong or missing: copy all of it"


def format_invite(link: Link) -> str:
    """The link as a code: `parse_invite` gives the same link."""
    pin = link.relay.pin or b""
    content = b"".join(
        (
            _HEAD.pack(link.relay.port, bool(pin)),
            _short(link.relay.host),
            _short(link.room),
            link.secret,
            pin,
        )
    )
    text = base64.b32encode(content + _checksum(content)).decode("ascii").rstrip("=").lower()
    return "-".join((MARK, *(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))))


def parse_invitation(text: str) -> Link:
    """What lets someone in, as it was typed or pasted: a link, or a code.

    Raises:
        LinkError: it is neither; nothing of its secret is in the message.
    """
    return parse_invite(text) if is_invite(text) else parse_link(text)


def is_invite(text: str) -> bool:
    """Whether it is meant to be a code. No link is: those have a `/`."""
    return "/" not in text and text.strip().lower().startswith(MARK)


def parse_invite(text: str) -> Link:
    """The link that a code stands for, in whatever case and grouping.

    Raises:
        LinkError: it is none.
    """
    if len(text) > MAX_LINK_CHARACTERS:
        raise LinkError("the invite code is too long to be one")
    plain = "".join(text.split()).replace("-", "").upper()
    if not plain.startswith(MARK.upper()):
        raise LinkError(f"an invite code starts with {MARK}-")
    data = _decode(plain[len(MARK) :])
    content, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if not equal(_checksum(content), checksum):
        raise LinkError(_WRONG)
    return _link(content)


def _decode(text: str) -> bytes:
    """Base32 in its only spelling."""
    try:
        data = base64.b32decode(text.encode("ascii") + b"=" * (-len(text) % 8))
    except ValueError as error:
        raise LinkError(_WRONG) from error
    if base64.b32encode(data).decode("ascii").rstrip("=") != text:
        raise LinkError(_WRONG)
    return data


def _link(content: bytes) -> Link:
    """What somebody has made a checksum for, and may still be nonsense: it is held to all that a link is held to."""
    try:
        port, has_pin = _HEAD.unpack_from(content)
        host, rest = _read_short(content[_HEAD.size :])
        room, rest = _read_short(rest)
    except (struct.error, ValueError) as error:  # UnicodeDecodeError is one
        raise LinkError(_WRONG) from error
    if has_pin > 1 or len(rest) != SECRET_BYTES + has_pin * PIN_BYTES:
        raise LinkError(_WRONG)
    relay = RelayAddress(host=host, port=port, pin=rest[SECRET_BYTES:] if has_pin else None)
    link = Link(relay=relay, room=room, secret=rest[:SECRET_BYTES])
    if parse_link(format_link(link)) != link:
        raise LinkError(_WRONG)
    return link


def _short(text: str) -> bytes:
    data = text.encode("ascii")
    return bytes((len(data),)) + data


def _read_short(data: bytes) -> tuple[str, bytes]:
    if not data or len(data) <= data[0]:
        raise ValueError
    return data[1 : 1 + data[0]].decode("ascii"), data[1 + data[0] :]


def _checksum(content: bytes) -> bytes:
    return sha256(b"tuiconf v1 invite code" + content)[:_CHECKSUM_BYTES]
