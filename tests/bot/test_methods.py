"""The methods of bots are those of the schema."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from tuiconf.bot import Bot, methods
from tuiconf.bot.generate import NOT_METHODS, generate
from tuiconf.control.schema import METHODS


def test_the_methods_are_as_the_schema_is_now() -> None:
    """Otherwise: python -m tuiconf.bot.generate | ruff format - > methods.py && mv methods.py tuiconf/bot/"""
    written = Path(methods.__file__).read_text()
    assert _code(written) == _code(generate())


def _code(text: str) -> str:
    """Without what is only said about it."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            node.body = node.body[1:]
    return ast.dump(tree)


def test_every_method_of_the_api_is_one_of_the_bot_or_done_by_it() -> None:
    for method in METHODS:
        if method not in NOT_METHODS:
            assert inspect.iscoroutinefunction(getattr(Bot, method.replace(".", "_")))
