"""What the tests of sound share."""

from __future__ import annotations

import pytest

from tuiconf.media import opus


@pytest.fixture(scope="session")
def libopus() -> opus.Opus:
    """The library a call would use here."""
    return opus.load()
