"""Certificates, pins, public trust and Retry tokens."""

from __future__ import annotations

import datetime as dt
import ssl
import stat
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import certs
from relay_quic.errors import CertificateError, ConfigError, RelayError
from tests.relay.quicsupport import a_certificate, a_long_chain

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
HOME = ("192.0.2.7", 4444)


def _authority(host: str, *, days: int = 30) -> tuple[bytes, certs.PeerCertificate]:
    """A root, as PEM, and a certificate of its for `host`."""
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    usage = {
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        x509.CertificateBuilder()
        .subject_name(root_name)
        .issuer_name(root_name)
        .public_key(root_key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **usage), True)
        .add_extension(root_id, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root_name)
        .public_key(leaf_key.public_key())
        .serial_number(2)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([certs._general_name(host)]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    return root.public_bytes(pem), certs.PeerCertificate(leaf_der=leaf.public_bytes(der))


def test_a_certificate_of_a_trusted_authority_is_trusted_for_its_host_and_no_other() -> None:
    roots, peer = _authority("relay.example")
    assert peer.publicly_trusted("relay.example", roots_pem=roots, at=NOW)
    assert not peer.publicly_trusted("other.example", roots_pem=roots, at=NOW)
    assert not peer.publicly_trusted("192.0.2.1", roots_pem=roots, at=NOW)


def test_a_certificate_for_an_ip_address_is_trusted_for_it() -> None:
    roots, peer = _authority("192.0.2.1")
    assert peer.publicly_trusted("192.0.2.1", roots_pem=roots, at=NOW)
    assert not peer.publicly_trusted("192.0.2.2", roots_pem=roots, at=NOW)


def test_an_expired_certificate_is_not_trusted() -> None:
    roots, peer = _authority("relay.example", days=30)
    assert not peer.publicly_trusted("relay.example", roots_pem=roots, at=NOW + dt.timedelta(days=31))


def test_the_roots_of_another_authority_do_not_help() -> None:
    _, peer = _authority("relay.example")
    roots, _ = _authority("relay.example")
    assert not peer.publicly_trusted("relay.example", roots_pem=roots, at=NOW)


def test_a_self_made_certificate_is_not_publicly_trusted() -> None:
    leaf = x509.load_pem_x509_certificate(a_certificate().chain_pem)
    peer = certs.PeerCertificate(leaf_der=leaf.public_bytes(serialization.Encoding.DER))
    assert peer.pin == a_certificate().pin
    assert not peer.publicly_trusted("localhost")
    assert not peer.publicly_trusted("no host at all, \u00fc")


@pytest.mark.parametrize("content", [None, b"", b"no roots"], ids=["not there", "empty", "something else"])
def test_without_readable_roots_nobody_vouches_for_a_certificate(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, peer = _authority("relay.example")
    roots = tmp_path / "roots.pem"
    if content is not None:
        roots.write_bytes(content)
    nowhere = ssl.DefaultVerifyPaths(str(roots), "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(certifi, "where", lambda: str(roots))
    assert not peer.publicly_trusted("relay.example", at=NOW)


def test_a_self_made_certificate_is_small_and_names_its_hosts() -> None:
    made = certs.make_self_signed(now=NOW, names=["relay.example", "192.0.2.1", "2001:db8::1"])
    leaf = x509.load_pem_x509_certificate(made.chain_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["relay.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "2001:db8::1"]
    assert leaf.not_valid_after_utc > NOW + dt.timedelta(days=3650)
    assert made.chain_bytes < 600


def test_a_name_that_is_not_ascii_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        certs.make_self_signed(now=NOW, names=["m\u00fcnchen.example"])


def test_what_is_saved_is_loaded_and_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    cert_file, key_file = tmp_path / "state" / "cert.pem", tmp_path / "state" / "key.pem"
    certs.save(a_certificate(), cert_file, key_file)
    assert certs.load(cert_file, key_file) == a_certificate()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert sorted(p.name for p in cert_file.parent.iterdir()) == ["cert.pem", "key.pem"]


def test_the_pin_survives_a_new_certificate_for_the_same_key(tmp_path: Path) -> None:
    first = a_certificate()
    _, key = certs.parsed(first)
    leaf = x509.load_pem_x509_certificate(first.chain_pem)
    renewed = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(99)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    assert certs.pin_of(renewed.public_bytes(serialization.Encoding.DER)) == first.pin


@pytest.mark.parametrize(
    ("cert", "key"),
    [
        (None, None),
        (b"", b""),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", a_certificate().key_pem),
        (a_certificate().chain_pem, b"not a key"),
        (a_certificate().chain_pem, a_long_chain().key_pem),
        (a_certificate().key_pem, a_certificate().chain_pem),
    ],
    ids=["none", "empty", "no certificate", "no key", "of another", "exchanged"],
)
def test_files_that_are_no_certificate_and_its_key_are_a_config_error(
    tmp_path: Path, cert: bytes | None, key: bytes | None
) -> None:
    for name, content in (("cert", cert), ("key", key)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        certs.load(tmp_path / "cert", tmp_path / "key")
    assert "\n" not in str(caught.value)


def test_a_key_that_half_of_the_clients_cannot_check_is_refused(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    (tmp_path / "cert").write_bytes(a_certificate().chain_pem)
    with pytest.raises(ConfigError, match="ECDSA or RSA"):
        certs.load(tmp_path / "cert", tmp_path / "key")


def test_a_folder_that_cannot_be_written_is_a_failure_and_no_mistake_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RelayError, match="cannot be written") as caught:
        certs.save(a_certificate(), tmp_path / "file" / "cert", tmp_path / "file" / "key")
    assert not isinstance(caught.value, ConfigError)


def test_nothing_secret_is_in_a_repr() -> None:
    assert repr(a_certificate()) == "<Certificate>"
    assert repr(_authority("relay.example")[1]) == "<PeerCertificate>"


@given(pin=st.binary(min_size=32, max_size=32))
def test_a_pin_has_one_spelling_of_43_characters(pin: bytes) -> None:
    text = certs.format_pin(pin)
    assert len(text) == 43
    assert certs.parse_pin(text) == pin


@given(text=st.one_of(st.text(max_size=60), st.text("abcXYZ019-_=+/", min_size=40, max_size=46)))
def test_any_other_text_is_a_pin_or_a_config_error(text: str) -> None:
    try:
        pin = certs.parse_pin(text)
    except ConfigError:
        return
    assert certs.format_pin(pin) == text


@given(junk=st.binary(max_size=300))
def test_bytes_that_are_no_certificate_have_no_pin(junk: bytes) -> None:
    with pytest.raises(CertificateError):
        certs.pin_of(junk)


def test_a_retry_token_opens_where_it_was_sent_and_soon() -> None:
    tokens = certs.RetryTokens()
    token = tokens.create(address=HOME, original_id=b"original", retry_id=b"retry-id", now=100.0)
    assert tokens.open(token, address=HOME, retry_id=b"retry-id", now=100.5) == b"original"
    assert tokens.open(token, address=("192.0.2.8", 4444), retry_id=b"retry-id", now=100.5) is None
    assert tokens.open(token, address=("192.0.2.7", 4445), retry_id=b"retry-id", now=100.5) is None
    assert tokens.open(token, address=HOME, retry_id=b"retry-ie", now=100.5) is None
    assert tokens.open(token, address=HOME, retry_id=b"retry-id", now=100.0 + certs.TOKEN_LIFETIME_S + 1) is None
    assert certs.RetryTokens().open(token, address=HOME, retry_id=b"retry-id", now=100.5) is None


@given(token=st.binary(max_size=200))
def test_a_made_up_retry_token_does_not_open(token: bytes) -> None:
    assert certs.RetryTokens(bytes(16)).open(token, address=HOME, retry_id=b"retry-id", now=1.0) is None


def test_the_tag_of_a_retry_packet_is_that_of_rfc_9001() -> None:
    packet = bytes.fromhex("ff000000010008f067a5502a4262b5746f6b656e")
    tag = bytes.fromhex("04a265ba2eff4d829058fb3f0f2496ba")
    assert certs.retry_integrity_tag(bytes.fromhex("088394c8f03e515708") + packet) == tag
