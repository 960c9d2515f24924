"""The command: which checks there are, in what order, and how their findings are printed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from tuiconf.adapters.printing import print_to

if TYPE_CHECKING:
    from tuiconf.doctor.findings import Check, Context, Finding

_PROBLEM_EXIT: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tuiconf doctor`."""
    parser.add_argument("--relay", metavar="'RELAY[:PORT][?pin=…]'", help="look at this relay; a link will do")
    parser.add_argument("--audio-in", metavar="SOURCE", help="the microphone to look at (default: as in the settings)")
    parser.add_argument("--audio-out", metavar="SINK", help="the speaker to look at")
    parser.add_argument("--yes", action="store_true", help="play the test tone without asking")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.add_argument("--quic", choices=("auto", "aioquic", "qh3"), help="which QUIC library")


def run_doctor(args: argparse.Namespace) -> int:
    """Look at everything and print what was found; 1 when something is a problem, else 0.

    Raises:
        UsageError: what was typed as a relay is none, or the QUIC library is not installed.
    """
    context = _context(args)
    findings: list[tuple[str, Finding]] = []
    for name, finding in examine(_checks(), context):
        findings.append((name, finding))
        if not args.json:
            print_to(sys.stdout, as_text(name, finding))
    if args.json:
        print_to(sys.stdout, as_json(findings))
    else:
        print_to(sys.stdout, f"{summary(findings)}\n")
    return _PROBLEM_EXIT if _count(findings)["problem"] else 0


def examine(checks: Mapping[str, Check], context: Context) -> Iterator[tuple[str, Finding]]:
    """All findings, as they come, each with its check's name."""
    from tuiconf.doctor.findings import problem

    for name, check in checks.items():
        try:
            for finding in check(context):
                yield name, finding
        except Exception as error:  # noqa: BLE001 - contains a fault of one check: the others are still worth having
            fault = f"this check itself failed ({type(error).__name__}): please report it"
            yield name, problem("internal", fault)


def as_text(name: str, finding: Finding) -> str:
    """For a person: words before colours, so that it reads the same everywhere and aloud."""
    from tuiconf.untrusted import visible

    text = f"{finding.level.value:<8} {name:<9} {visible(finding.sentence)}\n"
    if finding.command is not None:
        text += f"{'':<18} $ {visible(finding.command)}\n"
    return text


def as_json(findings: list[tuple[str, Finding]]) -> str:
    """One object on one line; `findings` in the order they were found."""
    shown = [
        {
            "check": name,
            "level": finding.level.value,
            "code": finding.code,
            "message": finding.sentence,
            "command": finding.command,
            "facts": dict(finding.facts),
        }
        for name, finding in findings
    ]
    return json.dumps({"counts": _count(findings), "findings": shown}) + "\n"


def summary(findings: list[tuple[str, Finding]]) -> str:
    """The last line."""
    counts = _count(findings)
    if not counts["problem"] and not counts["warning"]:
        return "Nothing is wrong."
    return f"{counts['problem']} problems, {counts['warning']} warnings."


def _count(findings: list[tuple[str, Finding]]) -> dict[str, int]:
    from tuiconf.doctor.findings import Level

    return {level.value: sum(finding.level is level for _, finding in findings) for level in Level}


def _checks() -> dict[str, Check]:
    """In the order in which a person would look: what is here first, and what takes long last."""
    from tuiconf.doctor.clock import clock
    from tuiconf.doctor.files import configuration, identity, known_peers, known_relays
    from tuiconf.doctor.loopback import loopback
    from tuiconf.doctor.relay import relay
    from tuiconf.doctor.service import service
    from tuiconf.doctor.sound import codec, sound
    from tuiconf.doctor.terminal import terminal

    return {
        "settings": configuration,
        "identity": identity,
        "pins": known_relays,
        "peers": known_peers,
        "clock": clock,
        "service": service,
        "terminal": terminal,
        "opus": codec,
        "sound": sound,
        "loopback": loopback,
        "relay": relay,
    }


def _context(args: argparse.Namespace) -> Context:
    from pathlib import Path

    from tuiconf import config as settings
    from tuiconf import paths
    from tuiconf.adapters.relay import check_library
    from tuiconf.doctor.findings import Context
    from tuiconf.doctor.relay import address_of
    from tuiconf.doctor.system import this_system

    try:
        config = settings.load(paths.config_file())
    except settings.ConfigError:  # told by its check
        config = settings.Config()
    library = args.quic or config.network.quic
    check_library(library)
    if args.relay is not None:
        address_of(args.relay)  # typed wrong is known before anything is played
    return Context(
        config=config,
        environ=os.environ,
        system=this_system(os.environ, Path("/")),
        ask=_asker(),
        agreed=args.yes,
        relay=args.relay,
        audio_in=args.audio_in,
        audio_out=args.audio_out,
        library=library,
    )


def _asker() -> Callable[[str], bool] | None:
    """Asks a person at the terminal; None when there is none."""
    if sys.stdin is None or sys.stderr is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None

    def ask(question: str) -> bool:
        print(f"{question} [Y/n] ", end="", file=sys.stderr, flush=True)  # noqa: T201
        answer = sys.stdin.readline()
        return bool(answer) and answer.strip().lower() in ("", "y", "yes")

    return ask
