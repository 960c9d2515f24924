"""What the room's policy is: who may do what, in a GroupContext extension, so that every member has the same one. Pure.

What it forbids is in `rules`. A group that was made only because nobody was there to let its maker in has no host,
and then nothing else is laid down in it either.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Final

import msgspec

from tuiconf.errors import RemoteProtocolError, UsageError
from tuiconf.identity.keys import FINGERPRINT_BYTES, PUBLIC_KEY_BYTES, digest, parse_fingerprint

# Private-use range of RFC 9420 §17.3.
EXTENSION_TYPE: Final = 0xF001

# A host per meeting is usual, a handful is many; each costs 34 bytes in every Welcome.
MAX_HOSTS: Final = 64

# Those who may become host when the last one is gone: a team. 21 bytes each in every Welcome.
MAX_SUCCESSORS: Final = 64

VERSION: Final = 2


class PolicyError(RemoteProtocolError):
    """The group carries no policy that this program understands."""

    code = "policy"


class RulesRefused(UsageError):
    """What was asked for as a room's rules is not one of the choices."""

    code = "rules"


class Lobby(enum.StrEnum):
    """Who waits until someone with the right to admit lets them in."""

    OFF = "off"  # nobody: the link is enough
    UNKNOWN = "unknown"  # those whom nobody with that right knows
    EVERYONE = "everyone"


class Right(enum.StrEnum):
    """Who may do something."""

    HOSTS = "hosts"
    MEMBERS = "members"
    NOBODY = "nobody"  # of recording only: a room in which nobody may admit or remove could not be kept


Keys = Annotated[
    list[Annotated[bytes, msgspec.Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]],
    msgspec.Meta(max_length=MAX_HOSTS),
]
Digests = Annotated[
    list[Annotated[bytes, msgspec.Meta(min_length=FINGERPRINT_BYTES, max_length=FINGERPRINT_BYTES)]],
    msgspec.Meta(max_length=MAX_SUCCESSORS),
]


class _Encoded(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)]
    hosts: Keys
    successors: Digests
    lobby: Lobby
    locked: bool
    admit: Right
    remove: Right
    record: Right


_decoder: Final = msgspec.msgpack.Decoder(_Encoded)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Policy:
    """The room's policy. `hosts` are identity keys; who is among them and comes back is host again.

    `successors` are digests of the keys of those who may become host when no host is left; empty: everybody.
    """

    hosts: frozenset[bytes]
    successors: frozenset[bytes] = frozenset()
    lobby: Lobby = Lobby.OFF
    locked: bool = False
    admit: Right = Right.HOSTS
    remove: Right = Right.HOSTS
    record: Right = Right.MEMBERS

    def __repr__(self) -> str:
        """Without keys."""
        return f"<Policy of {len(self.hosts)} hosts>"

    def gives(self, right: Right, key: bytes) -> bool:
        """Whether the member with this key has a right that is given to `right`."""
        return right is Right.MEMBERS or (right is Right.HOSTS and key in self.hosts)

    def names(self, key: bytes) -> bool:
        """Whether this one is named as a successor."""
        return digest(key) in self.successors

    def with_host(self, key: bytes, here: Collection[bytes]) -> Policy:
        """The same with one more host; when the list is full, those who are not `here` lose their place in it."""
        hosts = self.hosts | {key}
        return replace(self, hosts=hosts if len(hosts) <= MAX_HOSTS else (self.hosts & frozenset(here)) | {key})

    def encode(self) -> bytes:
        """The extension's bytes; equal policies have equal bytes."""
        return msgspec.msgpack.encode(
            _Encoded(
                VERSION,
                sorted(self.hosts),
                sorted(self.successors),
                self.lobby,
                self.locked,
                self.admit,
                self.remove,
                self.record,
            )
        )

    @staticmethod
    def decode(data: bytes | None) -> Policy:
        """The policy in the extension's bytes.

        Raises:
            PolicyError: there is none, or not one of this version.
        """
        try:
            encoded = _decoder.decode(data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PolicyError("the room's policy could not be read") from error
        policy = Policy(
            hosts=frozenset(encoded.hosts),
            successors=frozenset(encoded.successors),
            lobby=encoded.lobby,
            locked=encoded.locked,
            admit=encoded.admit,
            remove=encoded.remove,
            record=encoded.record,
        )
        if policy.encode() != data:
            raise PolicyError("the room's policy is not in its only encoding")
        if Right.NOBODY in (policy.admit, policy.remove):
            raise PolicyError("the room's policy takes a right from everybody that somebody must have")
        if not policy.hosts and policy != HOSTLESS:
            raise PolicyError("the room's policy lays down rules, and nobody who could change them")
        return policy


HOSTLESS: Final = Policy(hosts=frozenset())
"""The policy of a group that nobody is host of."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RoomRules:
    """What whoever creates a room decides of it; the hosts can change the lobby later, and lock the room.

    `successors` are fingerprints of those who may become host when the last host is gone; none: anyone.

    Raises:
        RulesRefused: a word is not one of the choices, or there are too many successors.
        FingerprintError: a successor is not a fingerprint.
    """

    lobby: str = Lobby.OFF.value
    admit: str = Right.HOSTS.value
    remove: str = Right.HOSTS.value
    record: str = Right.MEMBERS.value
    successors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse here what could not become a policy, where the user can still be told."""
        _choice("lobby", self.lobby, tuple(Lobby))
        for name, value in (("admit", self.admit), ("remove", self.remove)):
            _choice(name, value, (Right.HOSTS, Right.MEMBERS))
        _choice("record", self.record, tuple(Right))
        if len(set(map(parse_fingerprint, self.successors))) > MAX_SUCCESSORS:
            raise RulesRefused(f"a room can have {MAX_SUCCESSORS} successors at most")

    def __repr__(self) -> str:
        """Without fingerprints."""
        return f"<RoomRules lobby={self.lobby}>"

    def policy(self, creator: bytes) -> Policy:
        """The policy of a room that the one with this key creates."""
        return Policy(
            hosts=frozenset((creator,)),
            successors=frozenset(map(parse_fingerprint, self.successors)),
            lobby=Lobby(self.lobby),
            admit=Right(self.admit),
            remove=Right(self.remove),
            record=Right(self.record),
        )


def _choice(name: str, value: str, choices: tuple[enum.StrEnum, ...]) -> None:
    if value not in choices:
        raise RulesRefused(f"a room's {name} is one of: {', '.join(choices)}")
