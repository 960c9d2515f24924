"""Where a participant's audio comes from and where it goes: sound card, files, pipes, commands, a tone, nothing.

The engine runs one 20 ms tick (`tuiconf.adapters.clock.Ticker`) and asks `source.frame()` and `sink.write(frame)`
once in each. What is heavy (PyAV, sounddevice) is imported by the kinds that need it, when they start.
"""

from __future__ import annotations

from tuiconf.adapters.audio.base import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    AudioError,
    AudioSpecError,
    Frame,
    Sink,
    Source,
)
from tuiconf.adapters.audio.specs import (
    InputSpec,
    Kind,
    OutputSpec,
    open_sink,
    open_source,
    parse_input,
    parse_output,
)

__all__ = [
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "AudioError",
    "AudioSpecError",
    "Frame",
    "InputSpec",
    "Kind",
    "OutputSpec",
    "Sink",
    "Source",
    "open_sink",
    "open_source",
    "parse_input",
    "parse_output",
]
