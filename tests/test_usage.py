"""What is typed or configured wrong: one sentence that says what to do, and exit code 2, before anything happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relay_quic.cli import main as relay_main
from tuiconf.cli import main

PIN = "A" * 43
SECRET = "A" * 22
RELAY = f"127.0.0.1:9?pin={PIN}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own."""
    for name in ("DATA", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.delenv("TUICONF_PASSPHRASE", raising=False)
    return tmp_path


def assert_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    """Exit code 2 and one sentence with those words."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if not line.startswith("No passphrase: ")]
    assert len(said) == 1
    assert said[0].startswith("tuiconf: ")
    assert words in said[0]
    if "--json" not in arguments:
        assert printed.out == ""
        return
    event = json.loads(printed.out)  # whoever reads events is told by one
    assert (event["event"], event["fatal"], event["message"]) == ("error", True, said[0].removeprefix("tuiconf: "))


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("", "tuiconf://"),
        ("https://example.org/room", "tuiconf://"),
        ("tuiconf://", ""),
        ("tuiconf://relay/room", ""),
        ("tuiconf://relay/room#short", ""),
        (f"tuiconf://relay#{SECRET}", "room"),
        (f"tuiconf://relay:99999/room#{SECRET}", "port"),
        (f"tuiconf://relay/room?pin=nonsense#{SECRET}", "pin"),
        (f"tuiconf://re lay/room#{SECRET}", ""),
        (f"tuiconf://relay/room#{SECRET}\x00", ""),
        ("tuiconf://" + "x" * 5000, ""),
    ],
)
def test_a_bad_link_is_refused(capsys: pytest.CaptureFixture[str], link: str, words: str) -> None:
    assert_refused(capsys, ["join", link, "--headless"], words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--audio-in", "tone:0"), "frequency"),
        (("--audio-in", "cmd:"), "command"),
        (("--audio-in", "cmd:no-such-command-anywhere"), "no-such-command-anywhere"),
        (("--audio-out", "heard.mp3"), ".wav"),
        (("--audio-out", "-", "--json"), "--json"),
        (("--name", "x" * 1000), "name"),
        (("--name", ""), "name"),
        (("--say", ""), "--say"),
        (("--say", "x" * 5000), "--say"),
        (("--config", "missing.toml"), "missing.toml"),
    ],
)
def test_a_bad_option_is_refused(capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str) -> None:
    assert_refused(capsys, ["host", RELAY, "--headless", *options], words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[audio]\nbitrate = 31000\n", "audio.bitrate"),
        ("[audio]\nloudness = 11\n", "loudness"),
        ("[audio\n", "TOML"),
        ('[audio]\ninput = "tone:x"\n', "frequency"),
        ('[me]\nname = ""\n', "name"),
        (f"x = {'9' * 5000}", "TOML"),
        ("\xff", "UTF-8"),
    ],
)
def test_bad_settings_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "client.toml"
    config.write_bytes(text.encode("latin-1"))
    assert_refused(capsys, ["host", RELAY, "--headless", "--config", str(config)], words)


NASTY = "x\x1b]0;title\x07\x9b2J\u202egnol\x7f"


@pytest.mark.parametrize(
    "arguments",
    [
        [NASTY],
        ["join", NASTY],
        ["join", "--link-file", NASTY],
        ["host", RELAY, "--room", NASTY],
        ["host", RELAY, "--headless", "--audio-in", NASTY],
        ["host", RELAY, "--headless", "--config", NASTY],
        ["attach", NASTY],
        ["ctl", NASTY],
        ["ctl", "--call", NASTY, "hello"],
        ["peers", "show", NASTY],
        ["ptt", NASTY],
        ["run", NASTY],
        ["relay", "--config", NASTY],
        ["relay", "--listen", NASTY],
        ["join", "--json", NASTY],
    ],
    ids=lambda arguments: " ".join(arguments).replace(NASTY, "NASTY"),
)
def test_what_was_typed_is_repeated_without_what_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) != 0
    printed = capsys.readouterr()
    said = printed.err + printed.out
    assert said.strip()
    assert all(char.isprintable() or char == "\n" for char in said)


def test_a_relay_repeats_it_without_that_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["serve", "--config", NASTY], ["serve", "--listen", NASTY], [NASTY]):
        assert relay_main(arguments) != 0
        printed = capsys.readouterr()
        assert all(char.isprintable() or char == "\n" for char in printed.err + printed.out)
