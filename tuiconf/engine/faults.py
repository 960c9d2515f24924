"""Where bugs of our own end: each costs one message, one request or one step of a tick, and never the call."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tuiconf.conference.events import Event, Failed

# Different ones that are told; the same in each tick or request is one. More say nothing new, and hide the first.
MAX_FAULTS_TOLD: Final = 16


class Faults:
    """Tells `on_event` of each kind and place once. Never the fault's own text: it may hold a name."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._places: set[str] = set()

    def contain(self, fault: Exception) -> None:
        """This one is over."""
        where = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{type(fault).__name__}, {Path(where.filename).name}:{where.lineno}"
        if place not in self._places and len(self._places) < MAX_FAULTS_TOLD:
            self._places.add(place)
            message = f"a fault of this program was contained ({place}): please report it"
            self._on_event(Failed(code="internal", message=message, fatal=False))
