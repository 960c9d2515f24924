"""The MLS basic credential: who a leaf of the group says it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from tuiconf.crypto.primitives import equal
from tuiconf.errors import RemoteProtocolError
from tuiconf.identity.keys import PUBLIC_KEY_BYTES
from tuiconf.identity.names import is_name

VERSION: Final = 1

# An RSA-4096 key and signature are 1.1 kB; a group of 1,000 carries this once for each member.
MAX_PROOF_BYTES: Final = 2048


class CredentialError(RemoteProtocolError):
    """A leaf's credential is not one of ours, or not for the leaf's key."""

    code = "credential"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credential:
    """A name, the identity key, and perhaps a proof by an SSH key (carried; who uses it must verify it)."""

    name: str
    public_key: bytes
    ssh_proof: bytes | None = None

    def __repr__(self) -> str:
        """Without name and key."""
        return "<Credential>"


_Wire = tuple[
    Annotated[int, msgspec.Meta(ge=VERSION, le=VERSION)],
    str,
    Annotated[bytes, msgspec.Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)],
    Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PROOF_BYTES)] | None,
]
_decoder: Final = msgspec.msgpack.Decoder(_Wire)


def encode_credential(credential: Credential) -> bytes:
    """The credential's identity bytes: MessagePack of [version, name, key, proof]."""
    return msgspec.msgpack.encode((VERSION, credential.name, credential.public_key, credential.ssh_proof))


def parse_credential(data: bytes, *, signature_key: bytes) -> Credential:
    """The credential of the leaf whose signature key is `signature_key`.

    A credential has one encoding: two leaves of the same content have the same bytes.

    Raises:
        CredentialError: it cannot be read, its name may not be shown, or it is for another key.
    """
    try:
        _, name, public_key, ssh_proof = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CredentialError("a credential could not be read") from error
    credential = Credential(name=name, public_key=public_key, ssh_proof=ssh_proof)
    if encode_credential(credential) != data:
        raise CredentialError("a credential is not in its only encoding")
    if not is_name(name):
        raise CredentialError("a credential's name may not be shown")
    if not equal(public_key, signature_key):
        raise CredentialError("a credential is for another key than its leaf's")
    return credential
