"""Terminals that are closed in the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tui.terminal.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """The ticking app on an 80×24 terminal."""
    terminal = Rig("-m", "tests.tui.terminal.patient_app")
    yield terminal
    terminal.close()
