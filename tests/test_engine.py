"""The engine's own policy; what it does as a whole is shown in tests/e2e."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuiconf.engine import LONGEST_RETRY_S, SHORTEST_RETRY_S, retry_pause_s

fractions = st.floats(min_value=0, max_value=1)


@given(away=st.floats(min_value=0, max_value=1e6), fraction=fractions)
def test_pauses_are_never_a_hammering_and_never_an_eternity(away: float, fraction: float) -> None:
    assert 0.5 * SHORTEST_RETRY_S <= retry_pause_s(away, fraction) <= 1.5 * LONGEST_RETRY_S


@given(away=st.floats(min_value=0, max_value=3), fraction=fractions)
def test_a_relay_that_is_back_after_two_seconds_is_found_within_one(away: float, fraction: float) -> None:
    assert retry_pause_s(away, fraction) < 1


def test_a_thousand_do_not_come_back_in_the_same_moment() -> None:
    pauses = sorted(retry_pause_s(60, number / 1000) for number in range(1000))
    assert pauses[-1] - pauses[0] > 5
