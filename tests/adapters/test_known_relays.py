"""Pins of relays: kept, compared, and never replaced by themselves."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.known_relays import KnownRelays, KnownRelaysError, PinChanged, parse_known_relays
from tuiconf.adapters.private_files import FileError
from tuiconf.identity.link import format_pin

PIN, OTHER = bytes(32), bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "known_relays"


@pytest.fixture
def relays(path: Path) -> KnownRelays:
    return KnownRelays(path, rng=os.urandom)


def test_a_relay_is_not_known_before_it_is_remembered(relays: KnownRelays, path: Path) -> None:
    assert not relays.check("relay", 4433, PIN)
    assert not path.parent.exists()


@pytest.mark.parametrize("host", ["relay.example", "192.0.2.1", "2001:db8::1"])
def test_a_remembered_pin_is_found_for_its_host_and_port_only(relays: KnownRelays, host: str, path: Path) -> None:
    relays.remember(host, 4433, PIN)
    relays.remember(host, 1234, OTHER)
    assert relays.check(host, 4433, PIN)
    assert relays.check(host, 1234, OTHER)
    assert not relays.check(host, 1, PIN)
    assert not relays.check("elsewhere", 4433, PIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_host_is_found_however_it_is_spelled(relays: KnownRelays) -> None:
    relays.remember("Relay.Example", 1, PIN)
    assert relays.check("relay.example.", 1, PIN)
    relays.remember("2001:DB8:0::1", 1, PIN)
    assert relays.check("2001:db8::1", 1, PIN)


def test_a_changed_pin_is_a_loud_error_and_changes_nothing(relays: KnownRelays, path: Path) -> None:
    relays.remember("relay", 4433, PIN)
    before = path.read_bytes()
    for attempt in (relays.check, relays.remember):
        with pytest.raises(PinChanged, match=f"HAS CHANGED.*delete line 2 of {path}"):
            attempt("relay", 4433, OTHER)
    assert path.read_bytes() == before


def test_remembering_the_same_again_writes_nothing(relays: KnownRelays, path: Path) -> None:
    relays.remember("relay", 4433, PIN)
    before = path.stat().st_ino
    relays.remember("relay", 4433, PIN)
    assert path.stat().st_ino == before


def test_a_full_disk_is_one_sentence_and_leaves_the_file_as_it_was(
    relays: KnownRelays, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    relays.remember("relay", 4433, PIN)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="the disk is full"):
        relays.remember("other", 4433, PIN)
    assert path.read_bytes() == before
    assert {child.name for child in path.parent.iterdir()} == {"known_relays", "known_relays.lock"}


def test_comments_and_a_missing_last_newline_survive(relays: KnownRelays, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(f"# mine\n\nhome {format_pin(PIN)}", encoding="utf-8")
    relays.remember("relay", 1, OTHER)
    assert path.read_text(encoding="utf-8") == (f"# mine\n\nhome {format_pin(PIN)}\nrelay:1 {format_pin(OTHER)}\n")
    assert relays.check("home", 4433, PIN)


@pytest.mark.parametrize(
    "line",
    ["relay", f"relay:0 {format_pin(PIN)}", f"relay {format_pin(PIN)[:-1]}", f"relay {format_pin(PIN)} x", "é x", " #"],
)
def test_a_line_that_means_nothing_is_told_by_its_number_and_the_file_stays(
    relays: KnownRelays, path: Path, line: str
) -> None:
    path.parent.mkdir()
    path.write_text(f"# mine\n{line}\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(KnownRelaysError, match="line 2"):
        relays.check("relay", 4433, PIN)
    with pytest.raises(KnownRelaysError, match="line 2"):
        relays.remember("other", 4433, PIN)
    assert path.read_bytes() == before


def test_two_lines_about_one_relay_are_refused() -> None:
    with pytest.raises(KnownRelaysError, match="lines 1 and 2"):
        parse_known_relays(f"relay {format_pin(PIN)}\nRELAY:4433 {format_pin(OTHER)}\n")


def test_a_file_that_is_not_text_or_too_large_is_refused(relays: KnownRelays, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    with pytest.raises(KnownRelaysError, match="not text"):
        relays.check("relay", 1, PIN)
    path.write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(FileError, match="larger"):
        relays.check("relay", 1, PIN)


def test_processes_that_remember_at_once_lose_nothing(relays: KnownRelays, path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from tuiconf.adapters.known_relays import KnownRelays\n"
        "relays = KnownRelays(pathlib.Path(sys.argv[1]), rng=os.urandom)\n"
        "for port in range(1, 21): relays.remember(sys.argv[2], port, bytes(32))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(path), f"host{n}"]) for n in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert len(parse_known_relays(path.read_text(encoding="utf-8"))) == 60


@given(st.text() | st.lists(st.sampled_from(["relay", ":1", " ", "\n", "#", format_pin(PIN), "[::1]"])).map("".join))
def test_any_text_is_a_list_of_relays_or_the_one_error(text: str) -> None:
    with contextlib.suppress(KnownRelaysError):
        for pin, number in parse_known_relays(text).values():
            assert len(pin) == 32
            assert number <= text.count("\n") + 1


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b.example", "127.0.0.1", "::1"]), st.integers(1, 65535)),
        st.binary(min_size=32, max_size=32),
        max_size=6,
    )
)
def test_all_that_is_remembered_is_found(
    tmp_path_factory: pytest.TempPathFactory, pins: dict[tuple[str, int], bytes]
) -> None:
    relays = KnownRelays(tmp_path_factory.mktemp("state") / "known_relays", rng=os.urandom)
    for (host, port), pin in pins.items():
        relays.remember(host, port, pin)
    assert all(relays.check(*endpoint, pin) for endpoint, pin in pins.items())
