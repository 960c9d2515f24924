"""How webhooks are signed: as Standard Webhooks (standardwebhooks.com) says, so receivers have libraries for it. Pure.

`webhook-signature` is `v1,` and the Base64 of HMAC-SHA256 over `webhook-id.webhook-timestamp.body`. The receiver
compares in constant time, and refuses old timestamps; the id is the same at every try, so nothing is done twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from tuiconf.errors import UsageError

# As the standard says: below it could be guessed, and above HMAC would hash it first.
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64

_PREFIX: Final = "whsec_"


class SecretError(UsageError):
    """A webhook's secret cannot be used."""

    code = "webhook_secret"


class Secret:
    """What one webhook is signed with."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<Secret>"

    @classmethod
    def parse(cls, text: str) -> Secret:
        """From `whsec_` and Base64, as receivers hand it out, or from Base64 alone.

        Raises:
            SecretError: it is neither.
        """
        try:
            key = base64.b64decode(text.strip().removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError) as error:
            raise SecretError("a secret is whsec_ and Base64: type openssl rand -base64 32") from error
        if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
            raise SecretError(f"a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes: openssl rand -base64 32")
        return cls(key)

    def headers(self, delivery: str, body: bytes, *, unix: float) -> Mapping[str, str]:
        """The three headers. `delivery` has no dots, so that the parts of what is signed cannot be moved."""
        timestamp = str(int(unix))
        signed = f"{delivery}.{timestamp}.".encode() + body
        # HMAC needs no nonce, and the key is used for nothing else.
        digest = hmac.digest(self._key, signed, hashlib.sha256)
        return {
            "webhook-id": delivery,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
