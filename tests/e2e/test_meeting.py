"""Scripted meetings with real participants, a real relay, and a receiver of webhooks that fails at first."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.processes import Process, Relay, World
from tests.e2e.sound import intelligibility, write_wav
from tests.intelligibility import read
from tests.speech import speech_pcm
from tuiconf.media.opus import SAMPLE_RATE, Pcm

# What the issue asks of the attendance log.
RIGHT_TO_S: Final = 0.1

STOI: Final = 0.85


class Receiver:
    """An HTTP server on this machine that fails twice, and then takes what is signed as it should be."""

    def __init__(self) -> None:
        self.key = secrets.token_bytes(32)
        self.tries: list[str] = []  # ids of deliveries, of those that failed as well
        self.received: list[dict[str, Any]] = []
        self.forged = 0
        self._answers = [(500, {}), (503, {"Retry-After": "1"})]
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, headers = receiver.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/meetings?token=abc"

    @property
    def secret(self) -> str:
        return f"whsec_{base64.b64encode(self.key).decode()}"

    def take(self, headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        """One request; how it is answered."""
        delivery, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        digest = hmac.digest(self.key, f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256)
        with self._changed:
            self.tries.append(delivery)
            if headers["webhook-signature"] != f"v1,{base64.b64encode(digest).decode()}":
                self.forged += 1
            if self._answers:
                return self._answers.pop(0)
            self.received.append(json.loads(body))
            self._changed.notify_all()
            return 204, {}

    def events(self) -> list[str]:
        return [event["event"] for event in self.received]

    def wait_for(self, found: Callable[[], bool], what: str, patience_s: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(found, patience_s), f"no {what}: {self.events()}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


class Guest:
    """A participant over --stdio: its events say when they happened, by its own engine."""

    def __init__(self, world: World, name: str, link_file: Path, *options: str) -> None:
        arguments = ("join", "--link-file", str(link_file), "--stdio", "--name", name, *options)
        self.process = world.command("tuiconf", *arguments, home=name)
        self._call("subscribe", since=0)

    def _call(self, method: str, **params: object) -> None:
        self.process.type(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))

    def _event(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            for line in list(self.process.lines):
                message = json.loads(line)
                if message.get("method") == "event" and wanted(message["params"]["data"]):
                    return dict(message["params"])
            return None

        return dict(self.process.wait_for(found, what))

    def joined(self) -> dict[str, Any]:
        """Wait for it; the envelope."""
        return self._event(lambda data: data["event"] == "joined", "joined")

    def source_ended(self) -> None:
        """Wait until all of its file is sent."""
        self._event(lambda data: data["event"] == "source_ended", "end of the file")

    def hears(self, name: str, frames: int) -> None:
        """Wait until so many frames of somebody were played."""
        self._event(
            lambda data: any(
                stream["name"] == name and stream["frames_played"] >= frames for stream in data.get("streams", ())
            ),
            f"sound of {name}",
        )

    def leave(self) -> dict[str, Any]:
        """Leave, and wait for the end; the envelope of its last event."""
        self._call("leave")
        left = self._event(lambda data: data["event"] == "left", "left")
        self.process.hang_up()
        assert self.process.wait() == 0, self.process.transcript()
        return left


def part(begin_s: float, end_s: float) -> Pcm:
    """Some of the speech: each participant says something else."""
    return speech_pcm(end_s)[int(begin_s * SAMPLE_RATE) :]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def attendance(path: Path) -> list[dict[str, Any]]:
    """What is known in the end of each interval."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return list({(line["fingerprint"], line["joined"]): line for line in lines}.values())


def recorded(folder: Path, fingerprint: str) -> Path:
    """The first track of someone."""
    return sorted(folder.glob(f"*/??-{fingerprint.replace('-', '')[:8]}*.opus"))[0]


def wait_until(process: Process, found: Callable[[], object], what: str) -> None:
    process.wait_for(found, what)


SCRIPT: Final = """
title = "Three parties"
attendance = "log/attendance.jsonl"

[room]
host = "{relay}"
write_link = "room.link"
name = "Minutes"

[wait]
participants = 2
minutes = 2

[[announce]]
when = "present"
participants = 1
play = "announcement.wav"

[record]
begin = "joined"
folder = "recordings"
mix = true

[end]
everyone_left_minutes = 0.02
maximum_minutes = 3

[[hook]]
url = "{url}"
secret_file = "webhook.secret"
timeout_s = 5

[[hook]]
on = ["participant_joined", "ended"]
command = ["sh", "-c", "cat >> told.jsonl; echo >> told.jsonl; echo $TUICONF_EVENT >> events.txt"]
"""


def test_three_parties_meet_as_scripted_and_everything_is_on_record(
    world: World, relay: Relay, receiver: Receiver, tmp_path: Path
) -> None:
    announcement, of_anna, of_ben = part(0, 3), part(3, 9), part(7, 13)  # what is announced, nobody says
    (tmp_path / "webhook.secret").write_text(receiver.secret)
    (tmp_path / "webhook.secret").chmod(0o600)
    write_wav(tmp_path / "announcement.wav", announcement)
    script = tmp_path / "meeting.toml"
    script.write_text(SCRIPT.format(relay=relay.to_type, url=receiver.url))
    link, log, folder = tmp_path / "room.link", tmp_path / "log" / "attendance.jsonl", tmp_path / "recordings"

    meeting = world.command("tuiconf", "run", str(script), home="minutes")
    wait_until(meeting, lambda: list(folder.glob("*/recording.json")), "recording")
    assert link.stat().st_mode & 0o777 == 0o600

    spoken = [f"--audio-in={write_wav(tmp_path / f'{name}.wav', pcm)}" for name, pcm in (("a", of_anna), ("b", of_ben))]
    heard = tmp_path / "heard.wav"
    anna = Guest(world, "Anna", link, spoken[0], f"--audio-out={heard}")
    anna_joined = anna.joined()
    anna.hears("Minutes", len(announcement) // 960 - 20)  # a machine under load loses some; the rest comes meanwhile
    ben = Guest(world, "Ben", link, spoken[1])
    ben_joined = ben.joined()
    anna.source_ended()
    ben.source_ended()
    ben_left = ben.leave()
    again = Guest(world, "Ben", link)
    again_joined, again_left = again.joined(), again.leave()
    anna_left = anna.leave()

    assert meeting.wait() == 0, meeting.transcript()
    assert "everyone left" in meeting.lines[-1]
    assert not meeting.errors

    # Who was there, to 100 ms.
    assert log.stat().st_mode & 0o777 == 0o600
    lines = attendance(log)
    assert [(line["name"], line["reason"]) for line in lines] == [("Anna", "left"), ("Ben", "left"), ("Ben", "left")]
    truth = [(anna_joined, anna_left), (ben_joined, ben_left), (again_joined, again_left)]
    for line, (joined, left) in zip(lines, truth, strict=True):
        assert line["fingerprint"] == joined["data"]["me"]["fingerprint"]
        assert line["verified"] is False
        assert seconds(line["joined"]) == pytest.approx(joined["ts"], abs=RIGHT_TO_S)
        assert seconds(line["left"]) == pytest.approx(left["ts"], abs=RIGHT_TO_S)
    assert lines[0]["spoke_s"] == pytest.approx(6, abs=0.5)
    assert lines[1]["spoke_s"] == pytest.approx(6, abs=0.5)
    assert lines[2]["spoke_s"] == 0

    # What they said, and what was announced.
    for line, said in ((lines[0], of_anna), (lines[1], of_ben)):
        assert intelligibility(said, read(recorded(folder, line["fingerprint"]))) >= STOI
    assert intelligibility(announcement, read(heard)) >= STOI
    assert list(folder.glob("*/mix.opus"))

    # What the receiver was told: in order, once each, the first of them at the third try.
    assert receiver.events() == [
        *("joined", "recording_started", "participant_joined", "participant_joined", "started"),
        *("participant_left", "participant_joined", "participant_left", "participant_left"),
        *("recording_stopped", "ended"),
    ]
    assert len(set(receiver.tries[:3])) == 1
    assert len(receiver.tries) == len(set(receiver.tries)) + 2
    assert receiver.forged == 0
    assert receiver.received[-1]["reason"] == "everyone_left"
    assert receiver.received[2]["name"] == "Anna"
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [event["event"] for event in told] == ["participant_joined"] * 3 + ["ended"]
    assert (tmp_path / "events.txt").read_text().split() == [event["event"] for event in told]


class Manager:
    """What systemd is to a service: a socket that it tells how it is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(0.1)

    def told(self) -> list[str]:
        """What it was told since the last time."""
        words = []
        with contextlib.suppress(TimeoutError):
            while True:
                words.append(self._socket.recv(4096).decode())
        return words

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    manager = Manager(tmp_path_factory.mktemp("n"))
    yield manager
    manager.close()


def write_script(folder: Path, relay: Relay, text: str) -> Path:
    """A script that makes a room on that relay; its link goes to room.link."""
    script = folder / "meeting.toml"
    script.write_text(f'[room]\nhost = "{relay.to_type}"\nwrite_link = "room.link"\nname = "Minutes"\n{text}')
    return script


HOOKED: Final = """
[when]
at = {at}
[record]
folder = "recordings"
[[hook]]
command = ["sh", "-c", "cat >> told.jsonl; echo >> told.jsonl"]
"""


def hooked(folder: Path) -> list[dict[str, Any]]:
    """What the hook of a script was told."""
    path = folder / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_service_that_is_stopped_in_a_meeting_leaves_nothing_undone(
    world: World, relay: Relay, manager: Manager, tmp_path: Path
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    script = write_script(tmp_path, relay, HOOKED.format(at=at.isoformat()))
    meeting = world.command("tuiconf", "run", str(script), home="m", environment={"NOTIFY_SOCKET": str(manager.path)})
    meeting.wait_for((tmp_path / "room.link").exists, "link")
    assert datetime.now(UTC) >= at
    ann = Guest(world, "Ann", tmp_path / "room.link")
    ann.joined()
    meeting.wait_for(lambda: "recording_started" in [event["event"] for event in hooked(tmp_path)], "recording")

    began = time.monotonic()
    for pid in (meeting.pid, *meeting.children()):  # as systemd does: everything in the group at once
        os.kill(pid, signal.SIGTERM)
    assert meeting.wait() == 0, meeting.transcript()
    assert time.monotonic() - began < 15  # the unit's TimeoutStopSec is 20
    (line,) = attendance(tmp_path / "attendance.jsonl")
    assert (line["name"], line["reason"]) == ("Ann", "meeting_over")
    assert hooked(tmp_path)[-2]["event"] == "recording_stopped"
    assert hooked(tmp_path)[-1] == hooked(tmp_path)[-1] | {"event": "ended", "reason": "stopped"}
    assert datetime.fromisoformat(hooked(tmp_path)[0]["start"]) == at
    (sidecar,) = (tmp_path / "recordings").glob("*/recording.json")
    assert json.loads(sidecar.read_text())["ended"]
    told = manager.told()
    assert told[0] == "READY=1"
    assert told[1].startswith("STATUS=the next meeting is at ")
    assert told[2:] == ["STATUS=in a meeting", "STOPPING=1"]
    ann.leave()


def test_killed_at_any_moment_it_has_written_who_was_there(world: World, relay: Relay, tmp_path: Path) -> None:
    meeting = world.command("tuiconf", "run", str(write_script(tmp_path, relay, "")), home="m")
    meeting.wait_for((tmp_path / "room.link").exists, "link")
    ann, ben = (Guest(world, name, tmp_path / "room.link") for name in ("Ann", "Ben"))
    ann.joined()
    ben.joined()
    ben_left = ben.leave()
    log = tmp_path / "attendance.jsonl"
    meeting.wait_for(lambda: log.read_text().count("\n") == 3, "three lines")
    meeting.kill()
    known = {line["name"]: line for line in attendance(log)}
    assert known["Ann"]["left"] is None
    assert seconds(known["Ben"]["left"]) == pytest.approx(ben_left["ts"], abs=RIGHT_TO_S)


def test_a_meeting_nobody_comes_to_ends_by_itself(world: World, relay: Relay, tmp_path: Path) -> None:
    script = write_script(tmp_path, relay, "[wait]\nminutes = 0.01\n")
    meeting = world.command("tuiconf", "run", str(script), home="m")
    assert meeting.wait() == 0, meeting.transcript()
    assert meeting.lines == ["the meeting is over: nobody came"]
    assert (tmp_path / "attendance.jsonl").read_text() == ""


def test_a_call_that_cannot_begin_is_a_failure_that_hooks_are_told_of(world: World, tmp_path: Path) -> None:
    script = tmp_path / "meeting.toml"
    script.write_text('[room]\nlink = "tuiconf://SECRET"\n' + HOOKED.format(at="2000-01-01T10:00+01:00"))
    meeting = world.command("tuiconf", "run", "--now", str(script), home="m")
    assert meeting.wait() == 1, meeting.transcript()
    assert meeting.errors.startswith("tuiconf: ")
    assert "Traceback" not in meeting.errors
    assert [event["event"] for event in hooked(tmp_path)] == ["failed"]
    late = world.command("tuiconf", "run", str(script), home="m")
    assert late.wait() == 2
    assert late.errors == "tuiconf: the time of this meeting is past"


def test_a_dry_run_explains_and_touches_nothing(world: World, tmp_path: Path) -> None:
    script = tmp_path / "meeting.toml"
    script.write_text(
        '[room]\nlink = "tuiconf://relay.example.org/r#SECRET"\n[when]\nat = 2036-12-01T10:00+01:00\n[record]\n'
    )
    dry = world.command("tuiconf", "run", "--dry-run", str(script))
    assert dry.wait() == 0
    assert dry.lines[0].startswith("when         Mon 2036-12-01 10:00:00 UTC+01:00, in ")
    assert "SECRET" not in dry.transcript()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meeting.toml", "somebody"]


def test_a_script_that_is_wrong_is_refused_with_its_place(world: World, tmp_path: Path) -> None:
    script = tmp_path / "meeting.toml"
    script.write_text('[room]\nlink = "x"\n\n[[hook]]\nurl = "http://example.org"\nsecret_file = "s"\n')
    wrong = world.command("tuiconf", "run", str(script))
    assert wrong.wait() == 2
    assert wrong.errors == (
        f"tuiconf: {script}, line 5: hook[0].url: names of people go over https://, unless it is to this machine"
    )


def test_a_meeting_goes_on_when_its_engine_is_killed(world: World, relay: Relay, tmp_path: Path) -> None:
    meeting = world.command("tuiconf", "run", str(write_script(tmp_path, relay, "")), home="m")
    meeting.wait_for((tmp_path / "room.link").exists, "link")
    ann = Guest(world, "Ann", tmp_path / "room.link")
    ann.joined()
    log = tmp_path / "attendance.jsonl"
    meeting.wait_for(lambda: log.exists() and attendance(log), "Ann in the log")
    (engine,) = meeting.children()
    os.kill(engine, signal.SIGKILL)
    meeting.wait_for(lambda: [line["was_here"] for line in attendance(log)] == [False, True], "Ann, found there")
    assert attendance(log)[0]["reason"] == "meeting_over"
    ann.process.hang_up()
    meeting.signal(signal.SIGTERM)
    assert meeting.wait() == 0, meeting.transcript()
    assert meeting.errors == "tuiconf: the engine is gone: joining again"


def test_a_service_holds_one_meeting_of_a_calendar_after_the_other(world: World, relay: Relay, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    events = "".join(
        f"BEGIN:VEVENT\nUID:{after}\nDTSTART:{now + timedelta(seconds=after):%Y%m%dT%H%M%SZ}\nEND:VEVENT\n"
        for after in (-120, 1, 2)
    )
    (tmp_path / "c.ics").write_text(f"BEGIN:VCALENDAR\n{events}END:VCALENDAR\n")
    text = '[wait]\nminutes = 0.01\n[when]\ncalendar = "c.ics"\nlate_minutes = 1\n'
    meeting = world.command("tuiconf", "run", str(write_script(tmp_path, relay, text)), home="m")
    meeting.wait_for(lambda: "no meeting is planned" in meeting.lines, "end of the calendar")
    assert meeting.lines.count("the meeting is over: nobody came") == 2
    meeting.signal(signal.SIGTERM)
    assert meeting.wait() == 0, meeting.transcript()
    assert not meeting.errors
