"""A room in which nobody says anything: the normal state of a participant on a machine nobody sits at."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from relay_quic.quic import Library
from tests.relay.livesupport import a_live_relay
from tests.relay.quicsupport import PAIRINGS
from tuiconf.adapters.clock import TICK_S
from tuiconf.adapters.relay import SILENT_S, RelayConnection
from tuiconf.identity.link import RelayAddress


async def test_a_connection_on_which_nobody_says_anything_is_not_taken_for_lost(tmp_path: Path) -> None:
    """Of every pair of libraries; all beside each other, since it takes its time."""
    await asyncio.gather(*(_stays(tmp_path / f"{client}-{relay}", client, relay) for client, relay in PAIRINGS))


async def _stays(folder: Path, client_library: Library, relay_library: Library) -> None:
    folder.mkdir()  # noqa: ASYNC240 - at once
    async with a_live_relay(folder, relay_library) as running:
        host, port = running.address
        closed = asyncio.Event()
        connection = RelayConnection(on_message=lambda _: None, on_datagram=lambda _: None, on_closed=closed.set)
        await connection.open(
            RelayAddress(host=host, port=port), library=client_library.value, trust=lambda address, offered: None
        )
        until = time.monotonic() + 2 * SILENT_S
        while time.monotonic() < until:
            connection.flush(time.monotonic())
            assert not connection.is_lost(time.monotonic())
            await asyncio.sleep(TICK_S)
        assert not closed.is_set()
        await connection.close()
