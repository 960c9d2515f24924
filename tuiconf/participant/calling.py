"""A call from the command line: in this process, or in an engine of its own that a front end attaches to."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys

from tuiconf import paths
from tuiconf.adapters.identity_store import load_or_create, terminal_ask
from tuiconf.adapters.known_relays import KnownRelays
from tuiconf.adapters.relay import RelayConnection
from tuiconf.adapters.standard_streams import occupy_closed, stdin_is_open
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.config import Config
from tuiconf.control.calls import new_call
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import RelayAddress, format_pin
from tuiconf.media import opus
from tuiconf.participant import launch, start
from tuiconf.participant.engine_process import EngineProcess, Setting
from tuiconf.participant.front_end import FrontEnd, wait_until_joined
from tuiconf.participant.here import InThisProcess
from tuiconf.participant.loop import loop_factory
from tuiconf.participant.plan import Plan, load_config, make_plan
from tuiconf.participant.remembering import Rememberer


def run_call(args: argparse.Namespace) -> int:
    """Be in one call, from the parsed options to the exit code.

    Raises:
        UsageError: something typed or configured cannot be used.
        TuiconfError: the call could not begin.
    """
    occupy_closed()
    plan = make_plan(args)
    if plan.reads_commands and not stdin_is_open():
        raise UsageError("standard input is closed: add --headless when nobody is at the keyboard")
    person = not (plan.headless or plan.stdio) and stdin_is_open() and sys.stdin.isatty()
    identity = unlock(args, person=person, config=plan.config)
    trust = RelayTrust(KnownRelays(paths.known_relays_file(), rng=os.urandom))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        if person and plan.link.relay.pin is None:
            _meet_relay(runner, plan, trust)
        if plan.detach or (person and not plan.uses_standard_streams):
            screen = person and not plan.detach and start.wants_screen(args)
            # A person who sees a level meter first need not be surprised by who hears them.
            args.prepare = screen and not args.muted
            call = launch.launch(args, plan.link, identity)
            if not screen:
                return runner.run(_follow(call, plan))
        else:
            return runner.run(_here(plan, _setting(plan, identity, trust)))
    return start.become_screen(call, args)


def run_engine(args: argparse.Namespace) -> int:
    """The process of an engine that `run_call` has launched."""
    ready = launch.Ready(args.ready)
    try:
        given = launch.receive(args.handoff)
        plan = make_plan(given.args, link=given.link)
        trust = RelayTrust(KnownRelays(paths.known_relays_file(), rng=os.urandom))
        setting = _setting(plan, given.identity, trust, launched=True)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_engine(plan, setting, ready))
    except TuiconfError as error:
        ready.failed(error)
        raise


async def _here(plan: Plan, setting: Setting) -> int:
    return await InThisProcess(plan, setting).run()


async def _engine(plan: Plan, setting: Setting, ready: launch.Ready) -> int:
    engine = EngineProcess(plan, setting, Rememberer(plan).happened)
    return await engine.run(lambda: ready.listening(setting.call))


async def _follow(call: str, plan: Plan) -> int:
    """The front end of an engine that was just launched."""
    if not plan.detach:
        return await FrontEnd(call, as_json=plan.as_json).run(since=0)
    code = await wait_until_joined(call, as_json=plan.as_json)
    if code == 0:
        _tell(f"in the call: tuiconf attach {call}")
    return code


# --- before the call


def _setting(plan: Plan, identity: Identity, trust: RelayTrust, *, launched: bool = False) -> Setting:
    from importlib.metadata import version

    return Setting(
        call=new_call(os.urandom),
        version=version("tuiconf"),
        identity=identity,
        trust=trust,
        library=opus.load(plan.config.audio.opus),
        has_terminal=_has_terminal(),
        launched=launched,
        front_end_expected=launched and not plan.detach,
    )


def _has_terminal() -> bool:
    """Whether a terminal can be taken away from this process."""
    with contextlib.suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        return True
    return False


def _identity(name: str | None, *, person: bool) -> Identity:
    return load_or_create(
        paths.identity_file(),
        name=name,
        ask=terminal_ask() if person else None,
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
        runner.run(see_relay(address, plan.config.network.quic, trust))
    except AskPerson as unknown:
        _tell(f"This relay is not known yet. Its operator can tell you its pin:\n  {format_pin(unknown.pin)}")
        print("Is this the pin? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise
        trust.accept(address, unknown.pin)


async def see_relay(address: RelayAddress, library: str, trust: RelayTrust) -> None:
    """Connect to a relay, to see whether it may be used.

    Raises:
        RelayNotTrusted: it may not; `AskPerson` when a person has to say.
        TuiconfError: it does not answer.
    """
    connection = RelayConnection(on_message=lambda _: None, on_datagram=lambda _: None, on_closed=lambda: None)
    await connection.open(address, library=library, trust=trust)
    await connection.close()


def unlock(args: argparse.Namespace, *, person: bool, config: Config | None = None) -> Identity:
    """The identity, made on the first run; `person` may be asked for its passphrase.

    Raises:
        ConfigError: the settings, where the name may be, cannot be used.
        IdentityError, FileError: it cannot be used, or not be unlocked.
    """
    if args.name is not None:
        return _identity(args.name, person=person)
    return _identity((config or load_config(args.config)).me.name, person=person)
