"""Where each key of a TOML file stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuiconf.meeting.toml_lines import Path, outline, with_seconds

EVERYTHING = '''# a comment with a = 1 in it
title = "one"  # [not] = "a key"
a.b . "c d" = 1
text = """
hidden = 1
[hidden]
\\""" still ""\\" inside
"""""
literal = \'\'\'
also = "hidden" \'\'\'
list = [1, # ] in a comment
  "]", [2,
  3], {deep = [4]}]

[when]
at = 2026-12-01T10:00+01:00

["quo\\"ted".'li#teral']
x = {y = 1, z.w = {v = "}"}}

[[hook]]
url = "a"
[hook.more]
key = 1

[[hook]]
command = [
  "a",
  "b",
]
'''


def test_every_kind_of_key_is_found_where_it_stands() -> None:
    lines = outline(EVERYTHING).lines
    expected: dict[Path, int] = {
        ("title",): 2,
        ("a", "b", "c d"): 3,
        ("text",): 4,
        ("literal",): 9,
        ("list",): 11,
        ("list", 2, 1): 13,
        ("list", 3, "deep"): 13,
        ("when",): 15,
        ("when", "at"): 16,
        ('quo"ted', "li#teral"): 18,
        ('quo"ted', "li#teral", "x", "z", "w", "v"): 19,
        ("hook",): 21,
        ("hook", 0, "url"): 22,
        ("hook", 0, "more", "key"): 24,
        ("hook", 1): 26,
        ("hook", 1, "command", 1): 29,
    }
    assert {path: lines.get(path) for path in expected} == expected


def test_it_finds_exactly_the_keys_that_the_parser_finds() -> None:
    assert set(outline(EVERYTHING).lines) == set(keys(tomllib.loads(with_seconds(EVERYTHING))))


def test_a_missing_key_is_shown_where_it_would_be() -> None:
    found = outline("a = 1\n\n[[hook]]\nurl = 'x'\n")
    assert found.line(("hook", 0, "secret_file")) == 3
    assert found.line(("nothing", "of", "that")) == 1


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("at = 2026-12-01T10:00+01:00", "at = 2026-12-01T10:00:00+01:00"),
        ("at = 2026-12-01 10:00Z # 2026-12-01T10:00Z", "at = 2026-12-01 10:00:00Z # 2026-12-01T10:00Z"),
        ("at = [2026-12-01t10:00]", "at = [2026-12-01t10:00:00]"),
        ("at = {b=2026-12-01T10:00}", "at = {b=2026-12-01T10:00:00}"),
    ],
)
def test_a_time_to_the_minute_gets_its_seconds(written: str, meant: str) -> None:
    assert with_seconds(written) == meant
    tomllib.loads(meant)


@pytest.mark.parametrize(
    "text",
    [
        'at = "2026-12-01T10:00+01:00"',
        "at = '''\nat = 2026-12-01T10:00\n'''",
        "at = 2026-12-01T10:00:30+01:00",
        "at = 2026-12-01",
        "at = 10:00:00",
        "# at = 2026-12-01T10:00",
    ],
)
def test_nothing_else_is_changed(text: str) -> None:
    assert with_seconds(text) == text


def keys(value: object, path: Path = ()) -> Iterator[Path]:
    """All paths of what a TOML file says."""
    if path:
        yield path
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from keys(item, (*path, key))


# Pieces of TOML in any order: some of it is TOML.
pieces = st.sampled_from(
    [
        *("a", "b", '"q.r"', "'l'", ".", " = ", "=", "\n", "\n", "\r\n", " ", "#c\n", ",", "1", "1.5", "true", "inf"),
        *(
            '"s"',
            '"\\""',
            "'x'",
            '"""\n"""',
            "'''\nb = 1\n'''",
            '"""a""""',
            "'''a'''''",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
        ),
        *("[a]\n", "[[a]]\n", "[a.b]\n", "[[a.b]]\n", "a = 1\n", "b = [1,\n2]\n", "c = {d = 1}\n", "2026-12-01T10:00"),
        *("2026-12-01 10:00Z", "2026-12-01", "e.f = 2026-12-01T10:00+01:00\n", '"\\u00e4"', "-", "é", '"""', "\\"),
    ]
)


@given(st.lists(pieces, max_size=25).map("".join))
@example('a = """a"""""\nb = 1')
@example("a = ''''x''''\nb = 1")
def test_of_whatever_is_toml_all_keys_are_found_and_no_others(text: str) -> None:
    found = outline(text)
    try:
        value = tomllib.loads(with_seconds(text))
    except (tomllib.TOMLDecodeError, RecursionError):
        return
    assert set(found.lines) == set(keys(value))


@given(st.text(max_size=300))
@example("a = " + "[" * 5000)
@example("a = " + "{a = " * 5000)
def test_no_text_is_too_much_for_it(text: str) -> None:
    with_seconds(text)


names = st.text("abcdefgh", min_size=1, max_size=4)
values = st.sampled_from(
    ["1", '"x"', "[1, 2]", '"""\n[a]\nb = 1\n"""', "'''\n\n'''", "[\n1,\n\n2]", "2026-12-01T10:00"]
)


@given(st.dictionaries(names, st.dictionaries(names, values, min_size=1, max_size=4), max_size=5), st.data())
def test_keys_are_on_the_lines_they_were_written_on(tables: dict[str, dict[str, str]], data: st.DataObject) -> None:
    lines: list[str] = []
    expected: dict[Path, int] = {}
    for table, pairs in tables.items():
        lines += data.draw(st.sampled_from([[], [""], ["# [comment]", ""]]))
        array = data.draw(st.booleans())
        lines.append(f"[[{table}]]" if array else f"[{table}]")
        for key, value in pairs.items():
            expected[(table, 0, key) if array else (table, key)] = len(lines) + 1
            lines += f"{key} = {value}".split("\n")
    found = outline("\n".join(lines))
    assert {path: found.line(path) for path in expected} == expected
