"""Meeting people: new, known, verified; and a stranger under a friend's name, who is not heard until it is decided."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.e2e.processes import Participant, Relay, World, of
from tests.intelligibility import read
from tuiconf.media.opus import SAMPLE_RATE

FRIEND_HZ: Final = 700
STRANGER_HZ: Final = 1900

# A second of what both say.
FRAMES: Final = 50


class Home:
    """Someone's shell, in which nobody is asked anything."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name

    def peers(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What `tuiconf peers … --json` says; an error as `{"error": the sentence}`."""
        process = self._world.command("tuiconf", "peers", *arguments, "--json", home=self._name)
        assert process.wait() == code, process.transcript()
        answer: dict[str, Any] = json.loads(process.lines[0]) if not code else {"error": process.errors}
        return answer

    def ctl(self, *arguments: str) -> dict[str, Any]:
        """What `tuiconf ctl` says."""
        process = self._world.command("tuiconf", "ctl", *arguments, home=self._name)
        assert process.wait() == 0, process.transcript()
        answer: dict[str, Any] = json.loads(process.lines[0])
        return answer


def trust_of(event: dict[str, Any]) -> str:
    return str(event["participant"]["trust"])


def frames_of(participant: Participant, fingerprint: str) -> int:
    """How many frames of someone came."""
    for event in reversed(participant.events("audio_stats")):
        for stream in event["streams"]:
            if stream["fingerprint"] == fingerprint:
                return int(stream["frames_played"])
    return 0


def hears_more_of(participant: Participant, *fingerprints: str) -> None:
    """Wait until so much more came of each."""
    wanted = {mark: frames_of(participant, mark) + FRAMES for mark in fingerprints}
    participant.wait_for(
        lambda: all(frames_of(participant, mark) > frames for mark, frames in wanted.items()), "their sound"
    )


def tone_dbfs(recording: Path, frequency_hz: int) -> float:
    """How loud the tone is in the loudest half second of a recording."""
    samples = read(recording)
    piece = SAMPLE_RATE // 2
    at = frequency_hz // 2  # of a spectrum with a line every 2 Hz
    window = np.hanning(piece)
    powers = [
        (np.abs(np.fft.rfft(samples[begin : begin + piece] * window))[at - 3 : at + 4] ** 2).sum()
        for begin in range(0, len(samples) - piece, piece // 2)
    ]
    return float(10 * np.log10(max(powers, default=0.0) / (window**2).sum() / piece * 2 + 1e-12))


def test_two_meet_and_a_stranger_under_the_name_of_one_is_inaudible_until_accepted(world: World, relay: Relay) -> None:
    ann_at_home, mara_at_home = Home(world, "Ann"), Home(world, "Mara")

    # they meet for the first time
    ann = world.host("Ann", relay.to_type)
    mara = world.join("Mara", ann.link())
    assert trust_of(ann.event("participant_joined", of("Mara"))) == "new"
    assert [who["trust"] for who in mara.joined()["participants"]] == ["new", "self"]
    shown = ann_at_home.peers("show", "Mara")
    assert shown["trust"] == "new"
    for participant in (mara, ann):
        participant.signal(signal.SIGINT)
        assert participant.wait() == 0

    # they meet again
    first, second = world.folder / "first.wav", world.folder / "second.wav"
    ann = world.host("Ann", relay.to_type, "--audio-out", str(first))
    link = ann.link()
    mara = world.join("Mara", link, "--audio-in", f"tone:{FRIEND_HZ}")
    assert trust_of(ann.event("participant_joined", of("Mara"))) == "known"
    assert [who["trust"] for who in mara.joined()["participants"]] == ["known", "self"]

    # they compare their number, which both see
    assert mara_at_home.peers("show", "Ann")["safety_number"] == shown["safety_number"]
    ann_at_home.peers("verify", "Mara", "--yes")
    assert trust_of(ann.event("trust_changed", of("Mara"))) == "verified"
    peer = ann_at_home.peers("show", "Mara")["stored"]
    assert (peer["trust"], peer["verified_how"]) == ("verified", "safety_number")

    # somebody else comes and says to be Mara
    stranger = world.join("Mara", link, "--audio-in", f"tone:{STRANGER_HZ}", "--say", "it is me", home="stranger")
    stranger.joined()
    came = ann.event("participant_joined", lambda event: trust_of(event) == "changed")["participant"]
    assert came["fingerprint"] != peer["fingerprint"]
    assert trust_of(ann.event("chat_received")) == "changed"
    hears_more_of(ann, peer["fingerprint"], came["fingerprint"])
    assert "several are called that" in ann_at_home.peers("verify", "Mara", "--yes", code=2)["error"]
    assert ann_at_home.peers("show", came["fingerprint"])["others"] == [peer]
    ann_at_home.ctl("audio.set", f"output={second}")  # what was heard so far is in the first file
    assert tone_dbfs(first, FRIEND_HZ) > -30
    assert tone_dbfs(first, STRANGER_HZ) < -70

    # and is accepted all the same
    ann_at_home.peers("accept", "Mara")
    assert trust_of(ann.event("trust_changed", lambda event: trust_of(event) == "known")) == "known"
    hears_more_of(ann, peer["fingerprint"], came["fingerprint"])
    ann.signal(signal.SIGINT)
    assert ann.wait() == 0
    assert tone_dbfs(second, STRANGER_HZ) > -30

    # without a call it is the store that is asked
    ann_at_home.peers("forget", peer["fingerprint"])
    [left] = ann_at_home.peers("list")["peers"]
    assert (left["fingerprint"], left["trust"]) == (came["fingerprint"], "known")


def test_a_store_that_cannot_be_understood_ends_with_one_sentence_before_anything_is_sent(
    world: World, relay: Relay
) -> None:
    folder = world.folder / "Ann" / "xdg_data_home" / "tuiconf"
    folder.mkdir(parents=True)
    for made in (folder, folder.parent, folder.parent.parent):
        made.chmod(0o700)
    store = folder / "known_peers"
    store.write_text("# mine\nwhat is this\n")
    store.chmod(0o600)
    ann = world.host("Ann", relay.to_type)
    assert ann.wait() == 1
    [told] = ann.all_events()
    assert (told["code"], told["fatal"]) == ("peers", True)
    assert f"{store}, line 2: " in told["message"]
    assert store.read_text() == "# mine\nwhat is this\n"
