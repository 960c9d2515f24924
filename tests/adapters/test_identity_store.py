"""The identity's file on a real disk: made once, kept private, never overwritten."""

from __future__ import annotations

import errno
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tuiconf.adapters.identity_store import (
    FileError,
    IdentityError,
    NotPrivate,
    PassphraseNeeded,
    default_name,
    load_or_create,
)
from tuiconf.identity.key_file import Cost, WrongPassphrase, encode_plain, parse_key_file
from tuiconf.identity.keys import Identity
from tuiconf.identity.names import NameRefused

CHEAP = Cost(operations=1, memory_bytes=8192)


class Person:
    """Someone at a terminal, who answers prompts with `answers` and is told things."""

    def __init__(self, *answers: str) -> None:
        self._answers: Iterator[str] = iter(answers)
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, prompt: str) -> str:
        self.asked.append(prompt)
        return next(self._answers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "tuiconf" / "identity.json"


def load(
    path: Path,
    *,
    person: Person | None = None,
    environ: Mapping[str, str] | None = None,
    name: str | None = None,
    rng: Callable[[int], bytes] = os.urandom,
    say: Callable[[str], None] = lambda line: None,
) -> Identity:
    return load_or_create(
        path,
        name=name,
        ask=person.ask if person else None,
        environ=environ or {},
        rng=rng,
        say=person.told.append if person else say,
        cost=CHEAP,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_terminal_the_key_is_kept_plain_for_its_owner_only_and_one_line_says_so(path: Path) -> None:
    said: list[str] = []
    identity = load(path, name="Ada", say=said.append)
    assert identity.name == "Ada"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert len(said) == 1
    assert str(path) in said[0]
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    assert load(path, say=said.append) == identity
    assert len(said) == 1


def test_on_a_terminal_a_passphrase_is_asked_twice_and_then_needed(path: Path) -> None:
    person = Person("horse", "horse")
    identity = load(path, person=person)
    assert (len(person.asked), person.told) == (2, [])
    assert identity.seed not in path.read_bytes()
    assert mode(path) == 0o600

    again = Person("horse")
    assert load(path, person=again) == identity
    assert len(again.asked) == 1
    with pytest.raises(PassphraseNeeded, match="TUICONF_PASSPHRASE"):
        load(path)


def test_an_empty_passphrase_means_none_and_says_so(path: Path) -> None:
    person = Person("")
    identity = load(path, person=person)
    assert len(person.asked) == 1
    assert "No passphrase" in person.told[0]
    assert load(path) == identity


def test_passphrases_that_differ_are_asked_again_and_in_the_end_nothing_is_made(path: Path) -> None:
    load(path, person=Person("one", "two", "one", "one"))
    path.unlink()
    with pytest.raises(IdentityError, match="twice the same"):
        load(path, person=Person("a", "b", "a", "b", "a", "b"))
    assert not path.exists()


def test_a_wrong_passphrase_can_be_tried_three_times(path: Path) -> None:
    identity = load(path, person=Person("horse", "horse"))
    assert load(path, person=Person("hors", "hose", "horse")) == identity
    with pytest.raises(WrongPassphrase, match="wrong passphrase"):
        load(path, person=Person("a", "b", "c"))


def test_the_passphrase_in_the_environment_seals_and_opens_without_a_terminal(path: Path) -> None:
    environ = {"TUICONF_PASSPHRASE": "horse"}
    identity = load(path, environ=environ)
    assert identity.seed not in path.read_bytes()
    assert load(path, environ=environ) == identity
    with pytest.raises(WrongPassphrase):
        load(path, environ={"TUICONF_PASSPHRASE": "other"})


def test_a_passphrase_set_for_a_key_that_has_none_is_told_to_protect_nothing(path: Path) -> None:
    said: list[str] = []
    identity = load(path)
    assert load(path, environ={"TUICONF_PASSPHRASE": "horse"}, say=said.append) == identity
    assert "protects nothing" in said[0]


def test_the_systemd_credential_seals_and_opens(path: Path, tmp_path: Path) -> None:
    (tmp_path / "tuiconf-passphrase").write_text("horse\n", encoding="utf-8")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    identity = load(path, environ=environ)
    assert load(path, environ={"TUICONF_PASSPHRASE": "horse"}) == identity
    assert load(path, environ=environ) == identity


def test_a_credentials_folder_without_ours_is_no_passphrase(path: Path, tmp_path: Path) -> None:
    assert load(path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}) == load(path)


def test_a_credential_that_is_not_text_is_told(path: Path, tmp_path: Path) -> None:
    (tmp_path / "tuiconf-passphrase").write_bytes(b"\xff\xfe")
    with pytest.raises(IdentityError, match="not text"):
        load(path, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o602, 0o601])
def test_a_file_that_others_can_use_is_refused_with_the_command_that_mends_it(path: Path, bits: int) -> None:
    load(path)
    path.chmod(bits)
    with pytest.raises(NotPrivate, match=f"chmod 600 {path}"):
        load(path)
    path.chmod(0o600)
    load(path)


def test_a_folder_others_can_write_into_is_refused_with_the_command_that_mends_it(path: Path) -> None:
    load(path)
    path.parent.chmod(0o777)
    with pytest.raises(NotPrivate, match=f"chmod 700 {path.parent}"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 100, b'{"format": "tuiconf identity 9 plain"}', b"x" * 5000])
def test_a_damaged_file_is_refused_and_never_overwritten(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises((IdentityError, FileError)) as caught:
        load(path, person=Person("a", "a"))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_what_is_not_a_file_is_refused_without_waiting_for_it(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path, 0o600)
    with pytest.raises(FileError, match="not a file"):
        load(path)


def test_a_folder_in_its_place_is_one_sentence(path: Path) -> None:
    path.mkdir(parents=True)
    path.parent.chmod(0o700)
    with pytest.raises(FileError, match="is not a file"):
        load(path)


def test_a_link_to_nothing_is_told_as_what_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(path.parent / "nothing")
    with pytest.raises(IdentityError, match="a link to a file that is not there"):
        load(path)


def test_folders_made_above_it_are_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        load(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="the disk is full"):
        load(path)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="could not be made"):
        load(tmp_path / "file" / "tuiconf" / "identity.json")


def test_where_there_are_no_hard_links_the_file_is_renamed_into_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    identity = load(path)
    assert mode(path) == 0o600
    assert load(path) == identity


def test_who_is_overtaken_while_making_an_identity_takes_the_one_that_was_made(path: Path) -> None:
    overtaken_by: list[Identity] = []

    def rng(count: int) -> bytes:
        if count == 8:  # the name of the temporary file: everything but the publication is done
            overtaken_by.append(load(path))
        return os.urandom(count)

    assert [load(path, rng=rng)] == overtaken_by


def test_processes_that_start_at_once_end_with_one_identity(path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from tuiconf.adapters.identity_store import load_or_create\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "me = load_or_create(pathlib.Path(sys.argv[1]), name=None, ask=None, environ={}, rng=os.urandom, say=str)\n"
        "print(me.public_key.hex())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=30)[0] for process in processes}
    assert keys == {f"{load(path).public_key.hex()}\n"}


def test_a_name_given_for_a_run_holds_for_that_run(path: Path) -> None:
    identity = load(path, name="Ada")
    assert load(path, name=" Countess ").name == "Countess"
    assert load(path) == identity


def test_a_name_that_cannot_be_one_is_refused_before_anything_is_made(path: Path) -> None:
    with pytest.raises(NameRefused):
        load(path, name="A\x1bda")
    assert not path.parent.exists()


def test_a_new_identity_is_called_as_its_login(path: Path) -> None:
    assert load(path, environ={"USER": "ada"}).name == "ada"
    assert default_name({"LOGNAME": "\x1b", "USER": "ada"}) == "ada"
    assert default_name({}) == "guest"


def test_a_file_made_by_hand_is_read(path: Path) -> None:
    identity = Identity(name="Ada", seed=bytes(range(32)))
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    path.write_bytes(encode_plain(identity))
    assert load(path) == identity
    assert parse_key_file(path.read_bytes())


SCRIPT_THAT_ASKS = """
import os, sys, pathlib
from tuiconf.adapters.identity_store import load_or_create, terminal_ask
from tuiconf.identity.key_file import Cost
cost = Cost(operations=1, memory_bytes=8192)
path = pathlib.Path(sys.argv[1])
load_or_create(path, name=None, ask=terminal_ask(), environ={}, rng=os.urandom, say=print, cost=cost)
"""


def test_a_terminal_is_asked_and_shows_nothing_of_what_is_typed(path: Path) -> None:
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT_THAT_ASKS, str(path)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        for prompt in (b"(empty for none): ", b"The same again: "):
            while not shown.endswith(prompt):
                shown += os.read(master, 1024)
            os.write(master, b"horse\n")
        assert process.wait(timeout=30) == 0
    shown += os.read(master, 1024)
    os.close(master)
    assert b"horse" not in shown
    assert load(path, environ={"TUICONF_PASSPHRASE": "horse"})


def test_who_ends_the_input_instead_of_answering_is_told_so_on_a_line_of_its_own(path: Path) -> None:
    code = "import sys\nfrom tuiconf.cli import main\nsys.exit(main(['identity', 'show']))"
    environment = {**os.environ, "XDG_DATA_HOME": str(path.parent.parent), "XDG_CONFIG_HOME": str(path.parent.parent)}
    environment.pop("TUICONF_PASSPHRASE", None)
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=environment,
    ) as process:
        os.close(terminal)
        shown = b""
        while not shown.endswith(b"(empty for none): "):
            shown += os.read(master, 1024)
        os.write(master, b"\x04")
        while b"typed" not in shown:
            shown += os.read(master, 1024)
        assert process.wait(timeout=30) == 1
    os.close(master)
    assert shown.decode().split("\r\n")[1] == "tuiconf: no passphrase was typed"
    assert not path.exists()


def test_without_a_terminal_nobody_is_asked(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT_THAT_ASKS, str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "No passphrase" in done.stdout
    assert done.stderr == ""
