"""Holds one meeting: the shell around `Machine` and `Attendance`, over a bot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from tuiconf.adapters import private_files
from tuiconf.adapters.private_files import FileError
from tuiconf.bot import Bot, BotConfig, ControlError, EngineGone, Where
from tuiconf.bot.threads import on_thread
from tuiconf.control.events import Envelope, Event, EventsMissed, Failed, Left, RoomCreated
from tuiconf.errors import TuiconfError
from tuiconf.meeting.attendance import Attendance, Line
from tuiconf.meeting.attendance_log import AttendanceLog
from tuiconf.meeting.hooks import Hooks, Report
from tuiconf.meeting.machine import Announce, Effect, EndReason, Leave, Machine, StartRecording, Tell
from tuiconf.meeting.script import MINUTE_S, Announcement, Script

# What the engine may take to close a recording on a disk that has stalled, and to leave.
CLOSE_RECORDING_S: Final = 15.0
LEAVE_S: Final = 10.0

Step = Callable[[Bot], Awaitable[Sequence[Effect]]]
"""What has happened; it gives what is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Held:
    """How a meeting ended. `link` is that of the room, if it was made for the meeting."""

    reason: EndReason
    link: str | None


async def hold(script: Script, *, start: datetime, hooks: Hooks, report: Report, stop: asyncio.Event) -> Held:
    """Join, do as the script says, and leave. `stop` ends it early.

    Raises:
        TuiconfError: the call could not begin.
    """
    meeting = _Meeting(script, start=start, hooks=hooks, report=report)
    try:
        async with Bot(_config(script), watch=meeting.watch) as bot:
            await meeting.follow(bot, stop)
    except TuiconfError as error:
        meeting.tell(Tell(event="failed", about={"what": "call", "why": str(error)}))
        raise
    return meeting.over()


def joining_again(script: Script, link: str | None) -> Script:
    """The same meeting for one who was in it: in the room that was made for it, and not in yet another."""
    if link is None:
        return script
    room = msgspec.structs.replace(script.room, link=link, host=None, write_link=None, lobby=None)
    return msgspec.structs.replace(script, room=room)


class _Meeting:
    def __init__(self, script: Script, *, start: datetime, hooks: Hooks, report: Report) -> None:
        self._script = script
        self._start = start.timestamp()
        self._hooks = hooks
        self._report = report
        self._machine = Machine(script, start=time.monotonic() + self._start - time.time())
        self._attendance = Attendance()
        self._log = AttendanceLog(script.attendance)
        self._steps: asyncio.Queue[Step] = asyncio.Queue()
        self._to_announce: asyncio.Queue[Announcement] = asyncio.Queue()
        self._doing: set[asyncio.Task[None]] = set()  # what ends when the meeting does
        self._left_at: float | None = None  # in seconds since 1970
        self._link: str | None = None

    async def follow(self, bot: Bot, stop: asyncio.Event) -> None:
        """Until the meeting is over and this participant has left."""
        try:
            self._begin(self._announce(bot), self._wait_for(stop), self._wait_for_end(bot))
            while self._left_at is None:
                step = await self._next_step()
                for effect in await step(bot):
                    await self._perform(effect, bot)
        finally:
            await self._end()
            await self._write(self._attendance.close(at=self._left_at or time.time()))

    def watch(self, envelope: Envelope) -> None:
        """To be told everything that happens in the call."""
        self._steps.put_nowait(lambda bot: self._happened(bot, envelope))

    def over(self) -> Held:
        """The engine has ended: everything there is was written."""
        for effect in self._machine.closed():
            self.tell(effect)
        return Held(reason=self._machine.reason or EndReason.FAILED, link=self._link)

    def tell(self, tell: Tell) -> None:
        """Tell the hooks."""
        self._hooks.tell(tell.event, tell.about, title=self._script.title, start=self._start)

    # --- what happens

    async def _next_step(self) -> Step:
        due = self._machine.next_timer()
        patience_s = LEAVE_S if due is None else max(0.0, due - time.monotonic())
        try:
            async with asyncio.timeout(patience_s):
                return await self._steps.get()
        except TimeoutError:
            return self._gone if due is None else self._timer

    async def _timer(self, _: Bot) -> Sequence[Effect]:
        return self._machine.timer(now=time.monotonic())

    async def _gone(self, _: Bot) -> Sequence[Effect]:
        """The engine is, or does not say that it has left."""
        self._left_at = self._left_at or time.time()
        return self._machine.stop(EndReason.ENGINE_GONE)

    async def _stop(self, _: Bot) -> Sequence[Effect]:
        return self._machine.stop(EndReason.STOPPED)

    async def _happened(self, bot: Bot, envelope: Envelope) -> Sequence[Effect]:
        match envelope.data:
            case RoomCreated(link=link):
                self._link = link
                await self._write_link(link)
            case Failed(message=why):
                self._report(why)
            case EventsMissed(events=missed) if missed:
                return await self._catch_up(bot, envelope.ts)
            case Left():
                self._left_at = envelope.ts
        return await self._follow_event(envelope.data, envelope.ts)

    async def _follow_event(self, event: Event, at: float) -> Sequence[Effect]:
        """First to the disk, then to whoever may take time."""
        await self._write(self._attendance.happened(event, at=at))
        return self._machine.happened(event, now=time.monotonic())

    async def _catch_up(self, bot: Bot, at: float) -> Sequence[Effect]:
        """Some events were not told, as this machine is too slow: who is here now?"""
        try:
            roster = await bot.roster_get()
        except (ControlError, EngineGone):
            return []
        effects: list[Effect] = []
        for event in self._attendance.people.corrected(roster.participants, epoch=roster.epoch or 0):
            effects += await self._follow_event(event, at)
        return effects

    async def _wait_for_end(self, bot: Bot) -> None:
        """An engine that is killed says nothing."""
        try:
            await bot.left()
        except EngineGone:
            self._steps.put_nowait(self._gone)

    async def _wait_for(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._steps.put_nowait(self._stop)

    # --- what is done

    async def _perform(self, effect: Effect, bot: Bot) -> None:
        match effect:
            case Tell():
                self.tell(effect)
            case Announce(what=what):
                self._to_announce.put_nowait(what)
            case StartRecording():
                self._begin(self._record(bot))
            case Leave():
                await self._leave(bot)

    async def _announce(self, bot: Bot) -> None:
        """One after the other, for ever."""
        while True:
            what = await self._to_announce.get()
            try:
                await (bot.play(what.play) if what.play is not None else bot.say(what.say or ""))
            except (TuiconfError, OSError) as error:  # a file that is gone, no room for what is to be said
                self._report(f"an announcement was not heard: {error}")
            self._machine.announced(now=time.monotonic())

    async def _record(self, bot: Bot) -> None:
        record = self._script.record
        if record is None:
            return
        try:
            await bot.record_start(
                folder=None if record.folder is None else str(record.folder),
                mix=record.mix,
                split_s=None if record.split_minutes is None else record.split_minutes * MINUTE_S,
                encrypt_to=record.encrypt_to,
            )
        except TuiconfError as error:
            self._report(f"not recorded: {error}")
            why = str(error)
            self._steps.put_nowait(lambda _: self._not_recorded(why))

    async def _not_recorded(self, why: str) -> Sequence[Effect]:
        return self._machine.recording_failed(why, now=time.monotonic())

    async def _leave(self, bot: Bot) -> None:
        """Announcements that are not over are cut off."""
        await self._end()
        with contextlib.suppress(ControlError, EngineGone, TimeoutError):
            if self._script.record is not None:
                async with asyncio.timeout(CLOSE_RECORDING_S):
                    await bot.record_stop()
        with contextlib.suppress(ControlError, EngineGone):
            await bot.leave()

    # --- files

    async def _write(self, lines: Sequence[Line]) -> None:
        """A log that cannot be written is told, and does not end the meeting."""
        if lines:
            try:
                await on_thread(lambda: self._log.add(lines))
            except FileError as error:
                self._report(str(error))

    async def _write_link(self, link: str) -> None:
        path = self._script.room.write_link
        if path is not None:
            await on_thread(lambda: private_files.replace(path, f"{link}\n".encode(), rng=os.urandom))

    # --- what goes on beside

    def _begin(self, *coroutines: Coroutine[object, object, None]) -> None:
        self._doing |= {asyncio.create_task(coroutine) for coroutine in coroutines}

    async def _end(self) -> None:
        for task in self._doing:
            task.cancel()
        await asyncio.gather(*self._doing, return_exceptions=True)
        self._doing.clear()


def _config(script: Script) -> BotConfig:
    room = script.room
    return BotConfig(
        bot=Where(
            link=room.link,
            link_file=room.link_file,
            host=room.host,
            name=room.name,
            audio_in=room.audio_in,
            audio_out=room.audio_out,
            lobby=room.lobby,
            config=room.config,
        ),
        speech=script.speech,
    )
