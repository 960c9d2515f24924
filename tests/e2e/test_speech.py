"""Speech goes in at one process and can be understood at another, also over a network that loses a tenth of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import Participant, World, at_port, of
from tests.e2e.proxy import Network
from tests.e2e.sound import intelligibility, speech_file, through_opus_alone
from tests.intelligibility import read
from tests.speech import speech_pcm
from tests.udp_proxy import Link
from tuiconf.media.opus import SAMPLE_RATE

# What is measured begins after this: a listener learns in the first seconds how late copies of lost frames come,
# and `auto` begins to repeat when it was told of loss.
SETTLED_S = 4
MEASURED_S = 9
SECONDS = SETTLED_S + MEASURED_S


@dataclass(frozen=True, slots=True)
class Heard:
    """One speaker and one listener, after their call."""

    speaker: Participant
    listener: Participant
    recording: Path

    @property
    def score(self) -> float:
        """STOI of what was said after the first seconds."""
        return intelligibility(speech_pcm(SECONDS)[SETTLED_S * SAMPLE_RATE :], read(self.recording))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Heard]]:
    """Three calls at the same time: without loss, with copies by configuration, with copies when they are needed."""
    folder = tmp_path_factory.mktemp("speech")
    world = World(folder)
    speech = str(speech_file(folder, SECONDS))
    try:
        relay = world.relay()
        with Network(relay.address) as network:
            calls = {}
            for name, repeat in (("clean", '"auto"'), ("forced", "[1, 3]"), ("auto", '"auto"')):
                config = folder / f"{name}.toml"
                config.write_text(f"[audio]\nrepeat = {repeat}\n")
                recording = folder / f"{name}.wav"
                listener = world.host(f"listener-{name}", relay.to_type, "--audio-out", str(recording))
                link = listener.link() if name == "clean" else at_port(listener.link(), network.port)
                options = ("--audio-in", speech, "--config", str(config), "--for", str(SECONDS + 1))
                speaker = world.join(f"speaker-{name}", link, *options)
                calls[name] = Heard(speaker, listener, recording)
            for call in calls.values():
                call.speaker.joined()
            network.proxy.link = Link(loss=0.1)
            for name, call in calls.items():
                assert call.speaker.wait() == 0, call.speaker.transcript()
                call.listener.event("participant_left", of(f"speaker-{name}"))
                call.listener.popen.terminate()
                assert call.listener.wait() == 0, call.listener.transcript()
            yield calls
    finally:
        world.close()


def test_speech_is_as_intelligible_as_through_the_codec_alone(calls: dict[str, Heard]) -> None:
    assert calls["clean"].score >= 0.9 * through_opus_alone(SECONDS)


def test_with_frames_repeated_one_and_three_later_a_tenth_of_loss_is_not_heard(calls: dict[str, Heard]) -> None:
    assert calls["forced"].score >= 0.97 * calls["clean"].score
    assert {tuple(stats["repeats"]) for stats in calls["forced"].speaker.events("audio_stats")[1:]} == {(1, 3)}


def test_repeating_turns_itself_on_when_a_listener_reports_loss(calls: dict[str, Heard]) -> None:
    repeats = [tuple(stats["repeats"]) for stats in calls["auto"].speaker.events("audio_stats")]
    assert repeats[-1] == (1, 3)
    assert calls["auto"].score >= 0.97 * calls["clean"].score


def test_nothing_is_repeated_without_loss(calls: dict[str, Heard]) -> None:
    assert all(stats["repeats"] == [] for stats in calls["clean"].speaker.events("audio_stats"))


def test_the_statistics_say_what_was_sent_and_heard(calls: dict[str, Heard]) -> None:
    sent = calls["clean"].speaker.events("audio_stats")[-1]["frames_sent"]
    assert sent == SECONDS * 50
    stream = calls["clean"].listener.stream("speaker-clean")
    assert stream is not None
    assert stream["frames_received"] == sent
    assert 0 < stream["delay_ms_p50"] <= stream["delay_ms_p95"]
    lossy = [stats["streams"][0]["loss_percent"] for stats in calls["forced"].listener.events("audio_stats")[4:12]]
    assert 2 < sum(lossy) / len(lossy) < 25


def test_every_frame_that_arrived_could_be_opened(calls: dict[str, Heard]) -> None:
    for call in calls.values():
        assert call.listener.events("audio_stats")[-1]["undecryptable"] == {}
        assert call.listener.events("undecryptable") == []
