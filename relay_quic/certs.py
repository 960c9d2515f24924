"""Self-made certificates, pins, trust, and Retry tokens: all the cryptography a relay does.

Nothing here touches what a call says. A relay's certificate only proves which relay answers; a pin is the SHA-256
of its public key, so that it survives a renewed certificate with the same key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import hashlib
import ipaddress
import os
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from relay_quic.errors import CertificateError, ConfigError, RelayError

# A chain of a few certificates is a few kB; what is larger, such as a device that never ends, is a mistake.
MAX_FILE_BYTES: Final = 1 << 20

PIN_BYTES: Final = 32

# Nobody renews a self-made certificate, and what is trusted is its pin: ten years outlive the machine.
SELF_SIGNED_LIFETIME: Final = dt.timedelta(days=3652)
# A participant's clock may be behind the relay's.
_BACKDATED: Final = dt.timedelta(days=1)

# Both QUIC libraries sign with these; qh3's client does not offer EdDSA, so such a certificate would fail half of
# all participants.
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Certificate:
    """A relay's certificate chain (leaf first) and private key (PKCS #8, no passphrase), both as PEM."""

    chain_pem: bytes
    key_pem: bytes
    pin: bytes
    chain_bytes: int  # of DER: what a handshake has to carry

    def __repr__(self) -> str:
        return "<Certificate>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PeerCertificate:
    """What a relay showed in its handshake, whose private key it has proved to have. Nothing more is known of it."""

    leaf_der: bytes
    others_der: tuple[bytes, ...] = ()
    pin: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pin", pin_of(self.leaf_der))

    def __repr__(self) -> str:
        return "<PeerCertificate>"

    def publicly_trusted(self, host: str, *, roots_pem: bytes | None = None, at: dt.datetime | None = None) -> bool:
        """Is it valid for `host` (a DNS name or an IP address), now, by the system's roots or else certifi's?

        Where neither can be read, nobody vouches for it.
        """
        try:
            leaf = _parse(self.leaf_der)
            others = [_parse(der) for der in self.others_der]
            builder = verification.PolicyBuilder().store(_roots(roots_pem))
            builder = builder.time(at) if at is not None else builder
            builder.build_server_verifier(_subject(host)).verify(leaf, others)
        except (OSError, ValueError, UnsupportedAlgorithm, verification.VerificationError):
            return False
        return True


def make_self_signed(*, now: dt.datetime, names: Sequence[str]) -> Certificate:
    """A new key and a certificate for it that names `names` (DNS names or IP addresses).

    ECDSA P-256 keeps the chain under 500 bytes, so that a handshake fits what a relay may send to an address
    that has not yet been proved (three times what came from it).
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay-quic")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + SELF_SIGNED_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    leaf = builder.sign(key, hashes.SHA256())
    return _bundle([leaf], key)


def _read(what: str, path: Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(f"the {what} {str(path)!r} cannot be read: {reason}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"the {what} {str(path)!r} cannot be read: the file is far too large to be one")
    return data


def load(cert_file: Path, key_file: Path) -> Certificate:
    """The PEM chain and PEM key in these files.

    Raises:
        ConfigError: a file cannot be read, holds something else, or the key is not the certificate's. It is named.
    """
    chain_pem, key_pem = _read("certificate", cert_file), _read("key", key_file)
    cert, secret = repr(str(cert_file)), repr(str(key_file))
    try:
        chain = _parse_all(chain_pem)
    except ValueError as error:
        raise ConfigError(f"the file {cert} does not hold PEM certificates") from error
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"the file {secret} does not hold a PEM private key without a passphrase") from error
    if not isinstance(key, _PrivateKey):
        raise ConfigError(f"the key in {secret} must be ECDSA or RSA")
    if _spki(chain[0]) != _public_bytes(key):
        raise ConfigError(f"the key in {secret} is not the one of the certificate in {cert}")
    return _bundle(chain, key)


def save(certificate: Certificate, cert_file: Path, key_file: Path) -> None:
    """Write both files, the key readable by its owner only and complete or not at all.

    Raises:
        RelayError: they cannot be written.
    """
    try:
        _write(Path(key_file), certificate.key_pem, mode=0o600)
        _write(Path(cert_file), certificate.chain_pem, mode=0o644)
    except OSError as error:
        raise RelayError(f"the certificate {str(cert_file)!r} cannot be written: {error.strerror or error}") from error


def pin_of(certificate_der: bytes) -> bytes:
    """SHA-256 of the certificate's DER SubjectPublicKeyInfo.

    Raises:
        CertificateError: it is not a certificate.
    """
    try:
        return hashlib.sha256(_spki(_parse(certificate_der))).digest()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("the relay's certificate could not be read") from error


def format_pin(pin: bytes) -> str:
    """The pin as it stands in a link: base64url without padding, 43 characters."""
    return base64.urlsafe_b64encode(pin).rstrip(b"=").decode("ascii")


def parse_pin(text: str) -> bytes:
    """The pin written by `format_pin`; its one spelling and no other.

    Raises:
        ConfigError: it is not one.
    """
    try:
        pin = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise ConfigError("the pin is not 43 characters of base64url") from error
    if len(pin) != PIN_BYTES or format_pin(pin) != text:
        raise ConfigError("the pin is not 43 characters of base64url")
    return pin


# --- for the QUIC libraries


def der_of(certificate: object) -> bytes:
    """The DER bytes of one of aioquic's (that is, `cryptography`'s) certificates.

    Raises:
        CertificateError: it is something else.
    """
    if not isinstance(certificate, x509.Certificate):
        raise CertificateError("the relay showed no certificate")
    return certificate.public_bytes(serialization.Encoding.DER)


def parsed(certificate: Certificate) -> tuple[list[x509.Certificate], _PrivateKey]:
    """The chain and the key as `cryptography`'s objects, which is how aioquic wants them."""
    key = serialization.load_pem_private_key(certificate.key_pem, password=None)
    if not isinstance(key, _PrivateKey):
        raise CertificateError("the certificate's key must be ECDSA or RSA")
    return x509.load_pem_x509_certificates(certificate.chain_pem), key


# RFC 9001 §5.8: this key and nonce are public constants. The tag is a checksum that only somebody who saw the
# client's first packet can make, not a secret.
_RETRY_KEY: Final = bytes.fromhex("be0c690b9f66575a1d766b54e368c84e")
_RETRY_NONCE: Final = bytes.fromhex("461599d35d632bf2239825bb")

# A client answers a Retry within one round trip.
TOKEN_LIFETIME_S: Final = 10.0
_NONCE_BYTES: Final = 12


def retry_integrity_tag(pseudo_packet: bytes) -> bytes:
    """The 16 bytes at the end of a Retry packet (RFC 9001 §5.8)."""
    return AESGCM(_RETRY_KEY).encrypt(_RETRY_NONCE, b"", pseudo_packet)


class RetryTokens:
    """Makes and checks the tokens by which a client proves that it receives what is sent to its address.

    The nonce is a counter under a key made for this object, so it cannot repeat. Address and connection id are
    bound as associated data: a token shown from elsewhere does not open. Microseconds where qh3's RSA takes 1.1 ms.
    """

    __slots__ = ("_aead", "_made")

    def __init__(self, key: bytes | None = None) -> None:
        self._aead = AESGCM(key or os.urandom(16))
        self._made = 0

    def create(self, *, address: tuple[str, int], original_id: bytes, retry_id: bytes, now: float) -> bytes:
        """A token for the client at `address` whose first packet went to `original_id`."""
        self._made += 1
        nonce = self._made.to_bytes(_NONCE_BYTES, "big")
        plain = int(now * 1000).to_bytes(8, "big") + original_id
        return nonce + self._aead.encrypt(nonce, plain, _binding(address, retry_id))

    def open(self, token: bytes, *, address: tuple[str, int], retry_id: bytes, now: float) -> bytes | None:
        """The `original_id` of a token that is ours, fresh and shown from where it was sent to; otherwise None."""
        if not _NONCE_BYTES + 16 + 8 <= len(token) <= 128:
            return None
        try:
            plain = self._aead.decrypt(token[:_NONCE_BYTES], token[_NONCE_BYTES:], _binding(address, retry_id))
        except InvalidTag:
            return None
        age_s = now - int.from_bytes(plain[:8], "big") / 1000
        return plain[8:] if -0.01 <= age_s <= TOKEN_LIFETIME_S else None


def _binding(address: tuple[str, int], retry_id: bytes) -> bytes:
    host, port = address
    return b"tuiconf retry 1\0" + ipaddress.ip_address(host).packed + port.to_bytes(2, "big") + retry_id


# --- helpers


def _bundle(chain: Sequence[x509.Certificate], key: _PrivateKey) -> Certificate:
    ders = [c.public_bytes(serialization.Encoding.DER) for c in chain]
    return Certificate(
        chain_pem=b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain),
        key_pem=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        pin=hashlib.sha256(_spki(chain[0])).digest(),
        chain_bytes=sum(map(len, ders)),
    )


def _parse(der: bytes) -> x509.Certificate:
    # Flaws that are only worth a warning are for the verification to judge, not for the user's terminal.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(der)


def _parse_all(pem: bytes) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificates(pem)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _public_bytes(key: _PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise ConfigError("a name for the certificate must be ASCII (the xn-- form)") from error


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _roots(pem: bytes | None) -> verification.Store:
    """The given roots, else the system's, else certifi's (which aioquic brings)."""
    if pem is not None:
        return verification.Store(_parse_all(pem))
    system = ssl.get_default_verify_paths().cafile
    with contextlib.suppress(OSError, ValueError):
        if system is not None:
            return verification.Store(_parse_all(Path(system).read_bytes()))
    import certifi

    return verification.Store(_parse_all(Path(certifi.where()).read_bytes()))


def _write(path: Path, data: bytes, *, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
