"""What a check says, and what it may look at."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tuiconf.config import Config
from tuiconf.doctor.system import System

Facts = Mapping[str, str | int | float | bool | None]
"""What a program may want of a finding, in numbers."""

_NO_FACTS: Final[Facts] = MappingProxyType({})


class Level(enum.StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"  # a call works, with something less
    PROBLEM = "problem"  # a call does not work
    SKIPPED = "skipped"  # not looked at; the sentence says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `sentence` may hold what a device or a file is called: untrusted."""

    level: Level
    code: str  # stable, for programs
    sentence: str
    command: str | None  # what to type, exactly
    facts: Facts


def ok(code: str, sentence: str, command: str | None = None, *, facts: Facts = _NO_FACTS) -> Finding:
    """It is as it should be."""
    return Finding(level=Level.OK, code=code, sentence=sentence, command=command, facts=facts)


def warning(code: str, sentence: str, command: str | None = None, *, facts: Facts = _NO_FACTS) -> Finding:
    """It could be better."""
    return Finding(level=Level.WARNING, code=code, sentence=sentence, command=command, facts=facts)


def problem(code: str, sentence: str, command: str | None = None, *, facts: Facts = _NO_FACTS) -> Finding:
    """It has to be mended."""
    return Finding(level=Level.PROBLEM, code=code, sentence=sentence, command=command, facts=facts)


def skipped(code: str, sentence: str, command: str | None = None) -> Finding:
    """It was not looked at."""
    return Finding(level=Level.SKIPPED, code=code, sentence=sentence, command=command, facts=_NO_FACTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every check is given."""

    config: Config
    environ: Mapping[str, str]
    system: System
    ask: Callable[[str], bool] | None  # asks a person yes or no; None when nobody is there
    agreed: bool = False  # whatever would be asked is agreed to
    relay: str | None = None  # what was typed: a link or a relay's address
    audio_in: str | None = None
    audio_out: str | None = None
    library: str = "auto"
    root: Path = Path("/")  # where the system's own files are


Check = Callable[[Context], Iterator[Finding]]
