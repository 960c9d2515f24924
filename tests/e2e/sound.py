"""Speech to send, and how well what arrived can be understood."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tests.intelligibility import read, score
from tests.speech import speech_frames, speech_pcm
from tuiconf.adapters.audio.base import to_s16le
from tuiconf.media import opus
from tuiconf.media.opus import SAMPLE_RATE, Pcm


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


def heard(recording: Path, seconds: float) -> float:
    """STOI of a recording of `speech_file(seconds)`."""
    return score(speech_pcm(seconds), read(recording))


def through_opus_alone(seconds: float, *, bitrate: int = 32_000) -> float:
    """STOI of the same speech encoded and decoded, with no network and no call around it."""
    library = opus.load()
    encoder, decoder = opus.Encoder(library, bitrate=bitrate), opus.Decoder(library)
    decoded = [decoder.decode(encoder.encode(frame)) for frame in speech_frames(seconds)]
    return score(speech_pcm(seconds), np.concatenate(decoded))
