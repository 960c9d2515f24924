"""One setting put into a file that its owner wrote by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf import config
from tuiconf.adapters.settings_file import save
from tuiconf.config import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tuiconf" / "client.toml"


def test_the_first_setting_makes_the_file(path: Path) -> None:
    save(path, "tui", "theme", "light")
    assert config.load(path).tui.theme == "light"


def test_comments_and_order_stay(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('# mine\n[me]\nname = "Mara"  # as at work\n\n[tui]\ntheme = "dark"\n')
    save(path, "tui", "theme", "light")
    save(path, "audio", "bitrate", 24000)
    text = path.read_text()
    assert text.startswith('# mine\n[me]\nname = "Mara"  # as at work\n\n[tui]\ntheme = "light"\n')
    assert config.load(path).audio.bitrate == 24000


def test_a_key_is_in_a_table_of_a_table(path: Path) -> None:
    save(path, "tui.keys", "mute", "x")
    save(path, "tui", "theme", "dark")
    assert config.load(path).tui.keys.mute == "x"


def test_a_file_in_a_folder_of_dotfiles_stays_there(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "tuiconf.toml"
    real.parent.mkdir()
    real.write_text("")
    path.parent.mkdir()
    path.symlink_to(real)
    save(path, "tui", "theme", "dark")
    assert path.is_symlink()
    assert config.load(real).tui.theme == "dark"


@pytest.mark.parametrize(
    ("text", "table", "key", "value"),
    [
        ("", "tui", "theme", "pink"),
        ("", "tui", "no such key", True),
        ("[tui\n", "tui", "theme", "dark"),
        ("tui = 3\n", "tui", "theme", "dark"),
        ("[tui]\nkeys = 3\n", "tui.keys", "mute", "x"),
        ("[unknown]\nx = 1\n", "tui", "theme", "dark"),
    ],
)
def test_what_would_not_be_read_again_is_not_written(path: Path, text: str, table: str, key: str, value: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"client\.toml"):
        save(path, table, key, value)
    assert path.read_text() == text


def test_a_file_that_is_no_text_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError):
        save(path, "tui", "theme", "dark")
    assert path.read_bytes() == b"\xff"


_ALMOST_TOML = st.text(alphabet="[]=\"'#.\n abtuik=019{},-:TZ\\\r\t", max_size=60)


@given(st.text(max_size=200) | _ALMOST_TOML)
def test_whatever_is_in_the_file_only_one_error_comes_out(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("settings") / "client.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        save(path, "tui", "theme", "dark")
    except ConfigError:
        assert path.read_bytes() == text.encode("utf-8", "surrogatepass")
    else:
        assert config.load(path).tui.theme == "dark"
