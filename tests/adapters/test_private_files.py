"""Small private files: processes that change one take turns, and none waits for ever, or leaves anything behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tuiconf.adapters import private_files
from tuiconf.adapters.private_files import FileError

# Takes the lock, writes half of a new file, says so, and stops there.
_STUCK: Final = """
import sys, time
from pathlib import Path
from tuiconf.adapters import private_files
path = Path(sys.argv[1])
with private_files.locked(path):
    with private_files._temporary(path, b"a secret", lambda count: bytes(count)):
        print("stuck", flush=True)
        time.sleep(60)
"""


def test_a_process_that_stopped_with_the_lock_stops_nobody_else_and_killed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    private_files.replace(path, b"before", rng=os.urandom)
    with subprocess.Popen([sys.executable, "-c", _STUCK, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"stuck\n"
        monkeypatch.setattr(private_files, "LOCK_S", 0.1)
        with pytest.raises(FileError, match="in use"), private_files.locked(path):
            pass
        assert len(list(tmp_path.iterdir())) == 3
        other.kill()
    monkeypatch.undo()
    with private_files.locked(path):
        private_files.replace(path, b"after", rng=os.urandom)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"file": b"after", "file.lock": b""}
