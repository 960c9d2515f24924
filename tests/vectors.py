"""Where the official test vectors are: read from `shared/vectors`, beside the checkout, never copied into it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("TUICONF_VECTORS", Path(__file__).parents[2] / "shared" / "vectors"))


def load(name: str) -> Any:
    """The parsed JSON of `name`, such as `mls/tree-math.json`; skips the test, saying so, where it is missing."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"standard vectors missing: {path}")
    return json.loads(path.read_text(encoding="utf-8"))
