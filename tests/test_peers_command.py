"""`tuiconf peers` where no call is running: on the store, at a terminal and in scripts."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tuiconf.adapters.peers import open_peers
from tuiconf.cli import main
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.trust import Change, Compared, Finding, Met

MARA, OTHER = b"m" * 32, b"o" * 32
NOW: Final = 1_790_000_000.0


class Keyboard(io.StringIO):
    """Somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as runtime:  # a short name: sockets would have to fit
        for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            monkeypatch.setenv(variable, str(tmp_path / variable))
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        monkeypatch.setattr("sys.stdin", io.StringIO())
        yield


def happened(*changes: Change) -> None:
    open_peers(rng=os.urandom).change(changes)


def met(key: bytes, name: str) -> Met:
    return Met(key=key, name=name, at=NOW)


def differs(key: bytes, name: str) -> Compared:
    return Compared(key=key, name=name, finding=Finding(at=NOW, how="safety_number", matches=False))


def trust(key: bytes) -> str:
    pin = open_peers(rng=os.urandom).read().get(key)
    return pin.trust if pin is not None else "new"


def test_nobody_was_met_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "list"]) == 0
    assert capsys.readouterr().out == "nobody was met yet\n"
    assert main(["peers", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"peers": []}


def test_those_who_were_met_are_listed_with_what_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    happened(met(MARA, "Mara K"), differs(OTHER, "Ben"))
    assert main(["peers", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["changed", "known"]
    assert lines[1].endswith(f"  {fingerprint(MARA)}  Mara K")
    assert main(["peers", "list", "--json"]) == 0
    [_, mara] = json.loads(capsys.readouterr().out)["peers"]
    assert mara == {
        "fingerprint": fingerprint(MARA),
        "name": "Mara K",
        "trust": "known",
        "first_met": NOW,
        "last_met": NOW,
        "verified_at": None,
        "verified_how": None,
    }


def test_someone_is_shown_with_the_number_to_compare_and_its_qr_code_if_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    happened(met(MARA, "Mara"))
    assert main(["peers", "show", "mara"]) == 0
    plain = capsys.readouterr().out
    assert "known: met before, and not verified" in plain
    assert main(["peers", "show", "mara", "--qr"]) == 0
    with_qr = capsys.readouterr().out
    assert with_qr.startswith(plain)
    assert "\x1b" not in with_qr
    assert len(with_qr[len(plain) :].splitlines()) == 20
    assert main(["peers", "show", "mara", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    groups = [line.split() for line in plain.splitlines() if line.startswith("    ")]
    assert [len(row) for row in groups] == [4, 4, 4]
    assert " ".join(group for row in groups for group in row) == shown["safety_number"]


@pytest.mark.parametrize(
    ("typed", "code", "after"),
    [("yes\n", 0, "verified"), ("Y\n", 0, "verified"), ("no\n", 0, "changed"), ("\n", 1, "known"), ("", 1, "known")],
)
def test_verifying_asks_whether_the_number_is_the_same(
    typed: str, code: int, after: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    happened(met(MARA, "Mara"))
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    assert main(["peers", "verify", "Mara"]) == code
    assert "Is theirs the same?" in capsys.readouterr().err
    assert trust(MARA) == after


def test_where_nobody_can_be_asked_one_has_to_say_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    happened(met(MARA, "Mara"))
    assert main(["peers", "verify", "Mara"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert trust(MARA) == "known"
    assert main(["peers", "verify", "Mara", "--how", "fingerprint", "--yes"]) == 0
    assert trust(MARA) == "verified"
    pin = open_peers(rng=os.urandom).read().get(MARA)
    assert pin is not None and pin.finding is not None
    assert pin.finding.how == "fingerprint"
    assert main(["peers", "verify", "Mara", "--differs"]) == 0
    assert trust(MARA) == "changed"
    assert main(["peers", "accept", "Mara"]) == 0
    assert trust(MARA) == "known"
    assert main(["peers", "accept", "Mara"]) == 1
    assert main(["peers", "forget", "Mara", "--json"]) == 0
    assert trust(MARA) == "new"


@pytest.mark.parametrize("command", ["show", "verify", "accept", "forget"])
def test_who_is_nobody_is_one_sentence(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    happened(met(MARA, "Mara"))
    options = ["--yes"] if command == "verify" else []
    assert main(["peers", command, "Nobody", *options]) == 2
    assert capsys.readouterr().err == "tuiconf: there is nobody of that name\n"


def test_a_file_that_cannot_be_understood_is_one_sentence_and_stays(capsys: pytest.CaptureFixture[str]) -> None:
    happened(met(MARA, "Mara"))
    path = open_peers(rng=os.urandom).path
    path.write_text("nonsense\n", encoding="utf-8")
    for arguments in (["list"], ["forget", "Mara"]):
        assert main(["peers", *arguments]) == 1
        assert f"{path}, line 1: " in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "nonsense\n"


def test_a_call_that_is_not_running_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "show", "Mara", "--call", "abcd"]) == 2
    assert "there is no call" in capsys.readouterr().err
