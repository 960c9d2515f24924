"""A bot's settings: one TOML file, read once, every key checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from tuiconf.config import ConfigError, Fingerprint, Speech

MAX_FILE_BYTES: Final = 1 << 20


class Participant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which call the bot is in, and how. One of `link`, `link_file`, `host` and `call` says where."""

    link: str | None = None
    link_file: Path | None = None  # a path relative to the settings' folder
    host: str | None = None  # a relay, to make a room on
    call: str | None = None  # a call that runs on this machine
    name: str | None = None
    audio_in: str | None = None
    audio_out: str | None = None
    lobby: str | None = None
    config: Path | None = None
    wait: bool = True

    def __post_init__(self) -> None:
        if sum(where is not None for where in (self.link, self.link_file, self.host, self.call)) != 1:
            raise ValueError("say which call: one of link, link_file, host and call")


class BotConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. `settings` is the bot's own."""

    bot: Participant
    speech: Speech = Speech()
    # Identities the bot deals with, where it deals with some only.
    allow: Annotated[list[Fingerprint], msgspec.Meta(max_length=4096)] = []
    handler_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    settings: dict[str, Any] = {}


def load(path: Path) -> BotConfig:
    """The settings in a file; paths in it are relative to its folder.

    Raises:
        ConfigError: it cannot be read, or not be used; the message names file and key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: too large for a file of settings")
        config = msgspec.convert(tomllib.loads(data.decode()), BotConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, not these settings
        raise ConfigError(f"{path}: {error}") from error
    return msgspec.structs.replace(config, bot=_resolved(config.bot, path.parent))


def _resolved(bot: Participant, folder: Path) -> Participant:
    return msgspec.structs.replace(
        bot,
        link_file=folder / bot.link_file if bot.link_file is not None else None,
        config=folder / bot.config if bot.config is not None else None,
    )
