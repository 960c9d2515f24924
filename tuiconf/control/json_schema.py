"""The control API as JSON Schema (2020-12), made of the classes of `schema`: what other languages need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tuiconf.control.events import Envelope
from tuiconf.control.schema import METHODS, PROTOCOL_VERSION, AnyRequest


def json_schema() -> dict[str, object]:
    """A schema of every line that goes over a control connection, either way."""
    kinds = [*METHODS.values(), *{kind.result for kind in METHODS.values()}, Envelope]
    _, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    names = {kind: f"#/$defs/{kind.__name__}" for kind in kinds}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tuiconf control API",
        "version": PROTOCOL_VERSION,
        "anyOf": [
            *({"$ref": f"#/$defs/call:{method}"} for method in METHODS),
            {"$ref": "#/$defs/answer"},
            {"$ref": "#/$defs/notification"},
        ],
        "$defs": {
            **{f"call:{method}": _call_schema(kind, names) for method, kind in METHODS.items()},
            "answer": _ANSWER,
            "notification": _line({"method": {"const": "event"}, "params": {"$ref": names[Envelope]}}),
            **components,
        },
    }


_ID: Final = {"type": ["integer", "string", "null"]}

_ANSWER: Final = {
    "description": "The answer to a request: `result` is of the type that the request's `result` names.",
    "type": "object",
    "required": ["jsonrpc", "id"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": _ID,
        "result": {"type": "object"},
        "error": {
            "type": "object",
            "required": ["code", "message", "data"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
            },
        },
    },
    "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
}


def _call_schema(kind: type[AnyRequest], names: Mapping[type, str]) -> dict[str, object]:
    params = {"$ref": names[kind]}
    return {
        **_line({"method": {"const": kind.method}, "params": params, "id": _ID}, required=_required(kind)),
        "description": kind.__doc__,
        "result": {"$ref": names[kind.result]},
    }


def _required(kind: type[AnyRequest]) -> list[str]:
    """`params` can be left out where every parameter can."""
    needed = any(field.required for field in msgspec.structs.fields(kind))
    return ["jsonrpc", "method", "params"] if needed else ["jsonrpc", "method"]


def _line(properties: Mapping[str, object], *, required: list[str] | None = None) -> dict[str, object]:
    return {
        "type": "object",
        "required": required or ["jsonrpc", *properties],
        "properties": {"jsonrpc": {"const": "2.0"}, **properties},
    }
