"""How a meeting goes: events and times in, what to do out."""

from __future__ import annotations

import pytest

from tests.meeting.support import came, joined, person, script, stats, went
from tuiconf.conference.events import LeftReason
from tuiconf.control.events import (
    Event,
    Failed,
    Left,
    Reconnected,
    Reconnecting,
    RecordingChanged,
)
from tuiconf.meeting.machine import (
    RECORD_AGAIN_S,
    Announce,
    Effect,
    EndReason,
    Leave,
    Machine,
    Phase,
    StartRecording,
    Tell,
)

MINUTE = 60.0


class Run:
    """A machine with a clock. What it wants is kept as short words."""

    def __init__(self, text: str = "", *, start: float = 0.0) -> None:
        self.machine = Machine(script(text), start=start)
        self.now = 0.0
        self.done: list[str] = []

    def happens(self, *events: Event) -> list[str]:
        """At this moment; what it wants."""
        words = [_word(effect) for event in events for effect in self.machine.happened(event, now=self.now)]
        self.done += words
        return words

    def until(self, end: float) -> list[str]:
        """Let time pass, with the timers that are due; what it wants, with when."""
        words: list[str] = []
        while (due := self.machine.next_timer()) is not None and due <= end:
            assert due >= self.now, "a timer in the past was not seen to"
            self.now = due
            effects = self.machine.timer(now=due)
            assert effects, "a timer that was due had nothing to do"
            words += [f"{due:g} {_word(effect)}" for effect in effects]
        self.now = end
        return words


def _word(effect: Effect) -> str:
    match effect:
        case Announce(what=what):
            return f"say {what.say}"
        case StartRecording():
            return "record"
        case Tell(event=event):
            return f"tell {event}"
        case Leave(reason=reason):
            return f"leave: {reason}"


def test_a_meeting_from_the_first_to_the_last() -> None:
    run = Run("[record]\n[wait]\nparticipants = 2\n[[announce]]\nwhen = 'start'\nsay = 'hello'\n")
    assert run.happens(joined(person(1))) == ["tell joined"]
    assert run.happens(came(2)) == ["tell participant_joined", "tell started", "say hello", "record"]
    assert run.happens(RecordingChanged(active=True, folder="f")) == ["tell recording_started"]
    run.now = 100
    assert run.happens(went(1), went(2)) == ["tell participant_left", "tell participant_left"]
    assert run.until(500) == ["160 leave: everyone_left"]
    assert run.machine.phase is Phase.OVER
    assert run.happens(RecordingChanged(active=False, folder="f")) == ["tell recording_stopped"]
    assert run.happens(Left(reason=LeftReason.LEFT)) == []
    assert [tell.event for tell in run.machine.closed()] == ["ended"]
    assert run.machine.closed()[0].about == {"reason": "everyone_left"}


def test_who_comes_back_in_time_keeps_the_meeting_going() -> None:
    run = Run()
    run.happens(joined(person(1)), went(1))
    assert run.until(50) == []
    run.happens(came(2, "P1"))
    assert run.until(MINUTE * 60) == []


def test_nobody_came() -> None:
    run = Run("[wait]\nminutes = 0.5\n")
    run.happens(joined())
    assert run.until(100) == ["30 leave: nobody_came"]


def test_everyone_who_came_left_before_it_started() -> None:
    run = Run("[wait]\nparticipants = 2\nminutes = 0.5\n")
    run.happens(joined(), came(1), went(1))
    assert run.until(100) == ["30 leave: everyone_left"]


@pytest.mark.parametrize(
    ("too_few", "then"), [("begin", ["30 tell started", "30 record"]), ("leave", ["30 leave: too_few_came"])]
)
def test_too_few_came(too_few: str, then: list[str]) -> None:
    run = Run(f"[record]\n[wait]\nparticipants = 3\nminutes = 0.5\ntoo_few = '{too_few}'\n")
    run.happens(joined(), came(1))
    assert run.until(100) == then


def test_it_waits_for_people_from_when_it_is_there_and_not_before_the_start() -> None:
    late = Run("[wait]\nminutes = 1\n")
    late.now = 300
    late.happens(joined())
    assert late.until(400) == ["360 leave: nobody_came"]
    early = Run("[wait]\nminutes = 1\n", start=120)
    assert early.happens(joined(person(1))) == ["tell joined"]
    assert early.until(119) == []
    assert early.until(121) == ["120 tell started"]


def test_silence() -> None:
    run = Run("[end]\nsilence_minutes = 1\n")
    run.happens(joined(), came(1))
    run.now = 50
    run.happens(stats((person(1), 2.0)))
    run.now = 70
    run.happens(stats((person(1), 2.0)))
    assert run.until(200) == ["110 leave: silence"]


def test_an_announcement_is_no_silence_however_long_it_is() -> None:
    run = Run("[end]\nsilence_minutes = 1\n[[announce]]\nwhen = 'start'\nsay = 'a'\n")
    run.happens(joined(), came(1))
    assert run.until(100) == []
    run.machine.announced(now=100)
    assert run.until(200) == ["160 leave: silence"]


def test_nobody_knows_whether_it_is_silent_while_the_relay_is_away() -> None:
    run = Run("[end]\nsilence_minutes = 1\n")
    run.happens(joined(), came(1), Reconnecting())
    assert run.until(300) == []
    run.happens(Reconnected(epoch=1, rejoined=False))
    assert run.until(500) == ["360 leave: silence"]


def test_the_maximum_holds_in_any_case() -> None:
    text = "[end]\nmaximum_minutes = 2\n[wait]\nminutes = 60\n"
    waiting, talking, outside = Run(text), Run(text), Run(text)
    waiting.happens(joined())
    assert waiting.until(500) == ["120 leave: maximum"]
    talking.happens(joined(person(1)))
    assert talking.until(500) == ["120 leave: maximum"]
    assert outside.until(500) == ["120 leave: never_joined"]


def test_announcements_have_their_moments() -> None:
    run = Run(
        """
[wait]
participants = 3
[end]
maximum_minutes = 10
[[announce]]
when = "joined"
say = "j"
[[announce]]
when = "present"
participants = 2
say = "two"
[[announce]]
when = "every"
minutes = 3
say = "e"
[[announce]]
when = "before_end"
minutes = 1
say = "b"
[[announce]]
when = "start"
say = "s"
[[announce]]
when = "start"
say = "s2"
"""
    )
    assert run.happens(joined()) == ["tell joined", "say j"]
    assert run.happens(came(1)) == ["tell participant_joined"]
    assert run.happens(came(2)) == ["tell participant_joined", "say two"]
    run.happens(went(2))
    assert run.happens(came(2)) == ["tell participant_joined"]
    assert run.happens(came(3)) == ["tell participant_joined", "tell started", "say s", "say s2"]
    assert run.until(1000) == ["180 say e", "360 say e", "540 say e", "540 say b", "600 leave: maximum"]


def test_what_was_missed_while_the_machine_slept_is_announced_once() -> None:
    run = Run("[[announce]]\nwhen = 'every'\nminutes = 1\nsay = 'e'\n")
    run.happens(joined(person(1)))
    run.now = 1000.0
    assert [_word(effect) for effect in run.machine.timer(now=run.now)] == ["say e"]
    assert run.until(1030) == ["1020 say e"]


def test_a_recording_that_fails_is_tried_again() -> None:
    run = Run("[record]\nbegin = 'joined'\n")
    assert run.happens(joined()) == ["tell joined", "record"]
    failed = run.machine.recording_failed("the relay is away", now=run.now)
    assert failed == [Tell(event="failed", about={"what": "recording", "why": "the relay is away"})]
    assert run.until(RECORD_AGAIN_S) == [f"{RECORD_AGAIN_S:g} record"]
    run.happens(RecordingChanged(active=True, folder="f"))
    run.happens(RecordingChanged(active=False, folder="f", reason="the disk is full"))
    assert run.until(2 * RECORD_AGAIN_S) == [f"{2 * RECORD_AGAIN_S:g} record"]


def test_a_recording_that_is_not_the_scripts_is_left_alone() -> None:
    run = Run()
    run.happens(joined(person(1)), RecordingChanged(active=False, folder="f"))
    assert run.until(MINUTE * 60) == []


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (LeftReason.LEFT, EndReason.STOPPED),
        (LeftReason.REMOVED, EndReason.REMOVED),
        (LeftReason.FAILED, EndReason.FAILED),
    ],
)
def test_a_call_that_ends_by_itself_ends_the_meeting(left: LeftReason, reason: EndReason) -> None:
    run = Run()
    run.happens(joined(person(1)))
    assert run.happens(Failed(code="x", message="why", fatal=True)) == ["tell failed"]
    assert run.happens(Left(reason=left)) == [f"leave: {reason}"]
    assert run.machine.reason is reason


def test_it_can_be_stopped_at_any_time_and_once() -> None:
    run = Run()
    assert run.machine.stop(EndReason.STOPPED) == [Leave(reason=EndReason.STOPPED)]
    assert run.machine.stop(EndReason.FAILED) == []
    assert run.machine.next_timer() is None
    assert run.happens(joined(person(1))) == []
    assert run.machine.reason is EndReason.STOPPED


def test_this_participant_does_not_count_also_when_it_had_to_join_anew() -> None:
    run = Run("[wait]\nminutes = 1\n")
    run.happens(joined())
    assert run.happens(came(7, "Me")) == []
    assert run.until(100) == ["60 leave: nobody_came"]


def test_hooks_are_told_who_it_is() -> None:
    machine = Machine(script(), start=0)
    told = machine.happened(joined(person(4, "Ann\nBob")), now=0)[0]
    assert isinstance(told, Tell)
    assert told.about == {"participants": [{"name": "Ann\nBob", "fingerprint": "print-of-Ann\nBob", "verified": False}]}
    assert "Ann" not in repr(told)
