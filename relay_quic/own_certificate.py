"""The certificate a relay makes for itself, and keeps so that the pin in everybody's links stays true."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import platformdirs

from relay_quic import certs
from relay_quic.config import RelayConfig
from relay_quic.errors import ConfigError, RelayError

_APP: Final = "relay-quic"


def certificate_for(config: RelayConfig, *, now: dt.datetime) -> certs.Certificate:
    """The certificate that was given, or the relay's own, made the first time.

    Raises:
        ConfigError: it cannot be read.
        RelayError: it cannot be kept.
    """
    if config.cert_file is not None and config.key_file is not None:
        return certs.load(config.cert_file, config.key_file)
    folder = config.state_dir or Path(platformdirs.user_state_path(_APP))
    try:
        with _locked(folder):
            return _load_or_make(folder / "cert.pem", folder / "key.pem", now=now)
    except OSError as error:
        raise RelayError(f"the folder {folder} for the certificate cannot be used: {error.strerror}") from error


def _load_or_make(cert_file: Path, key_file: Path, *, now: dt.datetime) -> certs.Certificate:
    """Written key first, so a certificate without its key is somebody's doing and not overwritten."""
    if cert_file.exists():
        try:
            return certs.load(cert_file, key_file)
        except ConfigError as error:
            raise ConfigError(f"{error} (remove {str(cert_file)!r} to get a new one, and with it a new pin)") from error
    certificate = certs.make_self_signed(now=now, names=["localhost"])
    certs.save(certificate, cert_file, key_file)
    return certificate


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two relays that start at once make one certificate."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
