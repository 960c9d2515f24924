"""A call of several processes: who is there, what they say, how they go; every option of the command."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE_S, Relay, World, agree, of
from tests.e2e.sound import heard, intelligibility, speech_file, through_opus_alone, write_wav
from tests.speech import speech_pcm
from tuiconf.adapters.audio.base import from_s16le, to_s16le
from tuiconf.identity.link import parse_link


def test_three_agree_on_who_is_there_and_on_a_code_in_every_epoch(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, "--room", "standup")
    link = ann.link()
    assert parse_link(link).room == "standup"
    bo = world.join("Bo", link)
    agree(ann, bo, epoch=1)
    cy = world.join("Cy", link)
    code = agree(ann, bo, cy, epoch=2)
    assert ann.names() == [
        *("room_created", "joined", "epoch_changed", "participant_joined", "epoch_changed", "participant_joined")
    ]
    first = ann.joined()
    assert first["epoch"] == 0
    assert first["me"]["host"] is True
    assert [who["name"] for who in first["participants"]] == ["Ann"]
    assert len({event["security_code"] for event in ann.all_events() if "security_code" in event}) == 3
    last = cy.joined()
    assert last["security_code"] == code
    assert [(who["name"], who["host"]) for who in last["participants"]] == [("Ann", True), ("Bo", False), ("Cy", False)]
    assert last["me"]["leaf"] == 2
    shown = world.command("tuiconf", "identity", "show", "--json", home="Cy")
    assert shown.wait() == 0
    assert json.loads(shown.lines[0])["fingerprint"] == last["me"]["fingerprint"]


def test_two_who_knock_at_once_are_both_let_in(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    link = ann.link()
    bo, cy = world.join("Bo", link), world.join("Cy", link)
    bo.joined()
    cy.joined()
    agree(ann, bo, cy)
    assert {event["participant"]["name"] for event in ann.events("participant_joined")} == {"Bo", "Cy"}


def test_chat_goes_to_everyone_from_options_and_from_the_keyboard(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, headless=False)
    bo = world.join("Bo", ann.link(), "--say", "first", "--say", "sécond ✓")
    cy = world.join("Cy", ann.link(), headless=False)
    cy.joined()
    bo.joined()
    ann.event("chat_received", lambda event: event["text"] == "sécond ✓")
    assert [event["text"] for event in ann.events("chat_received")] == ["first", "sécond ✓"]
    cy.type("typed")
    for listener in (ann, bo):
        event = listener.event("chat_received", of("Cy"))
        assert event["text"] == "typed"
        assert event["participant"]["fingerprint"] == cy.joined()["me"]["fingerprint"]
    assert all(event["participant"]["name"] != "Cy" for event in cy.events("chat_received"))
    cy.type("x" * 5000)
    assert cy.event("error")["fatal"] is False
    cy.type("still here")
    ann.event("chat_received", lambda event: event["text"] == "still here")


def test_only_the_host_removes_and_the_removed_is_told(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, headless=False)
    bo = world.join("Bo", ann.link(), headless=False)
    cy = world.join("Cy", ann.link(), headless=False)
    cy.joined()
    agree(ann, bo, cy, epoch=max(ann.epoch, 1))
    bo.type("/remove Cy")
    assert bo.event("error")["code"] == "not_allowed"
    ann.type("/remove Nobody")
    assert ann.event("error")["code"] == "no_such_participant"
    before = agree(ann, bo, cy)
    ann.type("/remove Cy")
    assert cy.wait() == 1
    assert cy.events("left") == [{"event": "left", "reason": "removed"}]
    for other in (ann, bo):
        event = other.event("participant_left")
        assert (event["participant"]["name"], event["reason"]) == ("Cy", "removed")
    assert agree(ann, bo) != before
    bo.type("/who")
    people = bo.event("joined", lambda event: event["epoch"] == bo.epoch)["participants"]
    assert [who["name"] for who in people] == ["Ann", "Bo"]


def test_every_way_to_leave_is_told_to_the_others_at_once_and_exits_with_0(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    link = ann.link()
    numbers = (signal.SIGTERM, signal.SIGINT)  # SIGHUP is for whoever has a terminal to lose: test_terminal.py
    told = {f"by {number.name}": world.join(f"by {number.name}", link) for number in numbers}
    typed = world.join("by typing", link, headless=False)
    ended = world.join("by hanging up", link, headless=False)
    timed = world.join("in time", link, "--for", "1.5")
    leavers = {**told, "by typing": typed, "by hanging up": ended, "in time": timed}
    for participant in leavers.values():
        participant.joined()
    for number, participant in zip(numbers, told.values(), strict=True):
        participant.signal(number)
    typed.type("/leave")
    ended.hang_up()
    for name, participant in leavers.items():
        assert participant.wait() == 0, participant.transcript()
        assert participant.all_events()[-1] == {"event": "left", "reason": "left"}
        assert ann.event("participant_left", of(name))["reason"] == "left"
        assert participant.children() == []


def test_whoever_is_killed_leaves_no_process_behind(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    loop = f"cmd:{shlex.quote(sys.executable)} -c 'import time; time.sleep(600)'"
    bo = world.join("Bo", ann.link(), "--audio-in", loop, "--audio-out", loop)
    bo.joined()
    bo.wait_for(lambda: len(bo.children()) == 4, "commands and the guardian of each")
    bo.kill()
    deadline = time.monotonic() + PATIENCE_S
    while bo.children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert bo.children() == []


def test_the_same_identity_from_elsewhere_takes_the_place_of_the_first(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    first = world.join("Bo", ann.link(), home="bo")
    first.joined()
    second = world.join("Bo", ann.link(), home="bo")
    second.joined()
    assert first.wait() == 1
    error = first.event("error")
    assert (error["code"], error["fatal"]) == ("replaced", True)
    agree(ann, second)
    assert [who["name"] for who in second.joined()["participants"]] == ["Ann", "Bo"]


def test_a_call_goes_on_without_its_creator_and_lets_people_in(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    link = ann.link()
    bo = world.join("Bo", link)
    bo.joined()
    agree(ann, bo)
    ann.kill()
    cy = world.join("Cy", link)
    cy.joined()
    agree(bo, cy)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("quic", ["qh3", "aioquic"])
def test_both_event_loops_and_both_transport_libraries_carry_a_call(world: World, loop: str, quic: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
        environment = {}
    else:
        shadow = world.folder / "no uvloop"
        shadow.mkdir()
        (shadow / "uvloop.py").write_text("raise ImportError")
        environment = {"PYTHONPATH": f"{shadow}:{os.environ.get('PYTHONPATH', '')}"}
    if quic == "qh3":
        pytest.importorskip("qh3")
    relay = world.relay("--quic", "qh3" if quic == "aioquic" else "aioquic" if loop == "uvloop" else quic)
    options = ("--quic", quic, "--audio-in", "tone")
    ann = world.host("Ann", relay.to_type, *options, environment=environment)
    bo = world.join("Bo", ann.link(), *options, environment=environment)
    bo.hears("Ann", more_than=25)
    ann.hears("Bo", more_than=25)
    bo.signal(signal.SIGTERM)
    assert bo.wait() == 0
    assert [line for line in bo.error_lines if "passphrase" not in line] == []


def test_every_kind_of_source_is_heard(world: World, relay: Relay) -> None:
    raw = world.folder / "speech.raw"
    raw.write_bytes(to_s16le(speech_pcm(4)))
    wav = write_wav(world.folder / "short.wav", speech_pcm(1))
    ann = world.host("Ann", relay.to_type)
    sources = {
        "file": ("file:" + str(wav),),
        "loop": ("loop:" + str(wav),),
        "command": (f"cmd:cat '{raw}'",),
        "tone": ("tone:300",),
    }
    for name, (source,) in sources.items():
        world.join(name, ann.link(), "--audio-in", source)
    silent = world.join("null", ann.link(), "--audio-in", "null")
    with raw.open("rb") as speech:
        world.join("pipe", ann.link(), "--audio-in", "-", stdin=speech)
    for name in (*sources, "pipe"):
        ann.hears(name, more_than=40)
    silent.joined()
    assert ann.stream("null") is None or ann.stream("null")["frames_played"] == 0  # type: ignore[index]


def test_every_kind_of_sink_gets_speech_that_can_be_understood(world: World, relay: Relay) -> None:
    seconds = 6.0
    speech = speech_file(world.folder, seconds)
    wav, ogg, raw = (world.folder / name for name in ("heard.wav", "heard.ogg", "heard.raw"))
    writer = f"cmd:sh -c 'cat > {raw}'"
    ann = world.host("Ann", relay.to_type, "--audio-out", str(wav))
    link = ann.link()
    listeners = [world.join("Ogg", link, "--audio-out", str(ogg)), world.join("Command", link, "--audio-out", writer)]
    piped = world.folder / "piped.raw"
    with piped.open("wb") as file:
        arguments = ("join", link, "--name", "Pipe", "--headless", "--audio-out", "-")
        pipe = world.command("tuiconf", *arguments, home="pipe", stdin=subprocess.DEVNULL, stdout=file)
    for listener in listeners:
        listener.joined()
    pipe.wait_for(lambda: any("joined as" in line for line in pipe.error_lines), "joining")
    speaker = world.join("Speaker", link, "--audio-in", str(speech), "--for", str(seconds + 1))
    assert speaker.wait() == 0
    for process in (*listeners, pipe, ann):
        process.signal(signal.SIGTERM)
        assert process.wait() == 0, process.transcript()
    least = 0.9 * through_opus_alone(seconds)
    assert heard(wav, seconds) >= least
    assert heard(ogg, seconds) >= 0.95 * least  # encoded once more
    for recording in (raw, piped):
        assert intelligibility(speech_pcm(seconds), from_s16le(recording.read_bytes())) >= least


def test_plain_lines_are_for_people_and_the_link_stands_alone_on_one(world: World, relay: Relay) -> None:
    ann = world.command("tuiconf", "host", relay.to_type, "--headless", "--name", "Ann", home="ann")
    ann.wait_for(lambda: len(ann.lines) >= 2, "joining")
    assert parse_link(ann.lines[0]).room
    assert ann.lines[1].startswith("joined as Ann, host; here: nobody else yet; security code ")
    bo = world.join("Bo", ann.lines[0], "--say", "\x1b[2Jhello\u202e", "--for", "1")
    assert bo.wait() == 0
    ann.wait_for(lambda: "Bo left" in ann.lines, "leaving")
    assert "Bo: ·[2Jhello·" in ann.lines
    assert "Bo joined, not verified, new" in ann.lines


def test_mute_and_play_take_effect_in_the_call(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    bo = world.join("Bo", ann.link(), headless=False)
    bo.joined()
    bo.type("/play tone:500")
    ann.hears("Bo", more_than=25)
    bo.type("/mute")
    bo.event("audio_stats", lambda event: event["muted"])
    mark = bo.mark
    sent = [bo.event("audio_stats", lambda event: event["muted"], after=mark)["frames_sent"]]
    sent.append(bo.event("audio_stats", after=bo.mark)["frames_sent"])
    assert sent[0] == sent[1]
    played = ann.hears("Bo")
    bo.type("/unmute")
    ann.hears("Bo", more_than=played + 25)
    bo.type("/play nothing-there.wav")
    assert bo.event("error")["code"] == "audio"
    bo.type("/play -")
    assert bo.event("error", lambda event: event["code"] == "audio_spec")
    bo.type("/nonsense")
    bo.event("error", lambda event: "there is no command /nonsense" in event["message"])
    ann.hears("Bo", more_than=ann.hears("Bo"))


def test_what_is_typed_before_the_door_opens_is_said_before_leaving(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    bo = world.join("Bo", ann.link(), headless=False)
    bo.type("good morning")
    bo.hang_up()
    assert ann.event("chat_received")["text"] == "good morning"
    assert bo.wait() == 0
    assert "standard input has ended" in bo.errors


def test_an_ended_input_does_not_end_a_call_of_set_length(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, "--for", "2", headless=False, stdin=subprocess.DEVNULL)
    bo = world.join("Bo", ann.link())
    bo.joined()
    assert ann.wait() == 0


def test_a_reader_that_stops_reading_does_not_stop_the_sound(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(write_end, bytes(1 << 12)):
            pass
    os.set_blocking(write_end, True)
    stuck = world.join("Stuck", ann.link(), "--audio-in", "tone", stdout=write_end)
    os.close(write_end)
    try:
        played = ann.hears("Stuck", more_than=50)
        ann.hears("Stuck", more_than=played + 50)
        stuck.signal(signal.SIGTERM)
        assert stuck.wait() == 0
    finally:
        os.close(read_end)


def test_a_reader_that_goes_away_ends_the_call(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    read_end, write_end = os.pipe()
    bo = world.join("Bo", ann.link(), stdout=write_end)
    os.close(write_end)
    ann.event("participant_joined")
    os.close(read_end)
    assert bo.wait() == 0
    assert ann.event("participant_left")["reason"] == "left"


def test_the_first_words_are_not_lost(world: World, relay: Relay, tmp_path: Path) -> None:
    """A file begins when the call does, however long the door took to open."""
    seconds = 3.0
    recording = tmp_path / "heard.wav"
    ann = world.host("Ann", relay.to_type, "--audio-out", str(recording))
    bo = world.join("Bo", ann.link(), "--audio-in", str(speech_file(tmp_path, seconds)), "--for", str(seconds + 1))
    assert bo.wait() == 0
    ann.signal(signal.SIGTERM)
    assert ann.wait() == 0
    assert heard(recording, seconds) >= 0.9 * through_opus_alone(seconds)
