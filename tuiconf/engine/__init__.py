"""The asyncio shell of a participant: the only place where the call meets the clock, the network and the devices."""

from __future__ import annotations

from tuiconf.engine.call import Call, Devices
from tuiconf.engine.engine import LONGEST_RETRY_S, NO_LEAF, SHORTEST_RETRY_S, Engine, retry_pause_s

__all__ = ["LONGEST_RETRY_S", "NO_LEAF", "SHORTEST_RETRY_S", "Call", "Devices", "Engine", "retry_pause_s"]
