"""Nothing private comes into a log, whatever the event."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tuiconf
from tuiconf.adapters.audio import AudioError
from tuiconf.adapters.journal import STATS_EVERY, JournalLog, leads_to_journal
from tuiconf.conference import events
from tuiconf.conference.events import (
    AudioStats,
    ChatReceived,
    CommitRefused,
    Event,
    Failed,
    Joined,
    Left,
    LeftReason,
    ParticipantLeft,
    Person,
    Undecryptable,
)
from tuiconf.crypto.mls.errors import MlsError

MARK = "s3cret"

PERSON = Person(leaf=3, name="Mara", fingerprint="ab12", host=False)


def all_event_types(base: type[Event] = Event) -> list[type[Event]]:
    """Every event there is."""
    found = [kind for kind in base.__subclasses__() if kind.__module__ == events.__name__]
    return found + [deeper for kind in found for deeper in all_event_types(kind)]


def filled(kind: Any) -> Any:
    """A value of this type with the mark wherever it can hold text."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, type(int | str)):
        return filled(inner[0])
    if origin is typing.Literal:
        return inner[0]
    if origin is typing.Annotated:
        return filled(inner[0])
    if origin is tuple:
        return (filled(inner[0]),) * 2
    if origin in (list, frozenset):
        return origin([filled(inner[0])])
    if origin is dict:
        return {filled(inner[0]): filled(inner[1])}
    if kind is str:
        return MARK
    if kind is bytes:
        return MARK.encode()
    if kind in (int, float, bool):
        return kind(1)
    if issubclass(kind, msgspec.Struct):
        return kind(**{name: filled(hint) for name, hint in typing.get_type_hints(kind).items()})
    return next(iter(kind))  # an Enum


def recorded(*these: Event, level_prefix: bool = False) -> list[str]:
    lines: list[str] = []
    log = JournalLog(lines.append, level_prefix=level_prefix)
    for event in these:
        log.record(event)
    return lines


@pytest.mark.parametrize("kind", all_event_types(), ids=lambda kind: kind.__name__)
def test_no_text_of_an_event_comes_into_the_log(kind: type[Event]) -> None:
    event = filled(kind)
    (line,) = recorded(event)
    assert MARK not in line
    record = json.loads(line)
    assert record["event"] == event.fields()["event"]
    assert 0 <= record["priority"] <= 7


@given(st.text(), st.text(), st.text())
def test_no_word_of_a_person_or_a_peer_comes_into_the_log(name: str, text: str, code: str) -> None:
    person = Person(leaf=1, name=name, fingerprint=text, host=True)
    lines = recorded(
        Joined(epoch=2, security_code=code, me=person, participants=(person, person)),
        ChatReceived(participant=person, text=text),
        Failed(code=AudioError.code, message=text, fatal=False),
    )
    assert [json.loads(line) for line in lines] == [
        {"priority": 5, "event": "joined", "epoch": 2, "me": 1, "participants": 2},
        {"priority": 7, "event": "chat_received", "participant": 1},
        {"priority": 4, "event": "error", "code": "audio", "fatal": False},
    ]


class ShoutedLater(Event, frozen=True, kw_only=True, tag="shouted_later"):
    """An event of a version to come."""

    text: str
    count: int


def test_an_unknown_event_gives_its_tag_only() -> None:
    (line,) = recorded(ShoutedLater(text=MARK, count=7))
    assert json.loads(line) == {"priority": 6, "event": "shouted_later"}


def test_a_word_that_is_not_ours_is_another_word() -> None:
    lines = recorded(CommitRefused(reason="confirmation_tag"), CommitRefused(reason="Mara was here"))
    assert [json.loads(line)["reason"] for line in lines] == ["confirmation_tag", "other"]


def test_every_reason_of_an_mls_error_is_a_word_of_ours() -> None:
    documented = [line.split()[0] for line in (MlsError.__doc__ or "").splitlines()[2:] if line.strip()]
    lines = recorded(*(CommitRefused(reason=reason) for reason in documented))
    assert [json.loads(line)["reason"] for line in lines] == documented


def test_every_rule_of_the_room_and_every_single_fault_is_a_word_of_ours() -> None:
    written = re.compile(r'''(?:CommitForbidden|failure)\("(\w+)"|Failed\(code="(\w+)"''')
    sources = [path.read_text() for path in Path(tuiconf.__file__).parent.rglob("*.py")]
    codes = sorted({found[1] or found[2] for source in sources for found in written.finditer(source)})
    assert len(codes) > 10
    lines = recorded(*(CommitRefused(reason=code) for code in codes))
    assert [json.loads(line)["reason"] for line in lines] == codes


def test_what_ends_a_call_is_an_error_and_what_mends_itself_is_not() -> None:
    lines = recorded(
        Failed(code="relay_not_trusted", message="", fatal=True),
        Left(reason=LeftReason.FAILED),
        Left(reason=LeftReason.LEFT),
        Undecryptable(active=True, frames=9),
        Undecryptable(active=False, frames=9),
        ParticipantLeft(participant=PERSON, epoch=4, reason="vanished"),
    )
    assert [json.loads(line)["priority"] for line in lines] == [3, 3, 5, 4, 5, 6]


def test_statistics_are_written_once_a_minute() -> None:
    stats = filled(AudioStats)
    assert len(recorded(*[stats] * STATS_EVERY)) == 1
    assert len(recorded(*[stats] * (STATS_EVERY + 1))) == 2
    record = json.loads(recorded(stats)[0])
    assert record["streams"] == 2 and record["undecryptable"] == 1 and record["worst_loss_percent"] == 1.0


def test_a_line_for_journald_begins_with_its_priority() -> None:
    (line,) = recorded(Left(reason=LeftReason.LEFT), level_prefix=True)
    assert line == '<5>{"priority": 5, "event": "left", "reason": "left"}'


def test_whether_a_journal_reads_is_known_by_the_descriptor() -> None:
    with tempfile.TemporaryFile() as file:
        status = os.fstat(file.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert leads_to_journal(file.fileno(), environ)
        assert not leads_to_journal(file.fileno(), {})
    code = f"from tuiconf.adapters.journal import leads_to_journal; print(leads_to_journal(2, {environ!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
