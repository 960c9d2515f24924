"""Attaching with plain lines costs a front end, and no engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_ATTACH: Final = """
import argparse, sys
from tuiconf.errors import UsageError
from tuiconf.participant import start
try:
    start.attach(argparse.Namespace(plain=True, json=False, call="none", config=None))
except UsageError as error:
    print(error, file=sys.stderr)
print(*sys.modules)
"""

# What an engine is made of.
_HEAVY: Final = ("numpy", "cryptography", "nacl", "aioquic", "qh3", "relay_quic")
_OURS: Final = ("tuiconf.engine", "tuiconf.crypto", "tuiconf.media", "tuiconf.adapters.audio", "tuiconf.adapters.relay")


def test_attaching_with_plain_lines_loads_no_engine(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-c", _ATTACH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "call" in done.stderr
    loaded = done.stdout.split()
    assert "tuiconf.participant.front_end" in loaded
    assert [name for name in loaded if name.split(".")[0] in _HEAVY or name.startswith(_OURS)] == []
