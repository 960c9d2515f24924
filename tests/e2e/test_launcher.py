"""What the terminal interface starts calls with: the real process beside it, a real relay, real engines."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE_S, Relay, home_environment, runtime_folder
from tuiconf.control import schema
from tuiconf.control.calls import socket_path
from tuiconf.control.client import ControlClient
from tuiconf.errors import TuiconfError, UsageError
from tuiconf.participant.launcher import PreparerGone, ProcessLauncher
from tuiconf.tui.launcher import RelayUnknown


@pytest.fixture
async def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProcessLauncher]:
    """Of somebody who has an identity without a passphrase."""
    for name, value in home_environment(tmp_path / "Ann").items():
        monkeypatch.setenv(name, value)
    args = argparse.Namespace(name="Ann", audio_in="null", audio_out="null", config=None, quic=None)
    launcher = ProcessLauncher(args)
    await launcher.begin()
    yield launcher
    for call in launcher.running():
        client = await ControlClient.connect(socket_path(call))
        await client.call(schema.Leave(now=True))
        await client.close()
    await _gone(launcher)
    launcher.close()
    shutil.rmtree(runtime_folder(tmp_path / "Ann"), ignore_errors=True)


async def _in_call(call: str) -> schema.State:
    """Begin a prepared call, and leave it again: how it was."""
    client = await ControlClient.connect(socket_path(call))
    try:
        await client.call(schema.Attach())
        before = await client.call(schema.GetState())
        assert before.phase == "ready"
        await client.call(schema.Join(muted=True))
        async with asyncio.timeout(PATIENCE_S):
            while (state := await client.call(schema.GetState())).phase != "joined":  # noqa: ASYNC110 - as a script does
                await asyncio.sleep(0.05)
        await client.call(schema.Leave(now=True))
        return state
    finally:
        await client.close()


async def _gone(launcher: ProcessLauncher) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while launcher.running():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(0.05)


async def test_a_room_that_was_joined_is_offered_again_and_can_be_forgotten(
    launcher: ProcessLauncher, relay: Relay
) -> None:
    assert launcher.recent() == ()
    call = await launcher.host(relay.to_type, "tea", "off")
    assert launcher.running() == (call,)
    state = await _in_call(call)
    assert state.room == "tea"
    assert state.me is not None and state.me.host
    await _gone(launcher)
    [room] = launcher.recent()
    assert room.room == "tea"
    again = await launcher.join(room.ref)
    client = await ControlClient.connect(socket_path(again))
    assert (await client.call(schema.GetState())).room == "tea"
    await client.close()
    launcher.forget(room.ref)
    assert launcher.recent() == ()


async def test_a_room_that_was_only_prepared_is_not_kept(launcher: ProcessLauncher, relay: Relay) -> None:
    call = await launcher.host(relay.to_type, "tea", "off")
    client = await ControlClient.connect(socket_path(call))
    await client.call(schema.Leave())
    await client.close()
    await _gone(launcher)
    assert launcher.recent() == ()


async def test_a_person_says_whether_an_unknown_relay_is_the_right_one(launcher: ProcessLauncher, relay: Relay) -> None:
    address = f"127.0.0.1:{relay.address[1]}"
    with pytest.raises(RelayUnknown) as question:
        await launcher.host(address, None, "everyone")
    assert (question.value.address, question.value.pin) == (address, relay.pin)
    await launcher.accept_relay(question.value)
    state = await _in_call(await launcher.host(address, None, "everyone"))
    assert state.policy is not None and state.policy.lobby == "everyone"


async def test_what_cannot_be_joined_is_one_sentence_and_the_next_can(launcher: ProcessLauncher, relay: Relay) -> None:
    for where in ("", "nonsense", "0" * 12, "tuiconf://", "x" * 2000):
        with pytest.raises(UsageError):
            await launcher.join(where)
    with pytest.raises(TuiconfError, match="pin"):
        await launcher.host("127.0.0.1:1?pin=x", None, "off")
    call = await launcher.host(relay.to_type, None, "off")
    assert launcher.running() == (call,)


async def test_a_link_without_its_scheme_is_one_and_so_is_its_code(launcher: ProcessLauncher, relay: Relay) -> None:
    host, port = relay.address
    call = await launcher.join(f"{host}:{port}/tea?pin={relay.pin}#XZGvIOC3FmjR_FPfTbTPFQ")
    client = await ControlClient.connect(socket_path(call))
    shown = await client.call(schema.GetLink())
    assert shown.link.startswith(f"tuiconf://{host}:{port}/tea")
    await client.close()
    by_code = await ControlClient.connect(socket_path(await launcher.join(shown.code.upper())))
    assert await by_code.call(schema.GetLink()) == shown
    await by_code.close()


async def test_a_helper_that_was_killed_is_one_sentence(launcher: ProcessLauncher, relay: Relay) -> None:
    os.kill(launcher.pid, signal.SIGKILL)
    with pytest.raises(PreparerGone):
        await launcher.host(relay.to_type, None, "off")


async def test_who_stops_waiting_does_not_get_the_next_ones_answer(launcher: ProcessLauncher, relay: Relay) -> None:
    impatient = asyncio.create_task(launcher.host(relay.to_type, "first", "off"))
    await asyncio.sleep(0)
    impatient.cancel()
    call = await launcher.host(relay.to_type, "second", "off")
    client = await ControlClient.connect(socket_path(call))
    assert (await client.call(schema.GetState())).room == "second"
    await client.close()
