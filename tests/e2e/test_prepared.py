"""Calls that are prepared: devices are looked at, nobody is asked and nothing is heard, until the person joins."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.driving import SILENT, Machine, Terminal, Wire, until
from tests.e2e.processes import PATIENCE_S, Participant, Relay, World


class Prepared:
    """Somebody's machine with a call that is only prepared, and a front end that sits at it."""

    def __init__(self, world: World, home: str, order: dict[str, str], *options: str) -> None:
        self.machine = Machine(world, home)
        self.machine.run("identity", "show")  # makes one, of which nothing has to be asked
        starter = world.command("tuiconf", "prepare", "0", "1", *options, home=home)
        starter.type(json.dumps(order))
        starter.wait_for(lambda: len(starter.lines) > 1, "a call that is prepared")
        assert json.loads(starter.lines[1])["error"] == "", starter.transcript()
        starter.hang_up()
        self.front_end, self.watcher = self.machine.wire(), self.machine.wire()
        self.front_end.do("attach")
        self.watcher.do("subscribe", since=0)

    @property
    def phase(self) -> object:
        """Of the call."""
        return self.front_end.do("state.get")["phase"]

    def close(self) -> None:
        """Hang up."""
        self.front_end.close()
        self.watcher.close()

    def ended(self) -> None:
        """Wait until nothing is left of it."""
        until(lambda: not self.machine.engines() and not self.machine.sockets, "end of the engine")


def _join(link: str) -> dict[str, str]:
    return {"do": "join", "where": link}


Prepare = Callable[..., Prepared]


@pytest.fixture
def prepare(world: World) -> Iterator[Prepare]:
    """Prepares a call at Bo's."""
    with contextlib.ExitStack() as made:

        def one(order: dict[str, str], *options: str) -> Prepared:
            return made.enter_context(contextlib.closing(Prepared(world, "bo", order, "--name", "Bo", *options)))

        yield one


@pytest.fixture
def ann(world: World, relay: Relay) -> Participant:
    """Whoever is in the room already."""
    return world.host("Ann", relay.to_type)


@pytest.fixture
def deaf_relay() -> Iterator[socket.socket]:
    """What is sent to a relay that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(PATIENCE_S)
        yield listener


def _children(wire: Wire) -> list[str]:
    """What the engine has started: commands that sound comes from."""
    pid = wire.do("hello")["pid"]
    names = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                names.append((entry / "comm").read_text().strip())
    return names


def test_no_packet_is_sent_and_no_input_is_open_until_it_is_asked_for(
    world: World, prepare: Prepare, deaf_relay: socket.socket
) -> None:
    port = deaf_relay.getsockname()[1]
    order = {"do": "host", "relay": f"127.0.0.1:{port}?pin={'A' * 43}"}
    bo = prepare(order, "--audio-in", "cmd:cat /dev/zero", "--audio-out", "null")
    bo.watcher.event("ready")
    state = bo.front_end.do("state.get")
    assert (state["phase"], state["me"], state["audio"]["live"]) == ("ready", None, False)
    assert "cat" not in _children(bo.front_end)
    bo.front_end.do("subscribe", events=["levels"])
    assert bo.front_end.event("levels")["own"]["leaf"] == -1
    until(lambda: "cat" in _children(bo.front_end), "input that is open")
    bo.front_end.do("unsubscribe")
    until(lambda: "cat" not in _children(bo.front_end), "input that is closed again")
    deaf_relay.setblocking(False)
    with pytest.raises(BlockingIOError):
        deaf_relay.recv(2048)
    deaf_relay.settimeout(PATIENCE_S)
    bo.front_end.do("join")
    bo.watcher.event("connecting")
    assert deaf_relay.recv(2048)
    assert "cat" not in _children(bo.front_end)  # there is nobody yet who could hear it
    bo.front_end.do("leave", now=True)
    bo.ended()


def test_who_joins_muted_is_shown_so_and_is_heard_when_they_say_so(
    world: World, prepare: Prepare, ann: Participant
) -> None:
    bo = prepare(_join(ann.link()), "--audio-in", "tone:300", "--audio-out", "null")
    bo.front_end.do("subscribe", events=["levels"])
    bo.front_end.event("levels", lambda event: event["own"]["dbfs"] > -40)
    bo.front_end.do("audio.set", input="tone:500", gain_db=-10)
    bo.front_end.event("levels", lambda event: -40 < event["own"]["dbfs"] < -30)
    bo.front_end.do("join", muted=True)
    joined = bo.watcher.event("joined")
    assert joined["me"]["muted"]
    assert bo.front_end.ask("join")["error"]["data"]["code"] == "already_begun"
    ann.event("status_changed", lambda event: event["participant"]["muted"] and event["participant"]["name"] == "Bo")
    bo.watcher.event("audio_stats", lambda event: event["muted"] and event["frames_sent"] == 0)
    assert ann.stream("Bo") is None
    bo.front_end.do("unmute")
    ann.hears("Bo", more_than=10)
    assert bo.front_end.do("state.get")["audio"]["input"] == "tone:500"
    bo.front_end.do("leave")
    ann.event("participant_left")
    bo.ended()


@pytest.mark.parametrize("how", ["vanishes", "detaches", "leaves", "is told to end"])
def test_a_call_that_nobody_joined_ends_at_once_with_whoever_prepared_it(
    world: World, prepare: Prepare, ann: Participant, how: str
) -> None:
    bo = prepare(_join(ann.link()), *SILENT)
    assert bo.phase == "ready"
    match how:
        case "vanishes":
            bo.front_end.close()
        case "detaches":
            bo.front_end.do("detach")
        case "leaves":
            bo.front_end.do("leave")
        case _:
            os.kill(bo.machine.engines()[0], signal.SIGTERM)
    assert bo.watcher.event("left")["reason"] == "left"
    bo.ended()
    assert ann.events("knocked") == ann.events("participant_joined") == []


def test_an_output_that_cannot_be_opened_is_chosen_anew_and_then_the_call_begins(
    world: World, prepare: Prepare, ann: Participant
) -> None:
    bo = prepare(_join(ann.link()), *SILENT)
    bo.front_end.do("audio.set", output="/nowhere/heard.wav")
    for method in ("devices.test", "join"):
        refused = bo.front_end.ask(method)["error"]
        assert refused["data"]["code"] == "audio"
        assert "/nowhere/heard.wav" in refused["message"]
    assert bo.phase == "ready"
    bo.front_end.do("audio.set", output="null")
    bo.front_end.do("join")
    bo.watcher.event("joined")
    bo.front_end.do("leave")
    bo.ended()


def test_an_input_that_cannot_be_opened_is_told_and_the_call_goes_on_without(
    world: World, prepare: Prepare, ann: Participant
) -> None:
    broken = "device:there is no such microphone"
    bo = prepare(_join(ann.link()), "--audio-in", broken, "--audio-out", "null")
    bo.front_end.do("subscribe", events=["levels"])
    assert not bo.watcher.event("error")["fatal"]
    refused = bo.front_end.ask("audio.set", input="device:neither is this")
    assert refused["error"]["data"]["code"] == "audio"
    bo.front_end.do("unsubscribe")
    bo.front_end.do("join")
    bo.watcher.event("joined")
    assert not bo.watcher.event("error")["fatal"]
    bo.front_end.do("audio.set", input="tone")
    ann.hears("Bo", more_than=10)


def test_the_test_sound_is_heard_at_ones_own_output_before_the_call_and_in_it(
    world: World, prepare: Prepare, ann: Participant
) -> None:
    bo = prepare(_join(ann.link()), "--audio-in", "null", "--audio-out", "before.wav")
    home = world.folder / "bo"
    bo.front_end.do("devices.test")
    until(lambda: _loudest(home / "before.wav") > 0.05, "sound in the file")
    bo.front_end.do("audio.set", output="in_call.wav")
    bo.front_end.do("join")
    bo.watcher.event("joined")
    bo.front_end.do("devices.test")
    bo.watcher.event("audio_stats")
    bo.watcher.event("audio_stats")
    bo.front_end.do("leave")
    bo.ended()
    assert _loudest(home / "in_call.wav") > 0.05
    stats = [event for event in ann.events("audio_stats") if event["streams"]]
    assert not stats  # nothing of it was sent


def _loudest(path: Path) -> float:
    """Of a file that may be being written."""
    if not path.exists():
        return 0.0
    try:
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError):
        return 0.0
    return float(np.abs(samples).max(initial=0)) / 32768


def test_figures_of_the_last_seconds_are_there_for_who_comes_later(world: World, ann: Participant) -> None:
    bo = world.join("Bo", ann.link(), "--audio-in", "tone")
    bo.joined()
    ann.hears("Bo", more_than=60)
    moments = Machine(world, "Ann").ctl("stats.history")["moments"]
    assert 1 <= len(moments) <= 120
    assert any(moment["buffer_ms"] is not None and moment["loss_percent"] == 0.0 for moment in moments)
    devices = Machine(world, "Ann").ctl("devices.get")
    assert set(devices) == {"inputs", "outputs", "problem"}


# --- how one begins, and stays


def test_who_begins_muted_is_shown_so_and_sends_nothing(world: World, ann: Participant) -> None:
    bo = world.join("Bo", ann.link(), "--audio-in", "tone", "--muted")
    assert bo.joined()["me"]["muted"]
    ann.event("status_changed", lambda event: event["participant"]["muted"] and event["participant"]["name"] == "Bo")
    assert bo.event("audio_stats")["frames_sent"] == 0
    Machine(world, "Bo").ctl("unmute")
    ann.hears("Bo", more_than=10)


@pytest.mark.parametrize(("stay", "told"), [("4", "leaving in 4 s"), ("forever", "staying until"), (None, "staying")])
def test_how_long_a_call_outlives_its_terminal_can_be_said(
    world: World, relay: Relay, stay: str | None, told: str
) -> None:
    options = ("--plain", "--stay") if stay is None else ("--plain", "--stay", stay)
    terminal = Terminal(world, "host", relay.to_type, *SILENT, *options, home="ann")
    terminal.shows("joined as")
    wire = Machine(world, "ann").wire()
    wire.do("subscribe")
    terminal.close()
    assert told in wire.event("notice")["message"]
    assert wire.do("state.get")["audio"]["muted"]
    wire.do("leave", now=True)
    wire.close()


def test_with_voice_activation_what_is_no_speech_is_silence_in_as_many_packets(world: World, ann: Participant) -> None:
    settings = world.folder / "client.toml"
    settings.write_text("[audio]\nvoice_activation = true\n")
    bo = world.join("Bo", ann.link(), "--audio-in", "tone", "--config", str(settings))
    bo.joined()
    machine = Machine(world, "Bo")
    wire = machine.wire()
    audio = wire.do("state.get")["audio"]
    assert (audio["live"], audio["voice_activation"]) == (True, True)
    ann.hears("Bo", more_than=100)
    assert all(event["level_dbfs"] is None for event in bo.events("audio_stats"))
    settings.write_text("[audio]\nvoice_activation = false\n")
    bo.signal(signal.SIGHUP)
    bo.event("audio_changed", lambda event: not event["voice_activation"])
    bo.event("audio_stats", lambda event: event["level_dbfs"] is not None)
    wire.do("audio.set", voice_activation=True)
    bo.event("audio_stats", lambda event: event["level_dbfs"] is None, after=bo.mark)
    wire.close()
