"""Three short stretches of speech for the demo and the tests; README.md says how they were made."""

from __future__ import annotations

from pathlib import Path

NAMES = ("keys_at_home", "blind_relay", "new_keys")


def samples() -> list[Path]:
    """The sample files, each a different voice: Ogg Opus, mono, 48 kHz, under five seconds."""
    return [Path(__file__).with_name(f"{name}.ogg") for name in NAMES]
