"""A bot's settings: every key checked, and nothing secret in what is shown of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tuiconf.bot import Bot, BotConfig, ConfigError, Where

LINK = "tuiconf://relay.example.org/room#secret"


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a bot."""

    often: int = 1
    folder: Path = Path("x")


def write(folder: Path, text: str) -> Path:
    path = folder / "bot.toml"
    path.write_text(text)
    return path


def test_settings_are_read_and_paths_are_from_their_folder(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'allow = ["abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567"]\nhandler_timeout_s = 3\n'
        '[bot]\nlink_file = "room.link"\nname = "Bot"\nconfig = "client.toml"\n'
        '[speech]\ncommand = ["say"]\n[settings]\noften = 5\nfolder = "here"\n',
    )
    config = Bot.from_config(path).config
    assert config.bot.link_file == tmp_path / "room.link"
    assert config.bot.config == tmp_path / "client.toml"
    assert config.speech.command == ["say"]
    assert config.handler_timeout_s == 3
    own = config.own_settings(Own)
    assert own.often == 5
    assert config.resolve(own.folder) == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing required field `bot`"),
        ("[bot]\n", "one of link, link_file, host and call"),
        (f'[bot]\nlink = "{LINK}"\nhost = "x"\n', "one of link, link_file, host and call"),
        (f'[bot]\nlink = "{LINK}"\nlobby = "off"\n', "lobby"),
        ('[bot]\nhost = "x"\nlobby = "on"\n', r"\$.bot.lobby"),
        ('[bot]\ncall = "x"\nnmae = "x"\n', "nmae"),
        ("[bot]\ncall = 5\n", r"\$.bot.call"),
        ('allow = ["x"]\n[bot]\ncall = "x"\n', r"\$.allow"),
        ('handler_timeout_s = 0\n[bot]\ncall = "x"\n', r"\$.handler_timeout_s"),
        ('path = "x"\n[bot]\ncall = "x"\n', "unknown field `path`"),
        ('[speech]\ncommand = []\n[bot]\ncall = "x"\n', r"\$.speech.command"),
        ("[bot", "bot.toml"),
        ("x = " + "[" * 5000, "bot.toml"),
        ("x = " + "1" * 5000, "bot.toml"),
    ],
)
def test_settings_that_cannot_be_used_are_said_with_file_and_key(text: str, why: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=why) as error:
        Bot.from_config(path)
    assert str(path) in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        Bot.from_config(tmp_path / "missing.toml")
    with pytest.raises(ConfigError):
        Bot.from_config(tmp_path)
    path = tmp_path / "bot.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bot\.toml"):
        Bot.from_config(path)


def test_a_bots_own_settings_are_checked_too(tmp_path: Path) -> None:
    for text, why in (("often = 'x'", r"\$\.settings\.often"), ("oftn = 1", "oftn")):
        path = write(tmp_path, f'[bot]\ncall = "x"\n[settings]\n{text}\n')
        with pytest.raises(ConfigError, match=why) as error:
            Bot.from_config(path).config.own_settings(Own)
        assert str(path) in str(error.value)


def test_nothing_secret_is_in_what_is_shown() -> None:
    config = BotConfig(bot=Where(link=LINK), settings={"key": "secret"})
    assert "secret" not in f"{config!r} {config.bot!r} {config}"
