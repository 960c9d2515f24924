"""What was asked for on the command line and in the settings: checked, before anything is touched."""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tuiconf import config as settings
from tuiconf import paths
from tuiconf.adapters import private_files
from tuiconf.adapters.audio import AudioSpecError, InputSpec, Kind, OutputSpec, parse_input, parse_output
from tuiconf.adapters.relay import check_library
from tuiconf.conference.content import MAX_CHAT_CHARACTERS
from tuiconf.conference.policy import RoomRules
from tuiconf.errors import UsageError
from tuiconf.identity.invite import parse_invitation
from tuiconf.identity.link import Link, LinkError, new_link, parse_relay

# A link has some 200 characters.
MAX_LINK_FILE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """What was asked for, checked as far as it can be without touching the network or a device."""

    link: Link
    creator: bool
    # Made the room once: a room that is joined again from among the recent ones, and may be empty.
    founder: bool
    config: settings.Config
    config_path: Path | None
    rules: RoomRules
    source: InputSpec
    source_name: str
    sink: OutputSpec
    sink_name: str
    # What was typed about it, and whether nobody sits here.
    audio_in: str | None
    audio_out: str | None
    unattended: bool
    # Nobody said where sound comes from or goes to: the sound card, if there is one.
    source_optional: bool
    sink_optional: bool
    headless: bool
    stdio: bool
    detach: bool
    as_json: bool
    log_json: bool
    say: tuple[str, ...]
    seconds: float | None
    stay_s: float
    muted: bool
    # Begin with the control method `join`, and touch no network before.
    prepare: bool
    keep_trying: bool
    eavesdrop: bool

    @property
    def uses_standard_streams(self) -> bool:
        """Whether sound goes over standard input or output."""
        return Kind.STANDARD in (self.source.kind, self.sink.kind)

    @property
    def reads_commands(self) -> bool:
        """Whether standard input is for commands and chat."""
        return not (self.headless or self.stdio or self.detach) and self.source.kind is not Kind.STANDARD


def make_plan(args: argparse.Namespace, *, link: Link | None = None) -> Plan:
    """The plan for parsed options. `link`: the one that was made for them already.

    Raises:
        UsageError: something typed or configured cannot be used.
        FileError: a file it names cannot be read.
    """
    config = settings.load(args.config or paths.config_file(), must_exist=args.config is not None)
    if args.quic is not None:
        config = msgspec.structs.replace(config, network=settings.Network(quic=args.quic))
    check_library(config.network.quic)
    unattended = args.headless or args.stdio
    source_name, sink_name = _names(config, args.audio_in, args.audio_out, unattended=unattended)
    plan = Plan(
        link=link or _link(args),
        creator=args.command == "host",
        founder=getattr(args, "founder", False),  # nobody types it: see participant/preparing.py
        config=config,
        config_path=args.config,
        rules=_rules(args, config.room),
        source=_input(source_name),
        source_name=source_name,
        sink=parse_output(sink_name),
        sink_name=sink_name,
        audio_in=args.audio_in,
        audio_out=args.audio_out,
        unattended=unattended,
        source_optional=args.audio_in is None and source_name == settings.SOUND_CARD,
        sink_optional=args.audio_out is None and sink_name == settings.SOUND_CARD,
        headless=args.headless,
        stdio=args.stdio,
        detach=args.detach,
        as_json=args.json,
        log_json=args.log == "json",
        say=tuple(_chat_line(text) for text in args.say),
        seconds=args.seconds,
        stay_s=config.call.stay_s if args.stay is None else args.stay,
        muted=args.muted,
        prepare=getattr(args, "prepare", False),  # nobody types it: see participant/preparing.py
        keep_trying=args.wait,
        eavesdrop=args.eavesdrop_after_removal,
    )
    _check_streams(plan)
    return plan


def load_config(path: Path | None) -> settings.Config:
    """The settings, once more.

    Raises:
        ConfigError: they cannot be used as they are now.
    """
    return settings.load(path or paths.config_file(), must_exist=path is not None)


def sound_of(plan: Plan, config: settings.Config) -> tuple[str, str]:
    """Where sound comes from and goes to under these settings: what was typed still comes first."""
    return _names(config, plan.audio_in, plan.audio_out, unattended=plan.unattended)


def _link(args: argparse.Namespace) -> Link:
    if args.command == "host":
        return new_link(parse_relay(args.relay), args.room, rng=os.urandom)
    if (args.link is None) is (args.link_file is None):
        raise UsageError("say which room: a link, or --link-file FILE")
    return parse_invitation(args.link if args.link is not None else _read_link(args.link_file))


def _read_link(path: Path) -> str:
    data = private_files.read(path, max_bytes=MAX_LINK_FILE_BYTES, secret=False)
    if data is None:
        raise UsageError(f"{path}: there is no such file")
    try:
        return data.decode().strip()
    except UnicodeDecodeError as error:
        raise LinkError(f"{path}: not a link") from error


def _rules(args: argparse.Namespace, room: settings.Room) -> RoomRules:
    """Options of the command line come first; who joins sets no rules."""
    return RoomRules(
        lobby=getattr(args, "lobby", None) or room.lobby,
        admit=room.admit,
        remove=room.remove,
        record=room.record,
        successors=tuple(room.successors),
    )


def _input(name: str) -> InputSpec:
    spec = parse_input(name)
    if spec.kind is Kind.COMMAND and shutil.which(spec.argv[0]) is None:
        raise AudioSpecError(f"cmd: there is no command {spec.argv[0]}")
    return spec


def _names(
    config: settings.Config, audio_in: str | None, audio_out: str | None, *, unattended: bool
) -> tuple[str, str]:
    return (
        _given(audio_in, config.audio.input, unattended=unattended),
        _given(audio_out, config.audio.output, unattended=unattended),
    )


def _given(option: str | None, setting: str, *, unattended: bool) -> str:
    """What was asked for; without a word about it a machine nobody sits at is silent."""
    if option is not None:
        return option
    return "null" if unattended and setting == settings.SOUND_CARD else setting


def _chat_line(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("--say takes text in UTF-8") from error
    if not 0 < len(text) <= MAX_CHAT_CHARACTERS:
        raise UsageError(f"--say takes 1 to {MAX_CHAT_CHARACTERS} characters")
    return text


def _check_streams(plan: Plan) -> None:
    """Standard input and output serve one purpose each."""
    if plan.sink.kind is Kind.STANDARD and plan.as_json:
        raise AudioSpecError("--audio-out - and --json would both write to standard output: choose one")
    if plan.uses_standard_streams and plan.stdio:
        raise AudioSpecError("--stdio needs standard input and output for itself: send sound another way")
    if plan.uses_standard_streams and plan.detach:
        raise AudioSpecError("--detach leaves standard input and output behind: send sound another way")
    if plan.uses_standard_streams and plan.prepare:
        raise AudioSpecError("an interface has standard input and output for itself: send sound another way")
    if plan.detach and (plan.headless or plan.stdio):
        raise UsageError("--detach goes without --headless and --stdio: it is headless by itself")
