"""Subscribers are told what they asked for, once, from where they asked, and what they missed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.support import STATS, patient
from tuiconf.conference.events import ChatReceived, EpochChanged, Person
from tuiconf.control.events import NAMES, ChatSent, Levels, Notice
from tuiconf.control.history import MAX_CHAT, MAX_EVENTS, History, Subscription, wanted_names
from tuiconf.control.outbox import Outbox
from tuiconf.control.rpc import ControlError

ANN = Person(leaf=0, name="Ann", fingerprint="abcd", host=True)


class Subscriber:
    """One client."""

    def __init__(self, history: History, *names: str) -> None:
        self.history = history
        self.woken = 0
        self.outbox = Outbox(history.missed)
        self.subscription = Subscription(self.outbox, wanted_names(names or None), self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def subscribe(self, since: int | None = None) -> Subscriber:
        self.history.subscribe(self.subscription)
        if since is not None:
            self.history.repeat(self.subscription, since)
        return self

    def told(self) -> list[dict[str, Any]]:
        lines = []
        while (line := self.outbox.take()) is not None:
            lines.append(json.loads(line)["params"])
        return lines

    def numbers(self) -> list[int]:
        return [line["seq"] for line in self.told()]


def _happen(history: History, count: int = 1) -> None:
    for _ in range(count):
        history.add(Notice(message="x"), ts=1.23456, epoch=2)


def test_an_event_has_a_number_a_time_and_an_epoch() -> None:
    history = History()
    subscriber = Subscriber(history).subscribe()
    history.add(Notice(message="hello"), ts=1_700_000_000.12345, epoch=7)
    assert subscriber.woken == 1
    assert subscriber.told() == [
        {"seq": 1, "ts": 1_700_000_000.123, "epoch": 7, "data": {"event": "notice", "message": "hello"}}
    ]


def test_who_subscribes_is_told_from_then_on() -> None:
    history = History()
    _happen(history, 2)
    subscriber = Subscriber(history).subscribe()
    _happen(history, 2)
    assert subscriber.numbers() == [3, 4]


@patient
@given(before=st.integers(0, 2 * MAX_EVENTS), since=st.integers(0, 3 * MAX_EVENTS), after=st.integers(0, 5))
def test_since_repeats_what_is_kept_and_tells_how_much_is_not(before: int, since: int, after: int) -> None:
    history = History()
    _happen(history, before)
    subscriber = Subscriber(history).subscribe(since)
    _happen(history, after)
    told = subscriber.told()
    forgotten = max(0, before - MAX_EVENTS)
    if since < forgotten:
        missed, *told = told
        assert missed["data"] == {"event": "events_missed", "events": forgotten - since, "levels": 0}
        assert missed["seq"] == forgotten
        assert missed["epoch"] == 2
    first = max(min(since, before), forgotten) + 1
    assert [line["seq"] for line in told] == list(range(first, before + after + 1))


def test_levels_are_told_to_those_who_ask_and_repeated_to_nobody() -> None:
    history = History()
    levels, everything = Subscriber(history, "levels").subscribe(), Subscriber(history).subscribe()
    assert history.levels_wanted
    history.add(Levels(own=None, others=()), ts=1.0, epoch=1)
    history.add(STATS, ts=1.0, epoch=1)
    assert levels.numbers() == [1]
    assert everything.numbers() == [2]
    assert Subscriber(history, *NAMES).subscribe(0).numbers() == []
    history.unsubscribe(levels.outbox)
    assert history.levels_wanted  # by the last


def test_a_name_nobody_knows_is_refused() -> None:
    with pytest.raises(ControlError) as refused:
        wanted_names(["notice", "no such event"])
    assert refused.value.code == "invalid_params"


def test_nothing_is_told_any_more_after_unsubscribe() -> None:
    history = History()
    one, other = Subscriber(history).subscribe(), Subscriber(history).subscribe()
    history.unsubscribe(one.outbox)
    _happen(history)
    assert (one.numbers(), other.numbers()) == ([], [1])


def test_chat_is_kept_for_those_who_come_later() -> None:
    history = History()
    for number in range(MAX_CHAT + 10):
        kind = ChatSent if number % 2 else ChatReceived
        history.add(kind(participant=ANN, text=str(number)), ts=1.0, epoch=1)
    assert [line.text for line in history.chat] == [str(number) for number in range(10, MAX_CHAT + 10)]
    assert [line.own for line in history.chat[:2]] == [False, True]


def test_events_that_are_kept_are_bounded() -> None:
    history = History()
    for _ in range(10 * MAX_EVENTS):
        history.add(EpochChanged(epoch=1, security_code="1"), ts=1.0, epoch=1)
    assert len(Subscriber(history).subscribe(0).told()) == MAX_EVENTS + 1


def test_one_line_is_made_for_all_subscribers() -> None:
    history = History()
    subscribers = [Subscriber(history).subscribe() for _ in range(3)]
    _happen(history)
    lines = [subscriber.outbox.take() for subscriber in subscribers]
    assert lines[0] is lines[1] is lines[2]
