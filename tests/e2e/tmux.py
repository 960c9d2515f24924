"""Real terminals: panes of a tmux of the test's own, what is typed into them, and what a person sees there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import PATIENCE_S, World, home_environment, python_module

_USUAL = {"TERM": "tmux-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

AVAILABLE = shutil.which("tmux") is not None


@dataclass(frozen=True, slots=True)
class Pane:
    """A terminal, in which one program runs."""

    tmux: Tmux
    name: str
    home: Path

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names: `Enter`, `Escape`, `q`."""
        self.tmux.run("send-keys", "-t", self.name, *keys)

    def write(self, text: str) -> None:
        """Type text as it stands."""
        self.tmux.run("send-keys", "-t", self.name, "-l", text)

    def screen(self) -> str:
        """What a person sees."""
        return self.tmux.run("capture-pane", "-p", "-t", self.name)

    def styled(self) -> str:
        """What a person sees, with its colours as escape sequences."""
        return self.tmux.run("capture-pane", "-p", "-e", "-t", self.name)

    def sees(self, *texts: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until all of these are on the screen; the screen."""
        return self.until(lambda screen: all(text in screen for text in texts), f"{texts}", patience_s)

    def sees_no(self, text: str) -> str:
        """Wait until this is not on the screen any more; the screen."""
        return self.until(lambda screen: text not in screen, f"end of {text!r}")

    def until(self, holds: Callable[[str], bool], what: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until something holds of the screen; the screen."""
        deadline = time.monotonic() + patience_s
        while not holds(screen := self.screen()):
            if time.monotonic() >= deadline:
                raise AssertionError(f"no {what} on the screen:\n{screen}")
            time.sleep(0.1)
        return screen

    def resize(self, columns: int, lines: int) -> None:
        """Another size."""
        self.tmux.run("resize-window", "-t", self.name, "-x", str(columns), "-y", str(lines))

    def process(self) -> int:
        """The process that tmux has started here."""
        return int(self.tmux.run("display-message", "-p", "-t", self.name, "#{pane_pid}"))

    def close(self) -> None:
        """Close the window: whatever runs in it loses its terminal."""
        self.tmux.run("kill-window", "-t", self.name)


class Tmux:
    """One server; it ends with the test's world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._socket = world.folder / "t"
        self._first = True

    def pane(
        self,
        name: str,
        *arguments: str,
        size: tuple[int, int] = (100, 30),
        home: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Pane:
        """`tuiconf ARGUMENTS` in a terminal of its own. Its window stays when the program ends, with what was said."""
        folder = self._world.folder / (home or name)
        variables = {
            key: value
            for key, value in (home_environment(folder) | _USUAL | dict(environment or {})).items()
            if os.environ.get(key) != value
        }
        shell = f'{shlex.join(python_module("tuiconf", *arguments))}; echo "exit code $?"; exec sleep 600'
        new = [*("env", *(f"{key}={value}" for key, value in variables.items())), "sh", "-c", shell]
        columns, lines = str(size[0]), str(size[1])
        if self._first:
            self._first = False
            # Through the world, so that nothing of it outlives the test.
            server = self._world.command_line(
                *("tmux", "-S", str(self._socket), "-f", "/dev/null", "new-session", "-d", "-s", "s"),
                *("-n", name, "-x", columns, "-y", lines, *new),
            )
            assert server.wait() == 0, server.transcript()
        else:
            self.run("new-window", "-d", "-n", name, "-t", "s:", *new)
            self.run("resize-window", "-t", name, "-x", columns, "-y", lines)
        return Pane(self, name, folder)

    def run(self, *arguments: str) -> str:
        """One of tmux's commands; what it prints."""
        command = ["tmux", "-S", str(self._socket), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout
