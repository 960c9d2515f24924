"""What cannot work is told in one clear sentence and by the exit code: 2 for what was typed, 1 for what failed."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.processes import Participant, Process, Relay, World

PIN = "A" * 43


def assert_one_sentence(process: Process, code: int, *words: str, lines: int = 1) -> None:
    """It ended with that exit code, said that and nothing more, and left nothing running."""
    assert process.wait() == code, process.transcript()
    said = [line for line in process.error_lines if not line.startswith("No passphrase: ")]
    assert len(said) == lines, process.transcript()
    assert said[-1].startswith(("tuiconf: ", "error: ")), process.transcript()
    assert "Traceback" not in process.errors
    for word in words:
        assert word in said[-1], process.transcript()
    assert process.children() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("join", "https://example.org/room", "--headless"),
        ("host", f"127.0.0.1:9?pin={PIN}", "--audio-out", "heard.mp3"),
        ("host", f"127.0.0.1:9?pin={PIN}", "--headless", "--config", "missing.toml"),
    ],
)
def test_what_was_typed_wrong_is_one_sentence_and_exit_code_2(world: World, arguments: tuple[str, ...]) -> None:
    assert_one_sentence(world.command("tuiconf", *arguments), 2)  # tests/test_usage.py has all of them


def test_a_relay_with_another_pin_is_refused(world: World, relay: Relay) -> None:
    address = f"127.0.0.1:{relay.address[1]}?pin={PIN}"
    assert_one_sentence(world.command("tuiconf", "host", address, "--headless"), 1, "pin", lines=1)
    as_json = world.host("Ann", address)
    assert as_json.wait() == 1
    assert as_json.all_events() == [
        {
            "event": "error",
            "code": "relay_not_trusted",
            "message": as_json.events("error")[0]["message"],
            "fatal": True,
        },
        {"event": "left", "reason": "failed"},
    ]


def test_without_pin_and_person_a_relay_with_its_own_certificate_is_refused(world: World, relay: Relay) -> None:
    process = world.command("tuiconf", "host", f"127.0.0.1:{relay.address[1]}", "--headless")
    assert_one_sentence(process, 1, "pin", relay.pin)


def test_a_link_whose_secret_is_wrong_does_not_open_the_room(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    link = ann.link()
    wrong = link[:-1] + ("A" if link[-1] != "A" else "Q")
    bo = world.join("Bo", wrong)
    bo.event("waiting")  # at the door of another room: the relay cannot tell that there is none
    bo.signal(signal.SIGTERM)
    assert bo.wait() == 0
    assert bo.events("joined") == []
    assert ann.events("participant_joined") == []


def test_nobody_at_the_relay_s_port_is_told_at_once(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = world.command("tuiconf", "host", f"127.0.0.1:{port}?pin={PIN}", "--headless")
    assert_one_sentence(process, 1, "nothing answers")


def test_a_relay_that_never_answers_is_told_after_some_seconds(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        process = world.command("tuiconf", "host", f"127.0.0.1:{silent.getsockname()[1]}?pin={PIN}", "--headless")
        assert_one_sentence(process, 1, "does not answer")


def test_a_host_name_that_does_not_exist_is_told(world: World) -> None:
    process = world.command("tuiconf", "host", f"no-such-host.invalid?pin={PIN}", "--headless")
    assert_one_sentence(process, 1, "host name")


def _text_file(folder: Path) -> Path:
    path = folder / "letter.wav"
    path.write_text("Dear Ann,\n" * 100)
    return path


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda folder: str(folder / "missing.wav"), "missing.wav"),
        (lambda folder: str(_text_file(folder)), "letter.wav"),
        (str, ""),
        (lambda folder: "device:no such device", ""),
    ],
    ids=["missing", "not audio", "a folder", "no such device"],
)
def test_a_source_that_cannot_be_used_ends_the_call(
    world: World, relay: Relay, make: Callable[[Path], str], word: str
) -> None:
    options = ("--headless", "--audio-in", make(world.folder))
    assert_one_sentence(world.command("tuiconf", "host", relay.to_type, *options), 1, word)


@pytest.mark.parametrize("sink", ["/proc/heard.wav", "/nowhere/heard.ogg", "device:no such device"])
def test_a_sink_that_cannot_be_opened_ends_the_call_before_it_begins(world: World, relay: Relay, sink: str) -> None:
    process = world.command("tuiconf", "host", relay.to_type, "--headless", "--audio-out", sink)
    assert_one_sentence(process, 1)
    assert process.lines == []


def test_a_full_disk_at_the_sink_ends_the_call_and_the_others_are_told(world: World, relay: Relay) -> None:
    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # two seconds

    ann = world.host("Ann", relay.to_type, "--audio-in", "tone")
    arguments = ("join", ann.link(), "--headless", "--name", "Bo", "--audio-out", "heard.wav")
    bo = world.command("tuiconf", *arguments, preexec=small_disk, home="bo")
    assert_one_sentence(bo, 1, "heard.wav")
    assert ann.event("participant_left")["reason"] == "left"
    assert (bo.home / "heard.wav").stat().st_size <= 200_000


@pytest.mark.parametrize("sink", ["-", "cmd:sh -c 'exec cat > /dev/full'"])
def test_a_full_device_behind_a_pipe_ends_the_call(world: World, relay: Relay, sink: str) -> None:
    arguments = ("host", relay.to_type, "--headless", "--audio-in", "tone", "--audio-out", sink)
    with Path("/dev/full").open("wb") as full:
        process = world.command("tuiconf", *arguments, stdout=full if sink == "-" else subprocess.PIPE)
        assert process.wait() == 1, process.transcript()
    assert "Traceback" not in process.errors
    assert sum(line.startswith("error: ") for line in process.error_lines) == 1, process.transcript()
    assert process.children() == []


def test_lines_that_cannot_be_written_end_the_call(world: World, relay: Relay) -> None:
    with Path("/dev/full").open("wb") as full:
        process = world.command("tuiconf", "host", relay.to_type, "--headless", "--json", stdout=full)
        assert_one_sentence(process, 1, "standard output cannot be written")


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ((), 2, "standard input is closed"),
        (("--headless", "--audio-in", "-"), 1, "standard input is closed"),
        (("--audio-in", "-"), 1, "standard input is closed"),
    ],
)
def test_a_closed_standard_input_is_told(
    world: World, relay: Relay, options: tuple[str, ...], code: int, word: str
) -> None:
    process = world.command(
        "tuiconf", "host", relay.to_type, "--audio-out", "null", *options, stdin=None, preexec=lambda: os.close(0)
    )
    assert_one_sentence(process, code, word)


def test_without_standard_streams_a_headless_call_works(world: World, relay: Relay) -> None:
    def close_all() -> None:
        for fd in range(3):
            os.close(fd)

    ann = world.host("Ann", relay.to_type)
    bo = world.join("Bo", ann.link(), "--for", "1", "--audio-in", "tone", stdin=None, preexec=close_all)
    ann.hears("Bo", more_than=10)
    assert bo.wait() == 0
    assert bo.lines == bo.error_lines == []


def test_a_machine_without_a_sound_card_joins_and_says_so(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type)
    bo = world.command("tuiconf", "join", ann.link(), "--for", "1", "--say", "hello", home="bo")
    assert ann.event("chat_received")["text"] == "hello"
    assert bo.wait() == 0, bo.transcript()
    assert sum("you will hear nothing" in line for line in bo.error_lines) == 1
    assert sum("nothing of you will be heard" in line for line in bo.error_lines) == 1


@pytest.mark.parametrize("variable", ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"])
def test_a_folder_that_cannot_be_used_is_told(world: World, relay: Relay, variable: str) -> None:
    in_the_way = world.folder / "a file"
    in_the_way.write_text("not a folder")
    address = relay.to_type.partition("?")[0]  # without its pin, the pins that are known have to be read
    process = world.command("tuiconf", "host", address, "--headless", environment={variable: str(in_the_way)})
    assert_one_sentence(process, 2 if variable == "XDG_CONFIG_HOME" else 1, "a file")


def test_a_damaged_identity_is_left_as_it_is_and_told(world: World, relay: Relay) -> None:
    home = world.folder / "somebody"
    path = home / "xdg_data_home" / "tuiconf" / "identity.json"
    path.parent.mkdir(parents=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text('{"version": 1, "key": "')
    process = world.command("tuiconf", "host", relay.to_type, "--headless")
    assert_one_sentence(process, 1, "identity.json")
    assert path.read_text() == '{"version": 1, "key": "'


def test_a_damaged_list_of_relays_is_told(world: World, relay: Relay) -> None:
    path = world.folder / "somebody" / "xdg_state_home" / "tuiconf" / "known_relays"
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text("nonsense\n")
    process = world.command("tuiconf", "host", f"127.0.0.1:{relay.address[1]}", "--headless")
    assert_one_sentence(process, 1, "known_relays")


def test_a_wrong_passphrase_is_told_and_the_right_one_opens(world: World, relay: Relay) -> None:
    def with_passphrase(passphrase: str | None) -> Participant:
        environment = {} if passphrase is None else {"TUICONF_PASSPHRASE": passphrase}
        return world.host("Ann", relay.to_type, "--for", "0", environment=environment)

    assert with_passphrase("correct horse").wait() == 0
    wrong = with_passphrase("battery staple")
    assert_one_sentence(wrong, 1, "passphrase")
    assert_one_sentence(with_passphrase(None), 1, "TUICONF_PASSPHRASE")
    assert with_passphrase("correct horse").wait() == 0


def test_without_libopus_where_the_settings_say_it_is_the_call_does_not_begin(world: World, relay: Relay) -> None:
    config = world.folder / "client.toml"
    config.write_text('[audio]\nopus = "/nowhere/libopus.so"\n')
    process = world.command("tuiconf", "host", relay.to_type, "--headless", "--config", str(config))
    assert_one_sentence(process, 1, "opus")


def test_nothing_is_written_anywhere_but_where_it_belongs(world: World, relay: Relay) -> None:
    ann = world.host("Ann", relay.to_type, "--for", "0.5")
    assert ann.wait() == 0
    written = {str(path.relative_to(ann.home)) for path in ann.home.rglob("*") if path.is_file()}
    assert written == {"xdg_data_home/tuiconf/identity.json"}


def test_a_call_in_another_encoding_shows_what_it_can(world: World, relay: Relay) -> None:
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    ann = world.host("Ann", relay.to_type, environment=environment)
    bo = world.join("Bo", ann.link(), "--say", "sécond ✓", "--for", "0.5")
    assert bo.wait() == 0
    assert ann.event("chat_received")["text"] == "sécond ✓"


def test_what_the_relay_s_port_sends_that_is_no_relay_is_told(world: World) -> None:
    """Something answers, but not QUIC."""
    program = (
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\n"
        "while True:\n data, peer = s.recvfrom(2048)\n s.sendto(data[::-1], peer)\n"
    )
    echo = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert echo.stdout is not None
        port = int(echo.stdout.readline())
        process = world.command("tuiconf", "host", f"127.0.0.1:{port}?pin={PIN}", "--headless")
        assert_one_sentence(process, 1, "relay")
    finally:
        echo.kill()
        echo.communicate()


def test_errors_are_events_for_a_program(world: World) -> None:
    process = world.host("Ann", f"127.0.0.1:9?pin={PIN}")
    assert process.wait() == 1
    first, last = process.all_events()
    assert (first["event"], first["code"], first["fatal"]) == ("error", "relay_unreachable", True)
    assert last == {"event": "left", "reason": "failed"}
