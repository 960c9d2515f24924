"""Records a call: from the start, or when somebody writes `!record`, until `!stop`, or until nobody else is there.

    python -m tuiconf.examples.recorder recorder.toml

Everyone is told before anything is written, by the engine; those who do not allow it are not recorded. Where the
room lets only hosts record, only hosts can ask for it, and the bot has to be one: `hand_over` makes it one.

[bot]
link_file = "room.link"               # or link = "tuiconf://…", host = "RELAY", call = "NAME of one that runs here"
name = "Recorder"

[settings]
from_start = false                    # record as soon as somebody is there
folder = "recordings"                 # beside this file; without it where all recordings go
mix = false                           # all together in one more file
announce = true                       # say it, too, with the command of [speech]
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import msgspec

from tuiconf.bot import Bot, ControlError, SpeechFailed, events, program

# Announcing, saying so, and closing long files.
SLOWLY_S: Final = 60.0


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in [settings]."""

    from_start: bool = False
    folder: Path | None = None
    mix: bool = False
    announce: bool = True


class Recorder:
    """Records, and says so."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.settings = bot.config.own_settings(Settings)
        bot.command("!record", timeout_s=SLOWLY_S)(self.record)
        bot.command("!stop", timeout_s=SLOWLY_S)(self.stop)
        bot.on(events.Joined, timeout_s=SLOWLY_S)(self.begin)
        bot.on(events.ParticipantJoined, timeout_s=SLOWLY_S)(self.begin)
        bot.on(events.ParticipantLeft, timeout_s=SLOWLY_S)(self.see_who_is_left)
        bot.on(events.RecordingChanged, timeout_s=SLOWLY_S)(self.tell)

    async def record(self, message: events.ChatReceived, argument: str) -> str | None:
        """Somebody asks for it."""
        if not await self.may_ask(message.participant.leaf):
            return "the room's rules do not let you record"
        return await self.start()

    async def stop(self, message: events.ChatReceived, argument: str) -> str | None:
        """Anybody may ask for less."""
        try:
            await self.bot.record_stop()
        except ControlError as error:
            return str(error)
        return None

    async def begin(self, event: events.Event) -> None:
        """Record from the start, once there is somebody to record."""
        if self.settings.from_start and await self.others() and (failed := await self.start()):
            await self.bot.chat(failed)

    async def see_who_is_left(self, event: events.ParticipantLeft) -> None:
        """Nobody wants a recording of an empty room."""
        recording = (await self.bot.state_get()).recording
        if recording is not None and recording.active and not await self.others():
            await self.bot.record_stop()

    async def tell(self, event: events.RecordingChanged) -> None:
        """Whatever made it begin or end; the end of the call needs no words."""
        if not self.bot.in_call:
            return
        text = "this call is being recorded" if event.active else f"recording ended ({event.reason or 'stopped'})"
        await self.bot.chat(text)
        if self.settings.announce:
            with contextlib.suppress(SpeechFailed):  # it was written
                await self.bot.say(text)

    async def start(self) -> str | None:
        """Record; why it cannot be, if it cannot."""
        folder = self.settings.folder
        try:
            await self.bot.record_start(
                folder=str(self.bot.config.resolve(folder).absolute()) if folder is not None else None,
                mix=self.settings.mix,
            )
        except ControlError as error:
            return None if error.code == "already_recording" else str(error)
        return None

    async def may_ask(self, leaf: int) -> bool:
        """The bot may have a right that whoever asks has not."""
        policy = (await self.bot.state_get()).policy
        if policy is None or policy.record == "nobody":
            return False
        return policy.record == "members" or any(host.leaf == leaf for host in policy.hosts)

    async def others(self) -> bool:
        """Whether anybody else is there."""
        return len((await self.bot.roster_get()).participants) > 1


def make(path: str) -> Bot:
    """The bot with these settings."""
    return Recorder(Bot.from_config(path)).bot


if __name__ == "__main__":
    sys.exit(program(make, __doc__))
