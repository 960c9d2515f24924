"""Where each key of a TOML file stands, for messages that name a line. Pure.

`tomllib` says where a file is not TOML, and forgets every position in one that is; tomlkit keeps the text between the
keys and no line numbers. So this walks over the text beside `tomllib`, which alone decides what the file means. It
understands as much as is needed to find keys, and stops, without a word, where the text is not TOML.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]
"""Keys, and the numbers of what is in arrays: ("hook", 0, "url")."""

# Python's own parser gives up at about the same depth.
MAX_DEPTH: Final = 100

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_KEY: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'")
_LONG_STRING: Final = r'"""(?:[^\\]|\\.)*?"""(?:"(?!""))?(?:"(?!""))?'
_LONG_LITERAL: Final = r"'''.*?'''(?:'(?!''))?(?:'(?!''))?"
_STRING: Final = re.compile(f"{_LONG_STRING}|{_LONG_LITERAL}|{_QUOTED_KEY.pattern}", re.DOTALL)
_SCALAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#\"'\[{=]+")
_TO_THE_MINUTE: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d)([Zz]|[+-]\d\d:\d\d)?")


class _NotToml(Exception):
    """Here the text is something else."""


@dataclass(slots=True)
class Outline:
    """What was found. Lines count from 1."""

    lines: dict[Path, int] = field(default_factory=dict)
    to_the_minute: list[int] = field(default_factory=list)
    """Where the seconds are missing: offsets in the text, ascending."""

    def line(self, path: Path) -> int:
        """The line of that key or, where it is not in the file, of what it would be in; 1 for the file itself."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def outline(text: str) -> Outline:
    """Find the keys of a text that should be TOML."""
    scanner = _Scanner(text)
    with contextlib.suppress(_NotToml):  # tomllib will say so, and where
        scanner.document()
    return scanner.found


def with_seconds(text: str) -> str:
    """Times to the minute with the seconds that TOML 1.0 wants, on the same lines.

    TOML 1.1 lets them be left out, as everybody does who writes when a meeting is; Python's parser is of 1.0.
    """
    parts, at = [], 0
    for place in outline(text).to_the_minute:
        parts += [text[at:place], ":00"]
        at = place
    return "".join([*parts, text[at:]])


def minute_with_seconds(text: str) -> str:
    """The same for one time alone; anything else as it is."""
    return match[1] + ":00" + (match[2] or "") if (match := _TO_THE_MINUTE.fullmatch(text)) else text


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found = Outline()
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._tables: dict[Path, int] = {}  # how many of each array of tables were begun

    def document(self) -> None:
        """All of it.

        Raises:
            _NotToml: `found` holds what was before.
        """
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._takes("[["):
                table = self._array_header()
            elif self._takes("["):
                table = self._header()
            else:
                self._pair(table, 0)

    def _header(self) -> Path:
        begun, keys = self._at, self._keys()
        self._expect("]")
        path: Path = ()
        for key in keys:
            path = self._within((*path, key))
            self._note(path, begun)
        return path

    def _array_header(self) -> Path:
        begun, keys = self._at, self._keys()
        self._expect("]]")
        path: Path = ()
        for key in keys[:-1]:
            path = self._within((*path, key))
            self._note(path, begun)
        path = (*path, keys[-1])
        self._note(path, begun)
        self._tables[path] = self._tables.get(path, 0) + 1
        path = self._within(path)
        self._note(path, begun)
        return path

    def _within(self, path: Path) -> Path:
        """An array of tables stands for the one begun last."""
        return (*path, self._tables[path] - 1) if path in self._tables else path

    def _pair(self, table: Path, depth: int) -> None:
        begun = self._at
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, begun)
        self._expect("=")
        self._skip(_SPACE)
        self._value(path, depth)

    def _keys(self) -> list[str]:
        """Dotted keys."""
        keys = [self._key()]
        while self._takes("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        if match := self._match(_BARE_KEY):
            key = match[0]
        elif match := self._match(_QUOTED_KEY):
            key = _unquoted(match[0])
        else:
            raise _NotToml
        self._skip(_SPACE)
        return key

    def _value(self, path: Path, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _NotToml
        if self._match(_STRING):
            return
        if self._takes("["):
            self._array(path, depth + 1)
        elif self._takes("{"):
            self._inline_table(path, depth + 1)
        elif match := self._match(_SCALAR):
            if to_the_minute := _TO_THE_MINUTE.fullmatch(match[0]):
                self.found.to_the_minute.append(match.start() + to_the_minute.end(1))
        else:
            raise _NotToml

    def _array(self, path: Path, depth: int) -> None:
        number = 0
        while self._skip(_BLANK) is not None and not self._takes("]"):
            item = (*path, number)
            self._note(item, self._at)
            self._value(item, depth)
            number += 1
            self._skip(_BLANK)
            if not self._takes(","):
                self._expect("]")
                return

    def _inline_table(self, path: Path, depth: int) -> None:
        self._skip(_BLANK)
        while not self._takes("}"):
            self._pair(path, depth)
            self._skip(_BLANK)
            if not self._takes(","):
                self._expect("}")
                return
            self._skip(_BLANK)

    # --- the text

    def _note(self, path: Path, at: int) -> None:
        self.found.lines.setdefault(path, bisect_right(self._line_ends, at - 1) + 1)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if match := pattern.match(self._text, self._at):
            self._at = match.end()
        return match

    def _skip(self, pattern: re.Pattern[str]) -> int:
        self._match(pattern)
        return self._at

    def _takes(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise _NotToml


def _unquoted(text: str) -> str:
    try:
        return str(tomllib.loads(f"key = {text}")["key"])
    except tomllib.TOMLDecodeError as error:
        raise _NotToml from error
