"""Driving engines that are processes of their own: by socket, by standard input and output, at a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import socket
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.e2e.processes import PATIENCE_S, Process, World, python_module, runtime_folder

Line = dict[str, Any]

SILENT: Final = ("--audio-in", "null", "--audio-out", "null")


def until(found: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What `found` gives once it gives something."""
    deadline = time.monotonic() + patience_s
    while not (value := found()):
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)
    return value


class Wire:
    """A client of an engine's socket, and every line that went over it, either way."""

    def __init__(self, path: Path) -> None:
        self.lines: list[Line] = []
        self._number = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._file = self.socket.makefile("rb")

    def ask(self, method: str, **params: Any) -> Line:
        """The answer to a request; events that come before it are kept in `lines`."""
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.lines.append(request)
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while (line := self._next()).get("id") != self._number:
            pass
        return line

    def do(self, method: str, **params: Any) -> Line:
        """The result of a request that is done."""
        answer = self.ask(method, **params)
        assert "result" in answer, answer
        result: Line = answer["result"]
        return result

    def event(self, name: str, where: Callable[[Line], bool] = lambda _: True) -> Line:
        """The next event of that name that is so."""
        while True:
            data: Line = self._next().get("params", {}).get("data", {})
            if data.get("event") == name and where(data):
                return data

    def _next(self) -> Line:
        line = self._file.readline()
        assert line, "the engine is gone"
        value: Line = json.loads(line)
        self.lines.append(value)
        return value

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()


class Terminal:
    """A pseudo-terminal with a program at it, whose controlling terminal it is: closing the window hangs up."""

    def __init__(self, world: World, *arguments: str, home: str) -> None:
        self._outside, inside = pty.openpty()
        attributes = termios.tcgetattr(inside)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(inside, termios.TCSANOW, attributes)
        os.set_blocking(self._outside, False)
        self._text = ""

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = world.command(
            "tuiconf", *arguments, home=home, stdin=inside, stdout=inside, preexec=take_terminal
        )
        os.close(inside)

    @property
    def text(self) -> str:
        """All that was shown."""
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self._outside, 1 << 16):
                self._text += data.decode(errors="replace")
        return self._text

    def shows(self, text: str) -> None:
        """Wait until it was shown."""
        try:
            until(lambda: text in self.text, text)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text}\n{self.process.errors}") from None

    def warns(self, text: str) -> None:
        """Wait until it was said on standard error."""
        self.process.wait_for(lambda: text in self.process.errors, text)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._outside, text.encode())

    def close(self) -> None:
        """Close the window."""
        with contextlib.suppress(OSError):
            os.close(self._outside)


class Machine:
    """A home in which calls run, and what is done with them from a shell."""

    def __init__(self, world: World, home: str) -> None:
        self.world, self.home = world, home

    @property
    def sockets(self) -> list[Path]:
        """Of engines."""
        return sorted((runtime_folder(self.world.folder / self.home) / "tuiconf").glob("[!.]*.sock"))

    def run(self, *arguments: str, **keywords: Any) -> Process:
        """`tuiconf …`, to its end."""
        process = self.world.command("tuiconf", *arguments, home=self.home, **keywords)
        process.wait()
        return process

    def ctl(self, *arguments: str, code: int = 0) -> Line:
        """`tuiconf ctl …`; the answer it prints."""
        process = self.run("ctl", *arguments)
        assert process.popen.returncode == code, process.transcript()
        value: Line = json.loads(process.lines[0])
        return value

    def detached(self, command: str, where: str, *options: str) -> Process:
        """`tuiconf host|join … --detach`, to its end."""
        process = self.run(command, where, "--detach", "--name", self.home, *SILENT, *options)
        assert process.popen.returncode == 0, process.transcript()
        return process

    def wire(self) -> Wire:
        """A connection to the only call."""
        (path,) = until(lambda: self.sockets, "socket")
        return Wire(path)

    def engines(self) -> list[int]:
        """The processes of launched engines that live here."""
        home = f"HOME={self.world.folder / self.home}".encode()
        return [
            pid
            for pid, arguments in _processes()
            if "engine" in arguments[-3:] and home in (_environment(pid) or b"").split(b"\0")
        ]


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            yield pid, arguments


def _environment(pid: int) -> bytes | None:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None


def bash(world: World, home: str, script: str) -> subprocess.CompletedProcess[str]:
    """What a person's bash does with our completion."""
    from tests.e2e.processes import home_environment

    environment = home_environment(world.folder / home)
    folder = Path(python_module("x")[0]).parent  # where `tuiconf` is installed
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    return subprocess.run(
        ["bash", "--norc", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
