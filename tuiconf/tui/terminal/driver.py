"""Textual's driver for Linux and macOS, for terminals that are slow, stopped, strange or gone.

Besides what Textual's does: asks for key releases, never waits for the terminal, and knows how far it is behind.
What goes to the terminal beside Textual's own:

- at the start and on resumption `CSI = 2 ; 2 u`: also report repeats and releases, in the entry of kitty's stack that
  Textual has pushed; then `CSI ? u` (is it on), `OSC 11 ; ?` (the background) and `CSI c` (DA1), which all terminals
  answer, so that the others' silence is an answer too
- after some output `CSI c`, see `pace`
- at the end and on suspension `CSI = 2 ; 3 u` and `CSI c`, where there are releases: no more of them. What is under
  way is read until all was answered, so that it is not typed into the shell

Nothing is pushed or popped here: Textual's `CSI > 25 u` and `CSI < u` balance, and take our flag with them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import select
import selectors
import signal
import sys
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual import constants, events
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tuiconf.tui.terminal.events import (
    BackgroundColour,
    BackgroundKnown,
    DeviceAttributes,
    KeyboardFlags,
    KeyDealtWith,
    KeyReleased,
    KeyReleasesKnown,
    TerminalLost,
)
from tuiconf.tui.terminal.keys import KeyParser
from tuiconf.tui.terminal.order import InOrder
from tuiconf.tui.terminal.pace import MAX_PENDING_BYTES, STUCK_S, Pace
from tuiconf.tui.terminal.writer import PatientWriter

if TYPE_CHECKING:
    from textual.app import App

STDERR = 2  # where Textual writes to

REPORT_EVENT_TYPES = 2
ASK_FOR_RELEASES = "\x1b[=2;2u"
STOP_RELEASES = "\x1b[=2;3u"
WHICH_FLAGS = "\x1b[?u"
WHICH_BACKGROUND = "\x1b]11;?\x07"
FENCE = "\x1b[c"

# Ends what a forgotten frame may have left open: synchronized output, colours.
AFTER_FORGETTING = "\x1b[?2026l\x1b[0m"

# What a terminal gets when the process ends without having stopped the driver: kitty's keys, mouse, focus, paste,
# wrapping, cursor and screen as they were.
LAST_RESORT = (
    f"{AFTER_FORGETTING}\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2048l"
    "\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h"
)

# How long a terminal is believed to answer that has not answered yet. Longer: those that never do stand still for
# longer at the start. Shorter: a slow link gets at once what it shows over half a minute.
FIRST_ANSWER_PATIENCE_S = 2.0

# How long leaving may wait for a terminal: for its last answer, and for it to take the last bytes.
LAST_ANSWER_PATIENCE_S = 0.4
LAST_BYTES_PATIENCE_S = 1.0

# Textual paints the beginning, and each new screen, several times within some milliseconds: what follows a frame of
# this size waits for so long, and is then one.
LARGE_BYTES = 2_048
SETTLE_S = 0.05

# A key may close the screen that has the focus, and with it what goes behind the key: then the next waits so long.
LONGEST_KEY_S = 0.25

# How often a sequence that does not go on is looked at, and the end of the app noticed, as in Textual.
INPUT_TICK_S = 0.1

# Between what tells the app that it will be suspended and doing so: time for the engine to hear that nobody talks.
SUSPEND_NOTICE_S = 0.1


class TerminalDriver(LinuxDriver):
    """For `App(driver_class=TerminalDriver)`."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse and getattr(app, "takes_mouse", True), size=size)
        self._output = sys.__stderr__.fileno() if sys.__stderr__ is not None else STDERR
        self._writer: PatientWriter | None = None
        self._pace = Pace()
        self._paced = False  # until the terminal has answered once
        self._releases: bool | None = None
        self._frame_bytes = self._dropped_bytes = 0
        self._settled_at = self._started_at = 0.0
        self._asked = self._answers = 0
        self._all_answered = threading.Event()
        self._suspended = False
        self._keys = InOrder(self._send_key)
        self._in_loop = asyncio.get_running_loop().call_soon_threadsafe

    # Output

    @property
    def is_behind(self) -> bool:
        """Is there so much on its way that a new frame would only make it worse?"""
        now = time.monotonic()
        writer = self._writer
        if writer is None:
            return False
        stuck = writer.stuck_s(now=now) > STUCK_S or writer.waiting_bytes > MAX_PENDING_BYTES
        return stuck or now < self._settled_at or (self._is_paced(now) and self._pace.is_behind(now=now))

    def _is_paced(self, now: float) -> bool:
        """Terminals that have answered once will again; until one has, it is given a moment."""
        return self._paced or now < self._started_at + FIRST_ANSWER_PATIENCE_S

    def write(self, data: str) -> None:
        """Hand `data` to the writer; never waits. What a stopped terminal has no room for is dropped."""
        encoded = data.encode("utf-8", "replace")
        if self._writer is not None and self._writer.write(encoded):
            self._pace.wrote(len(encoded))
            self._frame_bytes += len(encoded)

    def has_dropped(self) -> bool:
        """Has anything been dropped since this was last asked?"""
        before, self._dropped_bytes = self._dropped_bytes, 0 if self._writer is None else self._writer.dropped_bytes
        return self._dropped_bytes > before

    def flush(self) -> None:
        """Called after each frame."""
        if self._frame_bytes > LARGE_BYTES:
            self._settled_at = time.monotonic() + SETTLE_S
        self._frame_bytes = 0
        if self._paced and self._pace.wants_fence():
            self._fence()

    def _fence(self) -> None:
        self.write(FENCE)
        self._pace.fenced(now=time.monotonic())
        self._asked += 1
        self._all_answered.clear()

    def _get_terminal_size(self) -> tuple[int, int]:
        """Of the terminal that is written to; Textual asks about standard output."""
        try:
            columns, rows = os.get_terminal_size(self._output)
        except OSError:
            return super()._get_terminal_size()
        return columns or 80, rows or 24

    # Modes

    def start_application_mode(self) -> None:
        self._writer = PatientWriter(self._output)
        self._pace, self._paced, self._releases = Pace(), False, None
        self._asked = self._answers = self._dropped_bytes = 0
        self._started_at = time.monotonic()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._stop_textuals_writer()
        if not self.input_tty:
            return
        atexit.register(self._restore)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._sigterm)
        if not constants.DISABLE_KITTY_KEY:
            self.write(ASK_FOR_RELEASES + WHICH_FLAGS)
        if os.environ.get("TERM") != "linux":
            self.write(WHICH_BACKGROUND)
        self._fence()

    def stop_application_mode(self) -> None:
        """Textual may call this twice, or without a start."""
        atexit.unregister(self._restore)
        if signal.getsignal(signal.SIGTERM) == self._sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._writer is not None and self.is_behind and self._writer.forget():
            self.write(AFTER_FORGETTING)
        self._await_answers()
        super().stop_application_mode()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.stop(patience_s=LAST_BYTES_PATIENCE_S)
            self._writer = None

    def _stop_textuals_writer(self) -> None:
        """Textual has started its own; nothing was written to it."""
        if self._writer_thread is not None:
            self._writer_thread.stop()
            self._writer_thread = None

    def _await_answers(self) -> None:
        """Neither an answer, nor the release of the key that ended the app, may be typed into the shell."""
        if self._releases:
            self.write(STOP_RELEASES)
            self._fence()
        if self._answers < self._asked:
            self._all_answered.wait(LAST_ANSWER_PATIENCE_S)

    def _restore(self) -> None:
        """At exit, when nobody has stopped the driver."""
        with contextlib.suppress(OSError, termios.error):
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            if select.select([], [self._output], [], 0)[1]:
                os.write(self._output, LAST_RESORT.encode())

    # Signals

    def _sigterm(self, *_: object) -> None:
        """Leave as by a key, so that the terminal is as before; a second one ends the process."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._in_loop(lambda: self._app.exit(return_code=128 + signal.SIGTERM))

    def _sigtstp_application(self, *_: object) -> None:
        """Nobody must be heard while the interface stands still: first say so, then stop."""
        if self._auto_restart and self._writer is not None:
            self._in_loop(self._suspend)
        else:
            super()._sigtstp_application()

    def _suspend(self) -> None:
        if not self._suspended:
            self._suspended = True
            self._lose_keys()
            asyncio.get_running_loop().call_later(SUSPEND_NOTICE_S, super()._sigtstp_application)

    def _sigcont_application(self, *_: object) -> None:
        """Textual resumes here whether or not it was suspended, and loses the terminal's mode when it was not."""
        if self._suspended or not self._auto_restart:
            self._suspended = False
            super()._sigcont_application()
            self.send_message(events.AppFocus())
        else:
            self._in_loop(self._stood_still)

    def _stood_still(self) -> None:
        """Somebody had stopped the process (SIGSTOP): keys may have been let go, the screen may have been used."""
        self._lose_keys()
        self.send_message(events.AppFocus())
        self._app.app_resume_signal.publish(self._app)
        self._app.refresh()

    def _lose_keys(self) -> None:
        """For whoever holds a key it is as if another window had the focus."""
        self.send_message(events.AppBlur())
        self._app.app_suspend_signal.publish(self._app)

    # Input

    def run_input_thread(self) -> None:
        """As Textual's, but for bytes that are no UTF-8, and for a terminal that ends."""
        parser = KeyParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(INPUT_TICK_S):
                    data = self._read()
                    if not data:
                        self.send_message(TerminalLost())
                        return
                    self._process(parser.feed(text) if (text := decode(data)) else ())
                self._process(parser.tick())

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, 4_096)
        except OSError:  # hung up
            return b""

    def _process(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)

    def process_message(self, message: Message) -> None:
        """What the terminal replied to us; all else is for the app."""
        match message:
            case KeyboardFlags():
                self._know_releases(supported=bool(message.flags & REPORT_EVENT_TYPES))
            case DeviceAttributes():
                self._know_releases(supported=False)
                self._answers += 1
                if self._answers >= self._asked:
                    self._all_answered.set()
                self._in_loop(self._fence_answered)
            case BackgroundColour():
                self.send_message(BackgroundKnown(dark=message.dark))
            case events.Key() | events.Paste() | KeyReleased():
                self._in_loop(self._keys.add, message)
            case _:
                super().process_message(message)

    def _send_key(self, key: Message, number: int) -> None:
        super().process_message(key)
        self.send_message(KeyDealtWith(number))
        asyncio.get_running_loop().call_later(LONGEST_KEY_S, self._keys.done, number)

    def key_dealt_with(self, number: int) -> None:
        """What a key did is done: the next one may go where that leads."""
        self._keys.done(number)

    def _know_releases(self, *, supported: bool) -> None:
        """The first answer is the one: the last question is one that every terminal answers."""
        if self._releases is None:
            self._releases = supported
            self.send_message(KeyReleasesKnown(supported=supported))

    def _fence_answered(self) -> None:
        self._paced = True
        self._pace.answered()
