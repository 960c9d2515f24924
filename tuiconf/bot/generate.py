"""Makes `methods.py` of the control API's schema, but for its layout.

`python -m tuiconf.bot.generate | ruff format - > methods.py && mv methods.py tuiconf/bot/`
"""

from __future__ import annotations

import inspect
import sys
import textwrap
import types
import typing
from typing import Final

import msgspec

from tuiconf.control import events
from tuiconf.control.schema import METHODS, AnyRequest

# What belongs to a connection, and is done by `Bot` itself.
NOT_METHODS: Final = frozenset(
    {"hello", "subscribe", "unsubscribe", "attach", "detach", "play", "audio.in", "audio.out"}
)

# What fits into a line, quotation marks and all.
DOCSTRING_CHARACTERS: Final = 106

_HEAD: Final = '''"""The control API as methods. Made of its schema by `python -m tuiconf.bot.generate`: do not edit."""

# ruff: noqa: A002

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeVar

import msgspec

from tuiconf.control import events, schema

R = TypeVar("R", bound=msgspec.Struct)


class Methods(ABC):
    """What a participant does. All raise `ControlError` where it cannot be, and `EngineGone` when the call is over."""

    @abstractmethod
    async def call(self, request: schema.Request[R]) -> R:
        """Do what the request says."""
'''


def generate() -> str:
    """The text of `methods.py`."""
    kinds = [kind for method, kind in METHODS.items() if method not in NOT_METHODS]
    return _HEAD + "".join(_method(kind) for kind in kinds)


def _method(kind: type[AnyRequest]) -> str:
    fields = msgspec.structs.fields(kind)
    hints = typing.get_type_hints(kind)
    parameters = [f"{field.name}: {_text(hints[field.name])}{_default(field)}" for field in fields]
    listed = ", ".join(["self", *(["*", *parameters] if parameters else [])])
    arguments = ", ".join(f"{field.name}={field.name}" for field in fields)
    return f'''
    async def {kind.method.replace(".", "_")}({listed}) -> {_result(kind.result)}:
        """{_docstring(kind)}"""
        return await self.call(schema.{kind.__name__}({arguments}))
'''


def _docstring(kind: type[AnyRequest]) -> str:
    """Its first paragraph."""
    paragraph = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
    lines = textwrap.wrap(paragraph, width=DOCSTRING_CHARACTERS)
    return "\n        ".join(lines) + ("\n        " if len(lines) > 1 else "")


def _result(kind: type) -> str:
    module = "events" if kind.__module__ == events.__name__ else "schema"  # which has those of its parts as well
    return f"{module}.{kind.__name__}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    return "" if field.required else f" = {field.default!r}"


def _text(hint: object) -> str:
    """A type as it is written; what `Annotated` says of values, the engine checks."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_text(argument) for argument in arguments)
    if origin is typing.Literal:
        return f"Literal[{', '.join(_quoted(argument) for argument in arguments)}]"
    if isinstance(origin, type):
        return f"{origin.__name__}[{', '.join(_text(argument) for argument in arguments)}]"
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    sys.stdout.write(generate())
