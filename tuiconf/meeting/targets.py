"""What a script's hooks call, made ready before the meeting, so that a secret that is missing is told in time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tuiconf.adapters import private_files
from tuiconf.meeting.hook_command import Command
from tuiconf.meeting.hooks import Target
from tuiconf.meeting.script import Hook
from tuiconf.meeting.signing import MAX_SECRET_BYTES, Secret, SecretError

# Base64 and a prefix, with room for white space.
MAX_SECRET_FILE_BYTES: Final = 4 * MAX_SECRET_BYTES

_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


def target(hook: Hook, *, folder: Path, environ: Mapping[str, str] = os.environ) -> Target:
    """What one hook calls. Commands run in `folder`.

    Raises:
        SecretError: there is no secret to sign with.
        FileError: it cannot be read, or others can.
        CertificateError: the file of certificates cannot be used.
    """
    if hook.command is not None:
        return Command(hook.command, folder=folder, timeout_s=hook.timeout_s)
    from tuiconf.meeting.webhook import Webhook

    secret = _secret(hook, environ)
    return Webhook(hook.url or "", secret, ca_file=hook.ca_file, timeout_s=hook.timeout_s)


def _secret(hook: Hook, environ: Mapping[str, str]) -> Secret:
    path, guarded = hook.secret_file, False
    if hook.secret_credential is not None:
        if not (credentials := environ.get(_CREDENTIALS)):
            raise SecretError("secret_credential is for services: the unit needs LoadCredential=, or use secret_file")
        # systemd guards this folder itself, with modes and owners that differ between versions.
        path, guarded = Path(credentials) / hook.secret_credential, True
    if path is None:
        raise SecretError("a url needs what to sign with")
    data = private_files.read(path, max_bytes=MAX_SECRET_FILE_BYTES, secret=not guarded)
    if data is None:
        raise SecretError(f"{path}: there is no such file: type openssl rand -base64 32")
    try:
        return Secret.parse(data.decode())
    except (UnicodeDecodeError, SecretError) as error:
        raise SecretError(f"{path}: {error}") from error
