"""Keys of an input device: whatever portions its bytes come in, whatever they are, and whatever is no device."""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.adapters.evdev import EVENT_BYTES, EventParser, KeyEvent, Switch, SwitchError, SwitchGone
from tuiconf.adapters.key_names import MAX_CODE, NoSuchKey, code_of_key, name_of_key

HEADER = Path("/usr/include/linux/input-event-codes.h")

SYN, KEY, MSC = 0, 1, 4
REPORT, DROPPED = 0, 3
UP, DOWN, AGAIN = 0, 1, 2


def event(kind: int, code: int, value: int) -> bytes:
    """`struct input_event` of this machine."""
    return struct.pack("@llHHi", 1_700_000_000, 999_999, kind, code, value)


def press(code: int, value: int) -> bytes:
    """As a keyboard says it: what was scanned, the key, and that this is all."""
    return event(MSC, 4, 0x70004) + event(KEY, code, value) + event(SYN, REPORT, 0)


def test_an_event_has_the_size_that_the_kernel_gives_it() -> None:
    assert (24 if struct.calcsize("@l") == 8 else 16) == EVENT_BYTES


def test_a_key_that_is_held_is_down_once() -> None:
    data = press(30, DOWN) + press(30, AGAIN) * 5 + press(30, UP)
    assert EventParser().feed(data) == [KeyEvent(code=30, down=True), KeyEvent(code=30, down=False)]


def test_after_events_were_lost_nothing_is_believed_until_the_next_report() -> None:
    data = event(SYN, DROPPED, 0) + event(KEY, 30, DOWN) + event(SYN, REPORT, 0) + press(31, DOWN)
    assert EventParser().feed(data) == [KeyEvent(code=None, down=False), KeyEvent(code=31, down=True)]


EVENTS = st.builds(
    event,
    st.integers(0, 0xFFFF) | st.sampled_from([SYN, KEY]),
    st.integers(0, 0xFFFF) | st.sampled_from([REPORT, DROPPED, 30]),
    st.integers(-(1 << 31), (1 << 31) - 1) | st.sampled_from([UP, DOWN, AGAIN]),
)


@given(st.lists(EVENTS), st.binary(max_size=EVENT_BYTES - 1), st.lists(st.integers(1, 60), min_size=1))
def test_portions_make_no_difference(events: list[bytes], rest: bytes, portions: list[int]) -> None:
    data = b"".join(events)
    whole = EventParser().feed(data + rest)
    parser, found = EventParser(), []
    while data:
        size = portions[len(data) % len(portions)]
        found += parser.feed(data[:size])
        data = data[size:]
    assert found + parser.feed(rest) == whole
    assert len(whole) <= len(events)


@given(st.binary(max_size=2000))
def test_any_bytes_are_events_or_nothing(data: bytes) -> None:
    for found in EventParser().feed(data):
        assert found.code is None or 0 <= found.code <= 0xFFFF


# --- names


@pytest.mark.parametrize(
    ("typed", "code"),
    [("KEY_A", 30), ("a", 30), ("key_f13", 183), ("space", 57), ("30", 30), ("KEY_1", 2), ("BTN_LEFT", 0x110)],
)
def test_a_key_is_named_as_linux_names_it(typed: str, code: int) -> None:
    assert code_of_key(typed) == code


@pytest.mark.parametrize("typed", ["", "KEY_", ".", "KEY_.", "²", "-1", "99999", str(MAX_CODE + 1), "9" * 5000])
def test_what_is_no_key_is_said_to_be_none(typed: str) -> None:
    with pytest.raises(NoSuchKey):
        code_of_key(typed)


def test_every_name_leads_back_to_its_key() -> None:
    assert [code_of_key(name_of_key(code)) for code in range(MAX_CODE + 1)] == list(range(MAX_CODE + 1))


@pytest.mark.skipif(not HEADER.exists(), reason="no kernel headers here")
def test_the_names_are_those_of_the_kernel() -> None:
    words = [line.split() for line in HEADER.read_text().splitlines()]
    theirs = {word[1]: int(word[2], 0) for word in words if len(word) > 2 and word[2][0].isdigit()}
    for code in range(MAX_CODE + 1):
        name = name_of_key(code)
        assert name.isdigit() or theirs[name] == code


# --- devices


async def test_a_switch_is_read_until_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "switch"
    os.mkfifo(path)
    switch = Switch(path)
    writer = os.open(path, os.O_WRONLY)
    events = switch.events()
    os.write(writer, press(30, DOWN)[:30])
    os.write(writer, press(30, DOWN)[30:])
    async with asyncio.timeout(20):
        assert await anext(events) == KeyEvent(code=30, down=True)
        os.close(writer)
        with pytest.raises(SwitchGone):
            await anext(events)
    switch.close()


def test_what_is_no_switch_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for path in (file, tmp_path, Path("/dev/null"), tmp_path / "missing"):
        with pytest.raises(SwitchError, match="ls /dev/input/by-id"):
            Switch(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_switch_that_may_not_be_read_says_which_group_may(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SwitchError, match=r"usermod -aG input \$USER"):
        Switch(tmp_path / "event7")
