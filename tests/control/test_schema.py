"""The schema is the code: every event and method is in it, documented, and valid JSON Schema."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

import tuiconf
from tests.control.support import STATS
from tuiconf.conference.content import MAX_CHAT_CHARACTERS
from tuiconf.conference.events import Event, Joined, Left, LeftReason, Person
from tuiconf.control import rpc, schema
from tuiconf.control.client import MAX_ANSWER_BYTES
from tuiconf.control.events import NAMES, AudioChanged, CallEvent, Envelope
from tuiconf.control.history import MAX_CHAT
from tuiconf.control.json_schema import json_schema
from tuiconf.control.schema import METHODS, ChatLine, State
from tuiconf.identity.names import MAX_NAME_CHARACTERS

VALIDATOR = jsonschema.Draft202012Validator(json_schema())

REQUIRED: dict[str, dict[str, object]] = {
    "chat.send": {"text": "hello"},
    "play": {"path": "a.wav"},
    "admit": {"caller": "r1"},
    "deny": {"caller": "r1"},
    "remove": {"participant": 3},
    "hand_over": {"participant": "Bo"},
    "mute_request": {"participant": "abcd"},
    "lobby.set": {"lobby": "unknown"},
    "allow.set": {"fingerprints": []},
    "peers.show": {"peer": "Bo"},
    "peers.verify": {"peer": "abcd", "how": "room_code", "matches": False, "epoch": 7},
    "peers.accept": {"peer": 3},
    "peers.forget": {"peer": "Bo"},
}


def _all_events(kind: type[Event] = Event) -> Iterator[type[Event]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all_events(child)


def _person(leaf: int) -> Person:
    return Person(leaf=leaf, name="\N{PARTY POPPER}" * MAX_NAME_CHARACTERS, fingerprint="a" * 39, host=False)


def test_every_event_in_the_program_is_one_that_subscribers_know() -> None:
    for module in pkgutil.walk_packages(tuiconf.__path__, "tuiconf."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    known = set(CallEvent.__args__)
    assert {kind for kind in _all_events() if kind.__module__.startswith("tuiconf.")} == known
    assert len(NAMES) == len(known)


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    json.dumps(json_schema(), allow_nan=False)


def test_everything_that_the_schema_refers_to_is_there() -> None:
    text = json.dumps(json_schema())
    names = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}
    assert names <= set(json_schema()["$defs"])  # type: ignore[call-overload]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_what_it_does_and_what_comes_of_it(method: str) -> None:
    described: dict[str, Any] = json_schema()["$defs"][f"call:{method}"]  # type: ignore[index]
    assert described["description"].strip().endswith(".")
    assert METHODS[method].__doc__ != schema.Request.__doc__
    assert METHODS[method].result.__doc__
    assert described["result"]["$ref"].removeprefix("#/$defs/") in json_schema()["$defs"]  # type: ignore[operator]


@pytest.mark.parametrize("kind", CallEvent.__args__, ids=lambda kind: kind.__name__)
def test_every_event_says_what_happened(kind: type[Event]) -> None:
    assert kind.__doc__ and kind.__doc__ != Event.__doc__


@pytest.mark.parametrize("method", METHODS)
def test_every_request_that_is_made_here_is_valid(method: str) -> None:
    params = REQUIRED.get(method, {})
    request = msgspec.convert(params, METHODS[method])
    VALIDATOR.validate(json.loads(rpc.call(1, method, request)))
    bare = {"jsonrpc": "2.0", "method": method}
    assert VALIDATOR.is_valid(bare) is (method not in REQUIRED)
    VALIDATOR.validate(bare | {"params": params, "id": "a"})
    assert not VALIDATOR.is_valid(bare | {"params": params | {"more": 1}})
    assert not VALIDATOR.is_valid({"method": method, "params": params})


@pytest.mark.parametrize(
    "line",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "nothing"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "", "data": {"code": ""}}},
        {"jsonrpc": "2.0", "method": "event", "params": {"seq": 1, "ts": 0, "epoch": 1, "data": {"event": "nothing"}}},
        {"jsonrpc": "2.0", "method": "remove", "params": {"participant": -1}},
        {"jsonrpc": "2.0", "method": "chat.send", "params": {"text": "x" * (MAX_CHAT_CHARACTERS + 1)}},
    ],
)
def test_what_the_engine_would_refuse_is_not_valid(line: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(line)


def test_answers_and_events_are_valid() -> None:
    VALIDATOR.validate(json.loads(rpc.result(1, schema.Done())))
    VALIDATOR.validate(json.loads(rpc.error(None, rpc.ControlError(rpc.ErrorNumber.PARSE, "no"))))
    for event in (
        Joined(epoch=1, security_code="1", me=_person(0), participants=(_person(0),)),
        Left(reason=LeftReason.REMOVED),
        STATS,
    ):
        envelope = Envelope(seq=1, ts=1.5, epoch=None, data=event)
        VALIDATOR.validate(json.loads(rpc.notification("event", envelope)))


def test_nothing_that_is_shown_of_a_request_or_result_holds_a_name() -> None:
    assert repr(schema.ChatSend(text="secret")) == "<ChatSend>"
    assert "secret" not in repr(schema.Link(link="secret"))
    line = ChatLine(ts=1.0, leaf=1, name="secret", fingerprint="secret", own=False, text="secret")
    assert "secret" not in repr(line)
    for kind in METHODS.values():
        assert kind.__repr__ is not msgspec.Struct.__repr__


def test_the_state_of_the_largest_room_with_the_longest_chat_can_be_read() -> None:
    chat = ChatLine(
        ts=1_700_000_000.123,
        leaf=999,
        name="\N{PARTY POPPER}" * MAX_NAME_CHARACTERS,
        fingerprint="a" * 39,
        own=False,
        text="\x01" * MAX_CHAT_CHARACTERS,  # six bytes each in JSON
    )
    state = State(
        seq=1,
        call="abcd",
        room="room",
        phase="joined",
        since=1.0,
        epoch=1,
        security_code="1",
        me=_person(0),
        participants=tuple(_person(leaf) for leaf in range(1000)),
        policy=None,
        callers=(),
        playing=None,
        audio=AudioChanged(
            live=True, muted=False, push_to_talk=False, deafened=False, input="", output="", gain_db=0.0
        ),
        volumes=tuple(schema.Volume(leaf=leaf, volume_db=-1.5, muted=True) for leaf in range(1000)),
        recording=None,
        chat=(chat,) * MAX_CHAT,
        attached=1,
    )
    assert len(rpc.result(1, state)) < MAX_ANSWER_BYTES
