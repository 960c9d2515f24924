"""Says who comes and goes, plays sounds on commands, and says or plays something at times of the day.

    python -m tuiconf.examples.announcer announcer.toml

[bot]
link_file = "room.link"               # or link = "tuiconf://…", host = "RELAY", call = "NAME of one that runs here"
name = "Announcer"

[speech]
command = ["espeak-ng", "--stdin", "--stdout"]    # text on standard input, a WAV file on standard output

[settings]
joined = "{name} is here"             # "" says nothing
left = "{name} has gone"
commands = { "!gong" = "gong.ogg" }   # what to play when somebody writes that; files beside this one

[[settings.times]]                    # any number of them, each day
at = "12:00"
say = "It is noon"                    # or play = "gong.ogg", or both: then it is played first
"""

from __future__ import annotations

import asyncio
import datetime
import sys
from typing import Annotated, Final

import msgspec

from tuiconf.bot import Bot, ConfigError, ControlError, SpeechFailed, events, program

# The clock may be set, or the machine may sleep: so it is looked at again.
LOOK_AGAIN_S: Final = 30.0

# What is said takes longer than what a handler does as a rule: five people who come together are said one by one.
SPEECH_S: Final = 120.0


class AtTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do each day at that time."""

    at: Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    say: str = ""
    play: str = ""

    def next(self, now: datetime.datetime) -> datetime.datetime:
        """When it is due next."""
        due = datetime.datetime.combine(now.date(), datetime.time.fromisoformat(self.at))
        return due if due > now else due + datetime.timedelta(days=1)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in [settings]."""

    joined: str = "{name} is here"
    left: str = "{name} has gone"
    commands: dict[str, str] = {}
    times: list[AtTime] = []


class Announcer:
    """Announces, in a bot's voice."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.settings = bot.config.own_settings(Settings)
        for path in (*self.settings.commands.values(), *(time.play for time in self.settings.times if time.play)):
            if not bot.config.resolve(path).is_file():  # better told now than at noon
                raise ConfigError(f"{bot.config.path}: there is no file {path}")
        bot.task(self.keep_times)
        bot.on(events.ParticipantJoined, timeout_s=SPEECH_S)(self.somebody_joined)
        bot.on(events.ParticipantLeft, timeout_s=SPEECH_S)(self.somebody_left)
        for word, path in self.settings.commands.items():
            self.play_on(word, path)

    async def somebody_joined(self, event: events.ParticipantJoined) -> None:
        """Say so. The name goes to the speech command's standard input, and nowhere else."""
        await self.announce(self.settings.joined.replace("{name}", event.participant.name))

    async def somebody_left(self, event: events.ParticipantLeft) -> None:
        """Say so."""
        await self.announce(self.settings.left.replace("{name}", event.participant.name))

    def play_on(self, word: str, path: str) -> None:
        """Play the file when somebody says that word in the chat."""

        @self.bot.command(word, timeout_s=SPEECH_S)
        async def play(message: events.ChatReceived, argument: str) -> None:
            await self.bot.play(self.bot.config.resolve(path))

    async def keep_times(self) -> None:
        """Each day, as long as the call lasts."""
        await asyncio.gather(*(self.each_day(time) for time in self.settings.times))

    async def announce(self, text: str) -> None:
        """Say it, and write it where it cannot be said."""
        if not text:
            return
        try:
            await self.bot.say(text)
        except (SpeechFailed, ControlError):  # no sound, or none that can be played
            await self.bot.chat(text)

    async def each_day(self, time: AtTime) -> None:
        """Do what is to be done at that time, for ever."""
        due = time.next(datetime.datetime.now())
        while True:
            left_s = (due - datetime.datetime.now()).total_seconds()
            if left_s > 0:
                await asyncio.sleep(min(left_s, LOOK_AGAIN_S))
                continue
            due = time.next(datetime.datetime.now())
            try:
                if time.play:
                    await self.bot.play(self.bot.config.resolve(time.play))
                await self.announce(time.say)
            except ControlError:  # a file that cannot be read today may be there tomorrow
                await self.bot.chat(f"what was to be played at {time.at} could not be")


def make(path: str) -> Bot:
    """The bot with these settings."""
    return Announcer(Bot.from_config(path)).bot


if __name__ == "__main__":
    sys.exit(program(make, __doc__))
