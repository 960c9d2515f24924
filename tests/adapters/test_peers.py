"""The file of those who were met: read strictly, written whole, by several processes at once, and never lost."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiconf.adapters.peers import PeersError, PeersFile, format_peers, parse_peers
from tuiconf.adapters.private_files import FileError, NotPrivate
from tuiconf.adapters.words import words_of
from tuiconf.identity import trust
from tuiconf.identity.names import MAX_NAME_CHARACTERS, is_name
from tuiconf.identity.trust import (
    MAX_PINS,
    Accepted,
    Change,
    Compared,
    Finding,
    Forgotten,
    How,
    Met,
    Pin,
    Pins,
    TooManyPeers,
)

MARA, BEN = b"m" * 32, b"b" * 32
NOW: Final = 1_790_000_000.0
LINE: Final = (
    "bqcs-jjzk-e5rr-zdnd-kfkt-mhka-zsvg-e6ad bW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW0"
    " 2026-09-21T14:13:20Z 2026-09-21T14:13:20Z - Mara"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "known_peers"


@pytest.fixture
def file(path: Path) -> PeersFile:
    return PeersFile(path, rng=os.urandom)


def met(key: bytes, name: str, at: float = NOW) -> Met:
    return Met(key=key, name=name, at=at)


def compared(key: bytes, name: str, how: How = "safety_number", *, matches: bool = True) -> Compared:
    return Compared(key=key, name=name, finding=Finding(at=NOW, how=how, matches=matches))


def everyone(pins: Pins) -> list[Pin]:
    return sorted(pins, key=lambda pin: pin.key)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def test_nobody_was_met_where_there_is_no_file_and_looking_makes_none(file: PeersFile, path: Path) -> None:
    assert everyone(file.read()) == []
    assert not path.parent.exists()


def test_whoever_was_met_or_compared_with_is_there_the_next_time(file: PeersFile, path: Path) -> None:
    changes: list[Change] = [met(MARA, "Mara"), compared(BEN, "Ben Ü", matches=False)]
    changes.append(compared(b"c" * 32, "C", "room_code"))
    written = file.change(changes)
    assert everyone(PeersFile(path, rng=os.urandom).read()) == everyone(written)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_person_can_read_it(file: PeersFile, path: Path) -> None:
    file.change([met(MARA, "Mara"), compared(BEN, "Ben B")])
    first, second, *lines = path.read_text(encoding="utf-8").split("\n")
    assert first.startswith("# People you have met") and second.startswith("#")
    assert lines[0] == LINE
    assert lines[1].endswith(" verified:safety_number:2026-09-21T14:13:20Z Ben B")
    assert lines[2:] == [""]


def test_what_its_owner_wrote_stays_and_a_line_they_took_out_is_forgotten(file: PeersFile, path: Path) -> None:
    file.change([met(MARA, "Mara"), met(BEN, "Ben")])
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.endswith("Mara")]
    write(path, "\n".join(["# mine", "", *lines[2:], "# the end"]))
    file.change([met(b"c" * 32, "Cy"), compared(BEN, "Ben")])
    assert [line.split(" ")[-1] for line in path.read_text(encoding="utf-8").split("\n")] == [
        *("mine", "", "Ben", "", "end", "Cy", ""),
    ]
    assert {pin.name for pin in file.read()} == {"Ben", "Cy"}


def test_it_is_written_only_when_something_changes(file: PeersFile, path: Path) -> None:
    file.change([met(MARA, "Mara")])
    before = path.stat().st_ino
    file.change([met(MARA, "Mara", NOW + 1), Forgotten(key=BEN)])
    assert path.stat().st_ino == before


def test_what_others_have_written_is_noticed_and_ones_own_is_not_read_again(file: PeersFile, path: Path) -> None:
    file.read()
    assert not file.has_changed()
    file.change([met(MARA, "Mara")])
    assert not file.has_changed()
    other = PeersFile(path, rng=os.urandom)
    other.change([met(BEN, "Ben")])
    assert file.has_changed()
    assert len(file.read()) == 2
    assert not file.has_changed()
    path.unlink()
    assert file.has_changed()


def test_changes_are_applied_to_what_others_have_written_meanwhile(file: PeersFile, path: Path) -> None:
    file.read()
    PeersFile(path, rng=os.urandom).change([met(BEN, "Mara")])
    pins = file.change([met(MARA, "Mara")])
    assert [pin.key for pin in pins] == [BEN]
    assert pins.trust(MARA, "Mara") == "changed"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Mara", "not a fingerprint"),
        (LINE.replace(" - ", " "), "not a fingerprint, a key"),
        (LINE.replace("bqcs", "bqct"), "fingerprint is not that of the key"),
        (LINE.replace("bW1t", "bW1", 1), "not a key"),
        (LINE.replace("bW0 ", "bW1 "), "not a key"),
        (LINE.replace(" bW1t", " é1t", 1), "not a key"),
        (LINE.replace("09-21", "13-21"), "a time is written"),
        (LINE.replace("Z - ", " - "), "a time is written"),
        (LINE.replace(" - ", " verified "), "fifth field"),
        (LINE.replace(" - ", " trusted:safety_number:2026-09-21T14:13:20Z "), "fifth field"),
        (LINE.replace(" - ", " verified:his_eyes:2026-09-21T14:13:20Z "), "fifth field"),
        (LINE.replace("Mara", "Ma\u202era"), "nobody can have that name"),
        (LINE + "\r", "nobody can have that name"),
        (LINE.replace("Mara", "x" * (MAX_NAME_CHARACTERS + 1)), "nobody can have that name"),
        (f" {LINE}", "not a key"),
        (f"{LINE}\n{LINE}", "the same key as in line 2"),
    ],
)
def test_a_line_that_means_nothing_is_told_by_its_number_and_the_file_stays(
    file: PeersFile, path: Path, line: str, why: str
) -> None:
    write(path, f"# mine\n{line}\n")
    before = path.read_bytes()
    for attempt in (file.read, lambda: file.change([met(BEN, "Ben")])):
        with pytest.raises(PeersError, match=rf"{path}, line [23]: .*{why}") as error:
            attempt()
        assert "left as it is" in str(error.value)
    assert path.read_bytes() == before
    assert {child.name for child in path.parent.iterdir()} == {"known_peers", "known_peers.lock"}


def test_what_is_no_text_is_told_by_the_line_it_is_in(file: PeersFile, path: Path) -> None:
    write(path, "")
    path.write_bytes(f"{LINE}\n# ok\n\xff".encode("latin-1"))
    with pytest.raises(PeersError, match="line 3: not text"):
        file.read()


def test_a_file_that_others_can_read_or_that_is_too_large_is_refused(file: PeersFile, path: Path) -> None:
    write(path, f"{LINE}\n")
    path.chmod(0o644)
    with pytest.raises(NotPrivate, match="chmod 600"):
        file.read()
    path.chmod(0o600)
    path.write_bytes(b"#" * ((4 << 20) + 1))
    with pytest.raises(FileError, match="larger"):
        file.read()


def test_a_full_disk_is_one_sentence_and_leaves_the_file_as_it_was(
    file: PeersFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file.change([met(MARA, "Mara")])
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="the disk is full"):
        file.change([met(BEN, "Ben")])
    assert path.read_bytes() == before


def test_the_largest_store_can_be_read_again(file: PeersFile) -> None:
    name = "\N{PARTY POPPER}" * MAX_NAME_CHARACTERS
    changes = [compared(number.to_bytes(32, "big"), name) for number in range(MAX_PINS)]
    file.change(changes)
    assert len(file.read()) == MAX_PINS


def test_a_store_that_is_full_takes_what_it_has_room_for_and_says_what_not(
    file: PeersFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "MAX_PINS", 1)
    file.change([compared(MARA, "Mara")])
    refused = compared(BEN, "Ben")
    pins, left = file.write([refused, compared(MARA, "Mara", matches=False)])
    assert ([pin.trust for pin in pins], left) == (["changed"], [refused])
    with pytest.raises(TooManyPeers):
        file.change([refused])
    assert file.write([refused, Forgotten(key=BEN)])[1] == []  # decided about again
    pins, left = file.write([refused, Forgotten(key=MARA)])
    assert ([pin.key for pin in file.read()], left) == ([BEN], [])


def test_processes_that_meet_people_at_the_same_time_lose_none(path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from tuiconf.adapters.peers import PeersFile;"
        "from tuiconf.identity.trust import Met\n"
        "for n in range(20):\n"
        "    key = bytes([int(sys.argv[2]), n]) * 16\n"
        "    PeersFile(Path(sys.argv[1]), rng=os.urandom).change([Met(key=key, name=f'{sys.argv[2]} {n}', at=1e9)])\n"
    )
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", program, str(path), str(number)]))
            for number in range(1, 4)
        ]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(PeersFile(path, rng=os.urandom).read()) == 60


# --- whatever stands in it

NAMES: Final = st.text(min_size=1, max_size=MAX_NAME_CHARACTERS).filter(is_name)
TIMES: Final = st.integers(0, 200_000_000_000).map(float)
FINDINGS: Final = st.none() | st.builds(
    Finding, at=TIMES, how=st.sampled_from(["room_code", "safety_number", "fingerprint"]), matches=st.booleans()
)
PINS: Final = st.lists(
    st.builds(
        Pin, key=st.binary(min_size=32, max_size=32), name=NAMES, first_met=TIMES, last_met=TIMES, finding=FINDINGS
    ),
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(PINS)
def test_what_is_written_is_what_is_read(pins: list[Pin]) -> None:
    before = Pins(pins)
    text = format_peers(before)
    assert everyone(parse_peers(text)) == everyone(before)
    assert format_peers(before, text) == text


@given(st.text())
def test_any_text_is_a_file_or_one_error(text: str) -> None:
    with contextlib.suppress(PeersError):
        parse_peers(text)


@given(st.integers(0, len(LINE) - 1), st.characters(codec="utf-8"))
def test_a_line_with_one_character_changed_is_another_person_a_name_or_an_error(at: int, character: str) -> None:
    text = LINE[:at] + character + LINE[at + 1 :]
    try:
        pins = parse_peers(text)
    except PeersError:
        return
    assert all(pin.key == MARA for pin in pins)


@settings(max_examples=40, deadline=None)
@given(PINS, PINS)
def test_rewriting_keeps_comments_and_says_what_is_so_now(before: list[Pin], after: list[Pin]) -> None:
    old = "# one\n" + format_peers(Pins(before)) + "\n# two\n"
    new = format_peers(Pins(after), old)
    assert everyone(parse_peers(new)) == everyone(Pins(after))
    assert [line for line in new.split("\n") if line.startswith("#")] == [
        line for line in old.split("\n") if line.startswith("#")
    ]


def test_accepting_is_written_as_known(file: PeersFile, path: Path) -> None:
    file.change([compared(MARA, "Mara", matches=False)])
    assert " differs:safety_number:" in path.read_text(encoding="utf-8")
    file.change([Accepted(key=MARA, name="Mara", at=NOW)])
    assert path.read_text(encoding="utf-8").endswith(f"{LINE}\n")


def test_words_are_those_of_the_list() -> None:
    assert words_of((0, 2047, 3)) == ("abandon", "zoo", "about")
    assert len(set(words_of(range(2048)))) == len({word[:4] for word in words_of(range(2048))}) == 2048


@pytest.mark.parametrize("cut", [0, 4, -30, -3])
def test_what_an_editor_has_written_half_is_neither_believed_nor_built_upon(
    file: PeersFile, path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.change([compared(MARA, "Mara"), met(BEN, "Benjamin")])
    before, text = everyone(file.read()), path.read_text(encoding="utf-8")
    with path.open("w", encoding="utf-8") as editor:

        def editor_goes_on(_: float) -> None:
            editor.write(text[cut:] if cut else text)
            editor.flush()
            monkeypatch.setattr(time, "sleep", lambda _: None)

        editor.write(text[:cut])
        editor.flush()
        monkeypatch.setattr(time, "sleep", editor_goes_on)
        assert file.has_changed()
        assert everyone(file.change([met(b"i" * 32, "Mara")])) == before
    assert everyone(file.read()) == everyone(PeersFile(path, rng=os.urandom).read()) == before


def test_a_file_that_is_written_all_the_time_is_no_reason_to_wait_for_ever(
    file: PeersFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.change([met(MARA, "Mara")])

    def scribble(_: float) -> None:
        with path.open("a", encoding="utf-8") as other:
            other.write("# again\n")

    scribble(0)
    monkeypatch.setattr(time, "sleep", scribble)
    with pytest.raises(PeersError, match="all the time"):
        file.read()
