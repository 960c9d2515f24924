"""Rooms: admission, the order, who is told what, and coming back."""

from __future__ import annotations

import pytest

from relay_quic.limits import Rates
from relay_quic.log import KEPT_HANDSHAKE_BYTES, KEPT_MESSAGES
from relay_quic.rooms import KEPT_RELAY_BYTES, RESUME_S, ROOM_LINGER_S
from relay_quic.wire import (
    Accepted,
    Came,
    Enter,
    Gone,
    GoodbyeCode,
    Kind,
    Leave,
    Noted,
    Ordered,
    RefusalCode,
    Refused,
    Welcome,
    room_id,
)
from tests.relay.relaysupport import PROOF, House, commit, enter, note, publish

# --- entering


def test_the_first_to_enter_makes_the_room_and_the_second_finds_it() -> None:
    house = House()
    first, second = house.come(), house.come()
    assert (first.entered.created, second.entered.created) == (True, False)
    assert first.entered.incarnation == second.entered.incarnation
    assert second.entered.connections == [first.id, second.id]
    assert first.take() == [Came(connection=second.id)]


def test_a_proof_that_does_not_belong_to_the_room_is_sent_away() -> None:
    house = House()
    house.come()
    stranger = house.come()
    stranger.leave()
    house.clients[stranger.peer] = stranger
    stranger.say(Enter(room=room_id(PROOF), proof=bytes(32), resume=None))
    assert stranger.goodbye is GoodbyeCode.BAD_PROOF


def test_rooms_do_not_hear_of_each_other() -> None:
    house = House()
    here, there = house.come(), house.come(b"q" * 32)
    here.say(publish())
    here.say(note())
    assert there.take() == []
    assert there.entered.connections == [there.id]


def test_saying_anything_before_entering_ends_the_connection() -> None:
    house = House()
    client = house.come()
    client.leave()
    house.clients[client.peer] = client
    client.say(publish())
    assert client.goodbye is GoodbyeCode.PROTOCOL


def test_entering_twice_ends_the_connection_and_the_others_are_told() -> None:
    house = House()
    watcher, client = house.come(), house.come()
    watcher.take()
    client.say(enter())
    assert client.goodbye is GoodbyeCode.PROTOCOL
    assert watcher.take() == [Gone(connection=client.id, left=False)]


def test_a_full_room_takes_nobody_more_but_one_that_is_replaced() -> None:
    house = House(max_per_room=2)
    first, _ = house.come(), house.come()
    assert house.come().goodbye is GoodbyeCode.ROOM_FULL
    again = first.back(after=0)
    assert again.entered.resumed
    assert first.goodbye is GoodbyeCode.REPLACED


def test_an_empty_room_gives_way_to_a_new_one_and_an_occupied_one_does_not() -> None:
    house = House(max_rooms=2)
    house.come(b"a" * 32)
    leaver = house.come(b"b" * 32)
    assert house.come(b"c" * 32).goodbye is GoodbyeCode.RELAY_FULL
    leaver.lose()
    assert house.come(b"c" * 32).entered.created
    assert not leaver.back(after=0).received  # its room is gone, and there is no place for it
    assert len(house.rooms) == 2


def test_a_room_lives_a_minute_longer_than_its_last_participant() -> None:
    house = House()
    first = house.come()
    first.leave()
    house.wait(ROOM_LINGER_S - 1)
    second = house.come()
    assert (second.entered.created, second.entered.incarnation) == (False, first.entered.incarnation)
    second.leave()
    house.wait(ROOM_LINGER_S)
    third = house.come()
    assert third.entered.created
    assert third.entered.incarnation != first.entered.incarnation
    assert len(house.rooms) == 1


# --- the order


def test_every_message_reaches_everyone_else_in_one_order_and_its_sender_is_told_its_place() -> None:
    house = House()
    one, two, three = house.come(), house.come(), house.come()
    for client in (one, two, three):
        client.take()
    assert one.say(publish(b"1", request=7)) == [Accepted(request=7, seq=1)]
    assert two.say(publish(b"2", handshake=True, request=8)) == [Accepted(request=8, seq=2)]
    first = Ordered(seq=1, sender=one.id, kind=Kind.APPLICATION, data=b"1")
    second = Ordered(seq=2, sender=two.id, kind=Kind.HANDSHAKE, data=b"2")
    assert three.take() == [first, second]
    assert one.take() == [Accepted(request=7, seq=1), second]


def test_of_two_commits_for_one_place_the_second_is_refused() -> None:
    house = House()
    one, two = house.come(), house.come()
    assert one.say(commit(0, request=1)) == [Accepted(request=1, seq=1)]
    assert two.say(commit(0, request=2))[-1] == Refused(request=2, reason=RefusalCode.COMMIT_TAKEN)
    assert two.say(commit(1, request=3)) == [Accepted(request=3, seq=2)]


def test_other_messages_in_between_do_not_take_a_commits_place() -> None:
    house = House()
    one, two = house.come(), house.come()
    one.say(commit(0))
    two.say(publish())
    two.say(publish(handshake=True))
    assert one.say(commit(1)) == [Accepted(request=1, seq=4)]


@pytest.mark.parametrize("after", [1, 2, 99])
def test_a_commit_on_a_place_that_holds_no_commit_is_refused(after: int) -> None:
    client = House().come()
    client.say(publish())
    assert client.say(commit(after))[-1] == Refused(request=1, reason=RefusalCode.COMMIT_TAKEN)


def test_a_welcome_reaches_its_joiners_right_behind_the_commit_and_nobody_else() -> None:
    house = House()
    host, joiner, member = house.come(), house.come(), house.come()
    joiner.take(), member.take()
    host.say(commit(0, data=b"add", welcome=b"come in", to=[joiner.id, joiner.id]))
    added = Ordered(seq=1, sender=host.id, kind=Kind.COMMIT, data=b"add")
    assert joiner.take() == [added, Welcome(seq=1, sender=host.id, data=b"come in")]
    assert member.take() == [added]


def test_a_commit_that_welcomes_somebody_who_is_gone_changes_nothing() -> None:
    house = House()
    host, joiner, member = house.come(), house.come(), house.come()
    joiner.lose()
    member.take()
    refused = Refused(request=1, reason=RefusalCode.NO_SUCH_CONNECTION)
    assert host.say(commit(0, welcome=b"w", to=[member.id, joiner.id])) == [refused]
    assert member.take() == []
    assert host.say(commit(0, welcome=b"w", to=[member.id])) == [Accepted(request=1, seq=1)]


def test_a_note_goes_to_all_others_or_to_one_and_is_not_kept() -> None:
    house = House()
    one, two, three = house.come(), house.come(), house.come()
    for client in (one, two, three):
        client.take()
    assert one.say(note(b"all")) == []
    one.say(note(b"two", to=two.id))
    assert two.take() == [Noted(sender=one.id, data=b"all"), Noted(sender=one.id, data=b"two")]
    assert three.take() == [Noted(sender=one.id, data=b"all")]
    assert one.say(note(to=77, request=9)) == [Refused(request=9, reason=RefusalCode.NO_SUCH_CONNECTION)]
    two.lose()
    assert two.back(after=0).take() == []


def test_requests_over_the_rate_are_refused_and_take_no_place() -> None:
    house = House(Rates(commits=1, publishes=1, notes=1))
    client, other = house.come(), house.come()
    refused = Refused(request=1, reason=RefusalCode.RATE)
    last = 0
    for _ in range(4):
        client.say(commit(last))
        last += 1
    assert client.say(commit(last)) == [refused]
    for _ in range(4):
        client.say(publish())
        client.say(note())
    other.take()
    assert client.say(publish()) == [refused]
    assert client.say(note()) == [refused]
    assert other.take() == []
    house.wait(1)
    assert client.say(publish()) == [Accepted(request=1, seq=last + 5)]


# --- going and coming back


def test_the_others_are_told_who_left_and_who_was_lost() -> None:
    house = House()
    one, two, three = house.come(), house.come(), house.come()
    one.take()
    two.leave()
    three.lose()
    assert two.goodbye is GoodbyeCode.LEFT
    assert one.take() == [Gone(connection=two.id, left=True), Gone(connection=three.id, left=False)]


def test_who_comes_back_in_time_keeps_its_id_and_receives_what_it_missed_in_order() -> None:
    house = House()
    one, two = house.come(), house.come()
    one.say(commit(0))
    two.lose()
    one.take()
    one.say(publish(b"chat"))
    one.say(commit(1, data=b"second"))
    house.wait(RESUME_S - 1)
    back = two.back(after=1)
    assert (back.entered.resumed, back.id, back.entered.token) == (True, two.id, two.entered.token)
    assert (back.entered.last_seq, back.entered.last_commit) == (3, 3)
    assert back.take() == [
        Ordered(seq=2, sender=one.id, kind=Kind.APPLICATION, data=b"chat"),
        Ordered(seq=3, sender=one.id, kind=Kind.COMMIT, data=b"second"),
    ]
    assert one.take()[-1] == Came(connection=two.id)


def test_who_comes_back_sees_its_own_messages_whose_acceptance_it_missed() -> None:
    house = House()
    one, _ = house.come(), house.come()
    one.say(commit(0, data=b"mine"))
    one.lose()
    assert one.back(after=0).take() == [Ordered(seq=1, sender=one.id, kind=Kind.COMMIT, data=b"mine")]


def test_a_connection_is_resumed_while_the_old_one_still_seems_alive() -> None:
    house = House()
    one, two = house.come(), house.come()
    one.take()
    back = two.back(after=0)
    assert two.goodbye is GoodbyeCode.REPLACED
    assert (back.entered.resumed, back.id) == (True, two.id)
    assert one.take() == []  # for the others nothing happened
    one.say(publish())
    assert len(back.take()) == 1
    house.perform(house.rooms.lost(two.peer, now=house.now))
    assert one.take() == [Accepted(request=1, seq=1)]  # the old connection's end is nobody's


@pytest.mark.parametrize("wrong", ["token", "connection", "incarnation", "after"])
def test_a_wrong_claim_to_a_connection_makes_a_new_one(wrong: str) -> None:
    house = House()
    one, two = house.come(), house.come()
    good = two.resumption(after=0)
    changed = {
        "token": (good.incarnation, good.connection, bytes(16), 0),
        "connection": (good.incarnation, 999, good.token, 0),
        "incarnation": (bytes(16), good.connection, good.token, 0),
        "after": (good.incarnation, good.connection, good.token, 1),
    }[wrong]
    claim = type(good)(incarnation=changed[0], connection=changed[1], token=changed[2], after=changed[3])
    back = house.come(resume=claim)
    assert not back.entered.resumed
    assert back.id not in (one.id, two.id)
    # Only who has the token can end the old connection.
    assert two.goodbye is (GoodbyeCode.REPLACED if wrong == "after" else None)


def test_after_leaving_or_a_minute_a_connection_cannot_be_resumed() -> None:
    house = House()
    house.come()
    leaver, late = house.come(), house.come()
    leaver.leave()
    assert not leaver.back(after=0).entered.resumed
    late.lose()
    house.wait(RESUME_S)
    assert not late.back(after=0).entered.resumed
    assert house.rooms.lost_count == 0


def test_who_missed_more_handshake_messages_than_are_kept_gets_a_new_connection() -> None:
    house = House()
    one, two = house.come(), house.come()
    two.lose()
    for number in range(KEPT_MESSAGES + 1):
        one.say(publish(handshake=True, request=number))
    one.take()
    assert len(two.back(after=1).take()) == KEPT_MESSAGES
    house.clients[max(house.clients)].lose()
    one.take()
    back = two.back(after=0)
    assert not back.entered.resumed
    assert back.entered.last_seq == KEPT_MESSAGES + 1
    assert one.take() == [Came(connection=back.id)]


def test_of_a_room_of_a_thousand_256_commits_are_kept_too_and_a_client_away_for_60_s_gets_them_all() -> None:
    """The numbers that PROTOCOL.md promises, as they stand there."""
    assert (KEPT_MESSAGES, RESUME_S, ROOM_LINGER_S) == (256, 60.0, 60.0)
    house = House()
    one, two = house.come(), house.come()
    two.lose()
    path = bytes(82 * 1024 + 5000)  # sealed to each of 1,024, with a few newcomers
    for last in range(256):
        one.say(commit(last, data=path))
    house.wait(59.9)
    assert [m.seq for m in two.back(after=0).take() if isinstance(m, Ordered)] == list(range(1, 257))
    two = house.clients[max(house.clients)]
    two.lose()
    house.wait(60.0)
    assert not two.back(after=0).entered.resumed


def test_old_chat_is_forgotten_without_ending_anybodys_resumption() -> None:
    house = House()
    one, two = house.come(), house.come()
    two.lose()
    one.say(commit(0))
    for number in range(KEPT_MESSAGES + 44):
        one.say(publish(request=number))
    one.say(commit(1))
    missed = [message for message in two.back(after=0).take() if isinstance(message, Ordered)]
    assert [m.seq for m in missed] == [1, *range(46, KEPT_MESSAGES + 46), KEPT_MESSAGES + 46]


def test_a_welcome_that_was_lost_with_its_connection_comes_again() -> None:
    house = House()
    host, joiner = house.come(), house.come()
    host.say(commit(0, welcome=b"come in", to=[joiner.id]))
    host.say(commit(1))
    joiner.lose()
    # Its commit may have arrived and the Welcome behind it not.
    for after in (0, 1):
        back = joiner.back(after=after)
        welcome = [message for message in back.take() if isinstance(message, Welcome)]
        assert [w.data for w in welcome] == [b"come in"]
        back.lose()
    back = joiner.back(after=2)
    assert back.entered.resumed
    assert back.take() == []


def test_a_joiner_whose_welcome_is_forgotten_cannot_go_on_as_if_it_had_it() -> None:
    house = House()
    host, joiner, others = house.come(), house.come(), house.come()
    host.say(commit(0, welcome=b"w", to=[joiner.id]))
    joiner.lose()
    for last in range(1, 4):
        host.say(commit(last, welcome=bytes(500_000), to=[others.id]))
    assert not joiner.back(after=0).entered.resumed


def test_somebody_elses_forgotten_welcome_does_not_matter() -> None:
    house = House()
    host, joiner, member = house.come(), house.come(), house.come()
    member.lose()
    for last in range(4):
        host.say(commit(last, welcome=bytes(500_000), to=[joiner.id]))
    assert member.back(after=0).entered.resumed


# --- bounds


def test_what_a_room_keeps_is_bounded_in_bytes() -> None:
    house = House()
    one, two = house.come(), house.come()
    two.lose()
    for last in range(120):
        one.say(commit(last, data=bytes(200_000)))
    assert house.rooms.kept_bytes <= KEPT_HANDSHAKE_BYTES
    assert not two.back(after=0).entered.resumed


def test_what_the_relay_keeps_is_bounded_and_the_largest_rooms_pay() -> None:
    house = House(max_rooms=200)
    small = house.come(b"s" * 32)
    small.say(publish(b"small", handshake=True))
    small.lose()
    for number in range(80):
        client = house.come(bytes([number]) * 32)
        for last in range(5):
            client.say(commit(last, data=bytes(200_000)))
        assert house.rooms.kept_bytes <= KEPT_RELAY_BYTES
    assert len(small.back(after=0).take()) == 1


def test_rooms_that_keep_as_much_as_they_can_cost_a_small_room_nothing() -> None:
    house = House()
    small = house.come(b"s" * 32)
    small.say(publish(b"small", handshake=True))
    small.lose()
    for number in range(6):
        hostile = house.come(bytes([number]) * 32)
        for last in range(120):
            hostile.say(commit(last, data=bytes(250_000)))
            assert house.rooms.kept_bytes <= 64 << 20
    assert [m.data for m in small.back(after=0).take() if isinstance(m, Ordered)] == [b"small"]


def test_nothing_is_left_when_all_have_gone() -> None:
    house = House()
    clients = [house.come(bytes([number]) * 32) for number in range(10)]
    for client in clients:
        client.say(commit(0, data=bytes(1000)))
        client.lose()
    house.wait(ROOM_LINGER_S)
    assert (len(house.rooms), house.rooms.kept_bytes, house.rooms.lost_count) == (0, 0, 0)


def test_a_room_shows_no_id() -> None:
    house = House()
    client = house.come()
    assert repr(house.rooms.room_of(client.peer)) == "<Room of 1>"
    client.say(Leave())
    assert house.rooms.room_of(client.peer) is None
