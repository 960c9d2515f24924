"""In ASCII only: nothing else gets through, and everything stays where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.tui.line_filters import in_ascii
from tuiconf.untrusted import cells, visible


@given(st.text())
def test_a_line_stays_as_wide_as_it_was(text: str) -> None:
    shown = visible(text)
    assert in_ascii(shown).isascii()
    assert len(in_ascii(shown)) == cells(shown)


@pytest.mark.parametrize(("text", "shown"), [("│ ● … ▄", "| * ~ -"), ("Zoë", "Zoe"), ("黒", "? "), ("ß", "s")])
def test_signs_have_a_likeness(text: str, shown: str) -> None:
    assert in_ascii(text) == shown
