"""What the tests of the control API share."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets: the names of pytest's own folders are nearly as long as a socket's may be."""
    path = Path(tempfile.mkdtemp(prefix="tc."))
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Plays a scene on each of the loops that an engine may run on."""

    def play(scene: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(scene)

    return play
