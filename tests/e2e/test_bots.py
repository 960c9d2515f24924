"""The examples as a user runs them, and bots made here: against a real relay, with real participants and real sound."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from tests.e2e.processes import PATIENCE_S, Participant, Process, Relay, World, home_environment, of
from tests.e2e.sound import intelligibility, speech_file, write_wav
from tests.intelligibility import read
from tests.speech import speech_pcm
from tuiconf.bot import FRAME_SAMPLES, Bot, BotConfig, EngineGone, Frame, HandlerFault, Where, events, schema
from tuiconf.media.opus import SAMPLE_RATE

# A speech command: what it was told goes into a file, and a second of a tone comes out.
SPEAK: Final = """
import pathlib, sys
with open({said!r}, "a") as file:
    file.write(sys.stdin.read() + "\\n")
sys.stdout.buffer.write(pathlib.Path({wav!r}).read_bytes())
"""

# A transcriber: for each second in which something is heard, how loud it was.
TRANSCRIBE: Final = """
import array, sys
while len(data := sys.stdin.buffer.read(96_000)) == 96_000:
    samples = array.array("h", data)
    level = int((sum(s * s for s in samples) / len(samples)) ** 0.5)
    if level > 200:
        print("level", level, flush=True)
print("the end", flush=True)
"""


def tone_file(folder: Path, seconds: float = 1.0) -> Path:
    """A tone, as WAV."""
    at = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return write_wav(folder / "tone.wav", (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32))


def toml(value: object) -> str:
    """A text or a list of texts, as TOML: JSON's are the same."""
    return json.dumps(value)


def script(folder: Path, name: str, text: str) -> list[str]:
    """The command line of a Python script."""
    path = folder / name
    path.write_text(text)
    return [sys.executable, str(path)]


def run_example(world: World, name: str, settings: str) -> Process:
    """`python -m tuiconf.examples.NAME`, at home in a folder of that name."""
    home = world.folder / name
    home.mkdir(exist_ok=True)
    (home / "bot.toml").write_text(settings)
    return world.command(f"tuiconf.examples.{name}", "bot.toml", home=name, stdin=None)


def bot_in(link: str, name: str, more: str = "") -> str:
    """The [bot] table."""
    return f"[bot]\nlink = {toml(link)}\nname = {toml(name)}\n{more}"


def end(bot: Process) -> None:
    """As a service manager ends it."""
    bot.signal(signal.SIGTERM)
    assert bot.wait() == 0, bot.transcript()
    assert bot.errors == ""


def says(listener: Participant, text: str) -> None:
    """Wait until a line of chat with this in it has come."""
    listener.event("chat_received", lambda event: text in event["text"])


def file_with(path: Path, pattern: str) -> str:
    """The text of a file, once it has this in it."""
    until(lambda: path.exists() and re.search(pattern, path.read_text()), f"{pattern} in {path.name}")
    return path.read_text()


def until(found: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


# --- the examples


def test_the_announcer_says_who_comes_and_plays_what_is_asked_for(world: World, relay: Relay) -> None:
    mara = world.host("Mara", relay.to_type, headless=False)
    wav, said = tone_file(world.folder), world.folder / "said"
    speak = script(world.folder, "speak.py", SPEAK.format(said=str(said), wav=str(wav)))
    settings = (
        bot_in(mara.link(), "Announcer")
        + f'[speech]\ncommand = {toml(speak)}\n[settings]\ncommands = {{ "!gong" = {toml(str(wav))} }}\n'
    )
    bot = run_example(world, "announcer", settings)
    mara.event("participant_joined", of("Announcer"))
    name = "-v $(reboot); `x` 'Ben'"
    ben = world.join(name, mara.link(), home="ben")
    ben.joined()
    assert file_with(said, "is here\n") == f"{name} is here\n"
    announced = mara.hears("Announcer", more_than=40)
    mara.type("!gong")
    mara.hears("Announcer", more_than=announced + 40)
    ben.popen.terminate()
    file_with(said, "has gone\n")
    end(bot)
    assert mara.event("participant_left", of("Announcer"))["reason"] == "left"


def test_the_recorder_honours_the_rooms_policy(world: World, relay: Relay) -> None:
    rules = world.folder / "rules.toml"
    rules.write_text('[room]\nrecord = "hosts"\n')
    mara = world.host("Mara", relay.to_type, "--config", str(rules), "--audio-in", "tone", headless=False)
    bot = run_example(
        world, "recorder", bot_in(mara.link(), "Recorder") + '[settings]\nfolder = "kept"\nannounce = false\n'
    )
    ben = world.join("Ben", mara.link(), headless=False)
    mara.event("participant_joined", of("Recorder"))
    mara.event("participant_joined", of("Ben"))
    ben.joined()
    mara.type("!record")
    says(mara, "not allowed in this room")  # the bot is none
    mara.type("/handover Recorder")
    ben.event("policy_changed", lambda event: [host["name"] for host in event["hosts"]] == ["Recorder"])
    ben.type("!record")
    says(ben, "do not let you")
    end(bot)


def test_the_recorder_records_when_asked_and_stops_when_nobody_else_is_there(world: World, relay: Relay) -> None:
    mara = world.host("Mara", relay.to_type, "--audio-in", "tone", headless=False)
    settings = bot_in(mara.link(), "Recorder") + '[settings]\nfolder = "kept"\nannounce = false\n'
    bot = run_example(world, "recorder", settings)
    mara.event("participant_joined", of("Recorder"))
    mara.type("!record")
    mara.event("status_changed", lambda event: of("Recorder")(event) and event["participant"]["recording"])
    says(mara, "is being recorded")
    kept = world.folder / "recorder" / "kept"
    until(lambda: list(kept.rglob("*.opus")), "recorded sound")
    mara.type("!stop")
    says(mara, "recording ended (stopped)")
    mara.event("status_changed", lambda event: of("Recorder")(event) and not event["participant"]["recording"])
    mara.type("!RECORD please")
    mara.wait_for(lambda: len([e for e in mara.events("chat_received") if "is being" in e["text"]]) == 2, "2nd time")
    mara.type("/leave")
    assert mara.wait() == 0
    until(lambda: len(list(kept.iterdir())) == 2, "second recording")
    until(lambda: all(json.loads(path.read_text()).get("ended") for path in kept.rglob("*.json")), "end of both")
    end(bot)


def test_the_minutes_are_what_the_transcriber_of_each_speaker_writes(world: World, relay: Relay) -> None:
    speech = speech_file(world.folder, 6)
    ben = world.host("Ben", relay.to_type, headless=False)
    transcribe = script(world.folder, "transcribe.py", TRANSCRIBE)
    bot = run_example(world, "minutes", bot_in(ben.link(), "Minutes") + f"[settings]\ncommand = {toml(transcribe)}\n")
    says(ben, "minutes are taken")
    mara = world.join("../Mara", ben.link(), "--audio-in", str(speech), "--for", "8", home="mara")
    minutes = world.folder / "minutes" / "minutes.txt"
    file_with(minutes, r"\[\d\d:\d\d:\d\d\] \.\./Mara: level \d+\n")
    assert mara.wait() == 0
    text = file_with(minutes, r"Mara: the end\n")
    assert len(re.findall(r"Mara: level \d+\n", text)) >= 3
    assert "Ben: level" not in text
    ben.type("!minutes")
    says(ben, "../Mara: the end")
    end(bot)
    file_with(minutes, r"Ben: the end\n")  # whoever was there to the last gets their last words


def test_a_transcriber_that_dies_is_started_anew_some_times_and_that_is_said(world: World, relay: Relay) -> None:
    ben = world.host("Ben", relay.to_type)
    dies = script(world.folder, "dies.py", 'print("one word", flush=True); raise SystemExit(3)')
    settings = bot_in(ben.link(), "Minutes") + f"[settings]\ncommand = {toml(dies)}\nrestarts = 1\n"
    bot = run_example(world, "minutes", settings)
    says(ben, "no more minutes of Ben: the transcriber ended with exit code 3")
    text = (world.folder / "minutes" / "minutes.txt").read_text()
    assert text.count("Ben: one word") == 2
    end(bot)


def test_the_intercom_lets_in_whom_it_knows_and_nobody_else(world: World, relay: Relay) -> None:
    show = world.command("tuiconf", "identity", "show", "--json", home="Mara", stdin=None)
    assert show.wait() == 0
    fingerprint = json.loads(show.lines[0])["fingerprint"]
    settings = (
        f"allow = [{toml(fingerprint)}]\n"
        f'[bot]\nhost = {toml(relay.to_type)}\nname = "Door"\nlobby = "unknown"\naudio_in = "tone"\n'
        '[settings]\nlink_file = "door.link"\nmax_call_s = 4\n'
    )
    bot = run_example(world, "intercom", settings)
    link_file = world.folder / "intercom" / "door.link"
    link = file_with(link_file, "#").strip()
    assert stat.S_IMODE(link_file.stat().st_mode) == 0o600
    stranger = world.join("Mara", link, home="stranger")  # the same name
    stranger.event("error", lambda event: event["code"] == "denied")
    mara = world.join("Mara", link)
    mara.joined()
    mara.hears("Door", more_than=20)
    assert mara.wait() == 1  # after its time
    assert mara.events("left")[-1]["reason"] == "removed"
    assert stranger.events("joined") == []
    end(bot)


@pytest.mark.parametrize("name", ["announcer", "recorder", "minutes", "intercom"])
def test_settings_that_cannot_be_used_are_said_in_one_line(name: str, world: World) -> None:
    for settings, why in (
        ('[bot]\ncall = "x"\n[settings]\nno_such_key = 1\n', "no_such_key"),
        ('[bot]\nhost = "x"\nlobby = "on"\n', "$.bot.lobby"),
        ("", "bot"),
    ):
        bot = run_example(world, name, settings)
        assert bot.wait() == 2
        assert why in bot.errors
        assert "bot.toml" in bot.errors
        assert len(bot.error_lines) == 1


def test_a_relay_that_is_not_there_is_said(world: World) -> None:
    link = "tuiconf://127.0.0.1:9/room#" + "a" * 43
    bot = run_example(world, "recorder", f"[bot]\nlink = {toml(link)}\nwait = false\n")
    assert bot.wait() != 0
    assert len(bot.error_lines) == 1, bot.errors
    assert "a" * 43 not in bot.errors


# --- bots made here


@pytest.fixture
def at_home(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """This process is at home in the test's folder, too: its bots start engines."""
    for key, value in home_environment(world.folder / "bots").items():
        monkeypatch.setenv(key, value)
    return world


SECONDS: Final = 9


def a_bot(link: str, name: str, faults: list[HandlerFault]) -> Bot:
    """One that joins."""
    return Bot(BotConfig(bot=Where(link=link, name=name)), report=faults.append)


async def joined(bot: Bot) -> None:
    """Wait until it is in the call."""
    async with asyncio.timeout(PATIENCE_S):
        while not bot.in_call:  # noqa: ASYNC110 - a test
            await asyncio.sleep(0.02)


async def test_what_a_bot_plays_is_understood_also_while_a_handler_blocks_its_loop(
    at_home: World, relay: Relay
) -> None:
    recording = at_home.folder / "heard.wav"
    listener = at_home.host("Listener", relay.to_type, "--audio-out", str(recording))
    faults: list[HandlerFault] = []
    bot = a_bot(await asyncio.to_thread(listener.link), "Speaker", faults)

    @bot.on(events.AudioStats)
    async def blocks(event: events.AudioStats) -> None:
        if len(faults) < 4:
            time.sleep(1.5)  # noqa: ASYNC251 - what this is about

    async with bot:
        await joined(bot)
        assert await bot.play(speech_pcm(SECONDS))
        sent = (await bot.stats_get()).audio
    await asyncio.to_thread(listener.event, "participant_left", of("Speaker"))
    listener.popen.terminate()
    assert await asyncio.to_thread(listener.wait) == 0
    assert {fault.what for fault in faults} == {"blocked"}
    stream = listener.stream("Speaker")
    assert stream is not None and sent is not None
    assert stream["frames_received"] >= SECONDS * 50 - 50  # of the last second before it left there are no statistics
    assert stream["frames_concealed"] <= 0.02 * SECONDS * 50
    assert intelligibility(speech_pcm(SECONDS), read(recording)) >= 0.85


async def test_what_a_bot_hears_can_be_understood_and_sent_back_by_an_iterator(at_home: World, relay: Relay) -> None:
    speech = speech_file(at_home.folder, SECONDS)
    recording = at_home.folder / "echo.wav"
    listener = at_home.host("Listener", relay.to_type, "--audio-out", str(recording))
    link = await asyncio.to_thread(listener.link)
    faults: list[HandlerFault] = []
    bot = a_bot(link, "Parrot", faults)
    heard: list[Frame] = []

    async def overheard(who: int) -> AsyncIterator[Frame]:
        async for frame in bot.audio_in(who):
            heard.append(frame)
            yield frame

    @bot.on(events.ParticipantJoined)
    async def repeat(event: events.ParticipantJoined) -> None:
        bot.spawn(bot.play(overheard(event.participant.leaf)))

    async with bot:
        await joined(bot)
        speaker = at_home.join("Speaker", link, "--audio-in", str(speech), "--for", str(SECONDS + 1))
        assert await asyncio.to_thread(speaker.wait) == 0
        await asyncio.to_thread(listener.event, "participant_left", of("Speaker"))
        await asyncio.sleep(1)  # what the parrot still has to say
    listener.popen.terminate()
    await asyncio.to_thread(listener.wait)
    assert not faults
    assert intelligibility(speech_pcm(SECONDS), np.concatenate(heard)) >= 0.85
    assert {frame.shape for frame in heard} == {(FRAME_SAMPLES,)}
    parrot = listener.stream("Parrot")
    assert parrot is not None
    assert parrot["frames_played"] > (SECONDS - 2) * 50


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_espeak_is_heard(at_home: World, relay: Relay) -> None:
    listener = at_home.host("Listener", relay.to_type)
    bot = a_bot(await asyncio.to_thread(listener.link), "Speaker", [])
    async with bot:
        await joined(bot)
        assert await bot.say("The next train leaves from platform two.")
        await asyncio.to_thread(listener.hears, "Speaker", more_than=50)


async def test_two_bots_drive_one_engine_which_outlives_them(at_home: World, relay: Relay) -> None:
    mara = at_home.host("Mara", relay.to_type, headless=False, home="bots")
    link = await asyncio.to_thread(mara.link)
    ben = at_home.join("Ben", link, headless=False)
    await asyncio.to_thread(ben.joined)
    bots = [Bot(BotConfig(bot=Where(call=""))) for _ in range(2)]
    for number, bot in enumerate(bots):
        bot.command(f"!{number}")(lambda message, argument, number=number: f"this is {number}")
    async with bots[0], bots[1]:
        for number in range(2):
            ben.type(f"!{number}")
            await asyncio.to_thread(says, ben, f"this is {number}")
    assert mara.popen.poll() is None
    mara.type("still here")
    await asyncio.to_thread(says, ben, "still here")


async def test_an_engine_that_is_killed_in_the_middle_is_told_of_at_once(at_home: World, relay: Relay) -> None:
    listener = at_home.host("Listener", relay.to_type)
    bot = a_bot(await asyncio.to_thread(listener.link), "Speaker", [])
    threads = threading.active_count()
    async with bot:
        await joined(bot)
        playing = asyncio.create_task(bot.play(speech_pcm(30.0)))
        await asyncio.to_thread(listener.hears, "Speaker", more_than=10)
        os.kill((await bot.call(schema.SayHello())).pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(EngineGone):
                await playing
            with pytest.raises(EngineGone):
                await bot.left()
    assert threading.active_count() <= threads + 1  # the one that asked the listener
