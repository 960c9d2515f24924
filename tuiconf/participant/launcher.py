"""What the terminal interface starts calls with: a process beside it that holds the identity. Loads nothing heavy."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tuiconf import paths
from tuiconf.adapters import settings_file
from tuiconf.adapters.identity_store import given_passphrase, is_sealed
from tuiconf.adapters.own_program import own_command
from tuiconf.adapters.recent_rooms import RecentRooms
from tuiconf.control.calls import running_calls
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.participant.orders import AcceptRelay, Answer, Host, Join, Order
from tuiconf.tui.launcher import RecentRoom, RelayUnknown

# An answer names one call, or gives one sentence.
MAX_ANSWER_BYTES: Final = 1 << 16


class PreparerGone(TuiconfError):
    """The process that starts engines has ended."""

    code = "engine_start"


class OrderRefused(TuiconfError):
    """A call could not be prepared; the message says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.code = answer.code


class SettingsKeeper:
    """Keeps settings in the file they were read from, or would have been."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._config_path: Path = args.config or paths.config_file()

    def save(self, table: str, key: str, value: str | bool | float) -> None:
        """Put one setting into the file.

        Raises:
            TuiconfError: it cannot be.
        """
        settings_file.save(self._config_path, table, key, value)

    def settings_file(self) -> str:
        """Where that is, for a person."""
        return str(self._config_path)


class ProcessLauncher(SettingsKeeper):
    """Starts engines by `tuiconf prepare`. To be closed in the end."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self._recent = RecentRooms(paths.recent_rooms_file(), rng=os.urandom)
        self._turns = asyncio.Lock()
        self._asking = _needs_person()
        self._orders, self._answers, self._child = _spawn(call_options(args), quiet=not self._asking)
        self._begun = False

    async def begin(self) -> None:
        """Wait until a person who has to be asked something was: for a passphrase. The terminal is free after that.

        Raises:
            TuiconfError: the identity cannot be used.
        """
        if self._asking:
            await self._begin()

    @property
    def pid(self) -> int:
        """Of the process that starts calls."""
        return self._child.pid

    def close(self) -> None:
        """No more calls are started; those that run go on."""
        self._orders.close()
        self._answers.close()
        self._child.returncode = 0  # it ends by itself, and nobody waits for that

    # --- for the interface

    def recent(self) -> tuple[RecentRoom, ...]:
        """The rooms that were joined lately, the latest first.

        Raises:
            TuiconfError: what is remembered cannot be read.
        """
        return tuple(
            RecentRoom(room=room.room, relay=room.relay, last_joined=room.joined, ref=room.ref)
            for room in self._recent.all()
        )

    def forget(self, ref: str) -> None:
        """Offer a room no more.

        Raises:
            TuiconfError: it cannot be written down.
        """
        self._recent.forget(ref)

    async def join(self, where: str) -> str:
        """Prepare a call in the room of a link, or of the `ref` of a recent room: its name.

        Raises:
            RelayUnknown: a person has to say whether this is the relay.
            TuiconfError: it cannot be prepared.
        """
        return await self._order(Join(where=where))

    async def host(self, relay: str, room: str | None, lobby: str) -> str:
        """Prepare a call in a new room: its name.

        Raises:
            RelayUnknown, TuiconfError: as `join`.
        """
        return await self._order(msgspec.convert({"do": "host", "relay": relay, "room": room, "lobby": lobby}, Host))

    def running(self) -> tuple[str, ...]:
        """The calls that can be attached to."""
        return tuple(running_calls())

    async def accept_relay(self, question: RelayUnknown) -> None:
        """A person says that it is.

        Raises:
            TuiconfError: that cannot be kept.
        """
        await self._order(AcceptRelay(relay=question.address, pin=question.pin))

    # --- the process

    async def _order(self, order: Order) -> str:
        """One after the other: an answer belongs to the order before it, also when nobody waits for it any more."""
        return await asyncio.shield(self._take_turn(order))

    async def _take_turn(self, order: Order) -> str:
        async with self._turns:
            await self._begin()
            answer = await asyncio.to_thread(self._exchange, msgspec.json.encode(order) + b"\n")
        if answer.code == "relay_unknown" and answer.pin:
            raise RelayUnknown(address=answer.relay, pin=answer.pin)
        _check(answer)
        return answer.call

    async def _begin(self) -> None:
        if not self._begun:
            _check(await asyncio.to_thread(self._exchange, b""))
            self._begun = True

    def _exchange(self, line: bytes) -> Answer:
        try:
            self._orders.write(line)
            return msgspec.json.decode(self._answers.readline(MAX_ANSWER_BYTES), type=Answer)
        except (OSError, ValueError) as error:  # closed, or no JSON
            raise PreparerGone("the process that starts calls has ended: start tuiconf again") from error


def call_options(args: argparse.Namespace) -> list[str]:
    """What was typed, for another of our commands."""
    given = (
        ("--name", args.name),
        ("--audio-in", args.audio_in),
        ("--audio-out", args.audio_out),
        ("--config", args.config),
        ("--quic", args.quic),
    )
    return [text for option, value in given if value is not None for text in (option, str(value))]


def _check(answer: Answer) -> None:
    if answer.error:
        raise UsageError(answer.error) if answer.usage else OrderRefused(answer)


def _needs_person() -> bool:
    """Whether the identity is yet to be made, or its passphrase to be asked for."""
    try:
        return given_passphrase(os.environ) is None and is_sealed(paths.identity_file()) is not False
    except TuiconfError:
        return True  # whatever is wrong is told before the interface begins


def _spawn(options: Sequence[str], *, quiet: bool) -> tuple[BinaryIO, BinaryIO, subprocess.Popen[bytes]]:
    orders_read, orders_write = os.pipe()
    answers_read, answers_write = os.pipe()
    try:
        child = subprocess.Popen(  # noqa: S603 - ourselves
            own_command("tuiconf", "prepare", str(orders_read), str(answers_write), *options),
            stdout=subprocess.DEVNULL,
            # What it says would be written over the interface; a person who is asked something is asked before.
            stderr=subprocess.DEVNULL if quiet else None,
            pass_fds=(orders_read, answers_write),
        )
    finally:
        os.close(orders_read)
        os.close(answers_write)
    return os.fdopen(orders_write, "wb", buffering=0), os.fdopen(answers_read, "rb"), child
