"""`tuiconf peers`: the people one has met, verified and unverified, and what to do about them.

Where one call is running, its engine is asked: it also knows who is in the call and not in the store. Else the store is
read and written here, and calls that begin to run, or run, see it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from tuiconf.adapters.printing import print_to
from tuiconf.control.calls import find_call, running_calls, socket_path
from tuiconf.control.client import ControlClient
from tuiconf.control.people import NobodyMeant
from tuiconf.control.requests import Done, Request
from tuiconf.control.rpc import ControlError
from tuiconf.control.verifying import (
    AcceptPeer,
    ForgetPeer,
    How,
    ListPeers,
    Peer,
    PeerShown,
    ShowPeer,
    VerifyPeer,
)
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.untrusted import in_json, visible

if TYPE_CHECKING:  # what brings cryptography with it is imported when it is needed: every command has this parser
    from tuiconf.adapters.peers import PeersFile
    from tuiconf.control.peer_book import PeerBook
    from tuiconf.identity.trust import Change

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

R = TypeVar("R", bound=msgspec.Struct)

# An engine answers within milliseconds.
ANSWER_S: Final = 10.0

# A number of so few digits is a leaf; fingerprints are at least one longer, and may begin with digits.
_MAX_LEAF_DIGITS: Final = 3

_GROUPS_IN_A_LINE: Final = 4

_STATES: Final = {
    "new": "new: never met before this call",
    "known": "known: met before, and not verified",
    "changed": "CHANGED: the name was somebody else's, or a comparison failed",
}
_HOWS: Final = {"safety_number": "safety number", "fingerprint": "fingerprint", "room_code": "room code"}

# A light ink on a dark ground, whatever the terminal's colours are: the other way round not every reader can read it.
_INK: Final = "\x1b[97;40m"
_NO_INK: Final = "\x1b[0m"


class EngineSilent(TuiconfError):
    """The call's engine does not answer."""

    code = "engine_silent"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tuiconf peers`."""
    commands = parser.add_subparsers(dest="peers_command", metavar="COMMAND", required=True)
    _add(commands, "list", "list who was met in calls, and who of them is verified", _list, who=False)
    show = _add(commands, "show", "print what is known of someone, and the safety number you share", _show)
    show.add_argument("--qr", action="store_true", help="with its QR code, also where there is no terminal")
    verify = _add(commands, "verify", "compare a number with someone, and remember that it is the same", _verify)
    verify.add_argument(
        "--how", choices=("safety-number", "fingerprint"), default="safety-number", help="what was compared"
    )
    answer = verify.add_mutually_exclusive_group()
    answer.add_argument("--yes", action="store_true", help="it was compared and is the same: do not ask")
    answer.add_argument("--differs", action="store_true", help="it was compared and is not the same: do not ask")
    _add(commands, "accept", "hear someone again whose identity has changed, as known and not verified", _accept)
    _add(commands, "forget", "forget someone, as if never met", _forget)


def _add(commands: Commands, name: str, text: str, run: object, *, who: bool = True) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    if who:
        command.add_argument("who", metavar="WHO", help="a name, or the first 4 characters of a fingerprint or more")
    command.add_argument("--call", metavar="CALL", help="ask this call, where several run: tuiconf calls lists them")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    command.set_defaults(do=run)
    return command


def run_peers(args: argparse.Namespace) -> int:
    """Do it, and give the exit code.

    Raises:
        UsageError: nobody is meant, or it is not clear who.
        TuiconfError: the store cannot be read or written.
    """
    code: int = args.do(args)
    return code


def _list(args: argparse.Namespace) -> int:
    _print(args, peers := _do(args, ListPeers()), [*map(_line, peers.peers)] or ["nobody was met yet"])
    return 0


def _show(args: argparse.Namespace) -> int:
    shown = _do(args, ShowPeer(peer=_who(args)))
    lines = [*_about(shown), *_number(shown)]
    if args.qr or (sys.stdout is not None and sys.stdout.isatty()):
        lines += ["", *_qr(shown.qr)]
    _print(args, shown, lines)
    return 0


def _verify(args: argparse.Namespace) -> int:
    """The one who is shown is the one who is verified, by fingerprint, whoever takes that name meanwhile."""
    how: How = "fingerprint" if args.how == "fingerprint" else "safety_number"
    wanted, matches = _who(args), args.yes
    if not (args.yes or args.differs):
        shown = _do(args, ShowPeer(peer=wanted))
        wanted, answer = shown.fingerprint, _ask(shown, how)
        if answer is None:
            print_to(sys.stderr, "nothing was changed\n")
            return 1
        matches = answer
    done = _do(args, VerifyPeer(peer=wanted, how=how, matches=matches))
    _print(args, done, ["verified" if matches else "not the same: they are not heard until you accept them"])
    return 0


def _accept(args: argparse.Namespace) -> int:
    _print(args, _do(args, AcceptPeer(peer=_who(args))), ["accepted: known, and not verified"])
    return 0


def _forget(args: argparse.Namespace) -> int:
    _print(args, _do(args, ForgetPeer(peer=_who(args))), ["forgotten; who is in a running call is met anew"])
    return 0


def _who(args: argparse.Namespace) -> int | str:
    text: str = args.who
    is_leaf = text.isascii() and text.isdigit() and len(text) <= _MAX_LEAF_DIGITS
    return int(text) if is_leaf else text


def _ask(shown: PeerShown, how: How) -> bool | None:
    """Whether it is the same; None: they do not know yet."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("nobody is here who could compare: say --yes, or --differs")
    number = [f"    {shown.fingerprint}"] if how == "fingerprint" else _number(shown)
    question = [
        *_about(shown),
        *number,
        "Read it to each other where you know their voice, or compare it when you meet.",
    ]
    print_to(sys.stderr, "".join(f"{line}\n" for line in question) + "Is theirs the same? [yes/no, Enter: not now] ")
    answer = sys.stdin.readline().strip().lower()
    return {"y": True, "yes": True, "n": False, "no": False}.get(answer)


# --- who does it


def _do(args: argparse.Namespace, request: Request[R]) -> R:
    call = find_call(args.call) if args.call is not None else _only(running_calls())
    return asyncio.run(_do_there(call, request)) if call is not None else _do_here(request)


def _only(calls: list[str]) -> str | None:
    return calls[0] if len(calls) == 1 else None


async def _do_there(call: str, request: Request[R]) -> R:
    client = await ControlClient.connect(socket_path(call))
    try:
        async with asyncio.timeout(ANSWER_S):
            return await client.call(request)
    except ControlError as error:
        if error.code == NobodyMeant.code:  # which is about what was typed, wherever it is found out
            raise NobodyMeant(str(error)) from error
        raise
    except TimeoutError as error:
        raise EngineSilent(f"the call {call} does not answer") from error
    finally:
        await client.close()


def _do_here(request: Request[R]) -> R:
    from tuiconf.adapters.peers import open_peers
    from tuiconf.control.peer_book import PeerBook

    file = open_peers(rng=os.urandom)
    try:
        result = _answer(request, PeerBook(None, file.read()), file)
    except NobodyMeant as error:
        if calls := running_calls():
            raise NobodyMeant(f"{error}; of those in a call, say which: --call {' or '.join(calls)}") from error
        raise
    return msgspec.convert(result, request.result, from_attributes=True)


def _answer(request: object, book: PeerBook, file: PeersFile) -> msgspec.Struct:
    from tuiconf.control.peer_book import PeerBook

    at = time.time()
    match request:
        case ListPeers():
            return book.all()
        case ShowPeer(peer=wanted):
            book.find(wanted)  # before a passphrase is asked for
            return PeerBook(_own_key(), file.read()).show(wanted)
        case VerifyPeer():
            return _decide(file, book.verify(request, at=at, epoch=None))
        case AcceptPeer(peer=wanted):
            return _decide(file, book.accept(wanted, at=at))
        case ForgetPeer(peer=wanted):
            return _decide(file, book.forget(wanted))
    raise UsageError("that takes a call")


def _decide(file: PeersFile, change: Change) -> Done:
    file.change([change])
    return Done()


def _own_key() -> bytes:
    from tuiconf import paths
    from tuiconf.adapters.identity_store import load_or_create, terminal_ask

    return load_or_create(
        paths.identity_file(),
        name=None,
        ask=terminal_ask(),
        environ=os.environ,
        rng=os.urandom,
        say=lambda line: print_to(sys.stderr, f"{line}\n"),
    ).public_key


# --- what is printed


def _print(args: argparse.Namespace, result: msgspec.Struct, lines: list[str]) -> None:
    text = [in_json(msgspec.json.encode(result).decode())] if args.json else lines
    print_to(sys.stdout, "".join(f"{line}\n" for line in text))


def _line(peer: Peer) -> str:
    return f"{peer.trust:<8}  {_day(peer.last_met)}  {peer.fingerprint}  {visible(peer.name)}"


def _about(shown: PeerShown) -> Iterator[str]:
    yield visible(shown.name)
    yield f"  {_state(shown)}"
    yield f"  fingerprint {shown.fingerprint}"
    if (stored := shown.stored) is not None:
        yield f"  first met {_day(stored.first_met)}, last met {_day(stored.last_met)}"
        if stored.name != shown.name:
            yield f"  was called {visible(stored.name)}"
    for other in shown.others:
        met = f"{other.trust}, last met {_day(other.last_met)}"
        yield f"  the name was of {other.fingerprint} ({visible(other.name)}: {met})"


def _state(shown: PeerShown) -> str:
    stored = shown.stored
    if shown.trust == "verified" and stored is not None and stored.verified_how and stored.verified_at is not None:
        return f"verified by {_HOWS[stored.verified_how]} on {_day(stored.verified_at)}"
    return _STATES.get(shown.trust, shown.trust)


def _number(shown: PeerShown) -> list[str]:
    groups = shown.safety_number.split()
    rows = [groups[at : at + _GROUPS_IN_A_LINE] for at in range(0, len(groups), _GROUPS_IN_A_LINE)]
    return ["  safety number, which they see as well:", *(f"    {' '.join(row)}" for row in rows)]


def _qr(text: str) -> list[str]:
    from tuiconf.tui.widgets.qr import draw_qr, qr_modules

    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    lines = draw_qr(qr_modules(text), unicode=unicode, ink_is_light=True).lines
    return [f"{_INK}{line}{_NO_INK}" if coloured else line for line in lines]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d")
