"""What the tests of whole processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Relay, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Somewhere for processes to run, and to end with the test."""
    world = World(tmp_path)
    try:
        yield world
    finally:
        world.close()


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay that the tests of a module share: each has its own rooms."""
    world = World(tmp_path_factory.mktemp("relay"))
    try:
        yield world.relay()
    finally:
        world.close()
