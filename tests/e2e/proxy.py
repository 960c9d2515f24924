"""The bad network of tests/udp_proxy.py beside a test that does not run on an event loop itself."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from tests.udp_proxy import Address, Link, UdpProxy


class Network:
    """A proxy on a thread of its own. `link`, `blackout` and the rest of `proxy` can be set at any time."""

    def __init__(self, relay: Address, link: Link | None = None, *, seed: int = 1) -> None:
        self.proxy = UdpProxy(relay, link, seed=seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.proxy.start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def close() -> None:
            self.proxy.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def port(self) -> int:
        """Where clients connect to instead of the relay."""
        return self.proxy.address[1]

    def rebind(self, host: str | None = None) -> None:
        """As a NAT that forgot everybody: from now on they come from other ports, or from another address."""
        self._loop.call_soon_threadsafe(self.proxy.rebind, host)

    def move_relay(self, relay: Address) -> None:
        """From now on the relay is elsewhere, as when its name gets another address."""
        self._loop.call_soon_threadsafe(self.proxy.move, relay)
