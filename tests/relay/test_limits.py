"""Token buckets and counts per address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_quic import limits, server
from relay_quic.limits import Addresses, InboundLimits, Rates, RequestLimits, TokenBucket


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=0.0)
    assert [bucket.take(1, now=0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(1, now=0.1) for _ in range(2)] == [True, False]


def test_something_larger_than_the_burst_passes_when_the_bucket_is_full_and_is_paid_back() -> None:
    bucket = TokenBucket(rate=10, burst=10, now=0.0)
    assert bucket.take(40, now=0.0)
    assert not bucket.take(1, now=3.0)
    assert bucket.take(1, now=3.11)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=1000, burst=1, now=100.0)
    assert bucket.take(1, now=100.0)
    assert not bucket.take(1, now=50.0)
    assert not bucket.take(1, now=100.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 5)), max_size=60))
def test_no_more_passes_than_burst_and_rate_allow(steps: list[tuple[float, float]]) -> None:
    bucket = TokenBucket(rate=7, burst=5, now=0.0)
    now = passed = 0.0
    for wait_s, cost in steps:
        now += wait_s
        if bucket.take(cost, now=now):
            passed += cost
        assert passed <= 5 + 7 * now + 1e-6


def test_requests_are_limited_each_by_its_own_rate() -> None:
    requests = RequestLimits(Rates(commits=1, publishes=2, notes=3), now=0.0)
    assert sum(requests.commit(0, now=0.0) for _ in range(100)) == 4
    assert sum(requests.publish(0, now=0.0) for _ in range(100)) == 8
    assert sum(requests.note(0, now=0.0) for _ in range(100)) == 12


def test_requests_share_what_they_may_make_the_relay_send() -> None:
    requests = RequestLimits(Rates(fanout_bytes=1000), now=0.0)
    assert requests.publish(8000, now=0.0)
    assert not requests.note(1, now=0.0)
    assert requests.note(1, now=0.1)


def test_one_request_never_makes_the_relay_send_more_than_it_can_hold() -> None:
    requests = RequestLimits(Rates(), now=0.0)
    assert not requests.commit(limits.MAX_FANOUT_AT_ONCE_BYTES + 1, now=0.0)
    assert requests.commit(limits.MAX_FANOUT_AT_ONCE_BYTES, now=0.0)


def test_one_honest_request_is_not_too_much_to_be_unread() -> None:
    assert limits.MAX_FANOUT_AT_ONCE_BYTES < server.MAX_RELAY_HELD_BYTES


def test_empty_messages_are_not_free() -> None:
    requests = RequestLimits(Rates(publishes=1e6, fanout_bytes=1000), now=0.0)
    allowed = sum(requests.publish(limits.fanout_cost(0, 10), now=0.0) for _ in range(100))
    assert allowed == 8  # eight seconds' worth, each to ten receivers


def test_an_honest_speaker_is_never_over_the_rate() -> None:
    inbound = InboundLimits(Rates(), now=0.0)
    assert all(inbound.datagram(400, now=tick * 0.01) for tick in range(1000))


def test_a_flood_of_datagrams_is_cut_to_the_rate() -> None:
    inbound = InboundLimits(Rates(), now=0.0)
    passed = sum(inbound.datagram(100, now=tick * 0.0001) for tick in range(100_000))
    assert passed <= limits.DATAGRAMS_PER_S * 10.5 + 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("not an address", "not an address", True),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (limits.address_group(one) == limits.address_group(other)) is same


def test_an_address_has_only_so_many_connections() -> None:
    addresses = Addresses(max_connections=2, enters_per_s=1)
    assert [addresses.connected("192.0.2.1", now=0.0) for _ in range(3)] == [True, True, False]
    assert addresses.connected("192.0.2.2", now=0.0)
    addresses.disconnected("192.0.2.1")
    assert addresses.connected("192.0.2.1", now=0.0)


def test_reconnecting_does_not_refill_an_addresss_attempts_to_enter() -> None:
    addresses = Addresses(max_connections=10, enters_per_s=1)
    allowed = 0
    for _ in range(50):
        addresses.connected("192.0.2.1", now=0.0)
        allowed += addresses.may_enter("192.0.2.1", now=0.0)
        addresses.disconnected("192.0.2.1")
    assert allowed == 10


def test_what_is_sent_for_resuming_counts_as_entering_once_for_each_megabyte() -> None:
    addresses = Addresses(max_connections=9, enters_per_s=20.0)
    for _ in range(50):  # of 22 MB each: far more than there is
        addresses.replayed(22_000_000, "192.0.2.1", now=0.0)
    assert not addresses.may_enter("192.0.2.1", now=0.0)
    assert addresses.may_enter("192.0.2.2", now=0.0)
    assert not addresses.may_enter("192.0.2.1", now=10.0)  # one burst of debt
    assert addresses.may_enter("192.0.2.1", now=10.1)


def test_addresses_without_connections_are_forgotten_before_those_with() -> None:
    addresses = Addresses(max_connections=1, enters_per_s=1)
    addresses.connected("192.0.2.1", now=0.0)
    for number in range(limits.MAX_ADDRESSES_REMEMBERED + 10):
        addresses.may_enter(f"10.0.{number // 256}.{number % 256}", now=0.0)
    assert not addresses.connected("192.0.2.1", now=0.0)
