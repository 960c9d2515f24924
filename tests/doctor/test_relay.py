"""A real relay, and everything that is none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.commands import Home
from tests.e2e.processes import Relay, World, runtime_folder
from tuiconf import paths
from tuiconf.doctor import udp
from tuiconf.identity.link import format_pin, new_link, parse_relay

Program = Callable[[bytes], bytes | None]
"""What listens at a UDP port: it answers a datagram, or swallows it."""

Found = dict[Program, dict[str, Any]]


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    world = World(tmp_path_factory.mktemp("relay"))
    try:
        yield world.relay()
    finally:
        world.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return without_sound(tmp_path)


def without_sound(folder: Path) -> Home:
    """Somewhere to run where no sound server is found."""
    return Home(folder, {"PULSE_SERVER": f"unix:{folder}/none"})


def examined(home: Home, relay: str, *options: str) -> dict[str, Any]:
    """What is found about one relay, with the exit code."""
    done = home.run("doctor", "--json", "--audio-in", "null", "--audio-out", "null", "--relay", relay, *options)
    assert done.stderr == ""
    findings = [finding for finding in json.loads(done.stdout)["findings"] if finding["check"] == "relay"]
    assert len(findings) == 1
    return {**findings[0], "exit": done.returncode}


@contextmanager
def udp_port(program: Program) -> Iterator[int]:
    """That program at a UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, where = opened.recvfrom(4096)
                if data == b"end":
                    return
                answer = program(data)
                if answer is not None:
                    opened.sendto(answer, where)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield opened.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopping:
                stopping.sendto(b"end", opened.getsockname())
            serving.join()


def swallow(data: bytes) -> bytes | None:
    return None


def greet(data: bytes) -> bytes | None:
    return b"220 hello"


def echo(data: bytes) -> bytes | None:
    return data


def negotiate(data: bytes, *, destination: bytes | None = None) -> bytes | None:
    """A Version Negotiation packet for the question; nothing else is understood."""
    if data[:1] == b"\xc0" and data[1:5] == b"\x1a\x2a\x3a\x4a":
        theirs, mine = data[6:14], data[15:23]
        return b"\x80" + bytes(4) + b"\x08" + (destination or mine) + b"\x08" + theirs + b"\x00\x00\x00\x01"
    return b""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What is found about programs that are no relay. Each is waited for in vain, all beside each other."""
    programs: list[Program] = [swallow, greet, echo, negotiate]

    def examine(program: Program) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("home")
        with udp_port(program) as port:
            finding = examined(without_sound(folder), f"127.0.0.1:{port}")
        shutil.rmtree(runtime_folder(folder), ignore_errors=True)
        return {**finding, "port": port}

    with ThreadPoolExecutor(len(programs)) as threads:
        return dict(zip(programs, threads.map(examine, programs), strict=True))


def free_port() -> int:
    """A UDP port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def another_pin() -> str:
    return format_pin(os.urandom(32))


@pytest.mark.parametrize("library", ["aioquic", "qh3"])
def test_the_right_relay_is_measured(relay: Relay, home: Home, library: str) -> None:
    if library == "qh3":
        pytest.importorskip("qh3")
    finding = examined(home, relay.to_type, "--quic", library)
    assert (finding["level"], finding["code"], finding["exit"]) == ("ok", "relay", 0)
    facts = finding["facts"]
    assert 0 < facts["rtt_ms_min"] <= facts["rtt_ms_median"] <= facts["rtt_ms_max"] < 1000
    assert facts["loss_percent"] == 0
    assert facts["connection_rtt_ms"] > 0


def test_a_link_will_do_and_nothing_of_its_room_or_secret_is_printed(relay: Relay, home: Home) -> None:
    link = new_link(parse_relay(relay.to_type), "secretroom", rng=os.urandom)
    from tuiconf.identity.link import format_link

    text = format_link(link)
    done = home.run("doctor", "--relay", text)
    assert "the right relay" in done.stdout
    assert "secretroom" not in done.stdout and text.partition("#")[2] not in done.stdout


def test_another_pin_is_a_problem(relay: Relay, home: Home) -> None:
    host, port = relay.address
    finding = examined(home, f"{host}:{port}?pin={another_pin()}")
    assert (finding["level"], finding["code"], finding["exit"]) == ("problem", "pin_differs", 1)


def test_an_unknown_relay_is_told_with_the_pin_to_confirm(relay: Relay, home: Home) -> None:
    host, port = relay.address
    finding = examined(home, f"{host}:{port}")
    assert (finding["level"], finding["code"], finding["exit"]) == ("warning", "relay_unknown", 0)
    assert finding["command"] == f"tuiconf host '{relay.to_type}'"


def test_known_relays_are_looked_at_when_none_is_named(relay: Relay, home: Home) -> None:
    host, port = relay.address
    file = paths.known_relays_file(home.environment)
    file.parent.mkdir(parents=True)
    file.write_text(f"{host}:{port} {relay.pin}\n")
    assert f"{host}:{port}: the right relay" in home.run("doctor").stdout
    file.write_text(f"{host}:{port} {another_pin()}\n")
    done = home.run("doctor")
    assert done.returncode == 1 and "HAS CHANGED" in done.stdout


def test_without_a_relay_the_network_is_not_looked_at_and_that_is_said(home: Home) -> None:
    assert "the network was not looked at" in home.run("doctor").stdout


def test_a_closed_port_is_told_from_a_silent_one(home: Home) -> None:
    finding = examined(home, f"127.0.0.1:{free_port()}")
    assert (finding["level"], finding["code"], finding["exit"]) == ("problem", "port_closed", 1)


def test_a_port_that_swallows_while_the_machine_answers_tcp_is_blocked_udp(found: Found) -> None:
    finding = found[swallow]  # and a TCP connection there is refused, which is an answer
    assert (finding["level"], finding["code"], finding["exit"]) == ("problem", "udp_blocked", 1)
    assert finding["command"] == f"sudo ufw allow {finding['port']}/udp"


def test_another_program_is_told_from_a_relay(found: Found) -> None:
    assert found[greet]["code"] == "not_quic"


def test_a_quic_server_that_takes_no_connection_is_not_a_relay(found: Found) -> None:
    assert (found[negotiate]["level"], found[negotiate]["code"]) == ("problem", "not_a_relay")


def test_an_echo_is_not_an_answer(found: Found) -> None:
    assert found[echo]["code"] == "not_quic"


def test_a_name_that_means_nothing_is_told(home: Home) -> None:
    finding = examined(home, "no-such-host.invalid")
    assert (finding["level"], finding["code"]) == ("problem", "name_unknown")
    assert finding["command"] == "getent hosts no-such-host.invalid"


@pytest.mark.parametrize("typed", ["a/b", "tuiconf://x/y", "127.0.0.1:0", ""])
def test_what_is_no_relay_is_a_usage_error_before_anything_is_done(typed: str, home: Home) -> None:
    done = home.run("doctor", "--relay", typed)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


async def test_lost_pings_are_counted_and_the_others_measured() -> None:
    seen = 0

    def every_second(data: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        return negotiate(data) if seen % 2 else negotiate(data, destination=bytes(8))

    with udp_port(every_second) as port:
        address = udp.Address(family=socket.AF_INET, socket_address=("127.0.0.1", port))
        heard = await udp.ask(address)
    assert (heard.asked, len(heard.round_trips_ms), heard.other_answers) == (8, 4, 4)
    assert heard.quic


async def test_a_refusal_ends_the_asking_at_once() -> None:
    address = udp.Address(family=socket.AF_INET, socket_address=("127.0.0.1", free_port()))
    async with asyncio.timeout(udp.ANSWER_S):
        heard = await udp.ask(address)
    assert heard.refused and not heard.quic
