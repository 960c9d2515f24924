"""What the tests of bots share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.support import FakeEngine, Faults, fake_engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the socket, and for whatever else."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[FakeEngine]:
    """An engine without a call, that listens."""
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
def faults() -> Faults:
    """What handlers do wrong."""
    return Faults()
