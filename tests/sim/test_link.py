"""The simulated link does what its profile says: tests that rest on it are worth what this is."""

from __future__ import annotations

import pytest

from tests.sim.link import LinkProfile, LossyLink


def _run(profile: LinkProfile, *, seed: int = 1, count: int = 4000) -> list[int]:
    link = LossyLink(profile, seed=seed)
    out = []
    for index in range(count):
        link.send(index.to_bytes(4, "big"), now=index * 0.02)
        out += [int.from_bytes(data, "big") for _, data in link.receive(now=index * 0.02)]
    out += [int.from_bytes(data, "big") for _, data in link.receive(now=count)]
    return out


def test_a_perfect_link_delivers_everything_in_order() -> None:
    assert _run(LinkProfile()) == list(range(4000))


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    profile = LinkProfile(loss=0.1, jitter_s=0.05)
    assert _run(profile, seed=7) == _run(profile, seed=7)
    assert _run(profile, seed=7) != _run(profile, seed=8)


@pytest.mark.parametrize("burst", [1, 3])
def test_the_loss_is_what_the_profile_says_in_runs_of_that_length(burst: int) -> None:
    lost = set(range(4000)) - set(_run(LinkProfile(loss=0.1, burst=burst)))
    assert 0.08 < len(lost) / 4000 < 0.12
    runs = sum(1 for index in lost if index - 1 not in lost)
    assert burst <= len(lost) / runs < burst * 1.3


def test_chosen_datagrams_are_lost_and_no_others() -> None:
    assert set(range(4000)) - set(_run(LinkProfile(lose_exactly=frozenset({3, 4, 100})))) == {3, 4, 100}


def test_overtaking_and_doubling_happen_when_asked_for() -> None:
    out = _run(LinkProfile(reorder=0.05, duplicate=0.05))
    assert out != sorted(out)
    assert len(out) > len(set(out)) == 4000


def test_a_stall_holds_everything_back_until_it_ends() -> None:
    link = LossyLink(LinkProfile(delay_s=0.01, stalls=((1.0, 1.5),)), seed=1)
    for index in range(100):
        link.send(bytes([index]), now=index * 0.02)
    link.receive(now=0.999)
    assert link.receive(now=1.499) == []
    assert len(link.receive(now=1.5)) == 25
