"""The socket: whatever clients do, the engine goes on, holds no more, and answers the others."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from tests.control.conftest import Run
from tests.control.support import NothingService, Talker, listening, never_reading, open_descriptors, until
from tuiconf.adapters.audio import FRAME_SAMPLES, Frame
from tuiconf.control.client import ControlClient
from tuiconf.control.outbox import MAX_BYTES
from tuiconf.control.rpc import MAX_LINE_BYTES, ControlError
from tuiconf.control.schema import Attach, ChatSend, GetLink, SayHello
from tuiconf.control.server import MAX_CLIENTS, ControlServer
from tuiconf.control.streams import FRAME_BYTES
from tuiconf.engine.incoming import MAX_TAP_FRAMES
from tuiconf.engine.outgoing import MAX_STREAM_FRAMES

SILENCE = np.zeros(FRAME_SAMPLES, np.float32)
GET_LINK = b'{"jsonrpc":"2.0","id":1,"method":"link.get"}\n'


def _malformed(rng: random.Random) -> bytes:
    """A line that is wrong in one of many ways."""
    kinds = (
        lambda: rng.randbytes(rng.randrange(200)).replace(b"\n", b"") + b"\n",
        lambda: b"[" * rng.randrange(1, MAX_LINE_BYTES) + b"\n",
        lambda: b'{"jsonrpc":"2.0","method":"mute","id":"' + b"x" * rng.randrange(300) + b'"}\n',
        lambda: b'{"jsonrpc":"2.0","id":1,"method":"chat.send","params":{"text":%d}}\n' % rng.randrange(10),
        lambda: b"x" * (MAX_LINE_BYTES + rng.randrange(3)) + b"\n" if rng.random() < 0.05 else b"{}\n",
        lambda: b"\n\r\n \n",
        lambda: b'{"jsonrpc":"2.0","id":1,"method":"lock"}\n',
        lambda: b'{"jsonrpc":"2.0","id":1,"method":"hello"}\n',
    )
    return rng.choice(kinds)()


async def _still_well(path: Path) -> None:
    """A client is answered at once."""
    client = await ControlClient.connect(path)
    await client.call(ChatSend(text="are you there?"))
    await client.close()


def test_ten_thousand_wrong_lines_are_answered_and_leave_nothing_behind(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            tasks, descriptors = len(asyncio.all_tasks()), open_descriptors()
            rng = random.Random(1)
            for number in range(20):
                talker = await Talker.connect(path)
                reading = asyncio.create_task(talker.ended())
                for _ in range(500):
                    talker.send(_malformed(rng))
                    await talker.writer.drain()
                if number % 2:
                    talker.send(b'{"half a line')
                talker.writer.write_eof()
                answers = (await reading).splitlines()
                assert len(answers) > 100
                await talker.close()
            await _still_well(path)
            await until(lambda: len(asyncio.all_tasks()) == tasks and open_descriptors() == descriptors)

    run(scene())


def test_a_bug_costs_one_request_and_is_told_without_its_text(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            answer = await talker.answer("hello")
            assert answer["error"]["data"]["code"] == "internal"
            assert "name" not in answer["error"]["message"]
            assert [type(fault) for fault in service.contained] == [RuntimeError]
            assert (await talker.answer("chat.send", text="hello"))["result"] == {}
            await talker.close()

    run(scene())


def test_what_cannot_be_done_has_a_code(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            talker = await Talker.connect(path)
            assert (await talker.answer("lock"))["error"] == {
                "code": -32000,
                "message": "not in the call",
                "data": {"code": "local_protocol"},
            }
            await talker.close()

    run(scene())


def test_a_notification_is_done_and_not_answered(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            talker.send(b'{"jsonrpc":"2.0","method":"mute"}\n{"jsonrpc":"2.0","method":"lock"}\n')
            assert (await talker.answer("unmute"))["result"] == {}
            assert [request.method for request in service.done] == ["mute", "lock", "unmute"]
            await talker.close()

    run(scene())


def test_clients_that_only_connect_cost_others_nothing_and_one_too_many_is_told(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            descriptors = open_descriptors()
            hanging = [await Talker.connect(path) for _ in range(MAX_CLIENTS - 1)]
            await _still_well(path)
            await until(lambda: open_descriptors() == descriptors + 2 * len(hanging))  # both ends are ours
            hanging.append(await Talker.connect(path))
            refused = await Talker.connect(path)
            assert (await refused.line())["error"]["data"]["code"] == "too_many_clients"
            assert await refused.ended() == b""
            await refused.close()
            client = await ControlClient.connect(path)
            with contextlib.suppress(ControlError):
                await client.call(ChatSend(text="hello"))
                raise AssertionError("one too many was let in")
            await client.close()
            for talker in hanging:
                await talker.close()
            await until(lambda: open_descriptors() == descriptors)
            await _still_well(path)

    run(scene())


def test_a_client_that_never_reads_is_not_listened_to_any_more(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            client = never_reading(path)
            sent = 0
            while sent < 1000:
                try:
                    client.send(GET_LINK)
                    sent += 1
                except BlockingIOError:
                    before = len(service.done)
                    await asyncio.sleep(0.2)
                    if len(service.done) == before:
                        break
                await asyncio.sleep(0)
            done = len(service.done)
            assert done * len(service.link) < MAX_BYTES + 400_000  # and what the kernel and the transport hold
            await _still_well(path)
            client.close()

    run(scene())


def test_a_client_that_writes_too_long_lines_and_never_reads_makes_nothing_grow(run: Run, folder: Path) -> None:
    """Each is answered, so those answers must have an end as well."""

    async def scene() -> None:
        async with listening(folder) as (_, path):
            client = never_reading(path)
            line, written = bytes(MAX_LINE_BYTES + 1) + b"\n", 0
            stuck_since = time.monotonic()
            while written < 400_000_000 and time.monotonic() - stuck_since < 0.5:
                try:
                    written += client.send(line)
                    stuck_since = time.monotonic()
                except BlockingIOError:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)
            assert written < 400_000_000
            await _still_well(path)
            client.close()

    run(scene())


def test_who_closes_their_side_is_still_answered(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            talker = await Talker.connect(path)
            talker.send(GET_LINK * 100)
            talker.writer.write_eof()
            assert (await talker.ended()).count(b"\n") == 100
            await talker.close()

    run(scene())


def test_who_closes_their_side_and_never_reads_is_cut_off(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            descriptors = open_descriptors()
            clients = [never_reading(path, GET_LINK * 300) for _ in range(5)]
            for client in clients:
                client.shutdown(1)
            await until(lambda: open_descriptors() == descriptors + len(clients))  # our ends, and not the engine's
            await _still_well(path)
            for client in clients:
                client.close()

    run(scene())


def test_a_subscriber_that_reads_slowly_loses_levels_first_and_is_told_how_many(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            await talker.answer("subscribe")
            talker.reader._transport.pause_reading()  # type: ignore[attr-defined]
            for number in range(900):
                service.tell(f"{number}")
                service.tell_levels(1000)
                await asyncio.sleep(0)
            talker.reader._transport.resume_reading()  # type: ignore[attr-defined]
            talker.ask("unmute", "end")
            events: list[dict[str, object]] = []
            while (line := await talker.line()).get("id") != "end":
                events.append(line["params"]["data"])
            notices = [int(str(event["message"])) for event in events if event["event"] == "notice"]
            levels = sum(event["event"] == "audio_stats" for event in events)
            missed = [event for event in events if event["event"] == "events_missed"]
            assert notices == list(range(900))
            assert levels < 900
            assert [event["events"] for event in missed] == [0] * len(missed)
            assert sum(int(str(event["levels"])) for event in missed) + levels == 900
            await talker.close()

    run(scene())


def test_events_follow_the_answer_to_subscribe(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            service.tell("before")
            talker = await Talker.connect(path)
            talker.ask("subscribe", 1, since=0)
            assert (await talker.line())["result"] == {"seq": 0}
            assert (await talker.line())["params"]["data"]["message"] == "before"
            talker.ask("subscribe", 2)  # twice is once
            assert (await talker.line())["result"] == {"seq": 1}
            service.tell("after")
            assert (await talker.line())["params"]["data"]["message"] == "after"
            await talker.answer("unsubscribe")
            service.tell("unheard")
            assert (await talker.answer("unmute"))["result"] == {}
            await talker.close()

    run(scene())


def test_a_wrong_name_leaves_the_subscription_as_it_was(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            await talker.answer("subscribe", events=["notice"])
            assert (await talker.answer("subscribe", events=["nonsense"]))["error"]["data"]["code"] == "invalid_params"
            service.tell("still told")
            assert (await talker.line())["params"]["data"]["message"] == "still told"
            await talker.close()

    run(scene())


def test_what_a_client_held_is_let_go_when_its_connection_ends(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            for how in ("close", "reset"):
                talker = await Talker.connect(path)
                await talker.answer("attach")
                await talker.answer("ptt.down")
                assert len(service.front_ends) == 1 and service.talking
                if how == "close":
                    talker.writer.close()
                else:
                    talker.writer.transport.abort()
                await until(lambda: not len(service.front_ends) and not service.talking)

    run(scene())


def test_the_end_is_quick_with_all_kinds_of_clients_and_those_who_read_are_told_all(run: Run, folder: Path) -> None:
    async def scene() -> None:
        service, path = NothingService(), folder / "abcd.sock"
        server = ControlServer(service, path)
        await server.start()
        idle = await Talker.connect(path)
        listener, streaming = await Talker.connect(path), await Talker.connect(path)
        await listener.answer("subscribe")
        await streaming.answer("audio.in")
        stuck = never_reading(path, GET_LINK * 300)
        await until(lambda: len(service.done) > 30)
        service.tell("the last word")
        began = time.monotonic()
        await server.close()
        assert time.monotonic() - began < 2
        assert b"the last word" in await listener.ended()
        assert await idle.ended() == b""
        await streaming.ended()
        assert not path.exists()
        for talker in (idle, listener, streaming):
            await talker.close()
        stuck.close()

    run(scene())


def test_requests_of_one_client_are_answered_in_order_and_many_can_wait(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            client = await ControlClient.connect(path)
            links = await asyncio.gather(*(client.call(GetLink()) for _ in range(200)))
            assert {len(link.link) for link in links} == {10_000}
            with contextlib.suppress(ControlError):
                await client.call(SayHello())
                raise AssertionError("a bug was no error")
            await client.call(Attach())
            await client.close()

    run(scene())


# --- sound


def test_who_listens_gets_numbered_frames_from_the_answer_on(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            talker.ask("audio.in")
            assert (await talker.line())["result"] == {}
            service.tap.put(7, SILENCE)
            service.tap.put((1 << 32) + 9, SILENCE + np.float32(0.5))
            service.tap.end()
            heard = await talker.ended()
            assert len(heard) == 2 * (4 + FRAME_BYTES)
            assert struct.unpack_from(">I", heard)[0] == 7
            assert struct.unpack_from(">Ih", heard, 4 + FRAME_BYTES)[0] == 9
            assert heard[-2:] == struct.pack("<h", 1 << 14)
            await talker.close()

    run(scene())


def test_who_listens_and_stalls_finds_a_gap_and_holds_up_nobody(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            talker.ask("audio.in")
            await talker.line()
            talker.reader._transport.pause_reading()  # type: ignore[attr-defined]
            for tick in range(1000):
                service.tap.put(tick, SILENCE)
                await asyncio.sleep(0)
            await _still_well(path)
            talker.reader._transport.resume_reading()  # type: ignore[attr-defined]
            service.tap.end()
            heard = await talker.ended()
            size = 4 + FRAME_BYTES
            numbers = [struct.unpack_from(">I", heard, at)[0] for at in range(0, len(heard), size)]
            assert len(heard) % size == 0
            assert numbers == sorted(numbers)
            assert numbers[-MAX_TAP_FRAMES:] == list(range(1000 - MAX_TAP_FRAMES, 1000))
            assert len(numbers) < 1000
            await talker.close()

    run(scene())


def test_what_is_sent_is_taken_frame_by_frame_to_its_end_and_the_last_is_filled_up(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            sound = struct.pack("<h", 1 << 14) * (3 * FRAME_SAMPLES + 10)
            talker.send(b'{"jsonrpc":"2.0","id":1,"method":"audio.out"}\n' + sound[:1001])
            assert (await talker.line())["result"] == {}
            talker.send(sound[1001:])
            talker.writer.write_eof()
            frames: list[Frame] = []
            while len(frames) < 4:
                if (frame := service.stream.take()) is not None:
                    frames.append(frame)
                await asyncio.sleep(0.001)
            assert await talker.ended() == b""  # once all was taken
            assert [float(frame[0]) for frame in frames] == [0.5] * 4
            assert (float(frames[-1][9]), float(frames[-1][10])) == (0.5, 0.0)
            await talker.close()

    run(scene())


def test_who_sends_faster_than_sound_waits(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            talker = await Talker.connect(path)
            await talker.answer("audio.out")
            talker.send(bytes(1000 * FRAME_BYTES))
            await until(lambda: not service.stream._room.is_set())
            await asyncio.sleep(0.05)
            taken = 0
            while service.stream.take() is not None:
                taken += 1
            assert taken == MAX_STREAM_FRAMES
            talker.writer.transport.abort()

    run(scene())


def test_who_sends_and_stalls_is_silence_and_who_vanishes_is_let_go(run: Run, folder: Path) -> None:
    async def scene() -> None:
        async with listening(folder) as (service, path):
            tasks = len(asyncio.all_tasks())
            talker = await Talker.connect(path)
            await talker.answer("audio.out")
            talker.send(bytes(FRAME_BYTES + 7))
            await until(lambda: service.stream.take() is not None)
            assert service.stream.take() is None
            await _still_well(path)
            talker.writer.transport.abort()
            service.stream.take()
            await until(lambda: service.stream.take() is not None or len(asyncio.all_tasks()) == tasks)
            await until(lambda: len(asyncio.all_tasks()) == tasks)

    run(scene())


def test_an_engine_that_ends_while_clients_are_connected_prints_no_traceback(
    run: Run, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with listening(folder) as (_, path):
            clients = [await Talker.connect(path) for _ in range(3)]
            await clients[0].answer("audio.in")
            await clients[1].answer("link.get")
        for client in clients:
            await client.close()

    run(scene())
    assert caplog.records == []
