"""`tuiconf calls` and `tuiconf ctl`: the control API from a shell; what is typed becomes a request of the schema."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tuiconf.adapters.printing import print_to
from tuiconf.adapters.standard_streams import read_some
from tuiconf.control import schema
from tuiconf.control.calls import find_call, running_calls, socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.events import AudioChanged
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import METHODS, AnyRequest
from tuiconf.errors import UsageError
from tuiconf.untrusted import in_json, visible

# These take over the connection: of no use from a command line.
_STREAMS: Final = (schema.SoundIn, schema.SoundOut)

# A person's front end is `tuiconf attach`: one that ends after its answer would be a terminal that was lost.
_NOT_HERE: Final = (schema.Attach, schema.Detach)

# An engine answers within milliseconds; one that stands still must not hold up the list of all.
ANSWER_S: Final = 5.0

# More digits than any leaf has, or a number that Python converts.
_MAX_DIGITS: Final = 10


def add_ctl_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tuiconf ctl`."""
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of everything that can be asked")
    parser.add_argument("--call", metavar="CALL", help="which call, where several run: tuiconf calls lists them")
    method = parser.add_argument("method", metavar="METHOD", nargs="?", help=f"one of {', '.join(METHODS)}")
    parameters = parser.add_argument("parameters", metavar="KEY=VALUE", nargs="*", help="its parameters")
    # What argcomplete looks for.
    vars(method)["completer"] = lambda **_: list(METHODS)
    vars(parameters)["completer"] = _keys_of


def _keys_of(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    kind = METHODS.get(parsed_args.method)
    return [f"{field.name}=" for field in msgspec.structs.fields(kind)] if kind is not None else []


def run_ctl(args: argparse.Namespace) -> int:
    """Ask one thing of a running call, and print the answer.

    Raises:
        UsageError: there is no such call or method, or a parameter is wrong.
        TuiconfError: the engine did not do it.
    """
    if args.schema:
        from tuiconf.control.json_schema import json_schema

        print_to(sys.stdout, json.dumps(json_schema(), indent=2) + "\n")
        return 0
    if args.method is None:
        raise UsageError("say what to do: tuiconf ctl METHOD KEY=VALUE …, or --schema for all there is")
    request = parse_request(args.method, args.parameters)
    return asyncio.run(_ask(find_call(args.call), request))


def add_calls_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tuiconf calls`."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run_calls(args: argparse.Namespace) -> int:
    """List the calls that run on this machine."""
    states = asyncio.run(_states(running_calls()))
    if args.json:
        lines = [in_json(msgspec.json.encode(state).decode()) for state in states]
    else:
        lines = [_line(state) for state in states] or ["no call is running"]
    print_to(sys.stdout, "".join(f"{line}\n" for line in lines))
    return 0


def parse_request(method: str, parameters: Sequence[str]) -> AnyRequest:
    """The typed request for what was typed.

    Raises:
        UsageError: there is no such method, or a parameter is unknown, missing, or of another type.
    """
    kind = METHODS.get(method)
    if kind is None:
        raise UsageError(f"there is no method {method!r}: tuiconf ctl --schema lists all")
    if issubclass(kind, _STREAMS):
        raise UsageError(f"{method} carries sound: tuiconf.bot speaks it")
    if issubclass(kind, _NOT_HERE):
        raise UsageError(f"{method} lasts as long as its connection: use tuiconf attach")
    values = _values(kind, parameters)
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{method}: {error}") from error


def _values(kind: type[AnyRequest], parameters: Sequence[str]) -> Mapping[str, object]:
    """What was typed as KEY=VALUE; a value with commas where a list is wanted."""
    fields = {field.name: msgspec.inspect.type_info(field.type) for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for parameter in parameters:
        key, equals, value = parameter.partition("=")
        if not equals:
            raise UsageError(f"{parameter!r} is not KEY=VALUE")
        if key in values:
            raise UsageError(f"{key} is there twice")
        values[key] = _value(value, fields.get(key))
    return values


def _value(text: str, wanted: msgspec.inspect.Type | None) -> object:
    kinds = wanted.types if isinstance(wanted, msgspec.inspect.UnionType) else (wanted,)
    if any(isinstance(kind, msgspec.inspect.ListType) for kind in kinds):
        return text.split(",") if text else []
    # A participant is a leaf or a name: a number is the leaf.
    if any(isinstance(kind, msgspec.inspect.IntType) for kind in kinds) and _is_number(text):
        return int(text)
    return text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


async def _ask(call: str, request: AnyRequest) -> int:
    client = await ControlClient.connect(socket_path(call))
    try:
        answer = await client.call(request)
        print_to(sys.stdout, in_json(msgspec.json.encode(answer).decode()) + "\n")
        if isinstance(request, schema.Subscribe):
            async for envelope in client.events():
                print_to(sys.stdout, in_json(msgspec.json.encode(envelope).decode()) + "\n")
        elif isinstance(request, schema.PushToTalkDown) and request.hold_s is None:
            await _hold_key(client)
    except ControlError as error:
        # As a client of the socket sees it, too: `code` is what scripts match on.
        fault = {"error": {"code": error.code, "message": str(error)}}
        print_to(sys.stdout, json.dumps(fault) + "\n")
        if error.number is ErrorNumber.INVALID_PARAMS:
            raise UsageError(str(error)) from error
        raise
    finally:
        await client.close()
    return 0


async def _hold_key(client: ControlClient) -> None:
    """The key is down as long as this process runs: until a signal, the end of standard input, or `ptt.up`."""
    loop, let_go = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, let_go.set)
    waiting = [
        asyncio.create_task(wait)
        for wait in (_until_event(let_go), _until_key_up(client), *([_until_end()] if _stdin_can_end() else []))
    ]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _until_event(event: asyncio.Event) -> None:
    await event.wait()


async def _until_end() -> None:
    while await read_some(0):
        pass


async def _until_key_up(client: ControlClient) -> None:
    """Or the engine is gone."""
    await client.call(schema.Subscribe(events=["audio_changed"]))
    if not (await client.call(schema.GetState())).audio.push_to_talk:
        return
    async for envelope in client.events():
        if isinstance(envelope.data, AudioChanged) and not envelope.data.push_to_talk:
            return


def _stdin_can_end() -> bool:
    """Whether somebody holds the other end: what a service manager gives us, /dev/null, has ended from the start."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(0)


async def _states(calls: Sequence[str]) -> list[schema.State]:
    states = []
    for call in calls:
        try:
            client = await ControlClient.connect(socket_path(call))
        except EngineGone:
            continue  # just now
        try:
            async with asyncio.timeout(ANSWER_S):
                states.append(await client.call(schema.GetState()))
        except TimeoutError:
            print_to(sys.stderr, f"tuiconf: {call} does not answer\n")
        except (EngineGone, ControlError):
            continue
        finally:
            await client.close()
    return states


def _line(state: schema.State) -> str:
    others = ", ".join(visible(who.name) for who in state.participants if state.me is None or who.leaf != state.me.leaf)
    return f"{state.call}  {visible(state.room)}  {state.phase}  {others or 'nobody else'}"
