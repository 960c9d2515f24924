"""The link to a room, the address of a relay, and what is derived from a link's secret. Pure.

    tuiconf://RELAY[:PORT]/ROOM[?pin=PIN]#SECRET

PIN is the SHA-256 of the public key of the relay's certificate, SECRET 16 random bytes, both base64url without
padding. What stands after the `#` never leaves the participants.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from relay_quic import wire
from tuiconf.crypto.primitives import Random, hkdf_expand, hkdf_extract
from tuiconf.errors import UsageError

SCHEME: Final = "tuiconf://"
DEFAULT_PORT: Final = 4433
SECRET_BYTES: Final = 16
PIN_BYTES: Final = 32
KNOCK_KEY_BYTES: Final = 16
PSK_BYTES: Final = 32

PSK_ID: Final = b"tuiconf v1 link"
"""What the link's PSK is called in MLS; one group has one link, so it needs no more of a name."""

# A link is typed, pasted and put into messages. The longest that can be valid is under 500 characters.
MAX_LINK_CHARACTERS: Final = 1024

_ROOM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MAX_HOST_CHARACTERS: Final = 253
_MAX_PORT: Final = 65_535

_ROOM_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz"
_ROOM_CHARACTERS: Final = 8


class LinkError(UsageError):
    """A link, a relay's address or a room's name cannot be used; the message is one sentence saying why."""

    code = "link"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RelayAddress:
    """Where a relay is, and the pin its certificate must have (None: publicly trusted, or accepted before)."""

    host: str  # a DNS name in lower case or an IP address, IPv6 without brackets
    port: int = DEFAULT_PORT
    pin: bytes | None = None

    def __repr__(self) -> str:
        """Without the address."""
        return "<RelayAddress>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Link:
    """Where a room is, and the secret that opens its door."""

    relay: RelayAddress
    room: str
    secret: bytes

    def __repr__(self) -> str:
        """Nothing of it: it is an invitation."""
        return "<Link>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LinkKeys:
    """What a link's secret is used for; each is independent of the others."""

    proof: bytes  # shown to the relay to be let into the room
    room_id: bytes  # what the relay knows the room by: a hash of the proof
    knock_key: bytes  # AES-128-GCM, seals notes
    psk: bytes  # goes into every Welcome, so that only holders of the link can be welcomed

    def __repr__(self) -> str:
        return "<LinkKeys>"


def new_link(relay: RelayAddress, room: str | None, *, rng: Random) -> Link:
    """A link to a new room, with a random name when `room` is None.

    Raises:
        LinkError: the name cannot be one.
    """
    if room is None:
        # 256 % 23 favours a few letters; the name need not be secret, only seldom taken.
        room = "".join(_ROOM_ALPHABET[byte % len(_ROOM_ALPHABET)] for byte in rng(_ROOM_CHARACTERS))
    return Link(relay=relay, room=_check_room(room), secret=rng(SECRET_BYTES))


def derive_keys(link: Link) -> LinkKeys:
    """What the secret gives in this room. The relay's address does not matter, so a room can move."""
    prk = hkdf_extract(b"tuiconf v1 room " + link.room.encode("ascii"), link.secret)
    proof = hkdf_expand(prk, b"tuiconf v1 admission proof", wire.PROOF_BYTES)
    return LinkKeys(
        proof=proof,
        room_id=wire.room_id(proof),
        knock_key=hkdf_expand(prk, b"tuiconf v1 knock key", KNOCK_KEY_BYTES),
        psk=hkdf_expand(prk, b"tuiconf v1 psk", PSK_BYTES),
    )


def parse_link(text: str) -> Link:
    """The link someone typed or pasted.

    Raises:
        LinkError: it is not one; nothing of its secret is in the message.
    """
    text = text.strip()
    if len(text) > MAX_LINK_CHARACTERS:
        raise LinkError("the link is too long to be one")
    if not text[: len(SCHEME)].lower() == SCHEME:
        raise LinkError(f"a link starts with {SCHEME}")
    rest, mark, secret = text[len(SCHEME) :].partition("#")
    if not mark or not secret:
        raise LinkError("the link has no secret after '#': copy all of it, and put it in quotes")
    place, question, query = rest.partition("?")
    where, slash, room = place.partition("/")
    if not slash or not room:
        raise LinkError("the link names no room: it looks like tuiconf://relay/room#secret")
    host, port = parse_host_port(where)
    pin = _parse_query(query) if question else None
    relay = RelayAddress(host=host, port=port, pin=pin)
    return Link(relay=relay, room=_check_room(room), secret=_decode(secret, SECRET_BYTES, "the link's secret"))


def format_link(link: Link) -> str:
    """The link as text: `parse_link` gives the same link."""
    where, _, query = format_relay(link.relay).partition("?")
    return f"{SCHEME}{where}/{link.room}{'?' if query else ''}{query}#{_encode(link.secret)}"


def parse_relay(text: str) -> RelayAddress:
    """A relay's address as it is typed after `tuiconf host`: `HOST[:PORT][?pin=PIN]`.

    Raises:
        LinkError: it is not one.
    """
    text = text.strip()
    if len(text) > MAX_LINK_CHARACTERS:
        raise LinkError("the relay's address is too long to be one")
    if "/" in text or "#" in text:
        raise LinkError("a relay's address is HOST, HOST:PORT or 'HOST:PORT?pin=…', without a room or a secret")
    where, question, query = text.partition("?")
    host, port = parse_host_port(where)
    return RelayAddress(host=host, port=port, pin=_parse_query(query) if question else None)


def format_relay(relay: RelayAddress) -> str:
    """The address as text: `parse_relay` gives the same address."""
    return format_host_port(relay.host, relay.port) + (f"?pin={format_pin(relay.pin)}" if relay.pin else "")


def format_host_port(host: str, port: int) -> str:
    """`HOST:PORT`, with brackets around an IPv6 address; the default port is left out."""
    host = f"[{host}]" if ":" in host else host
    return host if port == DEFAULT_PORT else f"{host}:{port}"


def parse_pin(text: str) -> bytes:
    """The 32 bytes of a pin.

    Raises:
        LinkError: it is not one.
    """
    return _decode(text, PIN_BYTES, "the relay's pin")


def format_pin(pin: bytes) -> str:
    """A pin as text, 43 characters."""
    return _encode(pin)


def parse_host_port(text: str) -> tuple[str, int]:
    """`HOST[:PORT]`, the host in the one spelling that addresses are compared in.

    Raises:
        LinkError: it is not one.
    """
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise LinkError("the relay's IPv6 address is not closed with ']'")
        return _parse_ipv6(inner), _parse_port(rest[1:]) if rest else DEFAULT_PORT
    if text.count(":") > 1:
        raise LinkError("an IPv6 address goes in brackets, as in [2001:db8::1]:4433")
    host, colon, port = text.partition(":")
    return _parse_name(host), _parse_port(port) if colon else DEFAULT_PORT


def _parse_ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise LinkError("the relay's address in brackets is not an IPv6 address") from error
    if address.scope_id is not None:
        raise LinkError("an IPv6 address with a zone (%…) means nothing on other machines")
    return str(address)


def _parse_name(text: str) -> str:
    if not text:
        raise LinkError("the relay's host name is missing")
    if not text.isascii():
        raise LinkError("write the relay's host name in its ASCII form (xn--…)")
    labels = text.removesuffix(".").split(".")
    if labels[-1].isdigit():
        return _parse_ipv4(text)
    if len(text) > _MAX_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise LinkError("the relay's host name is not one")
    return text.removesuffix(".").lower()


def _parse_ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise LinkError("the relay's address is not an IPv4 address") from error


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > _MAX_PORT:
        raise LinkError(f"the relay's port is a number from 1 to {_MAX_PORT}")
    return int(text)


def _parse_query(text: str) -> bytes:
    key, _, value = text.partition("=")
    if key != "pin" or "&" in value:
        raise LinkError("after '?' stands pin=… and nothing else")
    return parse_pin(value)


def _check_room(text: str) -> str:
    if not _ROOM.fullmatch(text):
        raise LinkError("a room's name has 1 to 64 letters a-z, digits, dots, dashes or underscores")
    return text


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str, size: int, what: str) -> bytes:
    """Base64url of exactly `size` bytes; each value has one spelling."""
    characters = -(-size * 4 // 3)
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"==") if len(text) == characters else b""
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != size or _encode(data) != text:
        raise LinkError(f"{what} is not right: it has {characters} letters, digits, '-' or '_'; copy all of it")
    return data
