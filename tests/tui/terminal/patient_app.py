"""A process with a screen that never stops changing; what happens in it goes to standard output, a line each."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from tuiconf.tui.terminal.driver import TerminalDriver
from tuiconf.tui.terminal.events import BackgroundKnown, KeyReleased, KeyReleasesKnown
from tuiconf.tui.terminal.patient import PatientOutput

HEIGHT = 10


class Ticking(PatientOutput[str]):
    """Redraws all lines 100 times a second; keys end it, break it, suspend it, pause it, open and close a dialog."""

    def __init__(self, tells: int) -> None:
        super().__init__(driver_class=TerminalDriver)
        self._tells = tells
        self._count = 0
        self.takes_mouse = "NO_MOUSE" not in os.environ

    def compose(self) -> ComposeResult:
        for number in range(HEIGHT):
            yield Static(id=f"line{number}", markup=False)

    def on_mount(self) -> None:
        self._ticking = self.set_interval(0.01, self._tick)
        self.app_suspend_signal.subscribe(self, lambda _: self.tell("suspends"))
        self.app_resume_signal.subscribe(self, lambda _: self.tell("resumes"))

    def _tick(self) -> None:
        self._count += 1
        for number in range(HEIGHT):
            self.query_one(f"#line{number}", Static).update(f"line {number} of {self._count} ".ljust(78, "~"))
        driver = self._driver
        waiting = driver._writer.waiting_bytes if isinstance(driver, TerminalDriver) and driver._writer else 0
        self.tell(f"tick {self._count} dropped {self.frames_dropped} waiting {waiting}")

    def tell(self, line: str) -> None:
        os.write(self._tells, f"{line}\n".encode())

    def on_key(self, event: events.Key) -> None:
        self.tell(f"key {event.key}")
        match event.key:
            case "x":
                self.exit("left")
            case "b":
                raise RuntimeError("broken")
            case "z":
                self.action_suspend_process()
            case "p":
                self._ticking.pause()
            case "o":
                self.push_screen(Dialog())
            case "c":
                self.pop_screen()
            case "w":
                self.query_one("#line3", Static).update("wide 中文 and\ttabs")
            case "l":
                self.refresh(layout=True)
            case "r":
                self.repaint()
        self.call_after_refresh(self._say_when_all_is_drawn)

    def _say_when_all_is_drawn(self) -> None:
        if self._owed is None and self._written():
            self.tell("drawn")
        else:
            self.set_timer(0.01, lambda: self.call_after_refresh(self._say_when_all_is_drawn))

    def _written(self) -> bool:
        driver = self._driver
        if not isinstance(driver, TerminalDriver) or driver._writer is None:
            return False
        return not driver.is_behind and not driver._writer.stuck_s(now=time.monotonic())

    def on_key_released(self, event: KeyReleased) -> None:
        self.tell(f"released {event.key}")

    def on_key_releases_known(self, event: KeyReleasesKnown) -> None:
        self.tell(f"releases {event.supported}")

    def on_background_known(self, event: BackgroundKnown) -> None:
        self.tell(f"dark {event.dark}")

    def on_app_blur(self, _: events.AppBlur) -> None:
        self.tell("blur")


class Dialog(ModalScreen[None]):
    """Covers some of it."""

    DEFAULT_CSS = "Dialog { align: center middle; } Dialog Static { width: 30; height: 5; border: solid white; }"

    def compose(self) -> ComposeResult:
        yield Static("dialog")


def main() -> Any:
    """Standard output is the pipe to the test; Textual writes to standard error."""
    tells = os.dup(1)
    app = Ticking(tells)
    began = time.monotonic()
    app.run(mouse=False)
    app.tell(f"ended {app.return_value} {app.return_code} after {time.monotonic() - began:.1f}")
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
