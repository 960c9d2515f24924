"""The identity, the settings, the known relays and people: are they there, readable, and nobody else's?"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tuiconf import config as settings
from tuiconf import paths
from tuiconf.adapters import private_files
from tuiconf.adapters.identity_store import IdentityError, given_passphrase
from tuiconf.adapters.known_relays import MAX_FILE_BYTES, KnownRelaysError, parse_known_relays
from tuiconf.adapters.peers import PeersError, PeersFile
from tuiconf.adapters.private_files import FileError
from tuiconf.doctor.findings import Context, Finding, ok, problem, warning
from tuiconf.errors import TuiconfError
from tuiconf.identity import key_file
from tuiconf.identity.key_file import KeyFileError, SealedKey

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def identity(context: Context) -> Iterator[Finding]:
    """The key: who may read it, and whether a passphrase seals it. It is never opened."""
    path = paths.identity_file(context.environ)
    yield from _permissions(path)
    try:
        data = private_files.read(path, max_bytes=key_file.MAX_FILE_BYTES, secret=False)
        if data is None:
            yield ok("no_identity", "there is no identity yet: the first call makes one", "tuiconf identity show")
            return
        yield from _sealing(path, isinstance(key_file.parse_key_file(data), SealedKey), context)
    except (FileError, KeyFileError) as error:
        yield problem(error.code, f"the identity cannot be used: {error} ({path})")


def known_relays(context: Context) -> Iterator[Finding]:
    """The pins that were accepted."""
    path = paths.known_relays_file(context.environ)
    yield from _permissions(path, secret=False)
    try:
        text = (private_files.read(path, max_bytes=MAX_FILE_BYTES, secret=False) or b"").decode()
        count = len(parse_known_relays(text))
    except (FileError, KnownRelaysError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, TuiconfError) else "it is not text in UTF-8"
        yield problem("known_relays", f"{path} cannot be used: {reason}", f"${{EDITOR:-vi}} {shlex.quote(str(path))}")
    else:
        yield ok("known_relays", f"relays whose pin was accepted: {count}", facts={"relays": count})


def known_peers(context: Context) -> Iterator[Finding]:
    """Those who were met. Without them nobody can be told from an impostor, so no call begins with a damaged file."""
    path = paths.peers_file(context.environ)
    yield from _permissions(path)
    try:
        pins = PeersFile(path, rng=os.urandom).read()
    except (FileError, PeersError) as error:
        yield problem("known_peers", f"no call can begin: {error}", f"${{EDITOR:-vi}} {_quoted(path)}")
    else:
        verified = sum(pin.trust == "verified" for pin in pins)
        facts = {"peers": len(pins), "verified": verified}
        yield ok("known_peers", f"people who were met: {len(pins)}, of them verified: {verified}", facts=facts)


def configuration(context: Context) -> Iterator[Finding]:
    """The settings; `context.config` holds defaults where they cannot be read."""
    path = paths.config_file(context.environ)
    try:
        settings.load(path)
    except settings.ConfigError as error:
        yield problem("config", str(error), f"${{EDITOR:-vi}} {shlex.quote(str(path))}")
    else:
        yield ok("config", f"the settings in {path} can be used" if path.exists() else "no settings: defaults hold")


def _sealing(path: Path, sealed: bool, context: Context) -> Iterator[Finding]:
    if not sealed:
        yield ok(
            "identity_plain",
            "the identity has no passphrase: whoever can read its file, or a backup of it, can be you",
            facts={"sealed": False},
        )
        return
    yield ok("identity_sealed", "the identity is sealed with a passphrase", facts={"sealed": True})
    try:
        given = given_passphrase(context.environ)
    except (IdentityError, FileError) as error:
        yield problem(error.code, str(error))
        return
    if given is None and context.ask is None:
        yield warning(
            "passphrase_needed",
            "nobody is here to type the passphrase, and neither TUICONF_PASSPHRASE nor the systemd credential"
            " tuiconf-passphrase gives it: --headless cannot start",
        )


def _permissions(path: Path, *, secret: bool = True) -> Iterator[Finding]:
    """Of the file, and of the folder, in which others could put their own file in its place."""
    folder = path.parent
    if (status := _status(folder)) is not None:
        if status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
            yield problem("folder_permissions", f"others can write into {folder}", f"chmod 700 {_quoted(folder)}")
        if not os.access(folder, os.W_OK | os.X_OK):
            yield problem("folder_not_writable", f"nothing can be kept in {folder}", f"chmod u+rwx {_quoted(folder)}")
    if (status := _status(path)) is None:
        return
    if status.st_uid not in (os.geteuid(), 0):
        yield problem("file_owner", f"{path} belongs to another user", f'sudo chown "$USER" {_quoted(path)}')
    too_much = status.st_mode & (_OTHERS if secret else _OTHERS_WRITE)
    if too_much:
        verb = "read" if secret else "write to"
        yield problem("file_permissions", f"others can {verb} {path}", f"chmod 600 {_quoted(path)}")
    elif secret:
        yield ok(
            "file_permissions", f"{path} is readable by its owner only", facts={"mode": f"{status.st_mode & 0o777:o}"}
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
