"""Settings: one TOML file, read once, every key checked. config/client.toml documents each."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from tuiconf.errors import UsageError

# What sound comes from and goes to unless something else is said.
SOUND_CARD: Final = "default"

# A few kB of comments are usual.
MAX_FILE_BYTES: Final = 1 << 20


class ConfigError(UsageError):
    """The settings cannot be used; the message names the file, and the key where it can."""

    code = "config"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Me(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who you are in calls."""

    name: str | None = None
    allow_recording: bool = True


class Audio(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where sound comes from and goes to, and how it is coded."""

    input: str = SOUND_CARD
    output: str = SOUND_CARD
    voice_activation: bool = False
    bitrate: Literal[16_000, 24_000, 32_000] = 32_000
    complexity: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    repeat: (
        Literal["auto", "off"] | Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=8)]], msgspec.Meta(max_length=3)]
    ) = "auto"
    opus: str | None = None

    @property
    def repeats(self) -> tuple[int, ...] | None:
        """Which earlier frames to repeat: None decides by what receivers report."""
        if self.repeat == "auto":
            return None
        return () if isinstance(self.repeat, str) else tuple(sorted(set(self.repeat)))


class Network(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach relays."""

    quic: Literal["auto", "aioquic", "qh3"] = "auto"


Fingerprint = Annotated[str, msgspec.Meta(pattern="^[a-z2-7]{4}(-[a-z2-7]{4}){7}$")]
"""As `tuiconf identity show` prints it."""

# As many as the room's policy can name.
MAX_PEOPLE: Final = 64


class Room(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules of the rooms that one makes, and whom one knows."""

    lobby: Literal["off", "unknown", "everyone"] = "off"
    admit: Literal["hosts", "members"] = "hosts"
    remove: Literal["hosts", "members"] = "hosts"
    record: Literal["hosts", "members", "nobody"] = "members"
    successors: Annotated[list[Fingerprint], msgspec.Meta(max_length=MAX_PEOPLE)] = []
    allow: Annotated[list[Fingerprint], msgspec.Meta(max_length=4096)] = []


class Recording(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How recordings are made, unless something else is said."""

    folder: str | None = None
    mix: bool = False
    split_minutes: Annotated[float, msgspec.Meta(gt=0)] | None = None
    split_megabytes: Annotated[float, msgspec.Meta(gt=0)] | None = None
    encrypt_to: str | None = None


class Speech(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How bots speak: a command that takes text on standard input and writes a WAV file to standard output."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["espeak-ng", "--stdin", "--stdout"]
    )


class Call(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls go."""

    # Two minutes to come back after a connection was lost.
    stay_without_terminal_s: Literal["forever"] | Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 120.0

    @property
    def stay_s(self) -> float:
        """How long, as a number: infinite for ever."""
        return math.inf if isinstance(self.stay_without_terminal_s, str) else self.stay_without_terminal_s

    remember_rooms: bool = True


Key = Annotated[str, msgspec.Meta(pattern=r"^([^\s\x00-\x1f\x7f]|((ctrl|alt|shift)\+)*[a-z][a-z0-9_]*)$")]
"""One character, or a name such as `space`, `f2` or `ctrl+o`."""

# These move about, open the chat and go back, and are no one action's.
FIXED_KEYS: Final = frozenset(
    {"enter", "escape", "tab", "up", "down", "left", "right", "pageup", "pagedown", "home", "end", "/", "slash"}
)


class Keys(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which key does what in the terminal interface. No two do the same."""

    mute: Key = "m"
    talk: Key = "space"
    deafen: Key = "e"
    hand: Key = "h"
    record: Key = "r"
    chat: Key = "c"
    verify: Key = "v"
    participants: Key = "p"
    lobby: Key = "l"
    devices: Key = "d"
    settings: Key = "s"
    statistics: Key = "i"
    help: Key = "?"
    quit: Key = "q"

    def __post_init__(self) -> None:
        """A key that would do two things does neither well."""
        seen: dict[str, str] = {}
        for action in self.__struct_fields__:
            key: str = getattr(self, action)
            if key in FIXED_KEYS:
                raise ValueError(f"the key {key!r} of `{action}` has a use of its own")
            if (other := seen.setdefault(key, action)) != action:
                raise ValueError(f"the key {key!r} cannot be both `{other}` and `{action}`")


class Tui(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the terminal interface looks, and what its keys do."""

    theme: Literal["auto", "dark", "light", "ansi", "none"] = "auto"
    ascii: bool | Literal["auto"] = "auto"
    motion: bool = True
    timestamps: bool = True
    talk: Literal["toggle", "hold", "voice"] = "toggle"
    keys: Keys = Keys()


class Config(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a participant, each with the default that holds without a file."""

    me: Me = Me()
    audio: Audio = Audio()
    network: Network = Network()
    call: Call = Call()
    room: Room = Room()
    recording: Recording = Recording()
    speech: Speech = Speech()
    tui: Tui = Tui()


def parse(text: str) -> Config:
    """The settings in a file's text.

    Raises:
        ConfigError: it is not TOML, or a key is unknown or has a value it cannot have.
    """
    try:
        return msgspec.convert(tomllib.loads(text), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of thousands of digits
        raise ConfigError(f"not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError("nested too deeply") from error


def load(path: Path, *, must_exist: bool = False) -> Config:
    """The settings in a file; the defaults when there is none, unless it `must_exist`.

    Raises:
        ConfigError: it cannot be read, or not be used.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError(f"{path}: there is no such file") from error
        return Config()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError("too large for a file of settings")
        return parse(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text in UTF-8") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
