"""What breaks while people talk: the relay, the network, addresses. Nobody is lost, and nobody is asked anything."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.processes import PATIENCE_S, Participant, Relay, World, agree, at_port, of
from tests.e2e.proxy import Network
from tests.intelligibility import read
from tuiconf.media.opus import SAMPLE_RATE

# A pure tone is never as quiet as this for a whole block, and silence always is.
SILENT = 0.01
BLOCK = SAMPLE_RATE // 50

INTERRUPTED_AT_MOST_S = 3.0


def longest_gap_s(recording: Path) -> float:
    """The longest silence between the first sound and the last."""
    samples = read(recording)
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    sounding = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > SILENT)
    return float(np.diff(sounding).max() - 1) * BLOCK / SAMPLE_RATE


def everybody(world: World, relay: Relay, port: int | None = None) -> tuple[Participant, Participant, Participant]:
    """A host with a tone, who records Bo; Bo with a tone; Cy, who only listens, over the other library."""
    recording = str(world.folder / "ann.wav")
    ann = world.host("Ann", _through(relay.to_type, relay, port), "--audio-in", "tone:300", "--audio-out", recording)
    bo = world.join("Bo", ann.link(), "--audio-in", "tone:500", "--audio-out", str(world.folder / "bo.wav"))
    cy = world.join("Cy", ann.link(), "--audio-out", str(world.folder / "cy.wav"), "--quic", "aioquic")
    for participant in (ann, bo, cy):
        participant.joined()
    agree(ann, bo, cy)
    ann.hears("Bo", more_than=25)
    bo.hears("Ann", more_than=25)
    cy.hears("Ann", more_than=25)
    return ann, bo, cy


def _through(address: str, relay: Relay, port: int | None) -> str:
    return address if port is None else address.replace(f":{relay.address[1]}", f":{port}", 1)


def assert_nobody_was_lost(*participants: Participant) -> None:
    """Everyone is in the group they were in, with the people who were there, and knows no other story."""
    for participant in participants:
        assert participant.popen.poll() is None, participant.transcript()
        assert participant.events("participant_left") == []
        assert participant.events("error") == []
        assert all(event["rejoined"] is False for event in participant.events("reconnected"))
        assert all("pin" not in line for line in participant.error_lines)
    agree(*participants)


def back(participant: Participant, *heard: str) -> None:
    """Wait until it has reconnected and hears them anew."""
    participant.event("reconnected")
    for name in heard:
        participant.hears(name, more_than=participant.hears(name) + 50)


def finish(*participants: Participant) -> None:
    """Leave, so that the recordings are whole."""
    for participant in participants:
        participant.signal(signal.SIGTERM)
        assert participant.wait() == 0, participant.transcript()


def open_files(participant: Participant) -> int:
    """How many descriptors it has open."""
    return len(list(Path(f"/proc/{participant.pid}/fd").iterdir()))


def assert_no_more_open(participant: Participant, before: int) -> None:
    """An attempt to connect that was overtaken keeps its socket until it gives up; a leak stays."""
    deadline = time.monotonic() + PATIENCE_S
    while open_files(participant) > before:
        assert time.monotonic() < deadline, f"{open_files(participant)} descriptors are open, before {before}"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Absence:
    """A call that Bo is left alone in: two were killed, and Dee is cut off."""

    bo: Participant
    dee: Participant
    network: Network
    code_before: str


@pytest.fixture(scope="module", autouse=True)
def long_absence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Absence]:
    """Begun before the first test, so that the minute is over when the last one asks for it."""
    world = World(tmp_path_factory.mktemp("absence"))
    try:
        relay = world.relay()
        with Network(relay.address) as network:
            ann = world.host("Ann", relay.to_type)
            bo = world.join("Bo", ann.link(), "--audio-in", "tone")
            cy = world.join("Cy", ann.link())
            dee = world.join("Dee", at_port(ann.link(), network.port))
            for participant in (bo, cy, dee):
                participant.joined()
            code = agree(ann, bo, cy, dee)
            ann.kill()
            cy.kill()
            network.proxy.blackout = True
            dee.event("reconnecting")
            yield Absence(bo, dee, network, code)
    finally:
        world.close()


@pytest.mark.parametrize("behind", ["loopback", "nat"])
def test_a_killed_and_restarted_relay_is_an_interruption_and_nothing_else(world: World, behind: str) -> None:
    """On loopback the operating system says that nobody listens; behind a NAT there is only silence."""
    relay = world.relay()
    with Network(relay.address) as network:
        ann, bo, cy = everybody(world, relay, network.port if behind == "nat" else None)
        code, files = agree(ann, bo, cy), [open_files(participant) for participant in (ann, bo, cy)]
        relay.kill()
        killed_at = time.monotonic()
        world.restarted(relay)
        down_s = time.monotonic() - killed_at
        back(ann, "Bo")
        back(bo, "Ann")
        back(cy, "Ann", "Bo")
        assert_nobody_was_lost(ann, bo, cy)
        assert agree(ann, bo, cy) == code
        for participant, before in zip((ann, bo, cy), files, strict=True):
            assert_no_more_open(participant, before)
            assert [name for name in participant.names() if name.startswith("reconnect")] == [
                *("reconnecting", "reconnected")
            ]
        dee = world.join("Dee", ann.link(), "--say", "hello")
        dee.joined()
        assert ann.event("chat_received")["text"] == "hello"
        agree(ann, bo, cy, dee)
        finish(ann, bo, cy)
    for name in ("ann", "bo", "cy"):
        # What a busy machine needs to start the relay again is not for the participants to make up for.
        assert longest_gap_s(world.folder / f"{name}.wav") <= INTERRUPTED_AT_MOST_S + down_s


def test_a_relay_that_is_stopped_in_order_is_come_back_to_as_well(world: World) -> None:
    relay = world.relay()
    ann, bo, cy = everybody(world, relay)
    relay.signal(signal.SIGTERM)
    assert relay.wait() == 0
    bo.event("reconnecting")
    world.restarted(relay)
    back(ann, "Bo")
    back(bo, "Ann")
    back(cy, "Ann", "Bo")
    assert_nobody_was_lost(ann, bo, cy)


def test_a_cut_of_five_seconds_is_resumed_where_it_was_and_sound_is_not_late_afterwards(world: World) -> None:
    relay = world.relay()
    with Network(relay.address) as network:
        ann = world.host("Ann", relay.to_type, "--audio-in", "tone:300")
        bo = world.join("Bo", at_port(ann.link(), network.port), "--audio-in", "tone:500")
        bo.hears("Ann", more_than=50)
        ann.hears("Bo", more_than=50)
        files = open_files(bo)
        network.proxy.blackout = True
        bo.event("reconnecting", patience_s=20)
        cy = world.join("Cy", ann.link(), "--say", "Bo cannot read this yet")
        cy.joined()
        ann.event("chat_received")
        time.sleep(2)
        network.proxy.blackout = False
        assert bo.event("reconnected")["rejoined"] is False
        assert bo.event("chat_received")["text"] == "Bo cannot read this yet"
        assert bo.event("participant_joined", of("Cy"))
        agree(ann, bo, cy)
        played = ann.hears("Bo")
        ann.hears("Bo", more_than=played + 150)
        assert_no_more_open(bo, files)
        after = ann.stream("Bo")
        assert after is not None
        assert after["buffer_ms"] < 200  # five seconds of sound were not kept for later
        sent = bo.events("audio_stats")[-1]["frames_sent"]
        assert after["frames_received"] < sent
        assert ann.events("reconnecting") == []
        assert ann.events("participant_left") == bo.events("participant_left") == []


def test_a_nat_that_forgets_a_participant_is_hardly_noticed(world: World) -> None:
    relay = world.relay()
    with Network(relay.address) as network:
        ann, bo, cy = everybody(world, relay, network.port)
        for _ in range(2):
            network.rebind()
            played = ann.hears("Bo")
            ann.hears("Bo", more_than=played + 100)
            cy.hears("Ann", more_than=cy.hears("Ann") + 50)
        assert_nobody_was_lost(ann, bo, cy)
        finish(ann, bo, cy)
    assert longest_gap_s(world.folder / "ann.wav") <= INTERRUPTED_AT_MOST_S


def test_a_relay_that_moves_to_another_address_is_followed(world: World) -> None:
    relay = world.relay()
    with Network(relay.address) as network:
        ann, bo, cy = everybody(world, relay, network.port)
        relay.kill()
        elsewhere = world.relay(state=relay.home.name)
        assert elsewhere.address != relay.address
        network.move_relay(elsewhere.address)
        back(ann, "Bo")
        back(bo, "Ann")
        back(cy, "Ann", "Bo")
        assert_nobody_was_lost(ann, bo, cy)


def test_a_relay_that_comes_back_as_another_is_refused(world: World) -> None:
    relay = world.relay()
    ann = world.host("Ann", relay.to_type)
    ann.joined()
    host, port = relay.address
    relay.kill()
    world.relay(state="impostor", listen=f"{host}:{port}")
    assert ann.wait() == 1
    error = ann.event("error")
    assert (error["code"], error["fatal"]) == ("relay_not_trusted", True)
    assert ann.events("left") == [{"event": "left", "reason": "failed"}]


def test_leaving_works_while_the_relay_is_away(world: World) -> None:
    relay = world.relay()
    ann = world.host("Ann", relay.to_type)
    bo = world.join("Bo", ann.link())
    bo.joined()
    relay.kill()
    bo.event("reconnecting")
    bo.signal(signal.SIGTERM)
    assert bo.wait() == 0
    assert bo.events("left") == [{"event": "left", "reason": "left"}]


def test_who_is_away_too_long_is_missed_and_can_come_back(long_absence: Absence) -> None:
    """Those killed and one cut off are removed after a minute; the one cut off is let in anew by knocking."""
    bo, dee = long_absence.bo, long_absence.dee
    for name in ("Ann", "Cy", "Dee"):
        assert bo.event("participant_left", of(name), patience_s=100)["reason"] == "vanished"
    assert bo.security_code != long_absence.code_before
    long_absence.network.proxy.blackout = False
    assert dee.event("reconnected")["rejoined"] is True
    assert agree(bo, dee) != long_absence.code_before
    dee.hears("Bo", more_than=25)
