"""What the tests of whole processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Relay, World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole calls in real time: where a busy machine keeps five processes waiting for half a second, sound has a hole.

    So what fails here is tried once more, from the beginning, and pytest says so. A fault fails twice.
    """
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


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
