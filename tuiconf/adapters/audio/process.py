"""A command of the user's, run without a shell, that never outlives us."""

from __future__ import annotations

import asyncio
import os
import select
import shlex
import shutil
import signal
import subprocess
from pathlib import PurePath
from typing import IO, Final

from tuiconf.adapters.audio.base import AudioError
from tuiconf.adapters.audio.decoder import reason

# What is kept of a command's complaints: its last words say why it died. The rest is read and dropped.
STDERR_BYTES: Final = 2000
STDERR_READ_BYTES: Final = 1 << 16

# Between asking a command to end (SIGTERM) and making it (SIGKILL).
TERM_GRACE_S: Final = 0.5
POLL_S: Final = 0.01

# Waits for the end of its standard input, which comes when we are gone, however we went: `kill -9` included. Then
# it ends the command's whole group. It costs 0.7 MB, and unlike PR_SET_PDEATHSIG it reaches the command's children,
# needs no Python code between fork and exec (which deadlocks with threads), and works wherever there is a `sh`.
# (`-s KILL --` and not `-KILL --`, which dash does not understand.)
GUARDIAN: Final = 'read -r _; kill -s KILL -- "-$1"'


class Command:
    """A running command, in a process group of its own, with one pipe between it and us."""

    def __init__(self, argv: list[str], *, to_us: bool) -> None:
        """`to_us`: we read its standard output; otherwise we write its standard input."""
        self.name = PurePath(argv[0]).name
        self._argv = argv
        self._to_us = to_us
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._complaints = b""
        self._stderr_poll = select.poll()

    def start(self) -> int:
        """Run it. Returns the descriptor of our end of the pipe, which stays this object's to close.

        Raises:
            AudioError: there is no such command, or it cannot be run.
        """
        if shutil.which(self._argv[0]) is None:
            raise AudioError(f"there is no command {shlex.quote(self._argv[0])} to run")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the user asked for, without a shell
                self._argv,
                stdin=subprocess.DEVNULL if self._to_us else subprocess.PIPE,
                stdout=subprocess.PIPE if self._to_us else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # its own group, and no terminal to be stopped by or to read from
            )
            self._guardian = _guard(self._process.pid)
        except (OSError, ValueError) as error:
            self._kill_and_reap()
            raise AudioError(f"the command {self.name} cannot be run: {reason(error)}") from error
        self._stderr_poll.register(_opened(self._process.stderr), select.POLLIN)
        return _opened(self._process.stdout if self._to_us else self._process.stdin).fileno()

    def listen(self) -> None:
        """Take what it wrote to standard error, so that it never blocks there: one read, and only the end is kept."""
        process = self._process
        if process is None or not self._stderr_poll.poll(0):
            return
        stderr = _opened(process.stderr)
        data = os.read(stderr.fileno(), STDERR_READ_BYTES)
        if not data:
            self._stderr_poll.unregister(stderr)
        self._complaints = (self._complaints + data)[-STDERR_BYTES:]

    def outcome(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it, or None while it runs.

        It is not reaped yet: until `stop` its process group's number cannot become somebody else's.
        """
        if self._process is None:
            return 0
        if not hasattr(os, "waitid"):  # macOS before Python 3.13: reaped here and now, then
            return self._process.poll()
        try:
            status = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 0  # somebody else has reaped it: how it ended is not known
        if status is None:
            return None
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    def epitaph(self) -> str:
        """How it ended, in one sentence."""
        self.listen()
        code = self.outcome()
        if code is None:
            how = "closed its pipe"
        elif code < 0:
            how = f"was ended by {_signal_name(-code)}"
        else:
            how = f"ended with exit code {code}"
        words = "".join(c if c.isprintable() else " " for c in self._last_line())
        return f"the command {self.name} {how}" + (f": {words}" if words else "")

    def _last_line(self) -> str:
        lines = [line.strip() for line in self._complaints.decode("utf-8", "replace").splitlines()]
        return next((line[:200] for line in reversed(lines) if line), "")

    async def stop(self, *, finish_s: float = 0.0) -> None:
        """End it and all its children, and reap it. May be called twice.

        A command that we write to sees the end of its input first and has `finish_s` to finish by itself.
        """
        if self._process is None:
            return
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            if not await self._ends_within(finish_s):
                self._signal_group(signal.SIGTERM)
                await self._ends_within(TERM_GRACE_S)
        finally:  # also when we are cancelled while waiting
            self._kill_and_reap()

    async def _ends_within(self, seconds: float) -> bool:
        for _ in range(round(seconds / POLL_S)):
            if self.outcome() is not None:
                return True
            self.listen()
            await asyncio.sleep(POLL_S)
        return self.outcome() is not None

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):
                return  # gone already, or (macOS) only its unreaped leader is left

    def _kill_and_reap(self) -> None:
        # In this order: while the leader is not reaped its number is its own, and the guardian, which knows only
        # the number, is gone before that changes.
        self._signal_group(signal.SIGKILL)
        for process in (self._guardian, self._process):
            if process is not None:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout, process.stderr):
                    if pipe is not None:
                        pipe.close()
        self._guardian = self._process = None


def _guard(group: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - a constant script
        ["/bin/sh", "-c", GUARDIAN, "sh", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,  # a Ctrl-C in the terminal must not end the guardian first
    )


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AudioError("the command has no pipe")
    return pipe


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
