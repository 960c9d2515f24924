"""What is asked of a recording, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuiconf.errors import TuiconfError, UsageError

# Shorter parts would be more header than sound, and a folder full of them.
MIN_SPLIT_S: Final = 1.0
MIN_SPLIT_BYTES: Final = 64 * 1024


class RecordingError(TuiconfError):
    """The recording cannot be written. One sentence for the user, whose folder it names: not for a log."""

    code = "recording"


class RecordingOptionsError(UsageError):
    """What was asked for is not possible."""

    code = "recording_options"


class RecipientError(RecordingOptionsError):
    """`encrypt_to` is no age recipient, or there is nothing to encrypt with."""

    code = "recording_recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """Where and how to record.

    Raises:
        RecordingOptionsError: parts would be too small.
    """

    folder: Path  # each recording gets a folder of its own in it
    mix: bool = False
    split_s: float | None = None  # parts end at multiples of it, all tracks' together
    split_bytes: int | None = None  # parts are at most so large, before they are encrypted
    encrypt_to: str | None = None  # an age recipient, age1…

    def __post_init__(self) -> None:
        if self.split_s is not None and not self.split_s >= MIN_SPLIT_S:
            raise RecordingOptionsError(f"parts of a recording have at least {MIN_SPLIT_S:.0f} s")
        if self.split_bytes is not None and self.split_bytes < MIN_SPLIT_BYTES:
            raise RecordingOptionsError(f"parts of a recording have at least {MIN_SPLIT_BYTES} bytes")
