"""When a held key makes one live, and that nothing that is lost leaves it so."""

from __future__ import annotations

from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.tui.terminal.talk import FIRST_REPEAT_S, MAX_HOLD_S, NEXT_REPEAT_S, Down, HoldToTalk, Mode, Up

MODES: tuple[Mode, ...] = ("release", "repeat", "toggle")


def held(
    talk: HoldToTalk, *, begin: float, end: float, first: float = 0.5, every: float = 0.03
) -> list[tuple[float, Down | Up]]:
    """A key as a keyboard reports it that repeats, the app ticking; what happens until long after it was let go."""
    presses, at = [begin], begin + first
    while at < end:
        presses.append(at)
        at += every
    ticks = [begin + number / 20 for number in range(int((end - begin + 3) * 20))]
    happened = []
    for at, what in sorted(
        [*((at, talk.key) for at in presses), *((at, talk.tick) for at in ticks)], key=itemgetter(0)
    ):
        if (did := what(at)) is not None:
            happened.append((at, did))
    return happened


def test_with_releases_one_is_live_from_press_to_release() -> None:
    talk = HoldToTalk("release")
    assert talk.key(0.0) == Down()
    assert talk.tick(30.0) is None
    assert talk.released(31.0) == Up("let go")
    assert talk.released(31.1) is None


def test_a_repeat_is_a_sign_of_a_key_that_is_down_and_without_one_a_lost_release_ends_in_time() -> None:
    talk = HoldToTalk("release")
    talk.key(0.0)
    assert talk.key(50.0) is None
    assert talk.tick(MAX_HOLD_S + 49) is None
    assert talk.tick(MAX_HOLD_S + 50) == Up("too long")


@pytest.mark.parametrize(("first", "every"), [(0.25, 0.033), (0.5, 0.03), (0.66, 0.04), (0.85, 0.09)])
def test_with_repeats_one_is_live_without_a_gap_until_a_moment_after_letting_go(first: float, every: float) -> None:
    happened = held(HoldToTalk("repeat"), begin=0.0, end=4.0, first=first, every=every)
    assert [did for _, did in happened] == [Down(), Up("let go")]
    assert 4.0 <= happened[1][0] <= 4.0 + NEXT_REPEAT_S + 0.1


def test_a_tap_is_live_until_its_first_repeat_would_have_come() -> None:
    talk = HoldToTalk("repeat")
    assert talk.key(0.0) == Down()
    assert talk.tick(FIRST_REPEAT_S - 0.01) is None
    assert talk.tick(FIRST_REPEAT_S) == Up("let go")


def test_a_link_that_holds_repeats_back_costs_a_gap_and_not_a_long_tail() -> None:
    talk = HoldToTalk("repeat")
    for at in (0.0, 0.5, 0.53, 0.56):
        talk.key(at)
    assert talk.tick(0.95) == Up("let go")
    assert talk.key(1.0) == Down()
    assert talk.tick(1.0 + NEXT_REPEAT_S) == Up("let go")


def test_a_keyboard_that_never_repeats_toggles_and_one_that_does_after_all_is_held_again() -> None:
    talk = HoldToTalk("repeat")
    for at in (0.0, 10.0, 20.0):
        assert talk.key(at) == Down()
        assert talk.tick(at + 1) == Up("let go")
    assert not talk.words.startswith("hold")
    assert talk.key(30.0) == Down()
    assert talk.tick(40.0) is None
    assert talk.key(50.0) == Up("let go")
    happened = held(talk, begin=60.0, end=64.0)
    assert talk.words.startswith("hold")
    assert happened[-1][1] == Up("let go")


def test_in_a_multiplexer_a_press_begins_and_another_ends() -> None:
    talk = HoldToTalk("toggle")
    assert talk.key(0.0) == Down()
    assert talk.key(5.0) == Up("let go")
    assert talk.key(6.0) == Down()
    assert talk.tick(6.0 + MAX_HOLD_S) == Up("too long")


def test_holding_where_one_toggles_ends_in_silence() -> None:
    happened = held(HoldToTalk("toggle"), begin=0.0, end=4.0)
    assert [did for _, did in happened] == [Down(), Up("let go")]


@pytest.mark.parametrize("mode", MODES)
def test_whatever_is_lost_ends_in_silence_and_the_next_press_is_a_new_one(mode: Mode) -> None:
    talk = HoldToTalk(mode)
    talk.key(0.0)
    assert talk.lost() == Up("lost")
    assert talk.lost() is None
    assert talk.key(0.1) == Down()


def test_a_change_of_mode_lets_go() -> None:
    talk = HoldToTalk("repeat")
    talk.key(0.0)
    assert talk.use("repeat") is None
    assert talk.use("release") == Up("lost")
    assert (talk.mode, talk.is_down) == ("release", False)


def test_each_mode_says_what_to_do() -> None:
    assert len({HoldToTalk(mode).words for mode in MODES}) == 3


@given(st.sampled_from(MODES), st.lists(st.tuples(st.floats(0.001, 3), st.sampled_from(["key", "up", "tick", "lost"]))))
def test_down_and_up_alternate_and_silence_always_ends_in_up(mode: Mode, moments: list[tuple[float, str]]) -> None:
    talk, now, live = HoldToTalk(mode), 0.0, False
    for after, what in [*moments, (MAX_HOLD_S, "tick")]:
        now += after
        did = talk.lost() if what == "lost" else {"key": talk.key, "up": talk.released, "tick": talk.tick}[what](now)
        if did is not None:
            assert live is isinstance(did, Up)
            live = not live
        assert talk.is_down is live
    assert not live
