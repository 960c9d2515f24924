"""`tuiconf run` as a process: signals, the service manager, one meeting after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from typing import Final

from tuiconf.adapters.printing import OutputLost, print_to
from tuiconf.adapters.systemd import ServiceManager
from tuiconf.errors import TuiconfError
from tuiconf.meeting.attendance_log import AttendanceLog
from tuiconf.meeting.explain import explain
from tuiconf.meeting.holding import hold, joining_again
from tuiconf.meeting.hooks import Hooks, Target
from tuiconf.meeting.machine import EndReason
from tuiconf.meeting.script import Hook, ScriptFile
from tuiconf.meeting.targets import target
from tuiconf.meeting.waiting import Plan, wait_for

# How many of the next meetings --dry-run shows of a rule.
SHOWN_STARTS: Final = 3

# Engines that one meeting may use up, and the pause before the next: whatever killed them may not be over.
MAX_ENGINES: Final = 4
AGAIN_S: Final = 3.0

FAILURES: Final = frozenset({EndReason.FAILED, EndReason.NEVER_JOINED, EndReason.REMOVED, EndReason.ENGINE_GONE})
"""Ends of a meeting that are failures: exit code 1."""


class Runner:
    """Runs one script."""

    def __init__(self, file: ScriptFile, *, now: bool) -> None:
        """`now`: at once, and once, whatever the script says about when.

        Raises:
            ScriptError: something that it names cannot be used.
        """
        self._script = file.script
        when = None if now else file.script.when
        self._plan = None if when is None else Plan(when, report=_report)
        self._hooks = Hooks(_targets(file), report=_report)
        self._manager = _manager()
        self._stop = asyncio.Event()

    async def explain(self) -> str:
        """What would happen.

        Raises:
            TuiconfError: the calendar cannot be used.
        """
        starts: list[datetime] = []
        plan = self._plan
        while plan is not None and len(starts) < SHOWN_STARTS and (start := await plan.next()) is not None:
            starts.append(start)
            plan.done(start)
        return explain(self._script, starts, now=datetime.now(UTC))

    async def run(self) -> int:
        """Hold the meeting, or all of them; the exit code.

        Raises:
            TuiconfError: there is none to hold, or the only one could not begin.
        """
        AttendanceLog(self._script.attendance).prepare()
        self._take_signals()
        self._hooks.start()
        self._manager.ready()
        alive = asyncio.create_task(self._say_alive())
        try:
            return await self._hold_all()
        finally:
            self._manager.stopping()
            await self._hooks.finish(self._stop)
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)

    async def _hold_all(self) -> int:
        if self._plan is None:
            return await self._hold(datetime.now(UTC))
        code = 0
        while (start := await self._plan.wait(self._stop, self._tell_next)) is not None:
            try:
                code = await self._hold(start)
            except TuiconfError as error:
                if not self._plan.repeats:
                    raise
                _report(str(error))  # the next one may go better
            if not self._plan.repeats:
                return code
            self._plan.done(start)
        return 0

    async def _hold(self, start: datetime) -> int:
        self._manager.status("in a meeting")
        reason = await self._hold_through(start)
        _say(f"the meeting is over: {reason.replace('_', ' ')}")
        return 1 if reason in FAILURES else 0

    async def _hold_through(self, start: datetime) -> EndReason:
        """Go on with the same meeting when its engine is killed."""
        script = self._script
        for _ in range(MAX_ENGINES):
            held = await hold(script, start=start, hooks=self._hooks, report=_report, stop=self._stop)
            if held.reason is not EndReason.ENGINE_GONE:
                return held.reason
            _report("the engine is gone: joining again")
            script = joining_again(script, held.link)
            await wait_for(self._stop, AGAIN_S)
        return EndReason.ENGINE_GONE

    def _tell_next(self, start: datetime | None) -> None:
        text = "no meeting is planned" if start is None else f"the next meeting is at {start.astimezone():%F %H:%M %Z}"
        self._manager.status(text)
        _say(text)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
                loop.add_signal_handler(number, self._stop.set)

    async def _say_alive(self) -> None:
        interval_s = self._manager.watchdog_interval_s
        while interval_s is not None:
            self._manager.alive()
            await asyncio.sleep(interval_s)


def _manager() -> ServiceManager:
    """The service manager hears of this process alone: not of the engines it starts, which begin and end each time."""
    manager = ServiceManager()
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(name, None)
    return manager


def _targets(file: ScriptFile) -> list[tuple[Hook, Target]]:
    targets = []
    for number, hook in enumerate(file.script.hook):
        try:
            targets.append((hook, target(hook, folder=file.path.parent.absolute())))
        except TuiconfError as error:
            raise file.error(("hook", number), error) from error
    return targets


def _say(text: str) -> None:
    print_to(sys.stdout, f"{text}\n")


def _report(text: str) -> None:
    """What went wrong, for whoever looks. That nobody does must not stop a hook, or a meeting."""
    with contextlib.suppress(OutputLost):
        print_to(sys.stderr, f"tuiconf: {text}\n")
