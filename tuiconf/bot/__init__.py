"""Bots: participants that are programs. `Bot` drives an engine; events and methods are those of the control API.

```python
from tuiconf.bot import Bot, schema
```
"""

from __future__ import annotations

from tuiconf.bot.bot import Bot
from tuiconf.bot.config import BotConfig, Participant
from tuiconf.bot.handlers import HandlerFault
from tuiconf.bot.sound import FRAME_SAMPLES, HeardFrame
from tuiconf.bot.speech import SpeechFailed
from tuiconf.control import events, schema
from tuiconf.control.client import EngineGone
from tuiconf.control.rpc import ControlError

__all__ = [
    "FRAME_SAMPLES",
    "Bot",
    "BotConfig",
    "ControlError",
    "EngineGone",
    "HandlerFault",
    "HeardFrame",
    "Participant",
    "SpeechFailed",
    "events",
    "schema",
]
