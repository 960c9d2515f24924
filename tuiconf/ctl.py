"""`tuiconf calls` and `tuiconf ctl`: the control API from a shell; what is typed becomes a request of the schema."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tuiconf.adapters.printing import print_to
from tuiconf.control import schema
from tuiconf.control.calls import find_call, running_calls, socket_path
from tuiconf.control.client import ControlClient, EngineGone
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.schema import METHODS, AnyRequest
from tuiconf.errors import UsageError
from tuiconf.lines import visible

# These take over the connection: of no use from a command line.
_STREAMS: Final = (schema.SoundIn, schema.SoundOut)

# A person's front end is `tuiconf attach`: one that ends after its answer would be a terminal that was lost.
_NOT_HERE: Final = (schema.Attach, schema.Detach, schema.PushToTalkDown, schema.PushToTalkUp)


def add_ctl_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `tuiconf ctl`."""
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of everything that can be asked")
    parser.add_argument("--call", metavar="CALL", help="which call, where several run: tuiconf calls lists them")
    parser.add_argument("method", metavar="METHOD", nargs="?", help=f"one of {', '.join(METHODS)}")
    parser.add_argument("parameters", metavar="KEY=VALUE", nargs="*", help="its parameters")


def run_ctl(args: argparse.Namespace) -> int:
    """Ask one thing of a running call, and print the answer.

    Raises:
        UsageError: there is no such call or method, or a parameter is wrong.
        TuiconfError: the engine did not do it.
    """
    if args.schema:
        print_to(sys.stdout, json.dumps(schema.json_schema(), indent=2) + "\n")
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
        lines = [msgspec.json.encode(state).decode() for state in states]
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
        raise UsageError(f"{method} lasts as long as its connection: use tuiconf attach, or a socket of your own")
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
        return text.split(",")
    # A participant is a leaf or a name: a number is the leaf.
    if any(isinstance(kind, msgspec.inspect.IntType) for kind in kinds) and text.isascii() and text.isdigit():
        return int(text)
    return text


async def _ask(call: str, request: AnyRequest) -> int:
    client = await ControlClient.connect(socket_path(call))
    try:
        answer = await client.call(request)
        print_to(sys.stdout, msgspec.json.encode(answer).decode() + "\n")
        if isinstance(request, schema.Subscribe):
            async for envelope in client.events():
                print_to(sys.stdout, msgspec.json.encode(envelope).decode() + "\n")
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


async def _states(calls: Sequence[str]) -> list[schema.State]:
    states = []
    for call in calls:
        try:
            client = await ControlClient.connect(socket_path(call))
        except EngineGone:
            continue  # just now
        try:
            states.append(await client.call(schema.GetState()))
        except (EngineGone, ControlError):
            continue
        finally:
            await client.close()
    return states


def _line(state: schema.State) -> str:
    others = ", ".join(visible(who.name) for who in state.participants if state.me is None or who.leaf != state.me.leaf)
    return f"{state.call}  {visible(state.room)}  {state.phase}  {others or 'nobody else'}"
