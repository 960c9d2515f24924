"""Running calls are found by their sockets, and what killed engines left behind is tidied away."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.conftest import Run
from tests.control.support import NothingService, patient
from tuiconf.adapters.private_files import NotPrivate
from tuiconf.control.calls import NoSuchCall, find_call, new_call, running_calls, socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.server import ControlServer, SocketError


@pytest.fixture
def sockets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sockets of calls are."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    path = folder / "tuiconf"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def running(sockets: Path) -> Iterator[list[str]]:
    """Two calls whose engines take connections, and never answer."""
    with ExitStack() as stack:
        for call in ("abcd", "efgh"):
            stack.enter_context(_bound(sockets / f"{call}.sock")).listen()
        yield ["abcd", "efgh"]


def _bound(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    return made


def test_running_calls_are_found(running: list[str]) -> None:
    assert running_calls() == running
    assert find_call("efgh") == "efgh"
    with pytest.raises(NoSuchCall, match="abcd, efgh"):
        find_call(None)


def test_without_a_call_it_is_said_how_to_start_one(sockets: Path) -> None:
    assert running_calls() == []
    with pytest.raises(NoSuchCall, match="--detach"):
        find_call(None)
    with pytest.raises(NoSuchCall, match="tuiconf calls"):
        find_call("abcd")


def test_without_a_runtime_folder_no_call_runs_and_none_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "missing"))
    assert running_calls() == []
    assert not (folder / "missing").exists()


def test_sockets_of_killed_engines_are_removed_and_nothing_else(running: list[str], sockets: Path) -> None:
    _bound(sockets / "jkmn.sock").close()
    (sockets / "wxyz.sock").write_text("not a socket")
    bystanders = [sockets / name for name in ("other.sock", "ABCD.sock", "abcd.txt", "ab.sock", ".link.abc")]
    for path in bystanders:
        path.write_text("")
    assert running_calls() == running
    assert not (sockets / "jkmn.sock").exists()
    assert all(path.exists() for path in bystanders)


def test_an_engine_that_is_too_busy_to_answer_is_not_removed(sockets: Path) -> None:
    busy = _bound(sockets / "abcd.sock")
    busy.listen(0)
    waiting = []
    for _ in range(3):  # until its queue is full
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect_ex(str(sockets / "abcd.sock"))
        waiting.append(client)
    try:
        assert running_calls() == ["abcd"]
        assert (sockets / "abcd.sock").exists()
    finally:
        for held in (busy, *waiting):
            held.close()


@pytest.mark.parametrize("name", ["..", "../abcd", "abcd/", "", "abcd\0", "\udce9"])
def test_a_name_cannot_lead_elsewhere(running: list[str], name: str) -> None:
    with pytest.raises(NoSuchCall):
        find_call(name)


def test_a_folder_that_others_can_write_is_not_believed(running: list[str], sockets: Path) -> None:
    sockets.chmod(0o770)
    with pytest.raises(NotPrivate, match="chmod 700"):
        running_calls()


@patient
@given(st.binary(min_size=4, max_size=4))
def test_a_name_is_short_and_can_be_typed(random: bytes) -> None:
    name = new_call(lambda count: random[:count])
    assert len(name) == 4
    assert name.isalnum() and name == name.lower()
    assert not set(name) & set("lo01")


def test_a_socket_is_its_owner_s_alone_and_gone_with_the_engine(run: Run, folder: Path) -> None:
    async def scene() -> None:
        path = folder / "deep" / "down" / "abcd.sock"
        server = ControlServer(NothingService(), path)
        old_umask = os.umask(0)
        try:
            await server.start()
        finally:
            os.umask(old_umask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [other.name for other in path.parent.iterdir()] == ["abcd.sock"]
        await server.close()
        assert list(path.parent.iterdir()) == []

    run(scene())


def test_a_folder_that_others_can_write_is_refused(run: Run, folder: Path) -> None:
    async def scene() -> None:
        with pytest.raises(NotPrivate, match="chmod 700"):
            await ControlServer(NothingService(), folder / "abcd.sock").start()

    folder.chmod(0o777)
    run(scene())
    assert list(folder.iterdir()) == []


def test_a_path_that_is_too_long_for_the_kernel_is_one_clear_sentence(run: Run, folder: Path) -> None:
    async def scene() -> None:
        path = folder / ("x" * 90) / "abcd.sock"
        with pytest.raises(SocketError, match=r"too long.*set XDG_RUNTIME_DIR"):
            await ControlServer(NothingService(), path).start()

    run(scene())


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(run: Run, folder: Path) -> None:
    async def scene() -> None:
        with pytest.raises(SocketError, match="cannot be made: is a directory"):
            await ControlServer(NothingService(), folder / "abcd.sock").start()

    (folder / "abcd.sock").mkdir()  # in the way; root may write into any folder
    run(scene())
    assert [path.name for path in folder.iterdir()] == ["abcd.sock"]


def test_a_socket_that_was_left_behind_is_taken_over(run: Run, folder: Path) -> None:
    async def scene() -> None:
        _bound(folder / "abcd.sock").close()
        server = ControlServer(NothingService(), folder / "abcd.sock")
        await server.start()
        client = await ControlClient.connect(folder / "abcd.sock")
        await client.close()
        await server.close()

    run(scene())


def test_a_socket_that_somebody_answers_at_is_left_to_them(run: Run, folder: Path) -> None:
    async def scene() -> None:
        first = ControlServer(NothingService(), folder / "abcd.sock")
        await first.start()
        with pytest.raises(SocketError, match="cannot be made: file exists"):
            await ControlServer(NothingService(), folder / "abcd.sock").start()
        client = await ControlClient.connect(folder / "abcd.sock")
        await client.close()
        assert [path.name for path in folder.iterdir()] == ["abcd.sock"]  # noqa: ASYNC240
        await first.close()

    run(scene())


def test_two_engines_at_once_have_a_socket_each(run: Run, sockets: Path) -> None:
    async def scene() -> None:
        servers = [ControlServer(NothingService(), socket_path(call)) for call in ("abcd", "efgh")]
        for server in servers:
            await server.start()
        assert running_calls() == ["abcd", "efgh"]
        await servers[0].close()
        assert running_calls() == ["efgh"]
        await servers[1].close()
        with pytest.raises(EngineGone):
            await ControlClient.connect(socket_path("abcd"))

    run(scene())
