"""What a program that was in a call ends with: its engine, and every front end of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tuiconf.conference.events import LeftReason

EXIT_CODES: Final[Mapping[LeftReason, int]] = {LeftReason.LEFT: 0, LeftReason.REMOVED: 1, LeftReason.FAILED: 1}
