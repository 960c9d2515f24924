"""The identity's file: found, or made on the first run; and where its passphrase comes from.

`$TUICONF_PASSPHRASE` or the systemd credential `tuiconf-passphrase` where one is set; else a person is asked,
if there is one; else there is no passphrase and the file's permissions (0600) are all that protects the key.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.adapters import private_files
from tuiconf.adapters.private_files import FileError, NotPrivate
from tuiconf.crypto.primitives import Random
from tuiconf.errors import TuiconfError
from tuiconf.identity.key_file import (
    MAX_FILE_BYTES,
    MODERATE,
    Cost,
    KeyFileError,
    PlainKey,
    SealedKey,
    WrongPassphrase,
    encode_plain,
    encode_sealed,
    parse_key_file,
)
from tuiconf.identity.keys import Identity
from tuiconf.identity.names import NameRefused, normalise_name

__all__ = ["FileError", "IdentityError", "NotPrivate", "PassphraseNeeded", "load_or_create", "terminal_ask"]

PASSPHRASE_VARIABLE: Final = "TUICONF_PASSPHRASE"  # noqa: S105 - where it is, not what it is
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL_NAME: Final = "tuiconf-passphrase"

# A passphrase, not a document: systemd's own limit for a credential is 1 MB, which nobody types.
MAX_PASSPHRASE_BYTES: Final = 1024

_TRIES: Final = 3
_DEFAULT_NAME: Final = "guest"

Ask = Callable[[str], str]
"""Asks a person for a passphrase with this prompt, without showing it; "" when nothing was typed."""

Say = Callable[[str], None]
"""Tells the person one line."""


class IdentityError(TuiconfError):
    """The identity cannot be used; the message is one sentence that says why and what to do."""

    code = "identity"


class PassphraseNeeded(IdentityError):
    """The identity is sealed, and there is neither a passphrase nor anyone to ask."""

    code = "passphrase_needed"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Store:
    path: Path
    ask: Ask | None
    environ: Mapping[str, str]
    rng: Random
    say: Say
    cost: Cost

    def load(self) -> Identity | None:
        data = private_files.read(self.path, max_bytes=MAX_FILE_BYTES, secret=True)
        if data is None:
            return None
        try:
            file = parse_key_file(data)
            if isinstance(file, SealedKey):
                return self._unseal(file)
            if given_passphrase(self.environ) is not None:
                self.say(f"Your key in {self.path} has no passphrase: the one that is set protects nothing.")
            return file.identity()
        except WrongPassphrase as error:
            raise WrongPassphrase(f"wrong passphrase: it does not open {self.path}") from error
        except KeyFileError as error:
            raise IdentityError(f"{error} ({self.path}); it was left as it is") from error

    def _unseal(self, file: SealedKey) -> Identity:
        given = given_passphrase(self.environ)
        if given is not None:
            return file.open(given)
        if self.ask is None:
            raise PassphraseNeeded(
                f"the identity has a passphrase: set {PASSPHRASE_VARIABLE} or the credential {CREDENTIAL_NAME},"
                " or start on a terminal"
            )
        for _ in range(_TRIES - 1):
            try:
                return file.open(self.ask("Passphrase: "))
            except WrongPassphrase:
                self.say("That is not the passphrase.")
        return file.open(self.ask("Passphrase: "))

    def create(self, name: str | None) -> Identity | None:
        """A new identity, or None when another process has just made one."""
        identity = Identity.create(name if name is not None else default_name(self.environ), self.rng)
        passphrase = given_passphrase(self.environ)
        if passphrase is None and self.ask is not None:
            passphrase = self._choose(self.ask)
        if passphrase:
            data = encode_sealed(identity, passphrase, rng=self.rng, cost=self.cost)
        else:
            data = encode_plain(identity)
        if not private_files.create(self.path, data, rng=self.rng):
            return None
        if not passphrase:
            self.say(f"No passphrase: your key is kept in {self.path}, protected by the file's permissions only.")
        return identity

    def _choose(self, ask: Ask) -> str:
        """A new passphrase, typed twice; "" for none."""
        for _ in range(_TRIES):
            chosen = ask("Choose a passphrase for your new identity (empty for none): ")
            if len(chosen.encode("utf-8", "surrogatepass")) > MAX_PASSPHRASE_BYTES:
                self.say(f"A passphrase may have at most {MAX_PASSPHRASE_BYTES} bytes.")
            elif not chosen or ask("The same again: ") == chosen:
                return chosen
            else:
                self.say("The two are not the same.")
        raise IdentityError("no identity was made: no passphrase was typed twice the same")


def load_or_create(
    path: Path,
    *,
    name: str | None,
    ask: Ask | None,
    environ: Mapping[str, str],
    rng: Random,
    say: Say,
    cost: Cost = MODERATE,
) -> Identity:
    """The identity in `path`, made if there is none. Blocks: on the disk, on a person, and on Argon2id.

    `name` is what to be called; for an identity that exists already it holds for this run only. None is the
    name in the file, or for a new one the login name. Two processes that start at once end with the same
    identity. A file that cannot be read is never overwritten.

    Raises:
        IdentityError: the file is damaged, of another version, or no passphrase was chosen.
        PassphraseNeeded: there is nobody to ask.
        WrongPassphrase: it does not open the file.
        NotPrivate: others can read the file, or write into its folder.
        FileError: it cannot be read or written; the disk is full.
        NameRefused: nobody may be called that.
    """
    store = _Store(path=path, ask=ask, environ=environ, rng=rng, say=say, cost=cost)
    wanted = normalise_name(name) if name is not None else None
    private_files.make_folder(path.parent)
    identity = store.load() or store.create(wanted) or store.load()
    if identity is None:
        if path.is_symlink():
            raise IdentityError(f"{path} is a link to a file that is not there")
        raise IdentityError(f"{path} disappeared while it was made: start again")
    return replace(identity, name=wanted) if wanted is not None else identity


def terminal_ask() -> Ask | None:
    """Asks on the terminal, or None when there is none to ask on."""
    if sys.stdin is None or sys.stderr is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    return _ask_on_terminal


def _ask_on_terminal(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError as error:
        print(file=sys.stderr)  # noqa: T201 - what is said next does not go behind the prompt
        raise IdentityError("no passphrase was typed") from error


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of file it is, without the key in it."""

    format: str


def is_sealed(path: Path) -> bool | None:
    """Whether a passphrase will be needed for the identity in `path`; None where there is none yet.

    Raises:
        IdentityError: it is not an identity.
        FileError: it cannot be read.
    """
    data = private_files.read(path, max_bytes=MAX_FILE_BYTES, secret=True)
    if data is None:
        return None
    try:
        kind = msgspec.json.decode(data, type=_Format).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IdentityError(f"{path} is not an identity; it was left as it is") from error
    return kind != PlainKey.__struct_config__.tag


def given_passphrase(environ: Mapping[str, str]) -> str | None:
    """The passphrase the environment gives, or None.

    Raises:
        FileError: the credential cannot be read.
        IdentityError: it is not text.
    """
    if passphrase := environ.get(PASSPHRASE_VARIABLE):
        return passphrase
    folder = environ.get(CREDENTIALS_VARIABLE)
    if not folder:
        return None
    # systemd guards this folder itself, with modes and owners that differ between versions.
    path = Path(folder) / CREDENTIAL_NAME
    data = private_files.read(path, max_bytes=MAX_PASSPHRASE_BYTES, secret=False)
    try:
        return data.decode().rstrip("\r\n") or None if data is not None else None
    except UnicodeDecodeError as error:
        raise IdentityError(f"the credential {CREDENTIAL_NAME} is not text in UTF-8") from error


def default_name(environ: Mapping[str, str]) -> str:
    """The login name, where it can be a participant's name."""
    for variable in ("LOGNAME", "USER"):
        try:
            return normalise_name(environ.get(variable, ""))
        except NameRefused:
            continue
    return _DEFAULT_NAME
