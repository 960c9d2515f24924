"""`relay-quic serve` as a process, its settings, and the certificate it keeps."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import certs, config
from relay_quic.cli import main
from relay_quic.config import Caps, Listen, RelayConfig, format_address, parse_listen
from relay_quic.errors import ConfigError, TransportError
from relay_quic.limits import Rates
from relay_quic.own_certificate import certificate_for
from relay_quic.quic import Client, Library
from relay_quic.wire import GoodbyeCode
from tests.relay.livesupport import LiveClient
from tests.relay.quicsupport import every_pairing

DOCUMENTED = Path(__file__).parents[2] / "config" / "relay.toml"
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@asynccontextmanager
async def _process(state: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay_quic", "serve", "--listen", "127.0.0.1:0", *options),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _lines(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Both lines that it prints when it is ready."""
    assert process.stdout is not None
    ready = (await process.stdout.readline()).decode().rstrip("\n")
    return ready, (await process.stdout.readline()).decode().rstrip("\n")


# --- the process


@every_pairing
async def test_it_says_where_it_listens_and_what_to_type_and_that_is_true(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with _process(tmp_path, "--quic", relay_library.value) as process:
        ready, to_type = await _lines(process)
        word, address, pin = ready.split(" ")
        assert word == "ready"
        host, port = address.split(":")
        assert to_type == f"tuiconf host '{host}:{port}?{pin}'"
        client = await Client.connect(host, int(port), library=client_library, on_event=lambda _: None)
        assert pin == f"pin={certs.format_pin(client.certificate.pin)}"
        await client.close()


@every_pairing
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_makes_it_say_goodbye_and_exit_with_0(
    tmp_path: Path, number: signal.Signals, client_library: Library, relay_library: Library
) -> None:
    async with _process(tmp_path, "--verbose", "--quic", relay_library.value) as process:
        ready, _ = await _lines(process)
        host, port = ready.split(" ")[1].split(":")
        client = LiveClient()
        await client.open_at(host, int(port), client_library)
        await client.enter()
        process.send_signal(number)
        assert await client.goodbye() is GoodbyeCode.SHUTTING_DOWN
        _, errors = await process.communicate()
        assert process.returncode == 0
        assert json.loads(errors)["connections"] == 1
        await client.quic.close()


async def test_it_ends_with_whoever_started_it_when_asked_to(tmp_path: Path) -> None:
    async with _process(tmp_path, "--until-stdin-closes") as process:
        await _lines(process)
        assert process.stdin is not None
        process.stdin.write(b"anything\n")
        process.stdin.close()
        assert await process.wait() == 0


async def test_sigusr1_prints_counters_and_nothing_else_changes(tmp_path: Path) -> None:
    async with _process(tmp_path) as process:
        await _lines(process)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        counters = json.loads(await process.stderr.readline())
        assert counters["connected"] == 0
        assert process.returncode is None


async def test_two_relays_that_start_at_once_share_one_certificate(tmp_path: Path) -> None:
    async with _process(tmp_path) as one, _process(tmp_path) as two:
        ready = await asyncio.gather(_lines(one), _lines(two))
        assert ready[0][0].split("pin=")[1] == ready[1][0].split("pin=")[1]


async def test_a_killed_relay_comes_back_with_the_same_pin_on_the_same_port(tmp_path: Path) -> None:
    async with _process(tmp_path) as process:
        first, _ = await _lines(process)
        process.kill()
        await process.wait()
    async with _process(tmp_path, "--listen", first.split(" ")[1]) as process:
        assert (await _lines(process))[0] == first


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-", "< config/relay.toml"])
async def test_it_ends_at_once_when_there_is_nobody_at_stdin_who_could_end_it(tmp_path: Path, stdin: str) -> None:
    process = await _in_a_shell(tmp_path, f"--until-stdin-closes {stdin}")
    output, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert output.startswith(b"ready ")


@every_pairing
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_closed_standard_streams_do_not_matter(
    tmp_path: Path, closed: str, client_library: Library, relay_library: Library
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await _in_a_shell(tmp_path, f"--listen 127.0.0.1:{port} --quic {relay_library.value} {closed}")
    client = LiveClient()
    await _reach(client, port, client_library)
    await client.enter()
    # Something printed while it runs, which must go nowhere and above all not into a socket.
    process.send_signal(signal.SIGUSR1)
    process.terminate()
    assert await client.goodbye() is GoodbyeCode.SHUTTING_DOWN
    await process.communicate()
    assert process.returncode == 0
    await client.quic.close()


async def _in_a_shell(state: Path, options: str) -> asyncio.subprocess.Process:
    """A relay, with its options and redirections as a shell reads them."""
    return await asyncio.create_subprocess_shell(
        f"exec {shlex.quote(sys.executable)} -m relay_quic serve --listen 127.0.0.1:0 {options}",
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        cwd=DOCUMENTED.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


async def _reach(client: LiveClient, port: int, library: Library) -> None:
    """Connect as soon as something listens there."""

    async def attempt() -> None:
        while True:
            with suppress(TransportError):
                await client.open_at("127.0.0.1", port, library)
                return
            await asyncio.sleep(0.05)

    await asyncio.wait_for(attempt(), 20)


@pytest.mark.parametrize("output", ["a pipe nobody reads", "a full disk"])
async def test_output_that_cannot_be_written_is_one_sentence(tmp_path: Path, output: str) -> None:
    if output == "a full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        read_end, descriptor = os.pipe()
        os.close(read_end)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay_quic", "serve", "--listen", "127.0.0.1:0"),
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stdout=descriptor,
        stderr=subprocess.PIPE,
    )
    os.close(descriptor)
    _, errors = await process.communicate()
    assert process.returncode == 1
    [line] = errors.decode().splitlines()
    assert line.startswith("relay-quic: stdout cannot be written")


# --- what is wrong


def _sentence(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("relay-quic: ")
    return line


def test_a_taken_port_is_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        assert main(["serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert "listen" in _sentence(capsys)


def test_a_host_that_does_not_exist_is_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["serve", "--listen", "relay.invalid:4433"]) == 1
    _sentence(capsys)


@pytest.mark.parametrize(
    ("cert", "key", "named", "why"),
    [
        ("nothere.pem", "nothere.key", "nothere.pem", "No such file"),
        ("good.pem", "nothere.key", "nothere.key", "No such file"),
        (".", "good.key", ".", "Is a directory"),
        ("text", "good.key", "text", "does not hold PEM certificates"),
        ("good.key", "good.key", "good.key", "does not hold PEM certificates"),
        ("good.pem", "text", "text", "does not hold a PEM private key"),
        ("good.pem", "other.key", "other.key", "is not the one of the certificate"),
        ("huge", "good.key", "huge", "far too large"),
        ("nul\0byte", "good.key", "nul", "cannot be read"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_sentence_that_names_the_file_and_exit_code_2(
    cert: str, key: str, named: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "other"):
        certs.save(certs.make_self_signed(now=NOW, names=[]), tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "huge").write_bytes(bytes(certs.MAX_FILE_BYTES + 1))
    options = ["--cert", str(tmp_path / cert), "--key", str(tmp_path / key)]
    assert main(["serve", "--listen", "127.0.0.1:0", *options]) == 2
    sentence = _sentence(capsys)
    assert str(tmp_path / named) in sentence
    assert why in sentence


def test_a_state_folder_that_cannot_be_made_is_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert main(["serve", "--listen", "127.0.0.1:0"]) == 1
    assert "folder" in _sentence(capsys)


@pytest.mark.parametrize(
    "options",
    [
        ["--listen", "nonsense:port"],
        ["--listen", "::1"],
        ["--cert", "only.pem"],
        ["--config", "/nonexistent/relay.toml"],
        ["--config", "/"],
    ],
)
def test_wrong_options_are_one_sentence_and_exit_code_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *options]) == 2
    _sentence(capsys)


@pytest.mark.parametrize("argv", [[], ["nothing"], ["serve", "--quic", "quiche"], ["serve", "--bogus"]])
def test_a_wrong_command_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    assert "--listen" in capsys.readouterr().out


# --- addresses


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("0.0.0.0:4433", Listen(host="0.0.0.0", port=4433)),  # noqa: S104
        ("[::1]:5", Listen(host="::1", port=5)),
        ("[::]", Listen(host="::", port=4433)),
        (":0", Listen(host="", port=0)),
        ("relay.example", Listen(host="relay.example", port=4433)),
        ("", Listen(host="", port=4433)),
    ],
)
def test_an_address_is_read(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize(
    "text", ["::1", "a:b", "a:", "a:-1", "a:65536", "a:٣", "[::1", "[]:1", "[::1]x", "a b:1", "a/b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        listen = parse_listen(text)
    except ConfigError:
        return
    if listen.host:
        assert parse_listen(format_address(listen.host, listen.port)) == listen


# --- the file


def test_the_documented_file_holds_every_key_with_its_default() -> None:
    assert config.load(DOCUMENTED) == RelayConfig()
    text = DOCUMENTED.read_text()
    names = [
        "listen",
        "cert",
        "key",
        "quic",
        *(f.name for f in fields(Caps)),
        *(f"{f.name}_per_s" for f in fields(Rates)),
    ]
    assert [name for name in names if f"\n{name} = " not in text and f"\n# {name} = " not in text] == []


def test_a_file_changes_what_it_names() -> None:
    parsed = config.parse('listen = "[::1]:9"\nquic = "aioquic"\n[limits]\nrooms = 7\ncommits_per_s = 2.5\n')
    assert parsed.listen == Listen(host="::1", port=9)
    assert parsed.quic == "aioquic"
    assert parsed.caps == Caps(rooms=7)
    assert parsed.rates == Rates(commits=2.5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lisen = ':1'", "lisen"),
        ("listen = 4433", "listen"),
        ("listen = 'x:y'", "listen"),
        ("cert = 'a'", "key"),
        ("cert = ''\nkey = ''", "cert"),
        ("quic = 'quiche'", "quic"),
        ("limits = 3", "limits"),
        ("[limits]\nroms = 3", "limits.roms"),
        ("[limits]\nrooms = true", "limits.rooms"),
        ("[limits]\nrooms = 0", "limits.rooms"),
        ("[limits]\nrooms = 2.5", "limits.rooms"),
        ("[limits]\nconnections_per_room = 4097", "limits.connections_per_room"),
        ("[limits]\ncommits_per_s = nan", "limits.commits_per_s"),
        ("[limits]\ncommits_per_s = inf", "limits.commits_per_s"),
        ("[limits]\ncommits_per_s = -1", "limits.commits_per_s"),
        ("[limits]\ncommits_per_s = '3'", "limits.commits_per_s"),
        ("listen = ", "TOML"),
        ("a = " + "[" * 5000, "TOML"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(text: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        config.load(file)
    assert str(file) in str(raised.value)
    assert named in str(raised.value)


values = st.recursive(
    st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "rooms"]), inner, max_size=2),
    max_leaves=4,
)
keys = st.sampled_from(["listen", "cert", "key", "quic", "limits.rooms", "limits.commits_per_s", "limits.x", "y"])


@given(st.dictionaries(keys, values, max_size=4))
def test_any_settings_are_taken_or_a_config_error(settings: dict[str, object]) -> None:
    text = "\n".join(f"{key} = {_toml(value)}" for key, value in settings.items())
    try:
        parsed = config.parse(text)
    except ConfigError:
        return
    assert parsed.caps.rooms >= 1
    assert parsed.rates.commits >= 1


@given(st.text(max_size=60))
def test_any_text_is_settings_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        config.parse(text)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


# --- the certificate


def test_the_certificate_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    settings = RelayConfig(state_dir=tmp_path / "state")
    first = certificate_for(settings, now=NOW)
    assert certificate_for(settings, now=NOW).pin == first.pin
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert modes["key.pem"] == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_many_at_once_make_one_certificate(tmp_path: Path) -> None:
    settings = RelayConfig(state_dir=tmp_path / "state")
    with ThreadPoolExecutor(8) as pool:
        pins = {certificate.pin for certificate in pool.map(lambda _: certificate_for(settings, now=NOW), range(16))}
    assert len(pins) == 1


def test_a_crash_between_key_and_certificate_is_repaired(tmp_path: Path) -> None:
    settings = RelayConfig(state_dir=tmp_path)
    certificate_for(settings, now=NOW)
    (tmp_path / "cert.pem").unlink()
    repaired = certificate_for(settings, now=NOW)
    assert certificate_for(settings, now=NOW).pin == repaired.pin


def test_a_damaged_certificate_is_not_replaced_behind_anybodys_back(tmp_path: Path) -> None:
    settings = RelayConfig(state_dir=tmp_path)
    certificate_for(settings, now=NOW)
    (tmp_path / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"key.pem' cannot be read.*remove .*cert.pem"):
        certificate_for(settings, now=NOW)


def test_a_given_certificate_is_used_and_nothing_is_kept(tmp_path: Path) -> None:
    made = certs.make_self_signed(now=NOW, names=["relay.example"])
    certs.save(made, tmp_path / "c", tmp_path / "k")
    state = tmp_path / "state"
    settings = RelayConfig(cert_file=tmp_path / "c", key_file=tmp_path / "k", state_dir=state)
    assert certificate_for(settings, now=NOW).pin == made.pin
    assert not state.exists()
