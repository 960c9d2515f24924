"""Speech to send, and how well what arrived can be understood."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Final

import numpy as np

from tests.intelligibility import read, score
from tests.speech import speech_frames, speech_pcm
from tuiconf.adapters.audio.base import to_s16le
from tuiconf.media import opus
from tuiconf.media.opus import SAMPLE_RATE, Pcm

PIECE: Final = 3 * SAMPLE_RATE


def write_wav(path: Path, pcm: Pcm) -> Path:
    """A WAV file of 48 kHz mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(to_s16le(pcm))
    return path


def speech_file(folder: Path, seconds: float) -> Path:
    """Speech of that length."""
    return write_wav(folder / "speech.wav", speech_pcm(seconds))


def intelligibility(original: Pcm, recording: Pcm) -> float:
    """STOI, in pieces of three seconds each aligned by itself: play-out may shift by a frame, which nobody hears.

    Taken whole, what is before the one shift would be compared with what is 20 ms beside it.
    """
    pieces = [original[at : at + PIECE] for at in range(0, len(original) - PIECE + 1, PIECE)]
    return float(np.mean([score(piece, recording) for piece in pieces]))


def heard(recording: Path, seconds: float) -> float:
    """How well a recording of `speech_file(seconds)` can be understood."""
    return intelligibility(speech_pcm(seconds), read(recording))


def through_opus_alone(seconds: float, *, bitrate: int = 32_000) -> float:
    """The same of speech encoded and decoded, with no network and no call around it."""
    library = opus.load()
    encoder, decoder = opus.Encoder(library, bitrate=bitrate), opus.Decoder(library)
    decoded = [decoder.decode(encoder.encode(frame)) for frame in speech_frames(seconds)]
    return intelligibility(speech_pcm(seconds), np.concatenate(decoded))
