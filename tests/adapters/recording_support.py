"""A call to record, without the call: people who say known things at known times over a network of sorts."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.intelligibility import find, read
from tests.speech import speech_pcm
from tuiconf.adapters.recording import Recording
from tuiconf.media.opus import SAMPLE_RATE, Encoder, Opus, Pcm

UNIX: Final = 1_700_000_000.0
NOW: Final = 5_000.0
FRAME: Final = 960


@dataclass(kw_only=True)
class Speaker:
    """Says `words` from `begin` on, with pauses: (after, for) seconds."""

    name: str
    words: Pcm
    begin: float
    pauses: tuple[tuple[float, float], ...] = ()
    delay: float = 0.05
    jitter: float = 0.0
    loss: float = 0.0

    @property
    def fingerprint(self) -> str:
        return f"{self.name:a<4}-bbbb-cccc"

    def said(self) -> Iterator[tuple[float, Pcm]]:
        """Each frame, and when its first sample was captured."""
        for number in range(len(self.words) // FRAME):
            pause = sum(length for after, length in self.pauses if number * 0.02 >= after)
            yield self.begin + number * 0.02 + pause, self.words[number * FRAME : (number + 1) * FRAME]

    def as_said(self, seconds: float) -> Pcm:
        """What an ideal recording of that length has of them."""
        sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
        for at, frame in self.said():
            start = round(at * SAMPLE_RATE)
            sound[start : start + FRAME] = frame[: max(0, len(sound) - start)]
        return sound


Sent = tuple[float, Speaker, int, bytes, float | None]  # arrival, who, counter, packet, captured if it has a report


def send(speakers: list[Speaker], opus: Opus, *, seed: int = 0) -> list[Sent]:
    """Everything that arrives, in order."""
    rng, sent = random.Random(seed), []
    for speaker in speakers:
        encoder, last = Encoder(opus), -1.0
        for counter, (at, frame) in enumerate(speaker.said(), 77):
            packet = encoder.encode(np.ascontiguousarray(frame))
            reports = counter % 50 == 0 or at - last > 0.1
            last = at
            arrival = at + 0.02 + speaker.delay + rng.expovariate(1) * speaker.jitter
            if rng.random() >= speaker.loss or counter == 77:
                sent.append((arrival, speaker, counter, packet, at if reports else None))
    return sorted(sent, key=lambda item: item[0])


async def record(
    recording: Recording,
    sent: list[Sent],
    *,
    seconds: float,
    speed: float = 40.0,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Hand it all to a recording, faster than it happens. Does not close it."""
    due = 0.0
    for speaker in {id(speaker): speaker for _, speaker, *_ in sent}.values():
        recording.participant(speaker.name, name=speaker.name, fingerprint=speaker.fingerprint)
    for arrival, speaker, counter, packet, captured in sent:
        while arrival > due:
            due += 1
            recording.housekeep(NOW + due - 1)
            progress(due - 1)
            await asyncio.sleep(1 / speed)
        if captured is not None:
            recording.clock(speaker.name, counter, UNIX + captured, now=NOW + arrival)
        recording.packet(speaker.name, counter, packet, now=NOW + arrival)
    recording.housekeep(NOW + seconds)


def sidecar(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "recording.json").read_text())
    return found


def joined(folder: Path, parts: list[dict[str, Any]]) -> Pcm:
    """The parts where the sidecar says they belong."""
    sounds = [(part["start_sample"], read(folder / part["file"])) for part in parts]
    whole = np.zeros(max(start + len(sound) for start, sound in sounds), np.float32)
    for start, sound in sounds:
        whole[start : start + len(sound)] += sound
    return whole


def offset_ms(speaker: Speaker, sound: Pcm) -> float:
    """How much later than they were said the speaker's words are in the sound."""
    return find(speaker.as_said(len(sound) / SAMPLE_RATE), sound) / SAMPLE_RATE * 1000


def words(seconds: float, *, skip: float = 0.0) -> Pcm:
    return speech_pcm(40)[round(skip * SAMPLE_RATE) : round((skip + seconds) * SAMPLE_RATE)]
