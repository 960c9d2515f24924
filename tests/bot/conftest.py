"""What the tests of bots share."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.bot.support import FakeEngine, Faults, fake_engine


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for whatever there is. That of the socket is another: pytest's have names that are too long for one."""
    with tempfile.TemporaryDirectory(prefix="tc.") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        yield tmp_path


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[FakeEngine]:
    """An engine without a call, that listens."""
    async with fake_engine() as engine:
        yield engine


@pytest.fixture
def faults() -> Faults:
    """What handlers do wrong."""
    return Faults()
