"""The bytes of an identity's file: plain, or sealed with a passphrase. Pure.

One JSON object. `format` names version and kind; an unknown one, an unknown field or a wrong size is refused,
so nothing is guessed about a key. Sealed means Argon2id of the passphrase, then XSalsa20-Poly1305 over name
and seed. The cost of Argon2id is in the file, so that it can be raised for new files, and capped on reading, so that a
file someone else has made cannot use up the machine.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from tuiconf.crypto.primitives import Random
from tuiconf.errors import TuiconfError
from tuiconf.identity.keys import SEED_BYTES, Identity
from tuiconf.identity.names import MAX_NAME_CHARACTERS, is_name

# Several times the size of a sealed file with the longest name.
MAX_FILE_BYTES: Final = 4096

_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 24
_BOX_KEY_BYTES: Final = 32
_MAX_BOX_BYTES: Final = 512

# What a file may ask for: four times libsodium's moderate memory, so that later versions can ask for more.
_MAX_OPERATIONS: Final = 16
_MAX_MEMORY_BYTES: Final = 1 << 30
_MIN_MEMORY_BYTES: Final = 8192  # libsodium's own minimum


class KeyFileError(TuiconfError):
    """The file does not hold an identity that this version can read."""

    code = "key_file"


class WrongPassphrase(KeyFileError):
    """The passphrase does not open the file (or the sealed part was changed, which looks the same)."""

    code = "wrong_passphrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a guess at the passphrase costs, in Argon2id's terms."""

    operations: int
    memory_bytes: int


# libsodium's «moderate»: about 0.7 s on a laptop, a few on a Raspberry Pi, and little enough memory for one.
MODERATE: Final = Cost(operations=3, memory_bytes=256 << 20)

Salt = Annotated[bytes, msgspec.Meta(min_length=_SALT_BYTES, max_length=_SALT_BYTES)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]
Box = Annotated[bytes, msgspec.Meta(min_length=1, max_length=_MAX_BOX_BYTES)]
Seed = Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Operations = Annotated[int, msgspec.Meta(ge=1, le=_MAX_OPERATIONS)]
MemoryBytes = Annotated[int, msgspec.Meta(ge=_MIN_MEMORY_BYTES, le=_MAX_MEMORY_BYTES)]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="format"):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class PlainKey(_File, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="tuiconf identity 1 plain"):
    """An identity that whoever can read the file has."""

    name: Name
    seed: Seed

    def identity(self) -> Identity:
        """What the file holds.

        Raises:
            KeyFileError: its name is not one.
        """
        return _identity(self.name, self.seed)


class SealedKey(_File, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="tuiconf identity 1 sealed"):
    """An identity under a passphrase."""

    operations: Operations
    memory_bytes: MemoryBytes
    salt: Salt
    nonce: Nonce
    box: Box

    def open(self, passphrase: str) -> Identity:
        """What the file holds. Takes about a second and `memory_bytes`.

        Raises:
            WrongPassphrase: it is not the passphrase.
            KeyFileError: there is not enough memory to try, or the content is not an identity.
        """
        from nacl.exceptions import CryptoError
        from nacl.secret import SecretBox

        cost = Cost(operations=self.operations, memory_bytes=self.memory_bytes)
        key = _box_key(passphrase, self.salt, cost)
        try:
            content: bytes = SecretBox(key).decrypt(self.box, self.nonce)
        except CryptoError as error:
            raise WrongPassphrase("the passphrase is wrong, or the identity file was changed") from error
        try:
            name, seed = _content_decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeyFileError("the identity file does not hold an identity") from error
        return _identity(name, seed)


_decoder: Final = msgspec.json.Decoder(PlainKey | SealedKey)
_content_decoder: Final = msgspec.msgpack.Decoder(tuple[Name, Seed])


def encode_plain(identity: Identity) -> bytes:
    """A file that anyone who can read it can use."""
    return _encode(PlainKey(name=identity.name, seed=identity.seed))


def encode_sealed(identity: Identity, passphrase: str, *, rng: Random, cost: Cost = MODERATE) -> bytes:
    """A file that only the passphrase opens.

    Salt and nonce are new for every file: the key is used for this one box, so the nonce cannot repeat under it.

    Raises:
        KeyFileError: there is not enough memory.
    """
    from nacl.secret import SecretBox

    salt, nonce = rng(_SALT_BYTES), rng(_NONCE_BYTES)
    content = msgspec.msgpack.encode((identity.name, identity.seed))
    box = SecretBox(_box_key(passphrase, salt, cost)).encrypt(content, nonce).ciphertext
    return _encode(
        SealedKey(operations=cost.operations, memory_bytes=cost.memory_bytes, salt=salt, nonce=nonce, box=box)
    )


def parse_key_file(data: bytes) -> PlainKey | SealedKey:
    """What an identity's file holds.

    Raises:
        KeyFileError: it is not such a file, or of a version this program does not know.
    """
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileError("the identity file is too large to be one")
    try:
        file: PlainKey | SealedKey = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeyFileError("the identity file is damaged, or of another version of tuiconf") from error
    return file


def _encode(file: PlainKey | SealedKey) -> bytes:
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def _identity(name: str, seed: bytes) -> Identity:
    if not is_name(name):
        raise KeyFileError("the identity file holds a name that is not one")
    return Identity(name=name, seed=seed)


def _box_key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    from nacl.pwhash import argon2id

    # Keyboards differ in how they compose the same letters.
    password = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    try:
        key: bytes = argon2id.kdf(_BOX_KEY_BYTES, password, salt, opslimit=cost.operations, memlimit=cost.memory_bytes)
    except RuntimeError as error:  # all that libsodium says when it cannot have the memory
        needed = cost.memory_bytes >> 20
        raise KeyFileError(f"there is not enough free memory for the passphrase: it takes {needed} MB") from error
    return key
