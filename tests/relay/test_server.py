"""The relay as a whole, over real QUIC on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relay_quic import rooms, server
from relay_quic.config import Caps
from relay_quic.limits import Rates
from relay_quic.quic import Library
from relay_quic.quic import client as quic_client
from relay_quic.wire import (
    Accepted,
    Came,
    DatagramKind,
    Enter,
    Entered,
    Gone,
    GoodbyeCode,
    Leave,
    Noted,
    Ordered,
    RefusalCode,
    Refused,
    Resume,
    Welcome,
    room_id,
)
from tests.relay.livesupport import Line, LiveClient, a_live_relay, close_all, entered
from tests.relay.quicsupport import every_library, every_pairing, until
from tests.relay.relaysupport import PROOF, commit, enter, note, publish


@every_pairing
async def test_a_call_is_ordered_and_forwarded(tmp_path: Path, client_library: Library, relay_library: Library) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        one, two, three = [await entered(relay, client_library) for _ in range(3)]
        ids = [client.all(Entered)[0].connection for client in (one, two, three)]
        await until(lambda: len(one.all(Came)) == 2)
        one.say(commit(0, data=b"add", welcome=b"w" * 100_000, to=[ids[1]]))
        await two.first(Welcome)
        await three.first(Ordered)
        assert (await one.first(Accepted)).seq == 1
        three.say(commit(0, data=b"too late", request=5), publish(b"chat", request=6))
        await three.first(Accepted)
        assert three.all(Refused) == [Refused(request=5, reason=RefusalCode.COMMIT_TAKEN)]
        two.say(note(b"knock"))
        await one.first(Noted)
        assert [m.data for m in two.all(Ordered)] == [b"add", b"chat"]
        assert not three.all(Welcome)
        sent = one.speak(b"sealed audio")
        await until(lambda: two.datagrams == [sent] and three.datagrams == [sent])
        assert one.datagrams == []
        two.say(Leave())
        assert await two.goodbye() is GoodbyeCode.LEFT
        assert await one.first(Gone) == Gone(connection=ids[1], left=True)
        await close_all(one, two, three)


@every_pairing
async def test_a_large_message_gets_through_without_a_tick_of_the_client(
    tmp_path: Path, client_library: Library, relay_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quic_client, "KEEP_ALIVE_S", 1e6)  # its ping would also send what got stuck
    async with a_live_relay(tmp_path, relay_library) as relay:
        client = await entered(relay, client_library)
        client.say(publish(bytes(60_000)))
        await client.first(Accepted)
        await close_all(client)


@every_pairing
async def test_a_lost_connection_is_taken_up_again_with_all_it_missed(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        one, two = [await entered(relay, client_library) for _ in range(2)]
        was = two.all(Entered)[0]
        await two.quic.close()
        assert await one.first(Gone) == Gone(connection=was.connection, left=False)
        for number in range(300):
            one.say(publish(b"%d" % number, handshake=number % 2 == 0, request=number))
        await until(lambda: len(one.all(Accepted)) == 300)
        back = LiveClient()
        await back.open(relay, client_library)
        resume = Resume(incarnation=was.incarnation, connection=was.connection, token=was.token, after=2)
        answer = await back.enter(resume=resume)
        assert (answer.resumed, answer.connection, answer.last_seq) == (True, was.connection, 300)
        await until(lambda: len(back.all(Ordered)) == 298)
        assert [m.data for m in back.all(Ordered)] == [b"%d" % number for number in range(2, 300)]
        await close_all(one, back)


@every_pairing
async def test_stopping_says_goodbye_to_everybody(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    clients: list[LiveClient] = []
    async with a_live_relay(tmp_path, relay_library) as relay:
        clients += [await entered(relay, client_library) for _ in range(3)]
    for client in clients:
        assert await client.goodbye() is GoodbyeCode.SHUTTING_DOWN
        await until(lambda client=client: client.closed)  # type: ignore[misc]
    await close_all(*clients)


@every_pairing
async def test_a_receiver_that_hangs_loses_audio_but_no_message_and_slows_nobody(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        line = Line()
        await line.lay(relay)
        speaker, listener = [await entered(relay, client_library) for _ in range(2)]
        hanging = LiveClient()
        await hanging.open_at(*line.address, client_library)
        await hanging.enter()
        line.whole = False
        sent = []
        for number in range(75):
            sent.append(speaker.speak(b"%d" % number))
            if number % 5 == 0:
                speaker.say(publish(b"%d" % number, handshake=True, request=number))
            await until(lambda: listener.datagrams == sent)
        assert len(listener.all(Ordered)) == 15
        line.whole = True
        await until(lambda: len(hanging.all(Ordered)) == 15)
        assert hanging.all(Ordered) == listener.all(Ordered)
        # What is said now is heard, and little of what was said meanwhile.
        now = speaker.speak(b"now")
        await until(lambda: now in hanging.datagrams)
        assert len(hanging.datagrams) < 15
        line.close()
        await close_all(speaker, listener, hanging)


@every_library
async def test_a_restarted_relay_has_the_same_pin(tmp_path: Path, library: Library) -> None:
    async with a_live_relay(tmp_path, library) as relay:
        pin = relay.pin
    async with a_live_relay(tmp_path, library) as relay:
        assert relay.pin == pin


@every_pairing
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x00\x00\x00\x00", GoodbyeCode.PROTOCOL),
        (b"\x00\x01\x00\x00", GoodbyeCode.PROTOCOL),  # larger than a first message may be
        (b"\x00\x00\x00\x03abc", GoodbyeCode.PROTOCOL),
        (publish(b"x"), GoodbyeCode.PROTOCOL),
        (Enter(room=room_id(PROOF), proof=bytes(32), resume=None), GoodbyeCode.BAD_PROOF),
    ],
    ids=["no length", "too long", "no message", "not entered", "wrong proof"],
)
async def test_who_does_not_enter_properly_is_told_and_closed(
    tmp_path: Path, said: bytes | Enter, reason: GoodbyeCode, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        client = LiveClient()
        await client.open(relay, client_library)
        if isinstance(said, bytes):
            client.say_bytes(said)
        else:
            client.say(said)
        assert await client.goodbye() is reason
        await until(lambda: client.closed)
        await close_all(client)


@every_pairing
async def test_who_never_enters_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    monkeypatch.setattr(server, "ENTER_WITHIN_S", 0.0)
    async with a_live_relay(tmp_path, relay_library) as relay:
        silent, halting = LiveClient(), LiveClient()
        await silent.open(relay, client_library)
        await halting.open(relay, client_library)
        halting.say_bytes(b"\0")
        assert await halting.goodbye() is GoodbyeCode.PROTOCOL
        await until(lambda: silent.closed and halting.closed)
        assert silent.received == []
        await close_all(silent, halting)


@every_pairing
async def test_a_full_relay_says_so(tmp_path: Path, client_library: Library, relay_library: Library) -> None:
    async with a_live_relay(tmp_path, relay_library, caps=Caps(connections=1)) as relay:
        first = await entered(relay, client_library)
        second = LiveClient()
        await second.open(relay, client_library)
        second.say(enter())
        assert await second.goodbye() is GoodbyeCode.RELAY_FULL
        await close_all(first, second)
        await until(lambda: relay.figures()["connected"] == 0)
        await close_all(await entered(relay, client_library))


@every_pairing
async def test_an_address_with_too_many_connections_is_told(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library, caps=Caps(connections_per_address=1)) as relay:
        first = await entered(relay, client_library)
        second = LiveClient()
        await second.open(relay, client_library)
        second.say(enter())
        assert await second.goodbye() is GoodbyeCode.RATE
        await close_all(first, second)


@every_pairing
async def test_connections_that_only_take_up_place_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "MAX_TOLD_TO_GO", 2)
    async with a_live_relay(tmp_path, relay_library, caps=Caps(connections=2, connections_per_address=1)) as relay:
        crowd = [LiveClient() for _ in range(6)]
        for client in crowd:
            await client.open(relay, client_library)
        await until(lambda: sum(client.closed is not None for client in crowd) == 3)
        assert relay.figures()["connected"] == 3
        await crowd[0].enter()
        await close_all(*crowd)
        await until(lambda: relay.figures()["connected"] == 0)
        await close_all(await entered(relay, client_library))


@every_pairing
async def test_an_address_that_enters_too_often_is_told(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library, rates=Rates(enters=1)) as relay:
        clients = [await entered(relay, client_library) for _ in range(10)]
        one_more = LiveClient()
        await one_more.open(relay, client_library)
        one_more.say(enter())
        assert await one_more.goodbye() is GoodbyeCode.RATE
        await close_all(*clients, one_more)


@every_pairing
async def test_a_flood_of_messages_ends_the_connection_and_leaves_the_others_alone(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library, rates=Rates(messages=10)) as relay:
        one, flood = await entered(relay, client_library), await entered(relay, client_library)
        flood.say(*(note(request=number) for number in range(200)))
        assert await flood.goodbye() is GoodbyeCode.RATE
        await one.first(Gone)
        one.say(publish())
        assert (await one.first(Accepted)).seq == 1
        await close_all(one, flood)


@every_pairing
async def test_a_flood_of_datagrams_is_cut_without_ending_the_connection(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library, rates=Rates(datagrams=1)) as relay:
        one, flood = await entered(relay, client_library), await entered(relay, client_library)
        for number in range(60):
            flood.speak(b"%d" % number)
        flood.say(publish())
        await one.first(Ordered)
        await until(lambda: relay.relay.metrics.datagrams_received == 60)
        assert relay.relay.metrics.dropped_over_rate >= 40
        assert len(one.datagrams) <= 20  # one a second
        await close_all(one, flood)


@every_pairing
async def test_datagrams_of_no_known_kind_go_nowhere(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        one, two = await entered(relay, client_library), await entered(relay, client_library)
        outside = LiveClient()
        await outside.open(relay, client_library)
        outside.speak(b"not in a room")
        for datagram in (b"\x00x", b"\xffx", b"\x01"):
            two.quic.send_datagram(datagram)
        sent = two.speak(b"good", kind=DatagramKind.SIDE)
        await until(lambda: one.datagrams)
        await until(lambda: relay.relay.metrics.dropped_malformed == 4)
        assert one.datagrams == [sent]
        await close_all(one, two, outside)


@every_pairing
async def test_in_a_large_room_the_loudest_few_are_heard_and_reports_always(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        clients = [await entered(relay, client_library) for _ in range(9)]
        listener, *speakers = clients
        sent = 0
        for _ in range(3):
            for number, speaker in enumerate(speakers):
                speaker.speak(b"%d" % number, loudness=3 if number < 4 else 0)
                sent += 1  # one after the other: who comes first would be heard until louder ones are known
                await until(lambda n=sent: relay.relay.metrics.datagrams_received == n)  # type: ignore[misc]
        report = speakers[7].speak(b"report", kind=DatagramKind.SIDE)
        await until(lambda: report in listener.datagrams)
        heard = {datagram[1:] for datagram in listener.datagrams if datagram != report}
        assert heard == {b"0", b"1", b"2", b"3"}
        assert relay.relay.metrics.dropped_not_selected == 12
        await close_all(*clients)


@every_pairing
async def test_reports_of_a_room_are_cut_to_a_rate_whoever_sends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(rooms, "REPORTS_PER_S", 1.0)
    async with a_live_relay(tmp_path, relay_library) as relay:
        listener, *reporters = [await entered(relay, client_library) for _ in range(4)]
        for number in range(50):
            for reporter in reporters:
                reporter.speak(b"%d" % number, kind=DatagramKind.SIDE)
            await until(lambda n=number: relay.relay.metrics.datagrams_received == 3 * (n + 1))  # type: ignore[misc]
        sent = reporters[0].speak(b"audio")
        await until(lambda: sent in listener.datagrams)
        assert relay.relay.metrics.dropped_not_selected > 100
        await close_all(listener, *reporters)


@every_pairing
async def test_who_does_not_read_has_to_reconnect_and_nobody_else_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "MAX_STREAM_BACKLOG_BYTES", 100_000)
    async with a_live_relay(tmp_path, relay_library) as relay:
        line = Line()
        await line.lay(relay)
        one, two, stuck = await entered(relay, client_library), await entered(relay, client_library), LiveClient()
        await stuck.open_at(*line.address, client_library)
        was = await stuck.enter()
        line.whole = False
        total = 40
        for number in range(total):
            one.say(publish(bytes(10_000), request=number))
            await until(lambda n=number: len(two.all(Ordered)) == n + 1)  # type: ignore[misc]
        assert await one.first(Gone) == Gone(connection=was.connection, left=False)
        assert relay.relay.metrics.goodbyes == {"too_slow": 1}
        back = LiveClient()
        await back.open(relay, client_library)
        resume = Resume(incarnation=was.incarnation, connection=was.connection, token=was.token, after=0)
        # What it missed is four times what may wait for it otherwise, and does not cut it off again.
        assert (await back.enter(resume=resume)).resumed
        await until(lambda: len(back.all(Ordered)) == total)
        line.close()
        await close_all(one, two, stuck, back)


@every_pairing
async def test_when_all_that_is_unread_is_too_much_the_most_stuck_has_to_reconnect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    monkeypatch.setattr(server, "MAX_RELAY_HELD_BYTES", 150_000)
    async with a_live_relay(tmp_path, relay_library) as relay:
        line = Line()
        await line.lay(relay)
        one, stuck = await entered(relay, client_library), LiveClient()
        await stuck.open_at(*line.address, client_library)
        await stuck.enter()
        line.whole = False
        for number in range(30):
            one.say(publish(bytes(10_000), request=number))
        await one.first(Gone)
        assert relay.relay.metrics.goodbyes == {"too_slow": 1}
        assert one.closed is None
        line.close()
        await close_all(one, stuck)


@every_library
async def test_a_fault_in_one_tick_does_not_stop_the_next_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.01)
    calls: list[float] = []

    def tick(_: server.Relay, *, now: float) -> None:
        calls.append(now)
        raise LookupError("the name of a room")

    monkeypatch.setattr(server.Relay, "tick", tick)
    async with a_live_relay(tmp_path, library) as relay:
        await until(lambda: len(calls) >= 3)
        assert relay.relay.metrics.tick_faults >= 2
    assert len(caplog.records) == 1 and "LookupError, test_server.py" in caplog.text and "name" not in caplog.text


@every_pairing
async def test_clients_that_come_and_go_leave_nothing_behind(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay:
        for _ in range(5):
            clients = [await entered(relay, client_library) for _ in range(4)]
            for client in clients:
                client.say(Leave())
            await asyncio.gather(*(client.goodbye() for client in clients))
            await close_all(*clients)
        await until(lambda: relay.figures()["connected"] == 0)
        assert relay.relay.metrics.connections == 20
