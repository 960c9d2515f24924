"""SFrame (RFC 9605): one frame in, one sealed frame out. Pure.

Knows headers, key derivation, the standard's five suites and the three that were added to it; nothing of epochs,
members or replay, which are `media_keys`. The call itself uses `AES_128_GCM_SHA256_128` only and nothing lets it choose
another: the AES-CTR suites, some with tags short enough to forge, are here so that every vector can check this file.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tuiconf.errors import RemoteProtocolError

NONCE_BYTES: Final = 12
MAX_U64: Final = (1 << 64) - 1

_EXTENDED_KID: Final = 0x80  # X: the three bits after it are the KID's length - 1, not the KID
_KID_SHIFT: Final = 4
_EXTENDED_CTR: Final = 0x08  # Y: the same for the counter
_LOW_3_BITS: Final = 0x07
_INLINE_LIMIT: Final = 8
# The least value that needs a field of so many bytes, by the bytes less 1.
_LEAST: Final = (_INLINE_LIMIT, *(1 << 8 * length for length in range(1, 8)))


class SFrameError(RemoteProtocolError):
    """A frame that cannot be opened: it is not SFrame, or it is not authentic."""

    code = "sframe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A cipher suite of RFC 9605 §4.5, or of draft-barnes-sframe-iana-256; `key_bytes` is its AEAD.Nk."""

    number: int
    hash_name: Literal["sha256", "sha512"]
    key_bytes: int
    tag_bytes: int
    counter_mode: bool  # AES-CTR with a truncated HMAC, rather than AES-GCM


AES_128_CTR_HMAC_SHA256_80: Final = Suite(number=1, hash_name="sha256", key_bytes=48, tag_bytes=10, counter_mode=True)
AES_128_CTR_HMAC_SHA256_64: Final = Suite(number=2, hash_name="sha256", key_bytes=48, tag_bytes=8, counter_mode=True)
AES_128_CTR_HMAC_SHA256_32: Final = Suite(number=3, hash_name="sha256", key_bytes=48, tag_bytes=4, counter_mode=True)
AES_128_GCM_SHA256_128: Final = Suite(number=4, hash_name="sha256", key_bytes=16, tag_bytes=16, counter_mode=False)
AES_256_GCM_SHA512_128: Final = Suite(number=5, hash_name="sha512", key_bytes=32, tag_bytes=16, counter_mode=False)
# draft-barnes-sframe-iana-256: the construction of suites 1 to 3, with AES-256 and HMAC-SHA-512.
AES_256_CTR_HMAC_SHA512_80: Final = Suite(number=6, hash_name="sha512", key_bytes=96, tag_bytes=10, counter_mode=True)
AES_256_CTR_HMAC_SHA512_64: Final = Suite(number=7, hash_name="sha512", key_bytes=96, tag_bytes=8, counter_mode=True)
AES_256_CTR_HMAC_SHA512_32: Final = Suite(number=8, hash_name="sha512", key_bytes=96, tag_bytes=4, counter_mode=True)


# --- header, RFC 9605 §4.3


def encode_header(kid: int, counter: int) -> bytes:
    """The header, 1 to 17 bytes; both values below 2⁶⁴."""
    kid_bits, kid_bytes = _encode_field(kid)
    counter_bits, counter_bytes = _encode_field(counter)
    return bytes((kid_bits << _KID_SHIFT | counter_bits,)) + kid_bytes + counter_bytes


def _encode_field(value: int) -> tuple[int, bytes]:
    """Four bits of the config byte (flag and value, or flag and length), and the bytes that follow it."""
    if value < _INLINE_LIMIT:
        return value, b""
    length = (value.bit_length() + 7) >> 3
    return _EXTENDED_CTR | length - 1, value.to_bytes(length, "big")


def decode_header(sealed: bytes) -> tuple[int, int, int]:
    """The KID, the counter, and the header's length in bytes, of a sealed frame that starts with one.

    Only the shortest form of each value is taken, so that a header has one encoding.

    Raises:
        SFrameError: it does not start with a header.
    """
    if not sealed:
        raise SFrameError("a frame is empty")
    config = sealed[0]
    kid, counter, at = config >> _KID_SHIFT & _LOW_3_BITS, config & _LOW_3_BITS, 1
    if config & _EXTENDED_KID:
        least, at = _LEAST[kid], 2 + kid
        kid = int.from_bytes(sealed[1:at], "big")
        if kid < least:
            raise SFrameError("the KID in a frame's header is cut off, or not in its shortest form")
    if config & _EXTENDED_CTR:
        least, start, at = _LEAST[counter], at, at + 1 + counter
        counter = int.from_bytes(sealed[start:at], "big")
        if counter < least:
            raise SFrameError("the counter in a frame's header is cut off, or not in its shortest form")
    if at > len(sealed):
        raise SFrameError("a frame ends within its header")
    return kid, counter, at


# --- keys, RFC 9605 §4.4.2


def extract(suite: Suite, base_key: bytes) -> bytes:
    """`sframe_secret`: the part of the derivation that all KIDs of one base key share."""
    return hmac.digest(b"", base_key, suite.hash_name)


def derive(suite: Suite, secret: bytes, kid: int) -> tuple[bytes, bytes]:
    """`sframe_key` and `sframe_salt` of one KID. The KID is in the label, so no two KIDs share a key."""
    context = kid.to_bytes(8, "big") + suite.number.to_bytes(2, "big")
    algorithm = hashes.SHA256() if suite.hash_name == "sha256" else hashes.SHA512()
    key = HKDFExpand(algorithm, suite.key_bytes, b"SFrame 1.0 Secret key " + context).derive(secret)
    salt = HKDFExpand(algorithm, NONCE_BYTES, b"SFrame 1.0 Secret salt " + context).derive(secret)
    return key, salt


class CounterModeAead:
    """AES-CTR with a truncated HMAC, RFC 9605 §4.5.1; called like `AESGCM`.

    The key is AES's (Nka bytes), then HMAC's, which is as long as the hash (Nh): 16 and 32, or 32 and 64.
    """

    __slots__ = ("_authentication_key", "_encryption_key", "_hash_name", "_tag_bytes")

    def __init__(self, suite: Suite, key: bytes) -> None:
        split = suite.key_bytes - hashlib.new(suite.hash_name).digest_size
        self._encryption_key, self._authentication_key = key[:split], key[split:]
        self._hash_name, self._tag_bytes = suite.hash_name, suite.tag_bytes

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Ciphertext, then tag. As with any counter mode the caller must never use a nonce twice."""
        ciphertext = self._apply_key_stream(nonce, data)
        return ciphertext + self._tag(nonce, associated_data, ciphertext)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The plaintext.

        Raises:
            InvalidTag: it is not authentic. Nothing is decrypted before that is known.
        """
        cut = len(data) - self._tag_bytes
        if cut < 0:
            raise InvalidTag
        ciphertext, tag = data[:cut], data[cut:]
        if not hmac.compare_digest(tag, self._tag(nonce, associated_data, ciphertext)):
            raise InvalidTag
        return self._apply_key_stream(nonce, ciphertext)

    def _apply_key_stream(self, nonce: bytes, data: bytes) -> bytes:
        stream = Cipher(AES(self._encryption_key), CTR(nonce + bytes(4))).encryptor()
        return stream.update(data) + stream.finalize()

    def _tag(self, nonce: bytes, associated_data: bytes, ciphertext: bytes) -> bytes:
        # The three lengths in front keep (aad, ciphertext) from being cut in another place, and bind the tag's size.
        lengths = b"".join(n.to_bytes(8, "big") for n in (len(associated_data), len(ciphertext), self._tag_bytes))
        signed = lengths + nonce + associated_data + ciphertext
        return hmac.digest(self._authentication_key, signed, self._hash_name)[: self._tag_bytes]


class FrameKey:
    """The key and salt of one KID, ready to seal or to open: one sender's, in one direction."""

    __slots__ = ("_aead", "_heads", "_salt")

    def __init__(self, suite: Suite, secret: bytes, kid: int) -> None:
        key, salt = derive(suite, secret, kid)
        self._aead = CounterModeAead(suite, key) if suite.counter_mode else AESGCM(key)
        self._salt = int.from_bytes(salt, "big")
        # What is in front of a counter: of one that is in the config byte itself, or has 1 to 8 bytes of its own.
        inline = (encode_header(kid, counter) for counter in range(_INLINE_LIMIT))
        longer = (encode_header(kid, least)[:-length] for length, least in enumerate(_LEAST, 1))
        self._heads = (*inline, *longer)

    def seal(self, counter: int, metadata: bytes, payload: bytes) -> bytes:
        """The header and the sealed payload. The header and `metadata` are authenticated with it.

        The nonce is the salt with the counter XORed in, so it repeats exactly when the counter does: the caller
        gives every counter (below 2⁶⁴) once in the life of the key.
        """
        if counter < _INLINE_LIMIT:
            header = self._heads[counter]
        else:
            length = (counter.bit_length() + 7) >> 3
            header = self._heads[_INLINE_LIMIT - 1 + length] + counter.to_bytes(length, "big")
        nonce = (self._salt ^ counter).to_bytes(NONCE_BYTES, "big")
        return header + self._aead.encrypt(nonce, payload, header + metadata)

    def open(self, sealed: bytes, counter: int, header_bytes: int, metadata: bytes) -> bytes:
        """The payload of `sealed`, whose header `decode_header` has read.

        Raises:
            SFrameError: it is not what the holder of this key sealed with this header and metadata.
        """
        nonce = (self._salt ^ counter).to_bytes(NONCE_BYTES, "big")
        try:
            return self._aead.decrypt(nonce, sealed[header_bytes:], sealed[:header_bytes] + metadata)
        except InvalidTag as error:
            raise SFrameError("a frame is not authentic") from error
