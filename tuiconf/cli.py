"""`tuiconf`: the command. Exit codes: 0, 1 for a failure, 2 for what was typed or configured wrong."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tuiconf import paths
from tuiconf.adapters.printing import escape_what_is_missing, print_to
from tuiconf.adapters.standard_streams import is_terminal, occupy_closed
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.untrusted import in_json, visible

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["_Parser"]

USAGE_EXIT: Final = 2
FAILURE_EXIT: Final = 1

# What is asked of the program itself, and not of a call.
_ABOUT: Final = ("-h", "--help", "--version")

# The commands whose --json is a line for each event.
_CALLS: Final = ("host", "join", "attach")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    occupy_closed()
    escape_what_is_missing()
    try:
        code = _parse_and_run(argv)
        print_to(sys.stdout, "")  # what argparse printed is not written before
        return code
    except UsageError as error:
        return _fail(error, USAGE_EXIT)
    except TuiconfError as error:
        return _fail(error, FAILURE_EXIT)
    except KeyboardInterrupt:
        return 130


def _parse_and_run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could come next
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        args = parser.parse_args(_with_command(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else USAGE_EXIT
    try:
        return _run(args, parser)
    except TuiconfError as error:
        if args.command in _CALLS and args.json:
            _tell_event(error)
        raise


def _with_command(argv: Sequence[str]) -> Sequence[str]:
    """At a terminal `tuiconf` alone, or with options only, is the start screen; and with --plain anywhere."""
    begins = not argv or (argv[0].startswith("-") and argv[0] not in _ABOUT)
    return ["start", *argv] if begins and (is_terminal(sys.stdin) or "--plain" in argv) else argv


def _run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if args.command is None:
        parser.print_help()
        return 0
    run: Callable[[argparse.Namespace], int] = args.run
    return run(args)


def _start(args: argparse.Namespace) -> int:
    from tuiconf.participant import start

    return start.run(args)


def _prepare(args: argparse.Namespace) -> int:
    from tuiconf.participant.preparing import run_prepare

    return run_prepare(args)


def _call(args: argparse.Namespace) -> int:
    from tuiconf.participant.calling import run_call

    return run_call(args)


def _engine(args: argparse.Namespace) -> int:
    from tuiconf.participant.calling import run_engine

    return run_engine(args)


def _attach(args: argparse.Namespace) -> int:
    from tuiconf.participant import start

    return start.attach(args)


def _calls(args: argparse.Namespace) -> int:
    from tuiconf.ctl import run_calls

    return run_calls(args)


def _ctl(args: argparse.Namespace) -> int:
    from tuiconf.ctl import run_ctl

    return run_ctl(args)


def _ptt(args: argparse.Namespace) -> int:
    from tuiconf.ptt import run_ptt

    return run_ptt(args)


def _demo(args: argparse.Namespace) -> int:
    from tuiconf.demo import run_demo

    return run_demo(as_json=args.json, speech=args.speech, keep=args.keep, quic=args.quic)


def _relay(args: argparse.Namespace) -> int:
    from relay_quic import cli as relay_cli

    return relay_cli.run(args)


def _completion(args: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print_to(sys.stdout, shellcode(["tuiconf"], shell=args.shell))
    return 0


def _tell_event(error: TuiconfError) -> None:
    """Whoever reads a call's events is told by one as well why there is no call."""
    from tuiconf.conference.events import Failed

    event = Failed(code=error.code, message=str(error), fatal=True)
    with contextlib.suppress(TuiconfError):  # nobody reads them, which is what went wrong
        print_to(sys.stdout, in_json(event.to_json().decode()) + "\n")


def _fail(error: TuiconfError, code: int) -> int:
    print(f"tuiconf: {visible(str(error))}", file=sys.stderr)  # noqa: T201 - names of files and settings are in it
    return code


class _Parser(argparse.ArgumentParser):
    """What it repeats of what was typed cannot do anything to the terminal."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        super().error(visible(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tuiconf",
        description="End-to-end encrypted conference calls for terminals, headless machines and scripts.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print which version this is")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    start = commands.add_parser("start", help="choose a room at the terminal; the same as tuiconf alone")
    _add_front_end_options(start)
    _add_own_options(start)
    start.set_defaults(run=_start, json=False)
    host = commands.add_parser("host", help="make a room on a relay, print its link, and join")
    host.add_argument("relay", metavar="'RELAY[:PORT][?pin=…]'", help="the relay, as it says when it starts")
    host.add_argument("--room", metavar="NAME", help="the room's name in the link (default: a random one)")
    host.add_argument("--lobby", choices=("off", "unknown", "everyone"), help="who waits until a host lets them in")
    join = commands.add_parser("join", help="join a room by its link")
    join.add_argument(
        "link", metavar="LINK", nargs="?", help="tuiconf://… (in quotes: it holds a '#'), or an invite code"
    )
    join.add_argument("--link-file", metavar="FILE", type=Path, help="a file with the link in it: nobody sees it there")
    for command in (host, join):
        _add_call_options(command)
        command.set_defaults(run=_call)
    _add_control(commands)
    _add_demo(commands.add_parser("demo", help="a call of three on this machine, explained as it happens"))
    relay = commands.add_parser("relay", help="run a relay (the same as relay-quic serve)")
    from relay_quic.cli import add_arguments

    add_arguments(relay)
    relay.set_defaults(run=_relay)
    identity = commands.add_parser("identity", help="who you are in calls")
    shown = identity.add_subparsers(dest="identity_command", metavar="COMMAND", required=True)
    show = shown.add_parser("show", help="print your name and your fingerprint")
    show.add_argument("--json", action="store_true", help="as one JSON object")
    show.set_defaults(run=_identity)
    from tuiconf import devices, doctor, meeting, peers

    script = commands.add_parser("run", help="hold a meeting by a script: when, what to play and record, until when")
    meeting.add_arguments(script)
    script.set_defaults(run=meeting.run_meeting)
    checks = commands.add_parser("doctor", help="check this machine, and say what to type where something is wrong")
    doctor.add_arguments(checks)
    checks.set_defaults(run=doctor.run_doctor)
    met = commands.add_parser("peers", help="the people you have met in calls: who they are, and who is verified")
    peers.add_arguments(met)
    met.set_defaults(run=peers.run_peers)
    listed = commands.add_parser("devices", help="list the sound devices, by names that stay the same")
    devices.add_arguments(listed)
    listed.set_defaults(run=devices.run_devices)
    completion = commands.add_parser("completion", help="print a shell's completion script, to be evaluated by it")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(run=_completion)
    return parser


def _add_control(commands: Commands) -> None:
    """What has to do with calls that run already."""
    from tuiconf.ctl import add_calls_arguments, add_ctl_arguments
    from tuiconf.ptt import add_arguments as add_ptt_arguments

    calls = commands.add_parser("calls", help="list the calls that run on this machine")
    add_calls_arguments(calls)
    calls.set_defaults(run=_calls)
    attach = commands.add_parser("attach", help="pick up a call that runs on this machine")
    attach.add_argument("call", metavar="CALL", nargs="?", help="which, where several run")
    attach.add_argument("--json", action="store_true", help="events on standard output, one JSON object a line")
    _add_front_end_options(attach)
    attach.set_defaults(run=_attach)
    ctl = commands.add_parser("ctl", help="do something with a call that runs on this machine")
    add_ctl_arguments(ctl)
    ctl.set_defaults(run=_ctl)
    ptt = commands.add_parser("ptt", help="talk while a foot switch or button is down, in the call that runs")
    add_ptt_arguments(ptt)
    ptt.set_defaults(run=_ptt)
    engine = commands.add_parser("engine")  # no help: it is what `host` and `join` start
    engine.add_argument("handoff", type=int)
    engine.add_argument("ready", type=int)
    engine.set_defaults(run=_engine)
    prepare = commands.add_parser("prepare")  # no help: it is what the start screen starts calls with
    prepare.add_argument("orders", type=int)
    prepare.add_argument("answers", type=int)
    _add_call_options(prepare)
    prepare.set_defaults(run=_prepare)


def _add_front_end_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--plain", action="store_true", help="lines only: for screen readers and simple terminals")
    command.add_argument("--config", metavar="FILE", type=Path, help="settings (default: client.toml, see config/)")


def _add_own_options(command: argparse.ArgumentParser) -> None:
    """Who one is, how one sounds and what one hears."""
    from tuiconf.adapters.sound_help import INPUT_HELP, OUTPUT_HELP

    command.add_argument("--name", help="how you are called in this call")
    command.add_argument("--audio-in", metavar="SOURCE", help=f"your sound: {INPUT_HELP}".replace("%", "%%"))
    command.add_argument("--audio-out", metavar="SINK", help=f"what you hear: {OUTPUT_HELP}".replace("%", "%%"))
    command.add_argument("--quic", choices=("auto", "aioquic", "qh3"), help="which QUIC library")


def _add_call_options(command: argparse.ArgumentParser) -> None:
    _add_own_options(command)
    _add_front_end_options(command)
    command.add_argument("--headless", action="store_true", help="nobody is at the keyboard: ask and read nothing")
    command.add_argument("--detach", action="store_true", help="return once in the call: tuiconf attach picks it up")
    command.add_argument("--stdio", action="store_true", help="be driven by JSON-RPC on standard input and output")
    command.add_argument("--muted", action="store_true", help="begin muted, and be shown so to the others")
    command.add_argument(
        "--stay",
        metavar="SECONDS",
        type=_stay,
        nargs="?",
        const=math.inf,
        help="when the terminal is lost stay so long, muted, for tuiconf attach (without a number: forever)",
    )
    command.add_argument("--wait", action="store_true", help="keep trying when the relay is not there at the start")
    command.add_argument("--log", choices=("json",), help="what happens as JSON on standard error, without names")
    command.add_argument("--json", action="store_true", help="events on standard output, one JSON object a line")
    command.add_argument("--say", metavar="TEXT", action="append", default=[], help="a chat line to send after joining")
    command.add_argument(
        "--for", metavar="SECONDS", type=_seconds, dest="seconds", help="leave after so long in the call"
    )
    command.add_argument("--eavesdrop-after-removal", action="store_true", help=argparse.SUPPRESS)


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--json", action="store_true", help="only the verdict, as one JSON object")
    demo.add_argument("--speech", metavar="FILE", nargs="+", type=Path, help="what is spoken, instead of the samples")
    demo.add_argument("--keep", metavar="DIR", type=Path, help="keep what each listener heard there, as WAV files")
    demo.add_argument("--quic", choices=("auto", "aioquic", "qh3"), default="auto", help="which QUIC library")
    demo.set_defaults(run=_demo)


class _Version(argparse.Action):
    """As argparse's own, but looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print_to(sys.stdout, f"tuiconf {version('tuiconf')}\n")
        parser.exit()


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _stay(text: str) -> float:
    return math.inf if text == "forever" else _seconds(text)


def _identity(args: argparse.Namespace) -> int:
    import json

    from tuiconf import config
    from tuiconf.adapters.identity_store import load_or_create, terminal_ask
    from tuiconf.identity.keys import fingerprint

    identity = load_or_create(
        paths.identity_file(),
        name=config.load(paths.config_file()).me.name,
        ask=terminal_ask(),
        environ=os.environ,
        rng=os.urandom,
        say=lambda line: print(line, file=sys.stderr),  # noqa: T201
    )
    shown = {"name": identity.name, "fingerprint": fingerprint(identity.public_key)}
    text = json.dumps(shown) if args.json else f"{shown['name']}\n{shown['fingerprint']}"
    print_to(sys.stdout, text + "\n")
    return 0
