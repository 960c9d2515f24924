"""A room behind a door: those on the allow-list come in at once, everyone else is turned away.

    python -m tuiconf.examples.intercom intercom.toml

It makes a room whose lobby holds unknown people back, and tells the engine whom it knows. So the check is the room's
own, in the group: no relay, and no link that got about, lets anybody else in. (In a room of somebody else's it needs
the right to admit: `link` instead of `host`, and `admit = "members"` in the settings of who made the room.)

allow = [                             # as `tuiconf identity show` prints it, on the machine of whoever may come
    "abcd-efgh-ijkl-mnop-qrst-uvwx-yz23-4567",
]

[bot]
host = "relay.example.org"
name = "Front door"
lobby = "unknown"
audio_in = "default"                  # its microphone, live while somebody is there: say so beside it
audio_out = "default"

[settings]
link_file = "intercom.link"           # where to write the room's link, for you to hand out; only you can read it
chime = "chime.ogg"                   # played when somebody comes; without it two tones
max_call_s = 600                      # after that a visitor has to come again; 0: never
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np

from tuiconf.bot import SAMPLE_RATE, Bot, ConfigError, ControlError, Frame, events, program

TONES_HZ: Final = (659.25, 523.25)  # as doors sound
TONE_S: Final = 0.4


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in [settings]."""

    link_file: Path | None = None
    chime: Path | None = None
    max_call_s: Annotated[float, msgspec.Meta(ge=0)] = 600.0


class Intercom:
    """Answers the door."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.settings = bot.config.own_settings(Settings)
        self.allowed = frozenset(bot.config.allow)
        if not self.allowed:
            raise ConfigError(f"{bot.config.path}: allow is empty, so nobody could ever come in")
        if bot.config.bot.host is not None and bot.config.bot.lobby not in ("unknown", "everyone"):
            raise ConfigError(f'{bot.config.path}: without lobby = "unknown" the link alone lets anybody in')
        bot.on(events.Joined)(self.open)
        bot.on(events.RoomCreated)(self.write_link)
        bot.on(events.Knocked)(self.answer)
        bot.on(events.ParticipantJoined)(self.welcome)
        bot.on(events.ParticipantLeft)(self.say_goodbye)
        self.visits: dict[int, asyncio.Task[object]] = {}

    async def open(self, event: events.Joined) -> None:
        """Nobody is heard before somebody who is expected comes."""
        await self.listen(to=len(event.participants) > 1)

    def write_link(self, event: events.RoomCreated) -> None:
        """Where its owner finds it, and nobody else."""
        if self.settings.link_file is not None:
            path = self.bot.config.resolve(self.settings.link_file)
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(event.link + "\n")

    async def answer(self, event: events.Knocked) -> None:
        """Whom the engine knows it lets in by itself, unless everyone has to wait."""
        caller = event.caller
        try:
            if caller.fingerprint in self.allowed:
                await self.bot.admit(caller=caller.ref)
            else:
                await self.bot.deny(caller=caller.ref)
        except ControlError:
            pass  # they did not wait

    async def welcome(self, event: events.ParticipantJoined) -> None:
        """Ring, and look at the clock."""
        leaf = event.participant.leaf
        if self.settings.max_call_s:
            self.visits[leaf] = self.bot.spawn(self.end_visit(leaf))
        await self.listen(to=True)
        await self.bot.play(self.bot.config.resolve(self.settings.chime) if self.settings.chime else chime())

    async def say_goodbye(self, event: events.ParticipantLeft) -> None:
        """Whoever comes next has a time of their own."""
        if visit := self.visits.pop(event.participant.leaf, None):
            visit.cancel()
        await self.listen(to=len((await self.bot.roster_get()).participants) > 1)

    async def end_visit(self, leaf: int) -> None:
        """Hang up on somebody who has forgotten to."""
        await asyncio.sleep(self.settings.max_call_s)
        await self.bot.remove(participant=leaf)

    async def listen(self, *, to: bool) -> None:
        """The microphone is live while there is somebody to hear it."""
        await (self.bot.unmute() if to else self.bot.mute())


def chime() -> Frame:
    """Two tones, one after the other, each dying away."""
    at = np.arange(int(TONE_S * SAMPLE_RATE)) / SAMPLE_RATE
    fading = 0.3 * np.exp(-5 * at)
    return np.concatenate([fading * np.sin(2 * np.pi * hz * at) for hz in TONES_HZ]).astype(np.float32)


def make(path: str) -> Bot:
    """The bot with these settings."""
    return Intercom(Bot.from_config(path)).bot


if __name__ == "__main__":
    sys.exit(program(make, __doc__))
