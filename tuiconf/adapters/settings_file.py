"""One setting put into the file of settings, whose comments and order stay as their owner left them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tuiconf import config
from tuiconf.adapters import private_files
from tuiconf.config import ConfigError

_NEW: Final = "# Settings of tuiconf; config/client.toml of its source explains every key.\n"


def save(path: Path, table: str, key: str, value: str | bool | float) -> None:
    """Set `key` in `[table]`; a table with a dot in its name lies in another.

    Raises:
        ConfigError: the file cannot be used as it is, or not with this value. It stays as it is.
        FileError: it cannot be read or written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    target = path.resolve()  # a link into a folder of dotfiles stays one
    private_files.make_folder(target.parent)
    with private_files.locked(target):
        text = _read(target)
        try:
            document = tomlkit.parse(text or _NEW)
            inner = document
            for name in table.split("."):
                inner = inner.setdefault(name, tomlkit.table())
            inner[key] = value
            changed = tomlkit.dumps(document)
        except (TOMLKitError, AttributeError, TypeError) as error:  # `[tui]` that is a number has no keys
            raise ConfigError(f"{path}: not TOML that can be changed: {error}") from error
        try:
            config.parse(changed)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
        private_files.replace(target, changed.encode(), rng=os.urandom)


def _read(path: Path) -> str:
    data = private_files.read(path, max_bytes=config.MAX_FILE_BYTES, secret=False)
    try:
        return (data or b"").decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text in UTF-8") from error
