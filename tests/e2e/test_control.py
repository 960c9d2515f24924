"""Engines that outlive their terminals, and all that drives them: attach, ctl, sockets, standard input, signals."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.driving import SILENT, Machine, Terminal, Wire, bash, until
from tests.e2e.processes import PATIENCE_S, Participant, Relay, World, of, python_module
from tuiconf.control.json_schema import json_schema
from tuiconf.control.rpc import MAX_LINE_BYTES
from tuiconf.control.schema import METHODS

# Long enough for a machine under load to look, short enough for a test to wait.
SHORT_STAY = "[call]\nstay_without_terminal_s = 3\n"


@pytest.fixture
def host(world: World, relay: Relay) -> Machine:
    """A machine whose call was begun with --detach."""
    machine = Machine(world, "ann")
    machine.detached("host", relay.to_type)
    return machine


@pytest.fixture
def link(host: Machine) -> str:
    """Of that call."""
    return str(host.ctl("link.get")["link"])


@pytest.fixture
def terminals(world: World) -> Iterator[list[Terminal]]:
    """Those to be closed in the end."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def _muted(name: str, muted: bool = True) -> dict[str, object]:
    return {"name": name, "muted": muted}


def _shows_muted(participant: Participant, name: str, muted: bool = True) -> None:
    """Wait until somebody's roster says so."""
    participant.event(
        "status_changed", lambda event: _muted(name, muted).items() <= event["participant"].items(), after=0
    )


# --- detached


def test_a_detached_call_goes_on_is_listed_and_leaves_when_told(world: World, relay: Relay) -> None:
    ann = Machine(world, "ann")
    begun = ann.detached("host", relay.to_type)
    assert begun.lines[0].startswith("tuiconf://")
    call = ann.sockets[0].stem
    assert f"tuiconf attach {call}" in begun.errors
    bo = world.join("Bo", begun.lines[0])
    bo.joined()
    assert until(lambda: "Bo" in ann.run("calls").lines[0], "Bo in the list")
    listed = json.loads(ann.run("calls", "--json").lines[0])
    assert (listed["call"], listed["phase"]) == (call, "joined")
    assert ann.run("calls").lines == [f"{call}  {listed['room']}  joined  Bo"]
    assert ann.ctl("leave") == {}
    assert bo.event("participant_left", of("ann"))["reason"] == "left"
    until(lambda: not ann.engines() and not ann.sockets, "end of the engine")
    assert ann.run("calls").lines == ["no call is running"]
    assert ann.run("ctl", "mute").popen.returncode == 2


def test_why_a_detached_call_cannot_begin_is_told(world: World, relay: Relay, link: str) -> None:
    bo = Machine(world, "bo")
    nobody = bo.run("join", link.replace(f":{relay.address[1]}", ":9"), "--detach", *SILENT)
    assert nobody.popen.returncode == 1
    assert len([line for line in nobody.error_lines if line.startswith(("error: ", "tuiconf: "))]) == 1
    wrong = bo.run("join", link.replace(relay.pin, "A" * 43), "--detach", *SILENT)
    assert wrong.popen.returncode == 1
    assert "pin" in wrong.errors
    no_sink = bo.run("join", link, "--detach", "--audio-in", "null", "--audio-out", "/nowhere/heard.wav")
    assert no_sink.popen.returncode == 1
    assert "/nowhere/heard.wav" in no_sink.errors
    assert "Traceback" not in nobody.errors + wrong.errors + no_sink.errors
    until(lambda: not bo.engines() and not bo.sockets, "end of the engines")


def test_without_a_socket_nothing_is_detached(world: World, relay: Relay) -> None:
    ann = Machine(world, "ann")
    long = world.folder / ("x" * 100)
    refused = ann.run("host", relay.to_type, "--detach", *SILENT, environment={"XDG_RUNTIME_DIR": str(long)})
    assert refused.popen.returncode == 1
    assert refused.error_lines[-1].endswith("set XDG_RUNTIME_DIR to a shorter one")
    until(lambda: not ann.engines(), "end of the engine")


def test_who_waits_in_the_lobby_detaches_when_let_in_and_is_told_when_not(world: World, relay: Relay) -> None:
    ann = Machine(world, "ann")
    link = ann.detached("host", relay.to_type, "--lobby", "everyone").lines[0]
    wire = ann.wire()
    wire.do("subscribe", since=0)
    arguments = ("join", link, "--detach", *SILENT)
    bo = world.command("tuiconf", *arguments, "--name", "Bo", home="bo")
    wire.event("knocked")
    assert bo.popen.poll() is None
    bo.wait_for(lambda: any("waiting" in line for line in bo.lines), "word that one waits")
    wire.do("admit", caller="Bo")
    assert bo.wait() == 0, bo.transcript()
    cy = world.command("tuiconf", *arguments, "--name", "Cy", home="cy")
    caller = wire.event("knocked", lambda event: event["caller"]["name"] == "Cy")["caller"]
    ann.ctl("deny", f"caller={caller['ref']}")
    cy.wait_for(lambda: "still waiting" in cy.errors, "word that one is not wanted")  # anybody could have written it
    cy.signal(signal.SIGINT)
    assert cy.wait() == 130, cy.transcript()
    until(lambda: not Machine(world, "cy").engines(), "end of what was interrupted")
    assert wire.ask("admit", caller="Cy")["error"]["data"]["code"] == "no_such_participant"
    wire.close()


def test_a_call_is_detached_from_where_there_is_no_terminal_and_no_standard_input(world: World, relay: Relay) -> None:
    ann = Machine(world, "ann")
    begun = ann.run("host", relay.to_type, "--detach", *SILENT, stdin=None, preexec=lambda: os.close(0))
    assert begun.popen.returncode == 0, begun.transcript()
    assert ann.ctl("state.get")["phase"] == "joined"


def test_what_others_can_read_of_an_engine_holds_no_secret(world: World, relay: Relay, link: str) -> None:
    bo = Machine(world, "bo")
    begun = bo.run("join", link, "--detach", *SILENT, environment={"TUICONF_PASSPHRASE": "correct horse"})
    assert begun.popen.returncode == 0, begun.transcript()
    (engine,) = bo.engines()
    secret = link.split("#")[1].encode()
    for name in ("cmdline", "environ"):
        seen = Path(f"/proc/{engine}/{name}").read_bytes()
        assert secret not in seen
        assert b"correct horse" not in seen
    assert not [path for path in bo.sockets[0].parent.iterdir() if path != bo.sockets[0]]


def test_much_that_was_typed_and_names_that_are_no_text_reach_the_engine(
    world: World, link: str, host: Machine
) -> None:
    wire = host.wire()
    wire.do("subscribe")
    said = [f"{number} {'ü' * 3000}" for number in range(20)]
    bo = Machine(world, "bo")
    options = [option for text in said for option in ("--say", text)]
    name = os.fsdecode(b"caf\xe9.wav")
    heard = ("--audio-in", "tone", "--audio-out", name, "--name", "Bo")
    begun = bo.run("join", link, "--detach", *heard, *options)
    assert begun.popen.returncode == 0, begun.transcript()
    for text in said:
        assert wire.event("chat_received")["text"] == text
    assert bo.ctl("audio.set", "gain_db=-3")["output"] == "caf?.wav"
    assert (world.folder / "bo" / name).exists()
    wire.close()


# --- ctl


def test_everything_that_can_be_asked_can_be_asked_from_a_shell(world: World, host: Machine, link: str) -> None:
    bo = world.join("Bo", link, "--audio-in", "tone")
    bo.joined()
    assert set(host.ctl("hello")["methods"]) == set(METHODS)
    assert [who["name"] for who in host.ctl("roster.get")["participants"]] == ["ann", "Bo"]
    assert (
        host.ctl("audio.set", "participant=Bo", "volume_db=-6", "muted=true", "input=tone:500")["input"] == "tone:500"
    )
    assert host.ctl("state.get")["volumes"] == [{"leaf": 1, "volume_db": -6.0, "muted": True}]
    for method in ("mute", "unmute", "deafen", "undeafen", "hand.raise", "hand.lower", "play.stop", "ptt.up"):
        host.ctl(method)
    host.ctl("chat.send", "text=from a shell")
    assert bo.event("chat_received")["text"] == "from a shell"
    for method in ("lock", "unlock"):
        host.ctl(method)
        bo.event("policy_changed", lambda event, locked=method == "lock": event["locked"] is locked)  # type: ignore[misc]
    host.ctl("lobby.set", "lobby=everyone")
    bo.event("policy_changed", lambda event: event["lobby"] == "everyone")
    host.ctl("mute_request", "participant=Bo")
    bo.event("mute_requested")
    recorded = host.ctl("record.start", "folder=recordings")
    assert recorded["active"]
    assert host.ctl("record.stop")["folder"] == recorded["folder"]
    assert host.ctl("stats.get")["rss_bytes"] > 1_000_000
    host.ctl("allow.set", "fingerprints=")
    host.ctl("hand_over", "participant=1")
    bo.event("policy_changed", lambda event: [who["name"] for who in event["hosts"]] == ["Bo"])
    assert host.ctl("remove", "participant=Bo", code=1)["error"]["code"] == "not_allowed"
    host.ctl("leave", "now=true")


def test_what_cannot_be_done_from_a_shell_has_a_code_and_an_exit_code(host: Machine) -> None:
    for arguments, code, name in (
        (("remove", "participant=nobody"), 1, "no_such_participant"),
        (("admit", "caller=nobody"), 1, "no_such_participant"),
        (("play", "path=nothing.wav"), 1, "audio"),
        (("play", "path=-"), 1, "audio_spec"),
        (("record.stop",), 1, "not_recording"),
        (("audio.set", "volume_db=3"), 1, "audio_spec"),
        (("subscribe", "events=nonsense"), 2, "invalid_params"),
        (("play", os.fsdecode(b"path=caf\xe9.wav")), 2, "invalid_params"),
    ):
        assert host.ctl(*arguments, code=code)["error"]["code"] == name
    wrong: tuple[tuple[str, ...], ...] = (
        ("nonsense",),
        ("chat.send",),
        ("chat.send", "text"),
        ("chat.send", "text=a", "text=b"),
        ("chat.send", "words=a"),
        ("audio.set", "gain_db=loud"),
        ("remove", "participant=" + "9" * 5000),
        ("attach",),
        ("audio.in",),
        ("mute", "--call", "zzzz"),
        (),
    )
    for typed in wrong:
        refused = host.run("ctl", *typed)
        assert refused.popen.returncode == 2, refused.transcript()
        assert refused.lines == []
        assert len(refused.error_lines) == 1, refused.transcript()
    schema = host.run("ctl", "--schema")
    assert json.loads("\n".join(schema.lines)) == json_schema()


def test_where_several_calls_run_one_has_to_be_named(relay: Relay, host: Machine) -> None:
    host.detached("host", relay.to_type)
    refused = host.run("ctl", "mute")
    assert refused.popen.returncode == 2
    for call in [path.stem for path in host.sockets]:
        assert call in refused.errors
        assert host.ctl("hello", "--call", call)["call"] == call


def test_events_go_on_in_a_shell_until_the_call_is_over(world: World, host: Machine) -> None:
    watching = world.command("tuiconf", "ctl", "subscribe", "events=chat_sent,left", home="ann")
    watching.wait_for(lambda: watching.lines, "answer")
    host.ctl("chat.send", "text=hello")
    watching.wait_for(lambda: len(watching.lines) == 2, "event")
    host.ctl("leave")
    assert watching.wait() == 0
    assert [json.loads(line)["data"]["event"] for line in watching.lines[1:]] == ["chat_sent", "left"]


def test_the_key_of_a_switch_is_down_as_long_as_its_process_runs(world: World, host: Machine) -> None:
    host.ctl("mute")
    for let_go in ("signal", "kill", "end of input", "ptt.up"):
        key = world.command("tuiconf", "ctl", "ptt.down", home="ann")
        until(lambda: host.ctl("state.get")["audio"]["live"], "key down")
        match let_go:
            case "signal":
                key.signal(signal.SIGTERM)
            case "kill":
                key.kill()
            case "end of input":
                key.hang_up()
            case _:
                host.ctl("ptt.up")
        until(lambda: not host.ctl("state.get")["audio"]["live"], f"key up by {let_go}")
        assert key.wait() == (-signal.SIGKILL if let_go == "kill" else 0), key.transcript()
    by_service = world.command("tuiconf", "ctl", "ptt.down", home="ann", stdin=subprocess.DEVNULL)
    until(lambda: host.ctl("state.get")["audio"]["live"], "key down without anybody at standard input")
    by_service.signal(signal.SIGINT)
    assert by_service.wait() == 0


def test_a_key_is_up_when_its_client_dies(host: Machine) -> None:
    watcher, talker = host.wire(), host.wire()
    watcher.do("mute")
    watcher.do("subscribe", events=["audio_changed"])
    talker.do("ptt.down")
    assert watcher.event("audio_changed")["live"]
    talker.close()
    assert not watcher.event("audio_changed")["live"]
    watcher.close()


# --- at a terminal


def test_a_person_attaches_sees_what_was_said_and_detaches_and_comes_back(
    world: World, host: Machine, link: str, terminals: list[Terminal]
) -> None:
    bo = world.join("Bo", link, "--say", "before you came")
    bo.joined()
    until(lambda: "before you came" in json.dumps(host.ctl("state.get")), "chat")
    host.ctl("mute")
    for _ in range(2):
        terminal = Terminal(world, "attach", home="ann")
        terminals.append(terminal)
        terminal.shows("Bo: before you came")
        terminal.shows("here: Bo")
        terminal.warns("you are muted")
        terminal.type("/detach\n")
        assert terminal.process.wait() == 0, terminal.text
        assert "the call goes on, and you are muted" in terminal.process.errors
    assert host.ctl("state.get")["phase"] == "joined"
    last = Terminal(world, "attach", home="ann")
    terminals.append(last)
    last.shows("here: Bo")
    last.type("good bye\n\x04")
    assert bo.event("chat_received")["text"] == "good bye"
    assert last.process.wait() == 0, last.text
    assert bo.event("participant_left")["reason"] == "left"
    until(lambda: not host.engines(), "end of the engine")


def test_a_lost_terminal_is_muted_at_once_shown_to_the_others_and_left_after_a_while(
    world: World, relay: Relay, terminals: list[Terminal]
) -> None:
    ann = world.host("Ann", relay.to_type)
    settings = world.folder / "short.toml"
    settings.write_text(SHORT_STAY)
    options = ("--audio-in", "tone", "--audio-out", "null", "--name", "Bo", "--config", str(settings))
    terminal = Terminal(world, "join", ann.link(), *options, home="bo")
    terminals.append(terminal)
    ann.hears("Bo", more_than=10)
    closed = time.monotonic()
    terminal.close()
    _shows_muted(ann, "Bo")
    state = Machine(world, "bo").ctl("state.get")
    assert (state["audio"]["live"], state["attached"]) == (False, 0)
    assert ann.event("participant_left")["reason"] == "left"
    assert time.monotonic() - closed > 2.5
    until(lambda: not Machine(world, "bo").engines(), "end of the engine")


def test_whoever_attaches_in_time_keeps_a_call_whose_terminal_was_lost(
    world: World, relay: Relay, terminals: list[Terminal]
) -> None:
    """A terminal that was closed, and one whose program was killed."""
    settings = world.folder / "short.toml"
    settings.write_text(SHORT_STAY.replace("3", "6"))
    homes, first = ("ann", "bo"), []
    for home in homes:
        first.append(Terminal(world, "host", relay.to_type, *SILENT, "--config", str(settings), home=home))
    terminals += first
    for terminal in first:
        terminal.shows("joined as")
    wires = [Machine(world, home).wire() for home in homes]
    for wire in wires:
        wire.do("subscribe")
    first[0].close()
    first[1].process.kill()
    again = [Terminal(world, "attach", home=home) for home in homes]
    terminals += again
    for wire, terminal in zip(wires, again, strict=True):
        assert wire.event("audio_changed")["muted"]
        terminal.warns("you are muted")
    time.sleep(7)
    for wire, terminal in zip(wires, again, strict=True):
        assert wire.do("state.get")["audio"]["muted"]
        terminal.type("/unmute\n")
        assert not wire.event("audio_changed")["muted"]
        wire.close()


def test_two_people_at_one_call_and_a_script_see_each_other(
    world: World, host: Machine, link: str, terminals: list[Terminal]
) -> None:
    bo = world.join("Bo", link)
    bo.joined()
    first, second = Terminal(world, "attach", home="ann"), Terminal(world, "attach", home="ann")
    terminals += [first, second]
    for terminal in (first, second):
        terminal.shows("here: Bo")
    first.type("said at the first\n")
    second.shows("you: said at the first")
    host.ctl("chat.send", "text=said by a script")
    first.shows("you: said by a script")
    second.shows("you: said by a script")
    assert "you: said at the first" not in first.text  # whoever typed it saw it
    first.close()  # one person is still there
    until(lambda: host.ctl("state.get")["attached"] == 1, "end of the first")
    assert not host.ctl("state.get")["audio"]["muted"]
    second.type("/leave\n")
    assert second.process.wait() == 0
    assert bo.event("participant_left")["reason"] == "left"


def test_the_end_of_an_engine_is_told_at_its_terminal_and_its_socket_is_cleaned_up(
    world: World, host: Machine, terminals: list[Terminal]
) -> None:
    terminal = Terminal(world, "attach", home="ann")
    terminals.append(terminal)
    terminal.shows("here: nobody")
    (engine,) = host.engines()
    os.kill(engine, signal.SIGKILL)
    assert terminal.process.wait() == 1
    assert terminal.process.error_lines[-1] == "tuiconf: the engine has ended without a word: the call is over"
    assert len(host.sockets) == 1
    assert host.run("calls").lines == ["no call is running"]
    assert host.sockets == []
    assert host.run("attach").popen.returncode == 2


def test_an_engine_that_stands_still_does_not_hold_up_the_list(world: World, host: Machine) -> None:
    (engine,) = host.engines()
    os.kill(engine, signal.SIGSTOP)
    listed = host.run("calls")
    assert listed.popen.returncode == 0
    assert "does not answer" in listed.errors
    assert len(host.sockets) == 1
    os.kill(engine, signal.SIGCONT)


# --- standard input and output


def _stdio(world: World, relay: Relay, *options: str, **keywords: object) -> Participant:
    process = Participant(
        python_module("tuiconf", "host", relay.to_type, "--stdio", *options),
        home=world.folder / "script",
        **keywords,  # type: ignore[arg-type]
    )
    world.add(process)
    return process


def _request(process: Participant, method: str, request_id: int, **params: object) -> dict[str, object]:
    """The answer to a line on standard input."""
    process.type(json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}))

    def answer() -> dict[str, object] | None:
        lines = [json.loads(line) for line in process.lines]
        return next((line for line in lines if line.get("id") == request_id), None)

    found: dict[str, object] = process.wait_for(answer, f"answer to {method}")
    return found


def test_a_program_drives_a_call_over_standard_input_and_output(world: World, relay: Relay) -> None:
    script = _stdio(world, relay)
    assert _request(script, "hello", 1)["result"]["protocol"] == 1  # type: ignore[index]
    _request(script, "subscribe", 2, since=0)
    script.wait_for(lambda: any('"joined"' in line for line in script.lines), "joined")
    link = _request(script, "link.get", 3)["result"]["link"]  # type: ignore[index]
    bo = world.join("Bo", str(link))
    bo.joined()
    _request(script, "chat.send", 4, text="from a program")
    assert bo.event("chat_received")["text"] == "from a program"
    assert _request(script, "audio.in", 5)["error"]["data"]["code"] == "no_stream"  # type: ignore[index]
    script.type('{"jsonrpc":"2.0","id":6,"method":"hand.raise"}\n{"half a')
    script.hang_up()
    assert bo.event("participant_left")["reason"] == "left"
    assert script.wait() == 0, script.transcript()
    lines = [json.loads(line) for line in script.lines]
    assert lines[-1]["params"]["data"] == {"event": "left", "reason": "left"}
    assert any(line.get("id") == 6 and "result" in line for line in lines)
    validator = jsonschema.Draft202012Validator(json_schema())
    for line in lines:
        validator.validate(line)


def test_rubbish_on_standard_input_is_answered_line_by_line(world: World, relay: Relay) -> None:
    script = _stdio(world, relay)
    for rubbish in (
        "rubbish",
        "[]",
        "{}",
        '{"jsonrpc":"2.0","id":null,"method":"nothing"}',
        "x" * (MAX_LINE_BYTES + 1),
    ):
        script.type(rubbish)
    assert "result" in _request(script, "hello", 7)
    codes = [json.loads(line)["error"]["data"]["code"] for line in script.lines[:5]]
    assert codes == ["parse", "invalid_request", "invalid_request", "method_not_found", "invalid_request"]
    script.hang_up()
    assert script.wait() == 0


def test_a_program_that_reads_no_more_holds_up_nobody_and_one_that_is_gone_ends_the_call(
    world: World, relay: Relay
) -> None:
    reading, writing = os.pipe()
    script = _stdio(world, relay, "--audio-in", "tone", stdout=writing)
    os.close(writing)
    script.type('{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"events":["levels","audio_stats"]}}')
    other = Machine(world, "script").wire()
    me = until(lambda: other.do("state.get")["me"], "membership")["name"]
    bo = world.join("Bo", other.do("link.get")["link"])
    for number in range(1, 4):
        for _ in range(300):
            script.type('{"jsonrpc":"2.0","id":2,"method":"state.get"}')
        other.do("state.get")  # answered, whatever the script does not read
        bo.hears(me, more_than=30 * number)
    other.close()
    os.close(reading)
    assert script.wait() in (0, 1), script.transcript()
    bo.event("participant_left")


# --- the service manager, the journal, settings


def _told(manager: socket.socket, wanted: str) -> list[str]:
    """All that was said to the service manager until that, inclusive."""
    said: list[str] = []
    while not said or wanted not in said[-1]:
        said.append(manager.recv(4096).decode())
    return said


@pytest.fixture
def manager() -> Iterator[tuple[socket.socket, str]]:
    """What listens where a service tells how it is."""
    name = f"@tuiconf-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:])
        listener.settimeout(PATIENCE_S)
        yield listener, name


def test_a_service_follows_its_settings_and_tells_its_manager(
    world: World, relay: Relay, manager: tuple[socket.socket, str]
) -> None:
    listener, name = manager
    settings = world.folder / "client.toml"
    settings.write_text('[audio]\ninput = "null"\n')
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
    ann = world.host("Ann", relay.to_type, "--config", str(settings), environment=environment)
    assert "READY=1" in _told(listener, "READY=1")[-1]
    _told(listener, "WATCHDOG=1")
    bo = world.join("Bo", ann.link())
    bo.joined()

    settings.write_text('[audio]\ninput = "tone"\n[me]\nallow_recording = false\n')
    before = time.monotonic()
    ann.signal(signal.SIGHUP)
    reloading = _told(listener, "RELOADING=1")[-1]
    assert int(reloading.split("MONOTONIC_USEC=")[1]) >= before * 1e6 - 1
    _told(listener, "READY=1")
    bo.hears("Ann", more_than=20)
    bo.event("status_changed", lambda event: not event["participant"]["recordable"])

    settings.write_text("nonsense")
    ann.signal(signal.SIGHUP)
    error = ann.event("error")
    assert (error["code"], error["fatal"], "\n" in error["message"]) == ("config", False, False)
    _told(listener, "READY=1")
    bo.hears("Ann", more_than=bo.hears("Ann") + 20)

    settings.write_text('[audio]\ninput = "nothing-there.wav"\n')
    ann.signal(signal.SIGHUP)
    ann.event("error", lambda event: "nothing-there.wav" in event["message"])
    settings.write_text('[audio]\ninput = "null"\n')
    mark = ann.mark
    ann.signal(signal.SIGHUP)
    ann.event("audio_changed", lambda event: event["input"] == "null", after=mark)

    ann.signal(signal.SIGTERM)
    _told(listener, "STOPPING=1")
    assert ann.wait() == 0


def test_whom_one_knows_is_read_again(world: World, relay: Relay) -> None:
    settings = world.folder / "client.toml"
    settings.write_text("[room]\n")
    ann = world.host("Ann", relay.to_type, "--lobby", "unknown", "--config", str(settings))
    bo = world.join("Bo", ann.link())
    caller = ann.event("knocked")["caller"]
    settings.write_text(f'[room]\nallow = ["{caller["fingerprint"]}"]\n')
    mark = ann.mark
    ann.signal(signal.SIGHUP)
    ann.event("notice", lambda event: "read again" in event["message"], after=mark)
    bo.kill()
    bo = world.join("Bo", ann.link(), home="Bo")
    bo.joined()


def test_a_journal_gets_no_name_no_address_and_no_link(world: World, relay: Relay) -> None:
    ann = world.command(
        "tuiconf", "host", relay.to_type, "--headless", "--log", "json", "--name", "Annabelle", home="Annabelle"
    )
    wire = Machine(world, "Annabelle").wire()
    wire.do("subscribe", since=0)
    wire.event("joined")
    link = wire.do("link.get")["link"]
    bo = world.join("Boniface", link, "--say", "something confidential", "--audio-in", "tone")
    bo.joined()
    wire.event("chat_received")
    wire.ask("play", path="secret-file.wav")
    relay_gone = wire.do("state.get")
    fingerprints = [who["fingerprint"] for who in relay_gone["participants"]]
    wire.close()
    ann.signal(signal.SIGTERM)
    assert ann.wait() == 0
    records = [json.loads(line) for line in ann.error_lines if not line.startswith("No passphrase: ")]
    assert {"joined", "chat_received", "left"} <= {record["event"] for record in records}
    for word in ("Annabelle", "Boniface", "confidential", "127.0.0.1", "tuiconf://", link.split("#")[1], *fingerprints):
        assert word not in "\n".join(json.dumps(record) for record in records)
    assert ann.lines == []


def test_a_link_in_a_file_and_a_relay_that_comes_later(world: World) -> None:
    relay = world.relay()
    ann = world.host("Ann", relay.to_type)
    link = ann.link()
    file = world.folder / "link"
    file.write_text(f"{link}\n")
    ann.signal(signal.SIGTERM)
    assert ann.wait() == 0
    relay.kill()
    bo = world.command("tuiconf", "join", "--link-file", str(file), "--wait", "--headless", "--json", home="bo")
    bo.wait_for(lambda: any("trying again" in line for line in bo.lines), "word that it is tried again")
    assert bo.popen.poll() is None
    world.restarted(relay)
    bo.wait_for(lambda: any('"waiting"' in line or '"joined"' in line for line in bo.lines), "connection")
    secret = link.split("#")[1].encode()
    assert secret not in Path(f"/proc/{bo.pid}/cmdline").read_bytes()
    missing = world.command("tuiconf", "join", "--link-file", "missing", "--headless")
    assert missing.wait() == 2
    assert "there is no such file" in missing.errors


# --- what clients can do to an engine


def _hostile_lines(path: Path, count: int, seed: int) -> None:
    """Wrong lines from clients that read, do not read, or hang up half way."""
    rng, left = random.Random(seed), count
    while left > 0:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        reading = threading.Thread(target=_drain, args=(client,), daemon=True)
        reading.start()
        for _ in range(min(left, 500)):
            left -= 1
            match rng.randrange(6):
                case 0:
                    line = rng.randbytes(rng.randrange(1, 300)).replace(b"\n", b"")
                case 1:
                    line = b"[" * rng.randrange(1, 5000)
                case 2:
                    line = b'{"jsonrpc":"2.0","id":1,"method":"chat.send","params":{"text":7}}'
                case 3:
                    line = b"x" * (MAX_LINE_BYTES + 1) if rng.random() < 0.05 else b"{}"
                case 4:
                    line = b'{"jsonrpc":"2.0","id":"a","method":"state.get"}'
                case _:
                    line = b'{"jsonrpc":"2.0","id":2,"method":"remove","params":{"participant":"\xff"}}'
            client.sendall(line + b"\n")
        client.sendall(b'{"half a line')
        if rng.random() < 0.5:
            client.shutdown(socket.SHUT_WR)
            reading.join(PATIENCE_S)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)  # or the thread that reads would keep it open
        client.close()


def _drain(client: socket.socket) -> None:
    try:
        while client.recv(1 << 16):
            pass
    except OSError:
        pass


def test_ten_thousand_wrong_lines_neither_stop_nor_grow_an_engine(world: World, host: Machine, link: str) -> None:
    bo = world.join("Bo", link, "--audio-in", "tone")
    bo.joined()
    wire = host.wire()
    path = host.sockets[0]
    _hostile_lines(path, 1000, seed=0)
    before = wire.do("stats.get")
    _hostile_lines(path, 10_000, seed=1)
    hanging = [Wire(path) for _ in range(20)]
    for client in hanging:
        client.close()
    held = ("tasks", "file_descriptors")
    until(lambda: all(wire.do("stats.get")[what] <= before[what] for what in held), "end of all that clients made")
    after = wire.do("stats.get")
    assert after["rss_bytes"] < before["rss_bytes"] * 1.05
    assert wire.do("state.get")["phase"] == "joined"
    wire.close()


def test_everything_that_goes_over_a_real_socket_holds_to_the_schema(world: World, host: Machine, link: str) -> None:
    wire = host.wire()
    wire.do("subscribe", since=0)
    bo = world.join("Bo", link, "--audio-in", "tone", "--say", "hello")
    wire.event("participant_joined")
    wire.event("chat_received")
    wire.do("subscribe", since=0, events=["levels", "audio_stats", "participant_left", "chat_sent"])
    wire.event("levels")
    wire.event("audio_stats", lambda event: len(event["streams"]) > 0)
    for method, params in (
        ("hello", {}),
        ("state.get", {}),
        ("roster.get", {}),
        ("stats.get", {}),
        ("link.get", {}),
        ("chat.send", {"text": "x"}),
        ("audio.set", {"gain_db": -1.5}),
        ("play", {"path": "tone"}),
        ("play", {"path": "nothing.wav"}),
        ("remove", {"participant": "nobody"}),
        ("record.start", {}),
        ("record.stop", {}),
        ("lock", {}),
        ("remove", {"participant": "Bo"}),
    ):
        answer = wire.ask(method, **params)
        if "result" in answer:
            name = METHODS[method].result.__name__
            schema = {**json_schema(), "$ref": f"#/$defs/{name}"}
            del schema["anyOf"]
            jsonschema.Draft202012Validator(schema).validate(answer["result"])
    wire.event("participant_left")
    bo.wait()
    validator = jsonschema.Draft202012Validator(json_schema())
    for line in wire.lines:
        validator.validate(line)
    wire.close()


# --- completion


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("tuiconf att", "attach"),
        ("tuiconf ctl hand", "hand.raise"),
        ("tuiconf ctl audio.set gain", "gain_db="),
        ("tuiconf join --det", "--detach"),
    ],
)
def test_bash_completes(world: World, typed: str, completed: str) -> None:
    words = typed.split()
    script = f"""
        eval "$(tuiconf completion bash)"
        COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; COMP_LINE='{typed}'; COMP_POINT={len(typed)}; COMP_TYPE=9
        _python_argcomplete tuiconf
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = bash(world, "somebody", script)
    assert completed in done.stdout, done.stderr
    assert "Traceback" not in done.stderr


def test_the_scripts_for_other_shells_are_printed(world: World) -> None:
    for shell, word in (("zsh", "compdef"), ("fish", "complete")):
        process = world.command("tuiconf", "completion", shell)
        assert process.wait() == 0
        assert word in "\n".join(process.lines)
