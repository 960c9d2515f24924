"""What waits for a client is bounded and in order, answers are never lost, and what is left out is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tests.control.support import patient
from tuiconf.control.outbox import MAX_BYTES, Outbox

ANSWER, EVENT, LEVEL = "answer", "event", "level"


@dataclass
class Reader:
    """An outbox, what went in, and what came out."""

    given: list[tuple[str, int]] = field(default_factory=list)
    taken: list[tuple[str, int]] = field(default_factory=list)
    events_missed: int = 0
    levels_missed: int = 0
    last_seq: int = 0
    seq: int = 0

    def __post_init__(self) -> None:
        self.outbox = Outbox(lambda seq, events, levels: f"missed {seq} {events} {levels}".encode())

    def put(self, kind: str, size: int) -> None:
        self.seq += 1
        self.given.append((kind, self.seq))
        line = f"{kind} {self.seq} ".encode().ljust(size, b".")
        if kind == ANSWER:
            self.outbox.answer(line)
        else:
            self.outbox.event(line, seq=self.seq, frequent=kind == LEVEL)

    def take(self) -> bool:
        line = self.outbox.take()
        if line is None:
            return False
        kind, number, *rest = line.decode().split()
        if kind == "missed":
            self.events_missed += int(rest[0])
            self.levels_missed += int(rest[1])
            assert int(rest[0]) + int(rest[1]) > 0
        else:
            self.taken.append((kind, int(number)))
        if kind != ANSWER:
            assert int(number) >= self.last_seq  # numbers never go back: a client may go on from any of them
            self.last_seq = int(number)
        return True

    def of(self, kind: str) -> tuple[list[int], list[int]]:
        return [n for k, n in self.given if k == kind], [n for k, n in self.taken if k == kind]


steps = st.lists(
    st.tuples(st.sampled_from([ANSWER, EVENT, LEVEL, "take"]), st.integers(min_value=20, max_value=MAX_BYTES // 3)),
    max_size=60,
)


@patient
@given(steps)
def test_answers_are_never_lost_order_is_kept_and_what_is_missed_is_counted(script: list[tuple[str, int]]) -> None:
    reader = Reader()
    for kind, size in script:
        if kind == "take":
            reader.take()
        elif kind == ANSWER and reader.outbox.full:
            continue  # whoever answers looks first
        else:
            reader.put(kind, size)
    while expected := len(reader.outbox):
        assert reader.take()
        assert len(reader.outbox) <= expected
    assert not reader.take()
    given_answers, taken_answers = reader.of(ANSWER)
    assert taken_answers == given_answers
    numbers = [number for kind, number in reader.taken]
    assert numbers == sorted(numbers)
    for kind, missed in ((EVENT, reader.events_missed), (LEVEL, reader.levels_missed)):
        given_numbers, taken_numbers = reader.of(kind)
        assert len(given_numbers) == len(taken_numbers) + missed


@patient
@given(st.lists(st.tuples(st.sampled_from([EVENT, LEVEL]), st.integers(min_value=20, max_value=2000)), max_size=30))
def test_a_client_that_never_reads_makes_us_hold_no_more_than_the_bound(kinds: list[tuple[str, int]]) -> None:
    reader = Reader()
    for _ in range(40):
        for kind, size in kinds:
            reader.put(kind, size)
    held = 0
    while (line := reader.outbox.take()) is not None:
        held += len(line)
    assert held <= MAX_BYTES + 100


def test_levels_go_first() -> None:
    reader = Reader()
    for number in range(400):
        reader.put(LEVEL if number % 2 else EVENT, 1000)
    while reader.take():
        pass
    assert reader.events_missed == 0
    assert reader.levels_missed > 0
    assert reader.of(EVENT)[0] == reader.of(EVENT)[1]


def test_then_the_oldest_events_go() -> None:
    reader = Reader()
    for _ in range(600):
        reader.put(EVENT, 1000)
    while reader.take():
        pass
    taken = reader.of(EVENT)[1]
    assert taken == list(range(600 - len(taken) + 1, 601))
    assert len(taken) >= MAX_BYTES // 2 // 1000


def test_one_event_that_is_larger_than_all_the_room_reaches_a_client_that_reads() -> None:
    reader = Reader()
    reader.put(EVENT, 100)
    reader.put(EVENT, 3 * MAX_BYTES)  # the roster of a large room
    while reader.take():
        pass
    assert reader.taken[-1] == (EVENT, 2)


def test_what_was_missed_is_told_although_nothing_happens_afterwards() -> None:
    reader = Reader()
    reader.put(ANSWER, MAX_BYTES)
    reader.put(LEVEL, 100)
    reader.put(EVENT, 100)
    reader.put(EVENT, 100)
    while reader.take():
        pass
    assert (reader.events_missed, reader.levels_missed) == (1, 1)
    assert reader.taken == [(ANSWER, 1), (EVENT, 4)]


def test_it_is_full_when_answers_are_not_read_and_not_when_they_are() -> None:
    reader = Reader()
    while not reader.outbox.full:
        reader.put(ANSWER, 10_000)
    assert len(reader.outbox) <= MAX_BYTES // 10_000 + 1
    assert reader.take()
    assert not reader.outbox.full
