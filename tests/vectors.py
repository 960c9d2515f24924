"""Where the official test vectors are: read from `shared/vectors`, beside the checkout, never copied into it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("TUICONF_VECTORS", Path(__file__).parents[2] / "shared" / "vectors"))


def load(name: str) -> Any:
    """The parsed JSON of `name`, such as `mls/tree-math.json`.

    Where it is missing the test is skipped, saying so; in CI it fails, for there nothing may go unproven.
    """
    path = FOLDER / name
    if not path.is_file():
        reason = f"standard vectors missing: {path}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return json.loads(path.read_text(encoding="utf-8"))
