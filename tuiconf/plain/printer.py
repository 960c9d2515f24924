"""Writes what happens and what was asked for: as lines for people, or as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from tuiconf.control.events import Event, Failed, Notice
from tuiconf.control.schema import AnyRequest, Done
from tuiconf.plain.answers import answer
from tuiconf.plain.sentences import Sentences
from tuiconf.untrusted import ascii_only, in_json


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="answer"):
    """With --json: what a typed command was answered with, as in the control API. No event of the call."""

    method: str
    result: object


class Printer:
    """In lines, what is about this program and not the call goes to standard error.

    `ascii`: for terminals that do not show UTF-8.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        write_error: Callable[[str], None],
        *,
        as_json: bool,
        ascii: bool = False,  # noqa: A002 - what it is
    ) -> None:
        self._write, self._write_error = write, write_error
        self.as_json = as_json
        self._spell = ascii_only if ascii else str
        self.sentences = Sentences()
        """What it knows of the call by now."""

    def show(self, event: Event) -> None:
        """Write one event, as far as it is worth a line."""
        if self.as_json:
            self._write(in_json(event.to_json().decode()))
            return
        write = self._write_error if isinstance(event, Failed | Notice) else self._write
        for line in self.sentences.of(event):
            write(self._spell(line))

    def say(self, lines: Iterable[str]) -> None:
        """Write lines for a person; to a program they are notices."""
        for line in lines:
            self.show(Notice(message=line)) if self.as_json else self._write(self._spell(line))

    def answer(self, request: AnyRequest, result: msgspec.Struct) -> None:
        """Write what a command was answered with."""
        if not self.as_json:
            self.say(answer(request, result))
        elif not isinstance(result, Done):
            self._write(in_json(msgspec.json.encode(Answered(method=request.method, result=result)).decode()))


def shows_utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale says so; where it says nothing, as in a service, it is taken to be so."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "utf8"
    return "utf8" in locale.lower().replace("-", "")
