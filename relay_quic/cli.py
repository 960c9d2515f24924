"""`relay-quic serve`: the relay as a command. `tuiconf relay` is the same."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from relay_quic.config import QUIC_CHOICES, RelayConfig, format_address, load, parse_listen
from relay_quic.errors import ConfigError, RelayError
from relay_quic.metrics import as_line

_EVERY_ADDRESS: Final = frozenset({"", "::", "0.0.0.0"})  # noqa: S104  # compared with, not listened on

# Addresses for documentation (RFC 5737, RFC 3849). Connecting a UDP socket sends nothing; it only makes the system
# choose the address it would send from.
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


class _Parser(argparse.ArgumentParser):
    """What it repeats of what was typed cannot do anything to the terminal."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        super().error(printable(message))


def printable(text: str) -> str:
    """`text` without what moves, hides or reorders anything on a terminal: names of files may hold all of it."""
    return "".join(char if char.isprintable() else "\N{MIDDLE DOT}" for char in text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code: 0, 1 for a failure, 2 for usage or configuration."""
    parser = _Parser(prog="relay-quic", description="A small blind relay for encrypted calls.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="run a relay until it is told to stop")
    add_arguments(serve)
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 2
    return run(args)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen (every address, port 4433; 0: any free)")
    parser.add_argument("--cert", metavar="FILE", type=Path, help="certificate chain, PEM (default: makes its own)")
    parser.add_argument("--key", metavar="FILE", type=Path, help="its private key, PEM")
    parser.add_argument("--quic", choices=QUIC_CHOICES, help="which QUIC library (auto: the fastest installed)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings, TOML; the options here come first")
    # For whoever starts a relay for a while, as `tuiconf demo` does: it does not outlive them, however they end.
    parser.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="print counters as JSON to stderr when it ends")


def run(args: argparse.Namespace) -> int:
    """Serve as the parsed options say, until SIGTERM or SIGINT; the exit code."""
    _occupy_closed_streams()
    try:
        config = _config(args)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, verbose=args.verbose, until_stdin_closes=args.until_stdin_closes))
    except ConfigError as error:
        return _fail(error, 2)
    except RelayError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:  # before the signal handlers were there
        return 130
    return 0


def _occupy_closed_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed, or the next socket gets that number (uvloop aborts)."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one


def _fail(problem: object, code: int) -> int:
    print(f"relay-quic: {printable(str(problem))}", file=sys.stderr)  # noqa: T201
    return code


def _config(args: argparse.Namespace) -> RelayConfig:
    """The file's settings, and over them those of the command line."""
    config = load(args.config) if args.config is not None else RelayConfig()
    if args.listen is not None:
        config = replace(config, listen=parse_listen(args.listen))
    if args.quic is not None:
        config = replace(config, quic=args.quic)
    if args.cert is not None or args.key is not None:
        config = replace(config, cert_file=args.cert, key_file=args.key)
    return config


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where the `fast` extra has installed it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(config: RelayConfig, *, verbose: bool, until_stdin_closes: bool) -> None:
    from relay_quic.server import serve  # imports a QUIC library, which --help need not wait for

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        try:
            loop.add_reader(0, _stop_at_end, stop)
        except PermissionError:  # a file or /dev/null: nobody is there who could ever close it
            stop.set()
    async with serve(config) as running:

        def print_metrics() -> None:
            with contextlib.suppress(OSError):  # nobody reads: no reason to stop
                print(as_line(running.figures()), file=sys.stderr, flush=True)  # noqa: T201

        loop.add_signal_handler(signal.SIGUSR1, print_metrics)
        _announce(*running.address, running.pin)
        await stop.wait()
        if verbose:
            print_metrics()


def _announce(host: str, port: int, pin: str) -> None:
    """Print where it really listens, and what a person types to use it.

    Raises:
        RelayError: it cannot be printed.
    """
    to_type = format_address(_reachable_as(host), port)
    try:
        print(f"ready {format_address(host, port)} pin={pin}")  # noqa: T201
        print(f"tuiconf host '{to_type}?pin={pin}'", flush=True)  # noqa: T201
    except OSError as error:
        # Or Python complains once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise RelayError(f"stdout cannot be written: {error.strerror}") from error


def _stop_at_end(stop: asyncio.Event) -> None:
    """Called when stdin can be read; what it says does not matter."""
    try:
        said = os.read(0, 1024)
    except OSError:
        said = b""
    if not said:
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


def _reachable_as(host: str) -> str:
    """What a person on another machine can type for `host`: itself, or this machine's first address."""
    if host not in _EVERY_ADDRESS:
        return host
    for family, elsewhere in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
    return socket.gethostname()
