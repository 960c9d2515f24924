"""Settings: the documented file is the defaults, and whatever else a file says is used or refused in a sentence."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.config import MAX_FILE_BYTES, Config, ConfigError, load, parse

DOCUMENTED = Path(__file__).parents[1] / "config" / "client.toml"


def test_the_documented_file_says_what_holds_without_a_file() -> None:
    assert parse(DOCUMENTED.read_text()) == Config()


def test_every_key_is_documented_even_those_that_have_no_default() -> None:
    lines = DOCUMENTED.read_text().splitlines()
    text = "\n".join(line.removeprefix("# ") if " = " in line and line.startswith("# ") else line for line in lines)
    tables = tomllib.loads(text)
    defaults = Config()
    assert set(tables) == set(defaults.__struct_fields__)
    for name, table in tables.items():
        assert set(table) == set(getattr(defaults, name).__struct_fields__)
    assert parse(text).me.name == "Mara"


@pytest.mark.parametrize(
    ("repeat", "repeats"), [('"auto"', None), ('"off"', ()), ("[1, 3]", (1, 3)), ("[3, 1, 3]", (1, 3)), ("[]", ())]
)
def test_what_to_repeat_is_chosen_or_left_to_the_listeners(repeat: str, repeats: tuple[int, ...] | None) -> None:
    assert parse(f"[audio]\nrepeat = {repeat}").audio.repeats == repeats


@pytest.mark.parametrize(
    "text",
    [
        "[audio]\nrepeat = [0]",
        "[audio]\nrepeat = [1, 2, 3, 4]",
        '[audio]\nrepeat = "sometimes"',
        "[audio]\nbitrate = 31999",
        "[audio]\ncomplexity = 11",
        "[me]\nname = 7",
        "[network]\nquic = 'tcp'",
        "[networks]",
        "me = 1",
        "[me]\n[me]",
        "a" * 10,
        "x = " + "9" * 5000,
        "x = " + "[" * 5000,
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@given(st.text() | st.from_regex(r"(\[[a-z]*\]\n|[a-z]* = [^\n]*\n)*", fullmatch=True))
def test_no_text_lets_anything_but_a_config_error_out(text: str) -> None:
    try:
        config = parse(text)
    except ConfigError:
        return
    assert isinstance(config, Config)


def test_a_missing_file_is_the_defaults_unless_it_was_named(tmp_path: Path) -> None:
    assert load(tmp_path / "client.toml") == Config()
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "client.toml", must_exist=True)


def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    for data in (b"[me", b"\xff", b"#" * (MAX_FILE_BYTES + 1)):
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=r"client\.toml: "):
            load(path)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load(tmp_path)
