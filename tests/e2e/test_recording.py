"""Recording a call: everyone is told first, whoever does not want it is in no file, and the rest can be understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.driving import until
from tests.e2e.processes import Participant, Relay, World, of
from tests.intelligibility import read, score
from tuiconf import speech
from tuiconf.media.opus import SAMPLE_RATE

TONE_HZ = 700


def _asked(world: World, participant: Participant, *arguments: str, code: int = 0) -> dict[str, Any]:
    asked = world.command("tuiconf", "ctl", *arguments, home=participant.home.name)
    assert asked.wait() == code, asked.transcript()
    answer: dict[str, Any] = json.loads(asked.lines[0])
    return answer


def _tone_share(samples: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """How much of the power is the tone."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    at = round(TONE_HZ * len(samples) / SAMPLE_RATE)
    return float(power[at - 20 : at + 20].sum() / power.sum())


def test_a_recording_is_announced_and_holds_those_who_allow_it_and_nobody_else(world: World, relay: Relay) -> None:
    [path] = speech.samples()[:1]
    shy = world.folder / "shy.toml"
    shy.write_text("[me]\nallow_recording = false\n")
    ann = world.host("Ann", relay.to_type)
    bo = world.join("Bo", ann.link(), "--audio-in", f"loop:{path}")
    cy = world.join("Cy", ann.link(), "--audio-in", f"tone:{TONE_HZ}", "--config", str(shy))
    for guest in (bo, cy):
        guest.joined()
    for name in ("Bo", "Cy"):
        ann.hears(name, more_than=50)
    folder = world.folder / "recordings"
    started = _asked(world, ann, "record.start", f"folder={folder}", "mix=true")
    for guest in (bo, cy):
        told = guest.event("status_changed", of("Ann"))
        assert told["participant"]["recording"] is True
    assert _asked(world, ann, "record.start", code=1)["error"]["code"] == "already_recording"
    ann.hears("Bo", more_than=ann.hears("Bo") + 500)
    stopped = _asked(world, ann, "record.stop")
    assert (started["active"], stopped["active"], started["folder"]) == (True, False, stopped["folder"])
    bo.event("status_changed", lambda event: of("Ann")(event) and not event["participant"]["recording"])

    recording = Path(stopped["folder"])
    sidecar = json.loads((recording / "recording.json").read_text())
    assert sidecar["ended"] is True
    assert "Cy" not in [who["name"] for who in sidecar["participants"]]
    track, mix = sorted(recording.glob("*.opus"))
    assert mix.name == "mix.opus"
    original = read(path)
    for heard in (read(track), read(mix)):
        assert score(original, heard) >= 0.85
        assert _tone_share(heard) < 0.01


def test_the_rooms_policy_says_who_may_record(world: World, relay: Relay) -> None:
    settings = world.folder / "room.toml"
    settings.write_text('[room]\nrecord = "hosts"\n')
    ann = world.host("Ann", relay.to_type, "--config", str(settings))
    bo = world.join("Bo", ann.link())
    bo.joined()
    refused = _asked(world, bo, "record.start", f"folder={world.folder / 'bo'}", code=1)
    assert refused["error"]["code"] == "not_allowed"
    assert not (world.folder / "bo").exists()
    assert all(not event["participant"]["recording"] for event in ann.events("status_changed"))

    started = _asked(world, ann, "record.start", f"folder={world.folder / 'ann'}")
    _asked(world, ann, "hand_over", "participant=Bo")
    ended = ann.event("recording_changed", lambda event: not event["active"])
    assert ended["reason"] == "the room does not let you record any more"
    assert json.loads((Path(started["folder"]) / "recording.json").read_text())["ended"] is True
    bo.event("status_changed", lambda event: of("Ann")(event) and not event["participant"]["recording"])


def test_a_recording_ends_with_the_call_and_is_whole(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, "--audio-in", "tone")
    ann.joined()
    started = _asked(world, ann, "record.start", f"folder={world.folder / 'recordings'}")
    until(lambda: ann.events("audio_stats") and ann.events("audio_stats")[-1]["frames_sent"] > 150, "three seconds")
    ann.popen.terminate()
    assert ann.wait() == 0, ann.transcript()
    recording = Path(started["folder"])
    assert json.loads((recording / "recording.json").read_text())["ended"] is True
    [track] = recording.glob("*.opus")
    assert len(read(track)) > SAMPLE_RATE
    assert [event["active"] for event in ann.events("recording_changed")] == [True, False]
    assert json.loads(ann.lines[-1])["event"] == "left"  # the last event of a call
