"""How this program starts itself again, in the same Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).resolve().parents[2]


def own_command(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules."""
    return [sys.executable, *_safe_path(), "-m", module, *arguments]


def _safe_path() -> Sequence[str]:
    """`python -m` looks into the current folder first, where a file called `json.py` may lie. It must not be run."""
    try:
        return () if Path.cwd() == _SOURCE else ("-P",)
    except OSError:  # a folder that is gone
        return ("-P",)
