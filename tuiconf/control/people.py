"""Who is meant: a participant by leaf, name or fingerprint, a caller by what `knocked` calls them, or by name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from tuiconf.conference.events import Caller, Person
from tuiconf.errors import UsageError

# Of the 32 characters of a fingerprint, so many must be given: among 1,000 people 20 bits seldom mean two.
LEAST_FINGERPRINT_CHARACTERS: Final = 4

T = TypeVar("T")


class NobodyMeant(UsageError):
    """There is nobody of that name, or several are."""

    code = "no_such_participant"


def leaf_of(people: Sequence[Person], wanted: int | str) -> int:
    """The leaf of the participant that is meant.

    Raises:
        NobodyMeant: there is none, or it is not clear who.
    """
    if isinstance(wanted, int):
        matches = [who.leaf for who in people if who.leaf == wanted]
    else:
        matches = [who.leaf for who in people if _is_called(wanted, who)]
    return _one(matches)


def ref_of(callers: Sequence[Caller], wanted: str) -> str:
    """The `ref` of the caller that is meant.

    Raises:
        NobodyMeant: nobody of that name waits, or several do.
    """
    matches = [who.ref for who in callers if who.ref == wanted or _is_called(wanted, who)]
    return _one(matches)


def _is_called(wanted: str, who: Person | Caller) -> bool:
    beginning = wanted.lower()
    by_fingerprint = len(beginning) >= LEAST_FINGERPRINT_CHARACTERS and who.fingerprint.startswith(beginning)
    return who.name == wanted or by_fingerprint


def _one(matches: Sequence[T]) -> T:
    if len(matches) != 1:
        raise NobodyMeant("several are called that: say the fingerprint" if matches else "there is nobody of that name")
    return matches[0]
