"""A bot's settings: one TOML file, read once, every key checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

import msgspec

from tuiconf.config import MAX_FILE_BYTES, ConfigError, Fingerprint, Speech
from tuiconf.control.schema import MAX_ALLOWED

S = TypeVar("S")

# How long a handler may take unless the settings say something else: to look something up, or to say a sentence.
HANDLER_TIMEOUT_S: Final = 10.0


class Where(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which call the bot is in, and how. One of `link`, `link_file`, `host` and `call` says which."""

    link: str | None = None
    link_file: Path | None = None  # paths are relative to the settings' folder
    host: str | None = None  # a relay, to make a room on
    call: str | None = None  # a call that runs on this machine, by its name; "": the only one there is
    name: str | None = None
    audio_in: str | None = None
    audio_out: str | None = None
    lobby: Literal["off", "unknown", "everyone"] | None = None
    config: Path | None = None  # the engine's settings, as in client.toml
    wait: bool = True  # for a relay that is not there yet

    def __post_init__(self) -> None:
        """Refuse what says nothing, or too much."""
        if sum(where is not None for where in (self.link, self.link_file, self.host, self.call)) != 1:
            raise ValueError("say which call: one of link, link_file, host and call")
        if self.lobby is not None and self.host is None:
            raise ValueError("lobby is for whoever makes the room: it goes with host")

    def __repr__(self) -> str:
        """Without the link: it is a secret."""
        return "<Where>"

    def resolved(self, folder: Path) -> Self:
        """The same with its paths taken from there."""
        return msgspec.structs.replace(
            self,
            link_file=folder / self.link_file if self.link_file is not None else None,
            config=folder / self.config if self.config is not None else None,
        )


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in the file. `settings` is the bot's own."""

    bot: Where
    speech: Speech = Speech()
    # Identities the engine knows: a lobby for unknown people lets them in.
    allow: Annotated[list[Fingerprint], msgspec.Meta(max_length=MAX_ALLOWED)] = []
    handler_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = HANDLER_TIMEOUT_S
    settings: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class BotConfig(_File, frozen=True, kw_only=True):
    """All of it, and where it was read from."""

    path: Path = Path("bot.toml")

    def __repr__(self) -> str:
        """Without what is in it."""
        return f"<BotConfig {self.path}>"

    def resolve(self, path: str | Path) -> Path:
        """A path that the settings name, from their folder."""
        return self.path.parent / path

    def own_settings(self, kind: type[S]) -> S:
        """The bot's own settings, as a type of its own: a msgspec Struct that forbids unknown fields, best.

        Raises:
            ConfigError: they are not of that type; the message names file and key.
        """
        try:
            return msgspec.convert(self.settings, kind, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{self.path}: {str(error).replace('`$', '`$.settings')}") from error


def _path(kind: type, value: object) -> object:
    """What msgspec does not know by itself."""
    if kind is object:
        return value
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    raise ValueError("expected a path")


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
        given = msgspec.convert(tomllib.loads(data.decode()), _File, dec_hook=_path)
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    except ValueError as error:  # not UTF-8, not TOML, not these settings
        raise ConfigError(f"{path}: {error}") from error
    return BotConfig(
        bot=given.bot.resolved(path.parent),
        speech=given.speech,
        allow=given.allow,
        handler_timeout_s=given.handler_timeout_s,
        settings=given.settings,
        path=path,
    )
