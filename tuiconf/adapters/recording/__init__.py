"""Recording a call: a track for each participant as their packets came, lined up, perhaps encrypted as it is written.

What is in the folder of a recording, and what is left of it by `kill -9` at any moment:

- `01-abcdefgh.opus`: one participant's sound, all from the recording's first instant; `01-abcdefgh-2.opus` and so on
  when it is split. Plays up to about two seconds before the kill.
- `mix.opus`: all of them, if asked for. Plays up to about four seconds before.
- `recording.json`: who, when, and how the parts line up; `ended` is false when it was killed. Five seconds old at most.

With `encrypt_to` each name ends with `.age`. age seals 64 KiB at a time (16 s of speech at 32 kb/s, minutes of
silence), and a file that was cut opens up to its last whole 64 KiB: `age -d` writes that much, and then fails. What
comes after is, until the file is closed, in `….tail.opus.age` beside it: a whole file, replaced every five seconds,
that can be opened and played by itself, and whose time stamps go on from the other's. So a kill costs five seconds
more, and nothing that was said touches the disk in the clear.
"""

from __future__ import annotations

from tuiconf.adapters.recording.options import (
    RecipientError,
    RecordingError,
    RecordingOptions,
    RecordingOptionsError,
)
from tuiconf.adapters.recording.recorder import Recording

__all__ = ["RecipientError", "Recording", "RecordingError", "RecordingOptions", "RecordingOptionsError"]
