"""How the terminal interface ended: what the process says, in one line, when the screen is the shell's again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`quit`: there was no call. `failed`: an engine that is gone, or a call that could not be joined or kept."""

    how: Literal["left", "detached", "removed", "failed", "quit"]
    message: str = ""  # one sentence, or nothing

    @property
    def exit_code(self) -> int:
        """As with plain lines: 1 for whatever the person did not want."""
        return int(self.how in ("removed", "failed"))
