"""The methods around a call: to look at devices before it begins, to begin it, and to see how it has been."""

from __future__ import annotations

import msgspec

from tuiconf.control.requests import Done, Request, Result


class Join(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin a call that was prepared (`phase` is `ready`): until then nothing was sent, and nobody was asked.

    `muted`: join without being heard; without it one is heard, unless `mute` was said before. If the output cannot be
    opened (`audio`), the call has not begun: choose another, and join again.
    """

    method = "join"
    result = Done

    muted: bool = False


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A sound device. `spec` is what `audio.set` takes; None where its name does not tell it from another."""

    name: str
    spec: str | None
    default: bool
    stable: bool


class Devices(Result, frozen=True, kw_only=True):
    """What there is on this machine; `problem` says why it may be nothing.

    It is what the sound system had when this engine first used it: a device that was plugged in later is there in the
    next call.
    """

    inputs: tuple[Device, ...]
    outputs: tuple[Device, ...]
    problem: str = ""


class GetDevices(Request[Devices], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sound devices."""

    method = "devices.get"
    result = Devices


class TryOutput(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Play three notes to one's own output, from the beginning if they are being played; nobody else hears them.

    Before the call has begun the output is opened for it, and closed again.
    """

    method = "devices.test"
    result = Done


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """How the call was in one second; the worst and the mean of all who were heard. None: nobody was."""

    ts: float
    rtt_ms: float | None
    loss_percent: float | None  # the worst
    buffer_ms: float | None  # the mean
    delay_ms: float | None  # the mean
    level_dbfs: float | None  # one's own


class History(Result, frozen=True, kw_only=True):
    """The last two minutes, the oldest first."""

    moments: tuple[Moment, ...]


class GetHistory(Request[History], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the call has been, second by second: what a front end that comes later draws."""

    method = "stats.history"
    result = History
