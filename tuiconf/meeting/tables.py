"""From what a TOML file says to typed structs, key by key, so that whatever cannot be used has a place. Pure."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from tuiconf.errors import UsageError
from tuiconf.meeting.toml_lines import Path

T = TypeVar("T", bound=msgspec.Struct)


class Unusable(UsageError):
    """A value cannot be used. `path` leads to it; the message says why, without the place."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(why)
        self.path = path


def read_table(kind: type[T], table: object, path: Path = ()) -> T:
    """The struct that a table stands for. A struct's own checks raise `Unusable` with a path from its table on.

    Raises:
        Unusable: a key is unknown, missing, or has a value it cannot have.
    """
    if not isinstance(table, Mapping):
        raise Unusable(path, "a table is expected")
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in table:
        if key not in fields:
            raise Unusable((*path, key), f"there is no such key{_similar(key, fields)}")
    for key, field in fields.items():
        if field.required and key not in table:
            raise Unusable(path, f"the key {key} is missing")
    values = {field.name: _value(field.type, table[key], (*path, key)) for key, field in fields.items() if key in table}
    try:
        return kind(**values)
    except Unusable as error:
        raise Unusable((*path, *error.path), str(error)) from error


def _value(kind: Any, value: object, path: Path) -> object:
    table, many = _struct(kind)
    if table is None:
        try:
            return msgspec.convert(value, kind, dec_hook=_custom)
        except msgspec.ValidationError as error:
            raise Unusable(path, str(error)) from error
    if not many:
        return read_table(table, value, path)
    if not isinstance(value, list):
        raise Unusable(path, "an array of tables is expected")
    return tuple(read_table(table, item, (*path, number)) for number, item in enumerate(value))


def _custom(kind: type, value: object) -> object:
    """What msgspec does not know. It says itself what was expected, unless this gives it."""
    if kind is FilePath and isinstance(value, str) and value and "\0" not in value:
        return FilePath(value)
    raise msgspec.ValidationError("expected the path of a file")


def _struct(kind: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct in `Struct`, `Struct | None` and `tuple[Struct, ...]`, and whether it is the last."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    arguments = typing.get_args(kind)
    if not arguments or typing.get_origin(kind) not in (tuple, types.UnionType, typing.Union):
        return None, False
    table, _ = _struct(arguments[0])
    return table, typing.get_origin(kind) is tuple


def _similar(key: str, keys: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, keys, n=1)
    return f": is {close[0]} meant?" if close else f": there are {', '.join(sorted(keys))}"
