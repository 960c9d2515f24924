"""Bots: participants that are programs. `Bot` drives an engine; events and methods are those of the control API.

```python
from tuiconf.bot import Bot, events, schema
```

`tuiconf.examples` has four that work.
"""

from __future__ import annotations

from tuiconf.bot.bot import Bot, CallFailed
from tuiconf.bot.config import BotConfig, Where
from tuiconf.bot.faults import HandlerFault, print_fault
from tuiconf.bot.program import program
from tuiconf.bot.samples import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Frame, NotSamples, Samples, to_s16le
from tuiconf.bot.sound import AudioIn
from tuiconf.bot.speech import SpeechFailed
from tuiconf.config import ConfigError
from tuiconf.control import events, schema
from tuiconf.control.client import EngineGone
from tuiconf.control.rpc import ControlError
from tuiconf.errors import TuiconfError, UsageError

__all__ = [
    "FRAME_S",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "AudioIn",
    "Bot",
    "BotConfig",
    "CallFailed",
    "ConfigError",
    "ControlError",
    "EngineGone",
    "Frame",
    "HandlerFault",
    "NotSamples",
    "Samples",
    "SpeechFailed",
    "TuiconfError",
    "UsageError",
    "Where",
    "events",
    "print_fault",
    "program",
    "schema",
    "to_s16le",
]
