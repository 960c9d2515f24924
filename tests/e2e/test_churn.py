"""A participant that nobody looks after, in a call where everything happens. In full: `python -m tests.bench churn`."""

from __future__ import annotations

from tests.e2e.churn import Amount, Churn
from tests.e2e.processes import World


def test_a_bot_outlives_restarts_cuts_moves_and_people_who_come_and_go(world: World) -> None:
    amount = Amount(joins=6, restarts=2, cuts=2, moves=2)
    before, after = Churn(world).run(amount, settle_s=0)
    assert after.tasks <= before.tasks
    assert after.file_descriptors <= before.file_descriptors
    assert after.rss_bytes < before.rss_bytes * 1.25  # allocators settle; growth by the hour is for the bench
