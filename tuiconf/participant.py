"""One participant as a process: what `tuiconf host` and `tuiconf join` do."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TextIO

from tuiconf import config as settings
from tuiconf import lines, paths
from tuiconf.adapters.audio import (
    AudioSpecError,
    InputSpec,
    Kind,
    OutputSpec,
    open_sink,
    open_source,
    parse_input,
    parse_output,
)
from tuiconf.adapters.identity_store import load_or_create, terminal_ask
from tuiconf.adapters.known_relays import KnownRelays
from tuiconf.adapters.relay import Offered, RelayConnection, check_library
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.conference.eavesdrop import Eavesdropper
from tuiconf.conference.events import Event, Failed, Joined, LeftReason, RoomCreated
from tuiconf.conference.membership import Self
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.engine import Call, Engine
from tuiconf.errors import UsageError
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import Link, RelayAddress, derive_keys, format_link, new_link, parse_link, parse_relay
from tuiconf.media import opus

_EXIT_CODES: Final = {LeftReason.LEFT: 0, LeftReason.REMOVED: 1, LeftReason.FAILED: 1}

# A bus factor for a hurried user: the second Ctrl-C does not wait for a polite goodbye.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """What was asked for, checked as far as it can be without touching the network or a device."""

    link: Link
    creator: bool
    config: settings.Config
    source: InputSpec
    sink: OutputSpec
    headless: bool
    as_json: bool
    say: tuple[str, ...]
    seconds: float | None
    eavesdrop: bool

    @property
    def reads_commands(self) -> bool:
        """Whether standard input is for commands and chat."""
        return not self.headless and self.source.kind is not Kind.STANDARD


def run_call(args: argparse.Namespace) -> int:
    """Be in one call, from the parsed options to the exit code.

    Raises:
        UsageError: something typed or configured cannot be used.
        TuiconfError: the call could not begin.
    """
    plan = _plan(args)
    _check_standard_streams(plan)
    library = opus.load(plan.config.audio.opus)
    identity = _identity(args.name or plan.config.me.name, headless=plan.headless)
    trust = RelayTrust(KnownRelays(paths.known_relays_file(), rng=os.urandom))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        if not plan.headless and sys.stdin.isatty() and plan.link.relay.pin is None:
            _meet_relay(runner, plan, trust)
        return runner.run(_Participant(plan, identity, trust, library).run())


# --- before the call


def _plan(args: argparse.Namespace) -> Plan:
    config = settings.load(args.config or paths.config_file(), must_exist=args.config is not None)
    if args.quic is not None:
        config = replace_network(config, args.quic)
    check_library(config.network.quic)
    creator = args.command == "host"
    link = new_link(parse_relay(args.relay), args.room, rng=os.urandom) if creator else parse_link(args.link)
    return Plan(
        link=link,
        creator=creator,
        config=config,
        source=_input(args, config),
        sink=_output(args, config),
        headless=args.headless,
        as_json=args.json,
        say=tuple(args.say),
        seconds=args.seconds,
        eavesdrop=args.eavesdrop_after_removal,
    )


def replace_network(config: settings.Config, quic: str) -> settings.Config:
    """The settings with another QUIC library."""
    import msgspec

    return msgspec.structs.replace(config, network=msgspec.convert({"quic": quic}, settings.Network))


def _input(args: argparse.Namespace, config: settings.Config) -> InputSpec:
    """What was asked for; without a word about it a machine nobody sits at is silent."""
    return parse_input(args.audio_in or ("null" if args.headless else config.audio.input))


def _output(args: argparse.Namespace, config: settings.Config) -> OutputSpec:
    return parse_output(args.audio_out or ("null" if args.headless else config.audio.output))


def _check_standard_streams(plan: Plan) -> None:
    """Standard input and output serve one purpose each."""
    if plan.sink.kind is Kind.STANDARD and plan.as_json:
        raise AudioSpecError("--audio-out - and --json would both write to standard output: choose one")
    if plan.reads_commands and not lines.stdin_is_open():
        raise UsageError("standard input is closed: add --headless when nobody is at the keyboard")


def _identity(name: str | None, *, headless: bool) -> Identity:
    return load_or_create(
        paths.identity_file(),
        name=name,
        ask=None if headless else terminal_ask(),
        environ=os.environ,
        rng=os.urandom,
        say=lambda line: print(line, file=sys.stderr),  # noqa: T201
    )


def _meet_relay(runner: asyncio.Runner, plan: Plan, trust: RelayTrust) -> None:
    """Ask a person once about a relay that nothing is known of; the answer is kept."""
    address = plan.link.relay
    try:
        runner.run(_see_relay(address, plan.config.network.quic, trust))
    except AskPerson as unknown:
        print(  # noqa: T201
            f"This relay is not known yet. Its operator can tell you its pin:\n  {_pin_text(unknown.pin)}",
            file=sys.stderr,
        )
        print("Is this the pin? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise
        trust.accept(address, unknown.pin)


async def _see_relay(address: RelayAddress, library: str, trust: RelayTrust) -> None:
    connection = RelayConnection(on_message=lambda _: None, on_datagram=lambda _: None, on_closed=lambda: None)
    await connection.open(address, library=library, trust=trust)
    await connection.close()


def _pin_text(pin: bytes) -> str:
    from tuiconf.identity.link import format_pin

    return format_pin(pin)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where the `fast` extra has installed it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


# --- the call


class _Participant:
    """The process around one engine: devices, signals, the front end of lines."""

    def __init__(self, plan: Plan, identity: Identity, trust: RelayTrust, library: opus.Opus) -> None:
        self._plan = plan
        self._identity = identity
        self._trust = trust
        self._library = library
        self._engine: Engine | None = None
        self._device_failed = False
        self._joined = False
        self._link = plan.link
        # Sound on standard output leaves only standard error for words.
        stream: TextIO = sys.stderr if plan.sink.kind is Kind.STANDARD else sys.stdout
        self._printer = lines.Printer(stream, as_json=plan.as_json, on_broken=self._leave)

    async def run(self) -> int:
        """The call, from the first packet to the exit code."""
        loop = asyncio.get_running_loop()
        self._engine = engine = Engine(self._call(), self._on_event)
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._leave)
        reading = asyncio.create_task(self._read_commands(engine)) if self._plan.reads_commands else None
        try:
            reason = await engine.run()
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
        return _EXIT_CODES[reason] or int(self._device_failed)

    def _call(self) -> Call:
        plan, config = self._plan, self._plan.config
        keys = derive_keys(plan.link)
        me = Self(identity=self._identity, psk=keys.psk, rng=os.urandom)
        sound = Sound(
            self._library,
            bitrate=config.audio.bitrate,
            complexity=config.audio.complexity,
            repeats=config.audio.repeats,
        )
        return Call(
            relay=plan.link.relay,
            session=Session(me, keys, creator=plan.creator),
            sound=sound,
            source=open_source(plan.source),
            sink=open_sink(plan.sink),
            trust=self._check_relay,
            library=config.network.quic,
            sink_needed=plan.sink.kind is not Kind.DEVICE,
            source_when_joined=plan.source.kind is Kind.DEVICE,
            eavesdropper=Eavesdropper() if plan.eavesdrop else None,
        )

    def _check_relay(self, address: RelayAddress, offered: Offered) -> None:
        """As `RelayTrust`; and a link made here carries the pin that was seen, so that guests need not be asked."""
        self._trust(address, offered)
        if address.pin is None and not offered.publicly_trusted():
            self._link = replace(self._link, relay=replace(address, pin=offered.pin))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Joined) and not self._joined:
            self._begin()
        self._device_failed |= isinstance(event, Failed) and event.code == "audio"
        self._printer.show(event)

    def _begin(self) -> None:
        """In the call for the first time."""
        self._joined = True
        if self._plan.creator:
            self._printer.show(RoomCreated(link=format_link(self._link)))
        loop = asyncio.get_running_loop()
        loop.call_soon(self._say_hello)
        if self._plan.seconds is not None:
            loop.call_later(self._plan.seconds, self._leave)

    def _say_hello(self) -> None:
        if self._engine is not None:
            for text in self._plan.say:
                self._engine.say(text)

    def _leave(self) -> None:
        if self._engine is not None:
            self._engine.leave()

    async def _read_commands(self, engine: Engine) -> None:
        commands = lines.Commands(engine, self._printer.show)
        waiting: asyncio.Queue[str] = asyncio.Queue()
        working = asyncio.create_task(_work(commands, waiting))
        try:
            await lines.read_lines(waiting.put_nowait)
            await waiting.join()
            engine.leave()
        finally:
            working.cancel()


async def _work(commands: lines.Commands, waiting: asyncio.Queue[str]) -> None:
    while True:
        line = await waiting.get()
        await commands.run(line)
        waiting.task_done()
