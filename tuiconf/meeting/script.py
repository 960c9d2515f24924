"""A scripted meeting: one TOML file, every key checked. config/meeting.toml documents each. Pure but for `load`."""

from __future__ import annotations

import dataclasses
import tomllib
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from tuiconf.adapters import private_files
from tuiconf.config import ConfigError, Speech
from tuiconf.meeting import toml_lines
from tuiconf.meeting.schedule import CronRule
from tuiconf.meeting.tables import Unusable, read_table

# A few kB are usual.
MAX_FILE_BYTES: Final = 1 << 20

# So many hooks and announcements are a slip of whatever wrote the file; each hook has a queue and perhaps a thread.
MAX_HOOKS: Final = 16
MAX_ANNOUNCEMENTS: Final = 64

# The longest a meeting may be said to take or to be waited for. Longer is a room, not a meeting: see `tuiconf join`.
MAX_MINUTES: Final = 7 * 24 * 60

MINUTE_S: Final = 60.0

Minutes = Annotated[float, msgspec.Meta(gt=0, le=MAX_MINUTES)]
MinutesOrNone = Annotated[float, msgspec.Meta(ge=0, le=MAX_MINUTES)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]

HookEvent = Literal[
    "joined",
    "participant_joined",
    "started",
    "participant_left",
    "recording_started",
    "recording_stopped",
    "failed",
    "ended",
]
"""What hooks can be told of."""


class ScriptError(ConfigError):
    """The script cannot be used; the message names file, line and key."""

    code = "meeting"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Room(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which room, and as whom. One of `link`, `link_file` and `host` says where."""

    link: Word | None = None
    link_file: Path | None = None
    host: Word | None = None  # a relay, to make a room on
    write_link: Path | None = None  # where the link of that room goes
    lobby: Literal["off", "unknown", "everyone"] | None = None
    name: Word | None = None
    audio_in: Word | None = None
    audio_out: Word | None = None
    config: Path | None = None

    def __post_init__(self) -> None:
        if sum(where is not None for where in (self.link, self.link_file, self.host)) != 1:
            raise Unusable((), "say which room: one of link, link_file and host")
        if self.host is None and self.write_link is not None:
            raise Unusable(("write_link",), "only a room that is made here (host) has a new link")
        if self.host is None and self.lobby is not None:
            raise Unusable(("lobby",), "only a room that is made here (host) gets rules")


class When(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the meeting is. One of `at`, `cron` and `calendar`."""

    at: datetime | None = None
    cron: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    calendar: Path | None = None
    zone: Word | None = None
    early_minutes: MinutesOrNone = 0.0
    late_minutes: MinutesOrNone = 15.0

    def __post_init__(self) -> None:
        if sum(rule is not None for rule in (self.at, self.cron, self.calendar)) != 1:
            raise Unusable((), "say when: one of at, cron and calendar")
        if self.zone is not None:
            _check_zone(self.zone)
        if self.cron is not None and self.zone is None:
            raise Unusable(("cron",), 'a rule needs its time zone: zone = "Europe/Berlin"')
        if self.cron is not None and self.zone is not None:
            CronRule(self.cron, self.zone)
        if self.at is not None:
            self._check_at(self.at)

    def _check_at(self, at: datetime) -> None:
        if at.tzinfo is None and self.zone is None:
            raise Unusable(("at",), "a time needs an offset (+01:00) or a zone beside it")
        if not 1971 <= at.year <= 9998:  # there is room for any offset on both sides
            raise Unusable(("at",), "that year is out of reach")
        if at.tzinfo is None and self.zone is not None:
            _check_is_once(at, zoneinfo.ZoneInfo(self.zone))

    @property
    def start(self) -> datetime | None:
        """`at` with its zone."""
        if self.at is not None and self.at.tzinfo is None and self.zone is not None:
            return self.at.replace(tzinfo=zoneinfo.ZoneInfo(self.zone))
        return self.at

    @property
    def early(self) -> timedelta:
        """How long before the start to join."""
        return timedelta(minutes=self.early_minutes)

    @property
    def late(self) -> timedelta:
        """How long after the start joining is still worth it."""
        return timedelta(minutes=self.late_minutes)


class Wait(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has to be there for the meeting to start."""

    participants: Count = 1  # besides this one
    minutes: Minutes | None = 15.0
    too_few: Literal["leave", "begin"] = "begin"


class Announcement(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is played or said. `minutes` and `participants` belong to some of `when`."""

    when: Literal["joined", "present", "start", "every", "before_end"]
    play: Path | None = None
    say: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None
    minutes: Minutes | None = None
    participants: Count | None = None

    def __post_init__(self) -> None:
        if (self.play is None) is (self.say is None):
            raise Unusable((), "say what: play a file, or say a text")
        if (self.minutes is not None) is not (self.when in ("every", "before_end")):
            raise Unusable(("minutes",), "every and before_end need minutes, and nothing else has them")
        if (self.participants is not None) is not (self.when == "present"):
            raise Unusable(("participants",), "present needs participants, and nothing else has them")


class Record(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Record the meeting. Everyone is told, and who does not allow it is not recorded."""

    begin: Literal["joined", "start"] = "start"
    folder: Path | None = None
    mix: bool = False
    split_minutes: Annotated[float, msgspec.Meta(ge=1 / 60)] | None = None
    encrypt_to: Word | None = None


class End(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to leave. That nobody came is `wait.minutes`."""

    everyone_left_minutes: MinutesOrNone = 1.0
    silence_minutes: Minutes | None = None
    maximum_minutes: Minutes = 480.0


class Hook(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command or a URL that is told what happens."""

    on: Annotated[tuple[HookEvent, ...], msgspec.Meta(min_length=1)] | None = None  # None: everything
    command: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)] | None = None
    url: Word | None = None
    secret_file: Path | None = None
    secret_credential: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    ca_file: Path | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 30.0
    give_up_minutes: Minutes = 10.0

    def __post_init__(self) -> None:
        if (self.command is None) is (self.url is None):
            raise Unusable((), "say what to call: a command, or a url")
        secrets = sum(secret is not None for secret in (self.secret_file, self.secret_credential))
        if self.command is not None and (secrets or self.ca_file is not None):
            raise Unusable((), "secrets and certificates are for a url")
        if self.url is not None:
            if secrets != 1:
                raise Unusable((), "a url needs what to sign with: secret_file, or secret_credential")
            _check_url(self.url)


class Script(_Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    title: Annotated[str, msgspec.Meta(max_length=200)] = ""
    attendance: Path = Path("attendance.jsonl")
    room: Room
    when: When | None = None  # None: now
    wait: Wait = Wait()
    announce: tuple[Announcement, ...] = ()
    record: Record | None = None
    end: End = End()
    speech: Speech = Speech()
    hook: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        if len(self.announce) > MAX_ANNOUNCEMENTS:
            raise Unusable(("announce",), f"at most {MAX_ANNOUNCEMENTS} announcements")
        if len(self.hook) > MAX_HOOKS:
            raise Unusable(("hook",), f"at most {MAX_HOOKS} hooks")
        for number, announcement in enumerate(self.announce):
            if announcement.when == "before_end" and (announcement.minutes or 0) >= self.end.maximum_minutes:
                raise Unusable(("announce", number, "minutes"), "that is before the meeting, by end.maximum_minutes")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ScriptFile:
    """A script, and where each of its keys stands."""

    path: Path
    script: Script
    outline: toml_lines.Outline

    def error(self, place: toml_lines.Path, why: object) -> ScriptError:
        """For what only turns out later, such as that a file is missing."""
        return _error(str(self.path), self.outline, place, why)


def parse(text: str, *, path: Path) -> ScriptFile:
    """The script in a file's text; paths in it are as they stand there.

    Raises:
        ScriptError: it cannot be used.
    """
    text = toml_lines.with_seconds(text)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is the first, and it names the line
        raise ScriptError(f"{path}: not TOML: {error}") from error
    _spell_out(table)
    outline = toml_lines.outline(text)
    try:
        return ScriptFile(path=path, script=read_table(Script, table), outline=outline)
    except Unusable as error:
        raise _error(str(path), outline, error.path, error) from error


def load(path: Path) -> ScriptFile:
    """The script in a file; paths in it are relative to its folder.

    Raises:
        ScriptError: it cannot be read, or not be used.
    """
    data = private_files.read(path, max_bytes=MAX_FILE_BYTES, secret=False)
    if data is None:
        raise ScriptError(f"{path}: there is no such file")
    try:
        file = parse(data.decode(), path=path)
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path}: not text in UTF-8") from error
    file = dataclasses.replace(file, script=resolved(file.script, path.parent.absolute()))
    _check_files(file)
    return file


def _check_files(file: ScriptFile) -> None:
    """What is missing is told when the script is started, and not when the meeting is."""
    files: list[tuple[toml_lines.Path, Path | None]] = [(("room", "link_file"), file.script.room.link_file)]
    files += [(("announce", number, "play"), what.play) for number, what in enumerate(file.script.announce)]
    for place, path in files:
        if path is not None and not path.is_file():
            raise file.error(place, "there is no such file")


def resolved(script: Script, folder: Path) -> Script:
    """The same script with absolute paths."""
    replaced: Script = _resolved(script, folder)
    return replaced


def _resolved(value: Any, folder: Path) -> Any:
    match value:
        case Path():
            return folder / value.expanduser()
        case msgspec.Struct():
            changes = {name: _resolved(getattr(value, name), folder) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **changes)
        case tuple():
            return tuple(_resolved(item, folder) for item in value)
        case _:
            return value


def _spell_out(table: dict[str, Any]) -> None:
    """`at` may be a string as well."""
    when = table.get("when")
    if isinstance(when, dict) and isinstance(at := when.get("at"), str):
        when["at"] = toml_lines.minute_with_seconds(at)


def _error(file: str, outline: toml_lines.Outline, place: toml_lines.Path, why: object) -> ScriptError:
    return ScriptError(f"{file}, line {outline.line(place)}: {_dotted(place)}{why}")


def _dotted(path: toml_lines.Path) -> str:
    """As people write it: `hook[0].url: `."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return f"{text}: " if text else ""


def _check_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError) as error:  # some names are folders, some no names
        raise Unusable(("zone",), "there is no such time zone") from error


def _check_is_once(at: datetime, zone: zoneinfo.ZoneInfo) -> None:
    """Someone who means a time that a change of clocks skips or repeats has to say which they mean."""
    first, second = at.replace(tzinfo=zone, fold=0), at.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return
    skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != at
    what = "never comes" if skipped else "comes twice"
    raise Unusable(("at",), f"that time {what} there, as the clocks change: write it with its offset (+01:00)")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port_is_possible = parts.port is None or parts.port > 0
    except ValueError as error:
        raise Unusable(("url",), "not a URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_possible or not _is_plain(url):
        raise Unusable(("url",), "a URL begins with https:// and a host, and has no spaces")
    if parts.username is not None or parts.fragment:
        raise Unusable(("url",), "no password and no fragment: the secret signs what is sent")
    if parts.scheme == "http" and not _is_here(parts):
        raise Unusable(("url",), "names of people go over https://, unless it is to this machine")


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _is_here(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
