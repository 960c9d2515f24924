"""Real participants and relays as processes on loopback, each with a home of its own; none outlives its test."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from tuiconf.identity.link import parse_link

Event = dict[str, Any]
Where = Callable[[Event], bool]

# Generous: it only bounds how long a test that fails takes. A machine under load needs seconds for what takes 0.3.
PATIENCE_S: Final = 40.0

_MARK: Final = "TUICONF_TEST_PROCESS"
_HOME_VARIABLES: Final = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
_NOT_PASSED_ON: Final = ("TUICONF_PASSPHRASE", "CREDENTIALS_DIRECTORY", "PYTHONWARNINGS")


def home_environment(home: Path) -> dict[str, str]:
    """The environment of someone who lives in `home`, and has nothing of whoever runs the tests."""
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    home.mkdir(parents=True, exist_ok=True)
    folders = {name: str(home / name.lower()) for name in _HOME_VARIABLES}
    return environment | {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime_folder(home))} | folders


def runtime_folder(home: Path) -> Path:
    """Where whoever lives in `home` has sockets: pytest's folders have names nearly as long as a socket's may be."""
    return Path(tempfile.gettempdir()) / f"tc.{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line of one of our programs, in the interpreter that runs the tests."""
    return [sys.executable, "-W", "error::ResourceWarning", "-m", module, *arguments]


class Process:
    """A program, what it has printed so far, and its end."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        home: Path,
        stdin: int | IO[Any] | None = subprocess.PIPE,
        stdout: int | IO[Any] | None = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
        preexec: Callable[[], None] | None = None,
    ) -> None:
        self.home = home
        self.lines: list[str] = []
        self.error_lines: list[str] = []
        self._changed = threading.Condition()
        self._mark = f"{_MARK}={uuid.uuid4()}"  # inherited by whatever it starts, in whatever session
        variable, _, value = self._mark.partition("=")
        self.popen = subprocess.Popen(
            command,
            env=home_environment(home) | dict(environment or {}) | {variable: value},
            cwd=home,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=preexec,  # noqa: PLW1509 - resource limits can be set nowhere else
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.popen.stdout, self.lines), (self.popen.stderr, self.error_lines))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[bytes], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Of the program; its group has the same."""
        return self.popen.pid

    @property
    def errors(self) -> str:
        """All of standard error."""
        return "\n".join(self.error_lines)

    def type(self, line: str) -> None:
        """A line on standard input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def hang_up(self) -> None:
        """The end of standard input."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, and not to what it has started."""
        self.popen.send_signal(number)

    def kill(self) -> None:
        """As `kill -9`."""
        self.popen.kill()
        self.popen.wait(PATIENCE_S)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """The exit code, once everything that it printed was read."""
        code = self.popen.wait(patience_s)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def wait_for(self, found: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """What `found` gives once it gives something, asked whenever a line was printed."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            while not (value := found()):
                ended = self.popen.poll() is not None and not any(reader.is_alive() for reader in self._readers)
                if ended or time.monotonic() >= deadline:
                    raise AssertionError(f"no {what}\n{self.transcript()}")
                self._changed.wait(0.1)
            return value

    def transcript(self) -> str:
        """What was printed, for the message of a test that fails."""
        said = [line for line in self.lines if '"audio_stats"' not in line]
        return "\n".join([f"exit code {self.popen.poll()}, standard output:", *said, "standard error:", self.errors])

    def children(self) -> list[int]:
        """What it has started, or what that has started, and has not ended."""
        return [pid for pid in _marked(self._mark) if pid != self.pid]

    def destroy(self) -> None:
        """Kill it and all that it started, and let go of the pipes."""
        self.popen.kill()
        for pid in _marked(self._mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # a line typed to a program that is gone
                    stream.close()


def _marked(mark: str) -> Iterator[int]:
    """The processes that are alive with this in their environment."""
    wanted = mark.encode()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


class Participant(Process):
    """`tuiconf host` or `join` with --json."""

    def events(self, name: str) -> list[Event]:
        """All of one kind so far."""
        return [event for event in self.all_events() if event["event"] == name]

    def all_events(self) -> list[Event]:
        """Everything it has said."""
        return [json.loads(line) for line in list(self.lines)]

    def names(self) -> list[str]:
        """What happened, in order, without the statistics."""
        return [event["event"] for event in self.all_events() if event["event"] != "audio_stats"]

    def event(
        self, name: str, where: Where = lambda _: True, *, after: int = 0, patience_s: float = PATIENCE_S
    ) -> Event:
        """The first event of that name for which `where` holds, waited for; `after` lines are not looked at."""

        def found() -> Event | None:
            for line in self.lines[after:]:
                event: Event = json.loads(line)
                if event["event"] == name and where(event):
                    return event
            return None

        event: Event = self.wait_for(found, f"event {name}", patience_s)
        return event

    @property
    def mark(self) -> int:
        """Where we are in what it said: for `event(after=…)`."""
        return len(self.lines)

    @property
    def security_code(self) -> str:
        """The code a person would read out now."""
        codes = [event["security_code"] for event in self.all_events() if "security_code" in event]
        return str(codes[-1]) if codes else ""

    @property
    def epoch(self) -> int:
        """The epoch it is in."""
        return max((int(event["epoch"]) for event in self.all_events() if "security_code" in event), default=-1)

    def joined(self) -> Event:
        """Wait until it is in the call."""
        return self.event("joined")

    def link(self) -> str:
        """The link that a host prints."""
        return str(self.event("room_created")["link"])

    def stream(self, name: str) -> Event | None:
        """The newest statistics of what it hears of someone."""
        for event in reversed(self.events("audio_stats")):
            for stream in event["streams"]:
                if stream["name"] == name:
                    return dict(stream)
        return None

    def hears(self, name: str, *, more_than: int = 0) -> int:
        """Wait until more frames than that of someone were played; how many."""
        found = self.wait_for(
            lambda: (stream := self.stream(name)) and stream["frames_played"] > more_than and stream,
            f"sound of {name}",
        )
        return int(found["frames_played"])


class Relay(Process):
    """`relay-quic serve`."""

    def ready(self) -> Relay:
        """Wait until it listens."""
        self.wait_for(lambda: len(self.lines) >= 2, "readiness of the relay")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.lines[0].split()[1].rsplit(":", 1)
        return host, int(port)

    @property
    def pin(self) -> str:
        """The pin of its certificate, as in links."""
        return self.lines[0].split("pin=")[1]

    @property
    def to_type(self) -> str:
        """What its operator is told to give to `tuiconf host`."""
        return self.lines[1].split("'")[1]


class World:
    """Everything that runs in one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[Process] = []

    def relay(self, *options: str, state: str = "relay", listen: str = "127.0.0.1:0") -> Relay:
        """A relay that listens. Another with the same `state` is the same relay, with the same certificate."""
        relay = Relay(
            python_module("relay_quic", "serve", "--listen", listen, *options),
            home=self.folder / state,
            stdin=subprocess.DEVNULL,
        )
        self._processes.append(relay)
        return relay.ready()

    def restarted(self, relay: Relay) -> Relay:
        """The same relay again, on the same port."""
        host, port = relay.address
        return self.relay(state=relay.home.name, listen=f"{host}:{port}")

    def host(self, name: str, relay: str, *options: str, **keywords: Any) -> Participant:
        """A participant who makes a room. Without `headless=False` nobody is at the keyboard."""
        return self.participant(name, "host", relay, *options, **keywords)

    def join(self, name: str, link: str, *options: str, **keywords: Any) -> Participant:
        """A participant who joins."""
        return self.participant(name, "join", link, *options, **keywords)

    def participant(
        self,
        name: str,
        command: str,
        where: str,
        *options: str,
        headless: bool = True,
        home: str | None = None,
        **keywords: Any,
    ) -> Participant:
        """`tuiconf COMMAND WHERE --json --name NAME …`, at home in a folder of that name."""
        keyboard = ("--headless",) if headless else ("--audio-in", "null", "--audio-out", "null")
        participant = Participant(
            python_module("tuiconf", command, where, "--json", "--name", name, *keyboard, *options),
            home=self.folder / (home or name),
            **keywords,
        )
        self._processes.append(participant)
        return participant

    def command(self, module: str, *arguments: str, home: str = "somebody", **keywords: Any) -> Process:
        """Any of our commands."""
        return self.command_line(*python_module(module, *arguments), home=home, **keywords)

    def command_line(self, *command: str, home: str = "somebody", **keywords: Any) -> Process:
        """Any command at all."""
        process = Process(command, home=self.folder / home, **keywords)
        self._processes.append(process)
        return process

    def add(self, process: Process) -> None:
        """It ends with the test, too."""
        self._processes.append(process)

    def close(self) -> None:
        """Kill everything, and take away what is not in `folder`: the sockets of those who lived there."""
        for process in self._processes:
            process.destroy()
        for home in {process.home for process in self._processes} | set(self.folder.iterdir()):
            shutil.rmtree(runtime_folder(home), ignore_errors=True)


def at_port(link: str, port: int) -> str:
    """The same link with the relay at another port: through a proxy, say."""
    address = parse_link(link).relay
    return link.replace(f":{address.port}", f":{port}", 1)


def of(name: str) -> Where:
    """Whether an event is about that participant."""
    return lambda event: bool(event["participant"]["name"] == name)


def agree(*participants: Participant, epoch: int | None = None) -> str:
    """Wait until all have the same security code in the same epoch; the code."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        states = {(participant.epoch, participant.security_code) for participant in participants}
        if len(states) == 1 and (epoch is None or epoch in {state[0] for state in states}):
            return states.pop()[1]
        time.sleep(0.02)
    raise AssertionError("\n\n".join(participant.transcript() for participant in participants))
