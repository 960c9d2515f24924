"""One participant as a process: what `tuiconf host` and `tuiconf join` do."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from tuiconf import config as settings
from tuiconf import lines, paths
from tuiconf.adapters.audio import (
    AudioSpecError,
    InputSpec,
    Kind,
    OutputSpec,
    Sink,
    Source,
    open_sink,
    open_source,
    parse_input,
    parse_output,
)
from tuiconf.adapters.audio.optional import OptionalSink, OptionalSource
from tuiconf.adapters.identity_store import load_or_create, terminal_ask
from tuiconf.adapters.known_relays import KnownRelays
from tuiconf.adapters.printing import OutputLost
from tuiconf.adapters.relay import Offered, RelayConnection, check_library
from tuiconf.adapters.standard_streams import LineWriter, occupy_closed, stdin_is_open, typed_lines
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.conference.content import MAX_CHAT_CHARACTERS
from tuiconf.conference.eavesdrop import Eavesdropper
from tuiconf.conference.events import Event, Failed, Joined, LeftReason, RoomCreated
from tuiconf.conference.membership import Self
from tuiconf.conference.session import Session
from tuiconf.conference.sound import Sound
from tuiconf.engine import Call, Engine
from tuiconf.errors import LocalProtocolError, UsageError
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import (
    Link,
    RelayAddress,
    derive_keys,
    format_link,
    format_pin,
    new_link,
    parse_link,
    parse_relay,
)
from tuiconf.media import opus

_EXIT_CODES: Final = {LeftReason.LEFT: 0, LeftReason.REMOVED: 1, LeftReason.FAILED: 1}

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """What was asked for, checked as far as it can be without touching the network or a device."""

    link: Link
    creator: bool
    config: settings.Config
    source: InputSpec
    sink: OutputSpec
    # Nobody said where sound comes from or goes to: the sound card, if there is one.
    source_optional: bool
    sink_optional: bool
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
    occupy_closed()
    plan = _plan(args)
    _check_standard_streams(plan)
    library = opus.load(plan.config.audio.opus)
    identity = _identity(args.name if args.name is not None else plan.config.me.name, headless=plan.headless)
    trust = RelayTrust(KnownRelays(paths.known_relays_file(), rng=os.urandom))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        if not plan.headless and stdin_is_open() and sys.stdin.isatty() and plan.link.relay.pin is None:
            _meet_relay(runner, plan, trust)
        return runner.run(_Participant(plan, identity, trust, library).run())


# --- before the call


def _plan(args: argparse.Namespace) -> Plan:
    config = settings.load(args.config or paths.config_file(), must_exist=args.config is not None)
    if args.quic is not None:
        config = msgspec.structs.replace(config, network=settings.Network(quic=args.quic))
    check_library(config.network.quic)
    creator = args.command == "host"
    link = new_link(parse_relay(args.relay), args.room, rng=os.urandom) if creator else parse_link(args.link)
    return Plan(
        link=link,
        creator=creator,
        config=config,
        source=_input(args, config),
        sink=_output(args, config),
        source_optional=args.audio_in is None and config.audio.input == settings.SOUND_CARD,
        sink_optional=args.audio_out is None and config.audio.output == settings.SOUND_CARD,
        headless=args.headless,
        as_json=args.json,
        say=tuple(_chat_line(text) for text in args.say),
        seconds=args.seconds,
        eavesdrop=args.eavesdrop_after_removal,
    )


def _input(args: argparse.Namespace, config: settings.Config) -> InputSpec:
    """What was asked for; without a word about it a machine nobody sits at is silent."""
    spec = parse_input(_given(args.audio_in, config.audio.input, headless=args.headless))
    if spec.kind is Kind.COMMAND and shutil.which(spec.argv[0]) is None:
        raise AudioSpecError(f"cmd: there is no command {spec.argv[0]}")
    return spec


def _output(args: argparse.Namespace, config: settings.Config) -> OutputSpec:
    return parse_output(_given(args.audio_out, config.audio.output, headless=args.headless))


def _given(option: str | None, setting: str, *, headless: bool) -> str:
    if option is not None:
        return option
    return "null" if headless and setting == settings.SOUND_CARD else setting


def _chat_line(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("--say takes text in UTF-8") from error
    if not 0 < len(text) <= MAX_CHAT_CHARACTERS:
        raise UsageError(f"--say takes 1 to {MAX_CHAT_CHARACTERS} characters")
    return text


def _check_standard_streams(plan: Plan) -> None:
    """Standard input and output serve one purpose each."""
    if plan.sink.kind is Kind.STANDARD and plan.as_json:
        raise AudioSpecError("--audio-out - and --json would both write to standard output: choose one")
    if plan.reads_commands and not stdin_is_open():
        raise UsageError("standard input is closed: add --headless when nobody is at the keyboard")


def _identity(name: str | None, *, headless: bool) -> Identity:
    return load_or_create(
        paths.identity_file(),
        name=name,
        ask=None if headless else terminal_ask(),
        environ=os.environ,
        rng=os.urandom,
        say=_tell,
    )


def _tell(line: str) -> None:
    """A line for whoever looks at the terminal, or into the journal; nobody may, since the window was closed."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _meet_relay(runner: asyncio.Runner, plan: Plan, trust: RelayTrust) -> None:
    """Ask a person once about a relay that nothing is known of; the answer is kept."""
    address = plan.link.relay
    try:
        runner.run(_see_relay(address, plan.config.network.quic, trust))
    except AskPerson as unknown:
        _tell(f"This relay is not known yet. Its operator can tell you its pin:\n  {format_pin(unknown.pin)}")
        print("Is this the pin? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise
        trust.accept(address, unknown.pin)


async def _see_relay(address: RelayAddress, library: str, trust: RelayTrust) -> None:
    connection = RelayConnection(on_message=lambda _: None, on_datagram=lambda _: None, on_closed=lambda: None)
    await connection.open(address, library=library, trust=trust)
    await connection.close()


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
        self._output_error: OSError | None = None
        self._joined = asyncio.Event()
        self._told_to_leave = False
        self._link = plan.link

    async def run(self) -> int:
        """The call, from the first packet to the exit code."""
        loop = asyncio.get_running_loop()
        self._engine = engine = Engine(self._call(), self._on_event)
        errors = LineWriter(2, on_broken=lambda _: None)
        # Sound on standard output leaves only standard error for words.
        words = errors if self._plan.sink.kind is Kind.STANDARD else LineWriter(1, on_broken=self._nobody_reads(loop))
        self._printer = lines.Printer(words.write, errors.write, as_json=self._plan.as_json)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                loop.add_signal_handler(number, self._leave)
        reading = asyncio.create_task(self._read_commands(engine)) if self._plan.reads_commands else None
        try:
            reason = await engine.run()
        finally:
            if reading is not None:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
            words.close()
            errors.close()
        if self._output_error is not None and self._output_error.errno != errno.EPIPE:
            why = (self._output_error.strerror or "unknown reason").lower()
            raise OutputLost(f"standard output cannot be written: {why}")
        return _EXIT_CODES[reason] or int(self._device_failed)

    def _nobody_reads(self, loop: asyncio.AbstractEventLoop) -> Callable[[OSError], None]:
        """Whoever read our lines is gone: there is nobody to be in the call for. Called on another thread."""

        def broken(error: OSError) -> None:
            self._output_error = error
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the call
                loop.call_soon_threadsafe(self._leave)

        return broken

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
            source=self._source(),
            sink=self._sink(),
            trust=self._check_relay,
            library=config.network.quic,
            sink_needed=plan.sink.kind is not Kind.DEVICE,
            source_when_joined=plan.source.kind in (Kind.DEVICE, Kind.COMMAND),
            eavesdropper=Eavesdropper() if plan.eavesdrop else None,
        )

    def _source(self) -> Source:
        source = open_source(self._plan.source)
        return OptionalSource(source, _tell) if self._plan.source_optional else source

    def _sink(self) -> Sink:
        sink = open_sink(self._plan.sink)
        return OptionalSink(sink, _tell) if self._plan.sink_optional else sink

    def _check_relay(self, address: RelayAddress, offered: Offered) -> None:
        """As `RelayTrust`; and a link made here carries the pin that was seen, so that guests need not be asked."""
        self._trust(address, offered)
        if address.pin is None and not offered.publicly_trusted():
            self._link = replace(self._link, relay=replace(address, pin=offered.pin))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Joined) and not self._joined.is_set():
            self._begin()
        self._device_failed |= isinstance(event, Failed) and event.code == "audio"
        self._printer.show(event)

    def _begin(self) -> None:
        """In the call for the first time."""
        self._joined.set()
        if self._plan.creator:
            self._printer.show(RoomCreated(link=format_link(self._link)))
        loop = asyncio.get_running_loop()
        loop.call_soon(self._say_hello)
        if self._plan.seconds is not None:
            loop.call_later(self._plan.seconds, self._leave)

    def _say_hello(self) -> None:
        for text in self._plan.say:
            try:
                self._running.say(text)
            except LocalProtocolError as error:
                self._printer.show(Failed(code=error.code, message=str(error), fatal=False))

    @property
    def _running(self) -> Engine:
        if self._engine is None:
            raise LocalProtocolError("the call has not begun")
        return self._engine

    def _leave(self) -> None:
        """Told to leave; told twice, leave without a goodbye."""
        if self._told_to_leave:
            self._running.hang_up()
        self._told_to_leave = True
        self._running.leave()

    async def _read_commands(self, engine: Engine) -> None:
        """Until standard input ends. Then leave, unless it was said for how long to stay; what was typed is sent."""
        commands = lines.Commands(engine, self._printer.show)
        async for line in typed_lines():
            await commands.run(line)
        if commands.said:
            await self._joined.wait()
        if self._plan.seconds is None:
            if not sys.stdin.isatty():
                _tell("standard input has ended: leaving (--headless stays without one)")
            engine.leave()
