"""Lines out without waiting for a reader, lines in only when asked for."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.standard_streams import MAX_LINE_BYTES, MAX_WAITING_LINES, LineWriter, typed_lines


async def _all(fd: int) -> list[str]:
    return [line async for line in typed_lines(fd)]


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    if request.param == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        return asyncio.Runner(loop_factory=uvloop.new_event_loop)
    return asyncio.Runner()


def _fail(error: OSError) -> None:
    raise error


def _typed(runner: asyncio.Runner, data: bytes) -> list[str]:
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb") as file:
            file.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with runner:
            return runner.run(_all(read_end))
    finally:
        writer.join()
        os.close(read_end)


def test_lines_come_whole_the_last_one_without_a_newline_too(runner: asyncio.Runner) -> None:
    assert _typed(runner, "one\nzwö\n\nfour".encode()) == ["one", "zwö", "", "four"]


def test_nothing_typed_is_no_line(runner: asyncio.Runner) -> None:
    assert _typed(runner, b"") == []


def test_too_long_a_line_is_cut_and_the_next_one_is_whole(runner: asyncio.Runner) -> None:
    lines = _typed(runner, b"x" * 40_000 + b"\nnext\n")
    assert [len(line) for line in lines] == [MAX_LINE_BYTES, 4]


@pytest.mark.parametrize("name", ["file", "/dev/null"])
def test_files_and_devices_are_read_to_their_end(runner: asyncio.Runner, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "file":
        path.write_text("one\ntwo\n" * 2000)
    fd = os.open(path, os.O_RDONLY)
    try:
        with runner:
            assert len(runner.run(_all(fd))) == (4000 if name == "file" else 0)
    finally:
        os.close(fd)


def test_what_is_not_asked_for_is_not_read(runner: asyncio.Runner) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    async def take_one() -> str:
        lines = typed_lines(read_end)
        first = await anext(lines)
        await asyncio.sleep(0.05)
        await lines.aclose()  # type: ignore[attr-defined]
        return first

    written = 0
    try:
        while True:
            written += os.write(write_end, b"line\n" * 100)
    except BlockingIOError:
        pass
    with runner:
        assert runner.run(take_one()) == "line"
    os.close(write_end)
    left = 0
    while data := os.read(read_end, 1 << 16):
        left += len(data)
    os.close(read_end)
    assert written - left <= 1 << 12


@given(st.binary(max_size=3000))
def test_any_bytes_are_lines_of_text(data: bytes) -> None:
    lines = _typed(asyncio.Runner(), data)
    assert "\n".join(lines).encode(errors="replace").count(b"\n") <= data.count(b"\n")


def test_lines_are_written_in_order_and_all_before_it_closes() -> None:
    read_end, write_end = os.pipe()
    writer = LineWriter(write_end, on_broken=_fail)
    for number in range(500):
        writer.write(f"{number} ✓")
    writer.close()
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as file:
        assert [line.rstrip("\n") for line in file] == [f"{number} ✓" for number in range(500)]


def test_a_reader_who_does_not_read_costs_the_oldest_lines_and_no_waiting() -> None:
    read_end, write_end = os.pipe()
    broken: list[OSError] = []
    writer = LineWriter(write_end, on_broken=broken.append)
    line = "x" * 1000
    for number in range(2 * MAX_WAITING_LINES):
        writer.write(f"{number} {line}")
    writer.close()  # gives up waiting
    assert broken == []
    with os.fdopen(read_end, "rb") as file:
        numbers = [int(file.readline().split()[0])]
        while numbers[-1] != 2 * MAX_WAITING_LINES - 1:  # the newest is never lost
            numbers.append(int(file.readline().split()[0]))
    assert numbers == sorted(set(numbers))
    assert MAX_WAITING_LINES <= len(numbers) < 2 * MAX_WAITING_LINES
    os.close(write_end)


def test_a_reader_who_is_gone_is_told_once() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    broken: list[OSError] = []
    writer = LineWriter(write_end, on_broken=broken.append)
    for _ in range(3):
        writer.write("x")
        time.sleep(0.01)
    writer.close()
    os.close(write_end)
    assert [type(error) for error in broken] == [BrokenPipeError]


def test_text_that_no_encoding_has_is_escaped() -> None:
    read_end, write_end = os.pipe()
    writer = LineWriter(write_end, on_broken=_fail)
    writer.write("a\udcffb")
    writer.close()
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        assert file.read() == b"a\\udcffb\n"


def test_a_descriptor_that_another_program_made_non_blocking_is_waited_for() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    broken: list[OSError] = []
    writer = LineWriter(write_end, on_broken=broken.append)
    lines = [f"{number} " + "x" * 1000 for number in range(MAX_WAITING_LINES // 2)]  # more than a pipe holds
    for line in lines:
        writer.write(line)
    with os.fdopen(read_end) as file:
        assert [file.readline().rstrip("\n") for _ in lines] == lines
    writer.close()
    os.close(write_end)
    assert broken == []
