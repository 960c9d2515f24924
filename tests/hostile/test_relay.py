"""A relay among people who mean it harm: it goes on serving the others, holds little, and never fails."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from relay_quic import server
from relay_quic.limits import Rates
from relay_quic.quic import Library
from relay_quic.server import Running
from relay_quic.wire import (
    MAX_MESSAGE_BYTES,
    Accepted,
    Came,
    Entered,
    Gone,
    Goodbye,
    GoodbyeCode,
    Leave,
    Ordered,
    Refused,
    Resume,
    encode,
)
from tests.relay.livesupport import Line, LiveClient, a_live_relay, close_all, entered
from tests.relay.quicsupport import every_pairing, until
from tests.relay.relaysupport import PROOF, commit, enter, note, publish

VALID = (
    enter(),
    enter(resume=Resume(incarnation=bytes(16), connection=1, token=bytes(16), after=0)),
    commit(0, data=b"c" * 50, welcome=b"w" * 50, to=[1, 2]),
    publish(b"p" * 50),
    note(b"n" * 50, to=1),
    Leave(),
)


@asynccontextmanager
async def _a_call(relay: Running, library: Library) -> AsyncIterator[tuple[LiveClient, LiveClient]]:
    """Two people who talk in another room before and after what happens, and hear each other."""
    one, two = [await entered(relay, library, proof=b"honest" + bytes(26)) for _ in range(2)]
    yield one, two
    was = len(two.all(Ordered)), len(two.datagrams)
    one.say(publish(b"still here"))
    sent = one.speak(b"still heard")
    await until(lambda: len(two.all(Ordered)) > was[0] and sent in two.datagrams[was[1] :])
    transport = cast("dict[str, int]", relay.figures()["transport"])
    assert transport["handler_faults"] == 0
    await close_all(one, two)


def _mutated(rng: random.Random) -> bytes:
    """A valid message with a few bytes changed, its length mostly right."""
    message = bytearray(encode(rng.choice(VALID)))
    for _ in range(rng.randint(1, 4)):
        message[rng.randrange(len(message))] = rng.randrange(256)
    if rng.random() < 0.8:
        message[:4] = (len(message) - 4).to_bytes(4, "big")
    return bytes(message)


@every_pairing
async def test_mutated_messages_end_their_own_connection_at_most(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    rng = random.Random(1)
    async with a_live_relay(tmp_path, relay_library) as relay, _a_call(relay, client_library):
        for attempt in range(60):
            attacker = LiveClient()
            await attacker.open(relay, client_library)
            if attempt % 2:
                await attacker.enter()
            attacker.say_bytes(b"".join(_mutated(rng) for _ in range(rng.randint(1, 5))))
            attacker.quic.send_datagram(rng.randbytes(rng.randint(1, 1100)))
            attacker.quic.flush(now=time.monotonic())
            # Something that is answered, so that all of the above has been read.
            attacker.say_bytes(b"\xff" * 4)
            await until(lambda attacker=attacker: attacker.closed)  # type: ignore[misc]
            await attacker.quic.close()


@every_pairing
async def test_a_member_of_the_room_who_floods_it_is_cut_off_and_the_call_goes_on(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with (
        a_live_relay(tmp_path, relay_library, rates=Rates(messages=50)) as relay,
        _a_call(relay, client_library) as (one, two),
    ):
        flood = LiveClient()
        await flood.open(relay, client_library)
        await flood.enter(proof=b"honest" + bytes(26))
        last = flood.all(Entered)[0].last_commit
        flood.say(*(publish(bytes(1000), request=number) for number in range(1000)))
        for number in range(500):
            flood.quic.send_datagram(b"\x01%d" % number)
        flood.say(*(commit(last, request=number) for number in range(100)))
        assert await flood.goodbye() is GoodbyeCode.RATE
        # What was refused was said to be: for each request before the end there is an answer.
        answered = {m.request for m in flood.received if isinstance(m, Accepted | Refused)}
        assert answered == set(range(len(answered)))
        await one.first(Gone)
        assert len(two.all(Ordered)) < 150
        assert not [m for m in (*one.received, *two.received) if isinstance(m, Goodbye)]
        await close_all(flood)


@every_pairing
async def test_commits_of_nonsense_are_refused_beyond_the_rate_so_that_others_get_a_turn(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with (
        a_live_relay(tmp_path, relay_library, rates=Rates(commits=1)) as relay,
        _a_call(relay, client_library) as (one, two),
    ):
        vandal = LiveClient()
        await vandal.open(relay, client_library)
        await vandal.enter(proof=b"honest" + bytes(26))
        for number in range(6):
            vandal.say(commit(number, request=number))
        await until(lambda: len(vandal.all(Accepted)) + len(vandal.all(Refused)) == 6)
        last = max(m.seq for m in two.all(Ordered))
        one.say(commit(last, request=77))
        await until(lambda: one.all(Accepted))
        assert one.all(Accepted)[0].seq == last + 1
        await close_all(vandal)


@every_pairing
async def test_messages_that_never_end_hold_little_and_nobody_up(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay, _a_call(relay, client_library):
        attackers = [LiveClient() for _ in range(5)]
        for attacker in attackers:
            await attacker.open(relay, client_library)
            await attacker.enter()
            attacker.say_bytes(MAX_MESSAGE_BYTES.to_bytes(4, "big") + bytes(50_000))
        halting = LiveClient()
        await halting.open(relay, client_library)
        for byte in encode(enter()):
            halting.say_bytes(bytes((byte,)))
        await halting.first(Entered)
        await close_all(*attackers, halting)


@every_pairing
async def test_incomplete_messages_of_many_are_bounded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    monkeypatch.setattr(server, "MAX_RELAY_HELD_BYTES", 100_000)
    async with a_live_relay(tmp_path, relay_library) as relay, _a_call(relay, client_library) as (one, two):
        attackers = [LiveClient() for _ in range(5)]
        for attacker in attackers:
            await attacker.open(relay, client_library)
            await attacker.enter()
            attacker.say_bytes(MAX_MESSAGE_BYTES.to_bytes(4, "big") + bytes(40_000))
        await until(lambda: sum(attacker.closed is not None for attacker in attackers) >= 3)
        assert one.closed is None
        assert two.closed is None
        assert relay.relay.metrics.goodbyes == {"too_slow": 3}
        await close_all(*attackers)


@every_pairing
async def test_what_nobody_reads_is_bounded_when_it_is_written_and_not_a_second_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "TICK_S", 1e6)
    monkeypatch.setattr(server, "MAX_RELAY_HELD_BYTES", 300_000)
    monkeypatch.setattr(server, "JUDGE_HELD_EVERY_BYTES", 100_000)
    async with a_live_relay(tmp_path, relay_library) as relay, _a_call(relay, client_library) as (one, two):
        vandal = await entered(relay, client_library)
        lines, deaf = [Line() for _ in range(4)], [LiveClient() for _ in range(4)]
        for line, client in zip(lines, deaf, strict=True):
            await line.lay(relay)
            await client.open_at(*line.address, client_library)
            await client.enter()
            line.whole = False
        for number in range(30):
            vandal.say(publish(bytes(20_000), request=number))
            await until(lambda n=number: len(vandal.all(Accepted)) == n + 1)  # type: ignore[misc]
            assert relay.relay.held_bytes <= 300_000 + 100_000 + 4 * 20_100
        assert relay.relay.metrics.goodbyes["too_slow"] >= 3
        assert not [m for m in (*one.received, *two.received) if isinstance(m, Goodbye)]
        for line in lines:
            line.close()
        await close_all(vandal, *deaf)


@every_pairing
async def test_tokens_cannot_be_guessed_from_another_seat_or_room(
    tmp_path: Path, client_library: Library, relay_library: Library
) -> None:
    async with a_live_relay(tmp_path, relay_library) as relay, _a_call(relay, client_library) as (one, _):
        victim = one.all(Entered)[0]
        thief = LiveClient()
        await thief.open(relay, client_library)
        own = await thief.enter(proof=b"honest" + bytes(26))
        await thief.quic.close()
        for room, token in ((b"honest" + bytes(26), own.token), (PROOF, victim.token)):
            again = LiveClient()
            await again.open(relay, client_library)
            claim = Resume(incarnation=victim.incarnation, connection=victim.connection, token=token, after=0)
            answer = await again.enter(proof=room, resume=claim)
            assert not answer.resumed
            await close_all(again)
        assert one.closed is None


@every_pairing
async def test_coming_and_going_all_the_time_is_limited_and_leaves_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_library: Library, relay_library: Library
) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)
    async with (
        a_live_relay(tmp_path, relay_library, rates=Rates(enters=4)) as relay,
        _a_call(relay, client_library) as (one, _),
    ):
        goodbyes: list[GoodbyeCode] = []
        for number in range(60):
            visitor = LiveClient()
            await visitor.open(relay, client_library)
            visitor.say(enter(number.to_bytes(32, "big")))
            await until(lambda visitor=visitor: visitor.received)  # type: ignore[misc]
            goodbyes += [message.reason for message in visitor.all(Goodbye)]
            await visitor.quic.close()
        assert set(goodbyes) == {GoodbyeCode.RATE}
        await until(lambda: relay.figures()["connected"] == 2)
        assert cast("int", relay.figures()["resumable"]) < 60
        assert len(one.all(Came)) == 1
