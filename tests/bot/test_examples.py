"""What the examples do where no call is needed, or where it would take hours."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import os
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.bot.support import FakeEngine, until
from tuiconf.bot import SAMPLE_RATE, Bot, ConfigError, schema
from tuiconf.control.events import Person
from tuiconf.examples import announcer, intercom, minutes, recorder
from tuiconf.examples.minutes import lines_of, one_line

EXAMPLES = ("announcer", "recorder", "minutes", "intercom")


def documented(name: str) -> str:
    """The settings in an example's docstring: all of its last part."""
    text = importlib.import_module(f"tuiconf.examples.{name}").__doc__
    assert text is not None
    lines = text.splitlines()
    return "\n".join(lines[next(at for at, line in enumerate(lines) if line.startswith(("[bot]", "allow ="))) :])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_settings_are_settings(name: str, tmp_path: Path) -> None:
    (tmp_path / "gong.ogg").touch()
    path = tmp_path / "bot.toml"
    path.write_text(documented(name))
    bot = importlib.import_module(f"tuiconf.examples.{name}").make(str(path))
    assert isinstance(bot, Bot)
    assert set(tomllib.loads(documented(name))) <= {"bot", "settings", "speech", "allow"}


def test_a_time_of_the_day_is_due_today_or_tomorrow() -> None:
    noon = announcer.AtTime(at="12:00")
    assert noon.next(datetime.datetime(2026, 12, 31, 11, 59, 59)) == datetime.datetime(2026, 12, 31, 12)
    assert noon.next(datetime.datetime(2026, 12, 31, 12, 0, 0)) == datetime.datetime(2027, 1, 1, 12)
    assert noon.next(datetime.datetime(2026, 12, 31, 23, 0, 0)) == datetime.datetime(2027, 1, 1, 12)


def test_an_announcer_says_at_once_which_file_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text('[bot]\ncall = ""\n[settings]\ncommands = { "!gong" = "gong.ogg" }\n')
    with pytest.raises(ConfigError, match=r"gong\.ogg"):
        announcer.make(str(path))
    path.write_text('[bot]\ncall = ""\n[[settings.times]]\nat = "24:00"\n')
    with pytest.raises(ConfigError, match=r"settings\.times"):
        announcer.make(str(path))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[bot]\nhost = "x"\nlobby = "unknown"\n', "allow is empty"),
        ('allow = ["abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567"]\n[bot]\nhost = "x"\n', "lobby"),
    ],
)
def test_an_intercom_that_would_let_in_nobody_or_anybody_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why):
        intercom.make(str(path))


def test_the_chime_is_heard_and_hurts_nobody() -> None:
    chime = intercom.chime()
    assert chime.dtype == np.float32
    assert len(chime) == int(2 * intercom.TONE_S * SAMPLE_RATE)
    assert 0.1 < np.abs(chime).max() <= 0.3


def test_a_line_of_the_minutes_is_one_line() -> None:
    assert one_line("a\nb\x1b[2J\u202e\u2028c\td") == "a b [2J  c d"


async def test_lines_are_cut_however_they_come() -> None:
    stream = asyncio.StreamReader()
    for data in (b"one\ntw", b"o\n\n  \n\xff\xfe\n", b"x" * 5000, b"\nend"):
        stream.feed_data(data)
    stream.feed_eof()
    lines = [line async for line in lines_of(stream)]
    assert lines[:3] == ["one", "two", "\ufffd\ufffd"]
    assert "".join(lines[3:]) == "x" * 5000 + "end"
    assert max(map(len, lines)) <= 2 * minutes.MAX_LINE_BYTES


async def test_a_recorder_that_records_from_the_start_begins_when_somebody_is_there(
    engine: FakeEngine, home: Path
) -> None:
    path = home / "bot.toml"
    path.write_text('[bot]\ncall = ""\n[settings]\nfrom_start = true\nfolder = "kept"\nannounce = false\n')
    mara, engine.service.people = engine.service.people[1], engine.service.people[:1]
    bot = recorder.make(str(path))
    async with bot:
        await until(lambda: engine.service.of(schema.GetRoster))
        assert engine.service.of(schema.RecordStart) == []
        engine.service.joined(mara)
        await until(lambda: engine.service.of(schema.RecordStart))
    assert engine.service.of(schema.RecordStart) == [schema.RecordStart(folder=str(home / "kept"))]
    assert bot.faults == 0


async def test_an_announcer_without_a_voice_writes(engine: FakeEngine, home: Path) -> None:
    path = home / "bot.toml"
    path.write_text('[bot]\ncall = ""\n[speech]\ncommand = ["no-such-command"]\n')
    async with announcer.make(str(path)):
        engine.service.joined(Person(leaf=5, name="{name} Ben", fingerprint="x", host=False))
        await until(lambda: engine.service.said)
    assert engine.service.said == ["{name} Ben is here"]


def minutes_bot(folder: Path, code: str, more: str = "") -> Bot:
    """With a transcriber of Python code."""
    (folder / "transcribe.py").write_text(code)
    path = folder / "bot.toml"
    command = f'["{sys.executable}", "{folder / "transcribe.py"}"]'
    path.write_text(f'[bot]\ncall = ""\n[settings]\ncommand = {command}\n{more}')
    return minutes.make(str(path))


async def test_a_transcriber_that_is_too_slow_loses_sound_and_that_is_said(
    engine: FakeEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minutes, "MAX_BEHIND_BYTES", 20_000)
    bot = minutes_bot(home, "import time; time.sleep(60)")
    monkeypatch.setattr(minutes, "LAST_WORDS_S", 0.2)
    text = home / "minutes.txt"
    async with bot:
        await until(lambda: engine.service.taps)
        for _ in range(300):
            engine.service.hear_silence()
            await asyncio.sleep(0.002)
        for tap in list(engine.service.taps):
            tap.end()
        await until(lambda: re.search(r"Mara: \(\d\.\d s were lost: the transcriber was too slow", text.read_text()))
    assert bot.faults == 0


async def test_a_name_is_never_more_than_text(engine: FakeEngine, home: Path) -> None:
    bot = minutes_bot(home, "import sys; print(sys.argv[1:], flush=True); sys.stdin.read()")
    name = "../../$(touch x); `y`"
    async with bot:
        engine.service.joined(Person(leaf=2, name=name, fingerprint="x", host=False))
        text = home / "minutes.txt"
        await until(lambda: f"{name}: []" in text.read_text())
        await until(lambda: len(engine.service.taps) == 2)
    assert bot.faults == 0
    assert sorted(os.listdir(home)) == ["bot.toml", "minutes.txt", "transcribe.py"]  # noqa: PTH208


async def test_whoever_takes_somebodys_leaf_is_listened_to_as_well(engine: FakeEngine, home: Path) -> None:
    bot = minutes_bot(home, "import sys; print(len(sys.stdin.buffer.read()), flush=True)")
    async with bot:
        await until(lambda: engine.service.taps)
        engine.service.people = engine.service.people[:1]
        engine.service.joined(Person(leaf=1, name="Next", fingerprint="next", host=False))
        await until(lambda: len(engine.service.taps) == 2)
        for tap in list(engine.service.taps):
            tap.end()
        text = home / "minutes.txt"
        await until(lambda: "Mara: 0" in text.read_text() and "Next: 0" in text.read_text())
    assert engine.service.of(schema.Leave) == []


async def test_whoever_cannot_be_heard_for_now_is_asked_for_now_and_then_and_told_of_once(
    engine: FakeEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine has only so many ears. A minutes bot that asked at once again would start transcribers without end."""
    engine.service.ears_free = False
    bot = minutes_bot(home, "import sys; sys.stdin.read()")
    text, asked = home / "minutes.txt", engine.service.of
    async with bot:
        await until(lambda: "too many streams" in text.read_text())
        await until(lambda: "Mara" in text.read_text())
        assert len(asked(schema.SoundIn)) == 1
        monkeypatch.setattr(minutes, "AGAIN_S", 0)
        engine.service.joined(Person(leaf=2, name="Ben", fingerprint="ben", host=False))
        await until(lambda: len(asked(schema.SoundIn)) >= 4)
        engine.service.ears_free = True
        await until(lambda: engine.service.taps)
    assert [line.count("too many streams") for line in text.read_text().splitlines()] == [1, 1]
