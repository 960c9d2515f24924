"""The connection to a real relay on loopback: what is lost, what is refused, and that nothing stays open."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from relay_quic.quic import Library
from relay_quic.wire import DatagramKind, Entered, RelayMessage, datagram_prefix
from tests.relay.livesupport import a_live_relay
from tests.relay.quicsupport import PAIRINGS, every_pairing, until
from tests.relay.relaysupport import PROOF, enter
from tests.udp_proxy import UdpProxy
from tuiconf.adapters.relay import (
    IDLE_SILENT_S,
    SILENT_S,
    Offered,
    RelayConnection,
    RelayNotTrusted,
    RelayUnreachable,
    check_library,
)
from tuiconf.errors import UsageError
from tuiconf.identity.link import RelayAddress


class Ends:
    """A connection and what came over it."""

    def __init__(self) -> None:
        self.messages: list[RelayMessage] = []
        self.datagrams: list[bytes] = []
        self.closed = 0
        self.connection = RelayConnection(
            on_message=self.messages.append, on_datagram=self.datagrams.append, on_closed=self._closed
        )

    def _closed(self) -> None:
        self.closed += 1

    async def open(self, address: tuple[str, int], library: Library = Library.QH3) -> Ends:
        where = RelayAddress(host=address[0], port=address[1], pin=None)
        await self.connection.open(where, library=library.value, trust=lambda _, __: None)
        return self

    async def enter(self, proof: bytes = PROOF) -> None:
        self.connection.send(enter(proof))
        self.connection.flush(time.monotonic())
        await until(lambda: self.messages)
        assert isinstance(self.messages[0], Entered)


@every_pairing
async def test_messages_and_datagrams_go_both_ways(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        one, two = [await Ends().open(relay.address, client_library) for _ in range(2)]
        await one.enter()
        await two.enter()
        datagram = datagram_prefix(DatagramKind.AUDIO) + b"sound"
        one.connection.send_datagram(datagram)
        one.connection.flush(time.monotonic())
        await until(lambda: two.datagrams)
        assert two.datagrams == [datagram]
        assert one.connection.rtt_ms is not None
        for ends in (one, two):
            await ends.connection.close()
            await ends.connection.close()
            ends.connection.send(enter())
            ends.connection.send_datagram(datagram)
            assert ends.connection.rtt_ms is None
            assert not ends.connection.is_lost(time.monotonic() + 60)
            assert ends.closed == 0  # we closed it ourselves


@every_pairing
async def test_a_relay_that_is_not_trusted_is_told_nothing_and_let_go(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    def refuse(_: RelayAddress, offered: Offered) -> None:
        assert len(offered.pin) == 32
        raise RelayNotTrusted("not this one")

    async with a_live_relay(tmp_path, relay_library) as relay:
        ends = Ends()
        where = RelayAddress(host=relay.address[0], port=relay.address[1], pin=None)
        with pytest.raises(RelayNotTrusted):
            await ends.connection.open(where, library=client_library.value, trust=refuse)
        await until(lambda: relay.figures()["connected"] == 0)
        assert relay.figures()["messages_received"] == 0


@every_pairing
async def test_a_relay_that_says_goodbye_ends_the_connection_once(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        ends = await Ends().open(relay.address, client_library)
        await ends.enter()
    await until(lambda: ends.closed)
    await asyncio.sleep(0.05)
    assert ends.closed == 1
    await ends.connection.close()


@every_pairing
async def test_silence_is_a_loss_soon_for_who_talks_or_listens_and_later_for_who_does_neither(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    sound = datagram_prefix(DatagramKind.AUDIO) + b"sound"
    async with a_live_relay(tmp_path, relay_library) as relay, UdpProxy(relay.address) as proxy:
        talker, listener, idler = [await Ends().open(proxy.address, client_library) for _ in range(3)]
        await talker.enter()
        await listener.enter()
        await idler.enter(bytes(byte ^ 1 for byte in PROOF))  # another room
        talker.connection.send_datagram(sound)
        talker.connection.flush(time.monotonic())
        await until(lambda: listener.datagrams)
        await asyncio.sleep(0.1)
        proxy.blackout = True
        cut = time.monotonic()
        await asyncio.sleep(0.2)
        talker.connection.send_datagram(sound)
        soon = cut + SILENT_S + 0.1
        assert [ends.connection.is_lost(cut + 1.5) for ends in (talker, listener, idler)] == [False, False, False]
        assert [ends.connection.is_lost(soon) for ends in (talker, listener, idler)] == [True, True, False]
        assert idler.connection.is_lost(cut + IDLE_SILENT_S + 0.1)
        for ends in (talker, listener, idler):
            await ends.connection.close()


async def test_who_speaks_after_a_long_silence_is_not_lost_before_the_relay_could_answer(tmp_path: Path) -> None:
    """Over every pair of libraries; all beside each other, since it takes its time."""
    await asyncio.gather(*(_speaks_late(tmp_path / f"{client}-{relay}", client, relay) for client, relay in PAIRINGS))


async def _speaks_late(folder: Path, client_library: Library, relay_library: Library) -> None:
    folder.mkdir()  # noqa: ASYNC240 - at once
    async with a_live_relay(folder, relay_library) as relay:
        ends = await Ends().open(relay.address, client_library)
        await ends.enter()
        await asyncio.sleep(SILENT_S + 0.2)  # the transport itself asks after 2.5 s
        ends.connection.send_datagram(datagram_prefix(DatagramKind.AUDIO) + b"sound")
        assert not ends.connection.is_lost(time.monotonic())
        await ends.connection.close()


async def test_nobody_there_is_unreachable_and_not_an_accident() -> None:
    with pytest.raises(RelayUnreachable):
        await Ends().open(("127.0.0.1", 9))
    with pytest.raises(RelayUnreachable):
        await Ends().open(("no-such-host.invalid", 4433))


def test_a_library_that_does_not_exist_is_a_matter_of_usage() -> None:
    check_library("auto")
    with pytest.raises(UsageError):
        check_library("carrier-pigeon")
