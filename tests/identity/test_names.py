"""Names: what others are shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.identity.names import MAX_NAME_CHARACTERS, NameRefused, is_name, normalise_name


@pytest.mark.parametrize("name", ["Ada", "Åsa Öberg", "李雷", "محمد", "Zoë 🎧", "a", "x" * 64, "O'Neil-2"])
def test_ordinary_names_of_all_scripts_are_names(name: str) -> None:
    assert is_name(name)
    assert normalise_name(name) == name


@pytest.mark.parametrize(
    "bad",
    ["", " ", "x" * 65, " Ada", "Ada ", "A  da", "A\nda", "A\x1b[31mda", "Ada\u202egpj", "A\u200bda", "\u2066Ada",
     "A\u00a0da", "Ada\ufeff", "\u3164", "\u2800", "A\U000e0041", "A\ud800", "A\u0085", "\ue000", "A\u2028",
     "A" + "\u0301" * 5],
)  # fmt: skip
def test_a_name_that_could_hide_disturb_or_imitate_is_refused(bad: str) -> None:
    assert not is_name(bad)


def test_every_control_format_and_separator_character_python_knows_is_refused() -> None:
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"} and code != 0x20:
            assert not is_name(f"A{chr(code)}"), hex(code)


def test_ones_own_name_is_composed_and_its_spaces_are_made_single() -> None:
    assert normalise_name("  A\u030asa \t O\u0308berg ") == "Åsa Öberg"
    assert normalise_name("e\u0301" * MAX_NAME_CHARACTERS) == "é" * MAX_NAME_CHARACTERS


@pytest.mark.parametrize("bad", ["", "\t", "x" * 65, "A\x1bda", "A\u202eda", "\u0301"])
def test_ones_own_name_is_refused_with_a_sentence(bad: str) -> None:
    with pytest.raises(NameRefused, match="a name may"):
        normalise_name(bad)


@given(st.text(max_size=80))
def test_what_is_accepted_as_ones_own_name_is_a_name_to_everyone(text: str) -> None:
    try:
        name = normalise_name(text)
    except NameRefused:
        return
    assert is_name(name)
    assert normalise_name(name) == name
