"""Two seconds of a quiet tone: does the microphone hear the speaker, and how loud?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tuiconf.adapters.audio import AudioError, AudioSpecError, open_sink, open_source, parse_input, parse_output
from tuiconf.adapters.audio.base import FRAME_SAMPLES, SAMPLE_RATE, Frame
from tuiconf.adapters.clock import Ticker
from tuiconf.doctor.findings import Context, Finding, ok, problem, skipped, warning
from tuiconf.doctor.sound import wanted, wants_card
from tuiconf.media.levels import SILENCE_DBFS, rms_dbfs

TONE_HZ: Final = 440
# A quiet voice: heard in a room, and no shock in headphones.
TONE_DBFS: Final = -30.0

# The room alone, then the tone. Devices need up to half a second to begin, and the first of each part is not counted.
SETTLING_TICKS: Final = 25
ROOM_TICKS: Final = 25
TONE_TICKS: Final = 100
_SKIPPED_OF_TONE: Final = 25

# Opening may take ten seconds each way before the adapter gives up.
PATIENCE_S: Final = 30.0

# What a muted microphone gives: less than the noise of any that is not.
MUTED_DBFS: Final = -90.0
CLIPPED_DBFS: Final = -3.0
HEARD_OVER_ROOM_DB: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What the microphone gave, in dBFS (0 is full scale)."""

    room: float
    tone: float  # at the tone's frequency only
    loudest: float


def loopback(context: Context) -> Iterator[Finding]:
    """Plays and listens, if a person agrees."""
    try:
        if wants_card(context, "input") is None or wants_card(context, "output") is None:
            yield skipped("loopback_no_card", "the level test is for sound cards, and sound goes elsewhere here")
            return
    except AudioSpecError:
        return  # told by the check of the devices
    if not context.agreed and context.ask is None:
        yield skipped("loopback_not_asked", "nobody is here to agree to a test tone", "tuiconf doctor --yes")
        return
    if (
        not context.agreed
        and context.ask is not None
        and not context.ask("Play a quiet tone for two seconds, and listen?")
    ):
        yield skipped("loopback_declined", "no test tone was wanted")
        return
    try:
        levels = asyncio.run(_measure(wanted(context, "input"), wanted(context, "output")))
    except AudioError as error:
        yield warning(error.code, f"the level test did not work: {error}", "tuiconf devices")
        return
    except TimeoutError:
        yield problem("sound_hangs", "the sound system does not answer")
        return
    yield judge(levels, context=context)


def judge(levels: Levels, *, context: Context) -> Finding:
    """What the levels mean."""
    heard = f"the tone arrives at {levels.tone:.0f} dBFS, the room is at {levels.room:.0f} dBFS"
    facts = {"tone_dbfs": round(levels.tone, 1), "room_dbfs": round(levels.room, 1)}
    unmute = "pactl set-source-mute @DEFAULT_SOURCE@ 0" if context.system.linux else None
    if levels.loudest <= MUTED_DBFS:
        return warning("microphone_silent", "the microphone gives nothing at all: it is muted", unmute, facts=facts)
    if levels.loudest >= CLIPPED_DBFS:
        quieter = "pactl set-source-volume @DEFAULT_SOURCE@ 50%" if context.system.linux else None
        return warning("microphone_clips", "the microphone is so loud that it distorts", quieter, facts=facts)
    if levels.tone < levels.room + HEARD_OVER_ROOM_DB:
        sentence = f"the microphone works, and does not hear the speaker ({heard}): as it should be with headphones"
        return ok("loopback_not_heard", sentence, facts=facts)
    return ok("loopback", f"the microphone hears the speaker: {heard}", facts=facts)


def tone_dbfs(samples: Frame) -> float:
    """How much of `samples` is the tone: the level of a sine of TONE_HZ that fits best."""
    phases = np.arange(len(samples)) * (2 * np.pi * TONE_HZ / SAMPLE_RATE)
    amplitude = 2 * abs(np.dot(samples.astype(np.float64), np.exp(-1j * phases))) / max(len(samples), 1)
    rms = float(amplitude) / np.sqrt(2)
    return max(float(20 * np.log10(rms)), SILENCE_DBFS) if rms > 0 else SILENCE_DBFS


async def _measure(audio_in: str, audio_out: str) -> Levels:
    source, sink = open_source(parse_input(audio_in)), open_sink(parse_output(audio_out))
    heard: list[Frame] = []
    silence = np.zeros(FRAME_SAMPLES, np.float32)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await sink.start()
            await source.start()
            async for tick in Ticker():
                if tick >= SETTLING_TICKS + ROOM_TICKS + TONE_TICKS:
                    break
                sink.write(_tone(tick) if tick >= SETTLING_TICKS + ROOM_TICKS else silence)
                frame = source.frame()
                heard.append(silence if frame is None else frame)
    finally:
        await source.close()
        await sink.close()
    return levels_of(heard)


def levels_of(heard: list[Frame]) -> Levels:
    """The levels in what came, a frame a tick."""
    room = np.concatenate(heard[SETTLING_TICKS : SETTLING_TICKS + ROOM_TICKS])
    tone = np.concatenate(heard[SETTLING_TICKS + ROOM_TICKS + _SKIPPED_OF_TONE :])
    return Levels(
        # Of both the part at the tone's frequency: a loud fan is no reason not to hear it.
        room=tone_dbfs(room),
        tone=tone_dbfs(tone),
        loudest=max(rms_dbfs(frame) for frame in heard[SETTLING_TICKS:]),
    )


def _tone(tick: int) -> Frame:
    """The tone's frame for this tick; it goes on from the one before."""
    at = np.arange(tick * FRAME_SAMPLES, (tick + 1) * FRAME_SAMPLES)
    amplitude = 10 ** (TONE_DBFS / 20) * np.sqrt(2)
    tone: Frame = (amplitude * np.sin(2 * np.pi * TONE_HZ / SAMPLE_RATE * at)).astype(np.float32)
    return tone
