"""Where files go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tuiconf import paths


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("XDG_CONFIG_HOME", paths.config_dir),
        ("XDG_DATA_HOME", paths.data_dir),
        ("XDG_STATE_HOME", paths.state_dir),
        ("XDG_RUNTIME_DIR", paths.runtime_dir),
    ],
)
def test_each_xdg_variable_is_obeyed_unless_it_is_relative(
    variable: str, folder: Callable[[Mapping[str, str]], Path], tmp_path: Path
) -> None:
    assert folder({variable: str(tmp_path)}) == tmp_path / "tuiconf"
    for ignored in ("", "relative/folder"):
        assert folder({variable: ignored}).is_absolute()
    assert not (tmp_path / "tuiconf").exists()


def test_without_a_runtime_folder_the_sockets_are_never_where_others_can_write(tmp_path: Path) -> None:
    folder = paths.runtime_dir({"XDG_STATE_HOME": str(tmp_path)})
    assert folder.is_relative_to(tmp_path) or folder.is_relative_to("/run/user")


def test_two_homes_are_two_people(tmp_path: Path) -> None:
    homes = [{"XDG_DATA_HOME": str(tmp_path / n), "XDG_STATE_HOME": str(tmp_path / n)} for n in ("a", "b")]
    assert len({paths.identity_file(home) for home in homes}) == 2
    assert len({paths.known_relays_file(home) for home in homes}) == 2


def test_a_changed_environment_is_seen_at_the_next_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert paths.identity_file() == tmp_path / "tuiconf" / "identity.json"
