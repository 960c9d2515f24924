"""`tuiconf prepare`: starts engines for a terminal interface, which must not load what an engine needs.

It has the identity unlocked before the interface takes the terminal, and lives as long as that may start calls. Orders
and answers are lines of JSON, over two pipes of their own: a person may be asked on standard input, and the links in
them are secrets, which a command line does not keep.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from typing import BinaryIO, Final

import msgspec

from tuiconf import paths
from tuiconf.adapters.known_relays import KnownRelays
from tuiconf.adapters.recent_rooms import RecentRooms
from tuiconf.adapters.trust import AskPerson, RelayTrust
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.identity.invite import is_invite, parse_invitation
from tuiconf.identity.keys import Identity
from tuiconf.identity.link import (
    SCHEME,
    Link,
    RelayAddress,
    format_host_port,
    format_pin,
    new_link,
    parse_host_port,
    parse_link,
    parse_pin,
    parse_relay,
)
from tuiconf.participant import launch
from tuiconf.participant.calling import see_relay, unlock
from tuiconf.participant.loop import loop_factory
from tuiconf.participant.orders import MAX_ORDER_BYTES, AcceptRelay, Answer, Host, Join, Order
from tuiconf.participant.plan import make_plan

_READY: Final = Answer()


def run_prepare(args: argparse.Namespace) -> int:
    """Do what is asked until nobody asks any more."""
    with os.fdopen(args.orders, "rb") as orders, os.fdopen(args.answers, "wb", buffering=0) as answers:
        try:
            preparer = Preparer(args, unlock(args, person=True))
        except TuiconfError as error:
            _answer(answers, _refused(error))
            return 1
        _answer(answers, _READY)
        while line := orders.readline(MAX_ORDER_BYTES + 1):
            _answer(answers, preparer.obey(line))
    return 0


class Preparer:
    """Starts engines as one identity, with the options that were typed."""

    def __init__(self, args: argparse.Namespace, identity: Identity) -> None:
        self._args = args
        self._identity = identity
        self._trust = RelayTrust(KnownRelays(paths.known_relays_file(), rng=os.urandom))
        self._recent = RecentRooms(paths.recent_rooms_file(), rng=os.urandom)

    def obey(self, line: bytes) -> Answer:
        """Do what one line asks."""
        try:
            order: Order = msgspec.json.decode(line, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Answer(error="that is not a request", code="order")
        try:
            return Answer(call=self._do(order))
        except AskPerson as unknown:
            relay = format_host_port(unknown.address.host, unknown.address.port)
            return Answer(error=str(unknown), code=unknown.code, relay=relay, pin=format_pin(unknown.pin))
        except TuiconfError as error:
            return _refused(error)

    def _do(self, order: Order) -> str:
        match order:
            case AcceptRelay(relay=relay, pin=pin):
                host, port = parse_host_port(relay)
                self._trust.accept(RelayAddress(host=host, port=port), parse_pin(pin))
                return ""
            case Join(where=where):
                return self._join(where)
            case Host(relay=relay, room=room, lobby=lobby):
                return self._start("host", new_link(parse_relay(relay), room, rng=os.urandom), lobby=lobby)

    def _join(self, where: str) -> str:
        """A room that was joined before; or one whose link was pasted, also without the scheme, or its invite code."""
        for room in self._recent.all() if where.isalnum() else ():
            if room.ref == where:
                return self._start("join", parse_link(room.link), lobby=room.lobby, founder=room.hosted)
        text = where.strip()
        whole = is_invite(text) or text.lower().startswith(SCHEME)
        return self._start("join", parse_invitation(text if whole else SCHEME + text))

    def _start(self, command: str, link: Link, *, lobby: str | None = None, founder: bool = False) -> str:
        chosen = {"command": command, "lobby": lobby, "founder": founder, "prepare": True}
        args = argparse.Namespace(**{**vars(self._args), **chosen})
        plan = make_plan(args, link=link)
        if link.relay.pin is None:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(see_relay(link.relay, plan.config.network.quic, self._trust))
        return launch.launch(args, link, self._identity)


def _refused(error: TuiconfError) -> Answer:
    return Answer(error=str(error), code=error.code, usage=isinstance(error, UsageError))


def _answer(answers: BinaryIO, answer: Answer) -> None:
    with contextlib.suppress(BrokenPipeError):  # the interface is gone, and we end with it
        answers.write(msgspec.json.encode(answer) + b"\n")
