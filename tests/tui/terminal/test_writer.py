"""A writer that never makes anybody wait."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tuiconf.tui.terminal.writer import MAX_WAITING_BYTES, PatientWriter

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read(end: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(end, size - len(data))
    return data


def test_what_is_written_arrives_in_order(pipe: Pipe) -> None:
    writer = PatientWriter(pipe[1])
    for number in range(100):
        assert writer.write(b"%03d" % number)
    assert read(pipe[0], 300) == b"".join(b"%03d" % number for number in range(100))
    assert writer.stop(patience_s=10)


def test_what_nobody_reads_is_bounded_dropped_whole_and_can_be_forgotten(pipe: Pipe) -> None:
    writer = PatientWriter(pipe[1])
    taken = sum(writer.write(b"[" + b"x" * 998 + b"]") for _ in range(1_000))
    assert writer.waiting_bytes <= MAX_WAITING_BYTES
    assert writer.dropped_bytes == 1_000 * (1_000 - taken)
    assert writer.stuck_s(now=time.monotonic() + 1) >= 1
    assert writer.forget()
    assert writer.write(b"!")
    written = b""
    while not written.endswith(b"!"):
        written += os.read(pipe[0], 65_536)
    assert written == (b"[" + b"x" * 998 + b"]") * (len(written) // 1_000) + b"!"
    assert writer.stop(patience_s=10)


def test_stopping_does_not_wait_for_a_reader_for_ever(pipe: Pipe) -> None:
    writer = PatientWriter(pipe[1])
    os.set_blocking(pipe[1], False)
    filled = os.write(pipe[1], b"x" * 10_000_000)
    os.set_blocking(pipe[1], True)
    writer.write(b"last")
    assert not writer.stop(patience_s=0.05)
    assert not writer.write(b"more")
    assert read(pipe[0], filled + 4).endswith(b"last")


def test_nothing_waits_once_all_is_written(pipe: Pipe) -> None:
    writer = PatientWriter(pipe[1])
    writer.write(b"x")
    read(pipe[0], 1)
    assert writer.stop(patience_s=10)
    assert writer.stuck_s(now=time.monotonic()) == 0.0


def test_a_terminal_that_is_gone_ends_nothing(pipe: Pipe) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    writer = PatientWriter(write_end)
    writer.write(b"x")
    assert writer.stop(patience_s=10)
    os.close(write_end)
