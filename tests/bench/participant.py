"""What a participant costs as a process, how late sound is, and how long the death of the relay interrupts it.

Everything is real: processes on loopback, speech from a file, a recording on the disk.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.e2e.processes import Participant, Process, Relay, World
from tests.e2e.test_interruptions import longest_gap_s
from tuiconf import speech

SETTLE_S = 3.0
MEASURE_S = 20.0
RESTARTS = 3

Figures = dict[str, object]


def run() -> Figures:
    """CPU in percent of one core, peak memory in MB, one-way delay and interruptions in ms and s."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            **_in_a_world(Path(folder) / "speaking", _three_speakers),
            **_in_a_world(Path(folder) / "silent", _silent_room),
            **_in_a_world(Path(folder) / "restarts", _restarts),
        }


def _in_a_world(folder: Path, measure: Callable[[World], Figures]) -> Figures:
    folder.mkdir()
    world = World(folder)
    try:
        return measure(world)
    finally:
        world.close()


def _three_speakers(world: World) -> Figures:
    relay = world.relay()
    speakers = _call(world, relay, [f"loop:{path}" for path in speech.samples()[:3]])
    for speaker in speakers:
        for other in speakers:
            if other is not speaker:
                speaker.hears(other.home.name, more_than=25)
    shares = _cpu_percent([*speakers, relay])
    streams = [stream for speaker in speakers for stream in speaker.events("audio_stats")[-1]["streams"]]
    return {
        "speaker_cpu_percent": round(statistics.median(shares[:-1]), 1),
        "speaker_peak_mb": max(_peak_mb(speaker) for speaker in speakers),
        "relay_cpu_percent": round(shares[-1], 1),
        "relay_peak_mb": _peak_mb(relay),
        "delay_ms_p50": statistics.median(stream["delay_ms_p50"] for stream in streams),
        "delay_ms_p95_worst": max(stream["delay_ms_p95"] for stream in streams),
        "ticks_skipped": sum(speaker.events("audio_stats")[-1]["ticks_skipped"] for speaker in speakers),
    }


def _silent_room(world: World) -> Figures:
    """As `--headless` is by itself: there is nothing to send, and nobody listens."""
    relay = world.relay()
    shares = _cpu_percent([*(people := _call(world, relay, ["null", "null", "null"], sink="null")), relay])
    return {
        "silent_cpu_percent": round(statistics.median(shares[:-1]), 1),
        "silent_peak_mb": max(_peak_mb(person) for person in people),
        "silent_relay_cpu_percent": round(shares[-1], 1),
    }


def _restarts(world: World) -> Figures:
    """`kill -9` of the relay, and the same relay again at once: the longest silence in either recording."""
    gaps = []
    for number in range(RESTARTS):
        relay = world.relay(state=f"relay{number}")
        names = [f"{name}{number}" for name in ("ann", "bo")]
        people = _call(world, relay, ["tone:300", "tone:500"], names=names)
        people[0].hears(names[1], more_than=50)
        relay.kill()
        world.restarted(relay)
        for person, other in zip(people, reversed(names), strict=True):
            person.event("reconnected")
            person.hears(other, more_than=person.hears(other) + 100)
        for person in people:
            person.signal(signal.SIGTERM)
            person.wait()
        gaps += [longest_gap_s(person.home / "heard.wav") for person in people]
    return {"relay_killed_gap_s_median": round(statistics.median(gaps), 2), "relay_killed_gap_s_worst": max(gaps)}


def _call(
    world: World, relay: Relay, sources: Sequence[str], *, names: Sequence[str] = (), sink: str = "heard.wav"
) -> list[Participant]:
    names = names or [f"person{number}" for number in range(len(sources))]
    host = world.host(names[0], relay.to_type, "--audio-in", sources[0], "--audio-out", sink)
    link = host.link()
    guests = [
        world.join(name, link, "--audio-in", source, "--audio-out", sink)
        for name, source in zip(names[1:], sources[1:], strict=True)
    ]
    for guest in guests:
        guest.joined()
    return [host, *guests]


def _cpu_percent(processes: Sequence[Process]) -> list[float]:
    """Of one core, each, over `MEASURE_S` once they have settled."""
    time.sleep(SETTLE_S)
    before, began = [_cpu_s(process) for process in processes], time.monotonic()
    time.sleep(MEASURE_S)
    lasted = time.monotonic() - began
    return [100 * (_cpu_s(process) - first) / lasted for process, first in zip(processes, before, strict=True)]


def _cpu_s(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(process: Process) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0
