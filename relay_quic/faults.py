"""What a bug of the relay leaves in the log: its kind and place, never its text or what led to it."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

# A bug that a client can cause again and again is told once, so that nobody can fill a disk with it; it is counted
# each time. More places than this are not bugs any more.
MAX_TOLD: Final = 32


class Faults:
    """The bugs that were told."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, fault: Exception, doing: str) -> None:
        """Log where it happened, the first time."""
        where = traceback.extract_tb(fault.__traceback__)[-1]
        # Never the fault's own text: that of a KeyError is a room's name, or a proof.
        place = f"{type(fault).__name__}, {Path(where.filename).name}:{where.lineno}"
        if place not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(place)
            _log.error("%s failed, which is a bug of the relay: %s", doing, place)
