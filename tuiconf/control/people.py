"""Who is meant: a participant by leaf, name or fingerprint, a caller by what `knocked` calls them, or by name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from tuiconf.conference.events import Caller, Person
from tuiconf.errors import UsageError

# Of the 32 characters of a fingerprint, so many must be given: among 1,000 people 20 bits seldom mean two.
LEAST_FINGERPRINT_CHARACTERS: Final = 4

T = TypeVar("T")
P = TypeVar("P", Person, Caller)


class NobodyMeant(UsageError):
    """There is nobody of that name, or several are."""

    code = "no_such_participant"


def leaf_of(people: Sequence[Person], wanted: int | str) -> int:
    """The leaf of the participant that is meant.

    Raises:
        NobodyMeant: there is none, or it is not clear who.
    """
    if isinstance(wanted, int):
        return _one([who.leaf for who in people if who.leaf == wanted])
    return _one([who.leaf for who in _called(people, wanted)])


def ref_of(callers: Sequence[Caller], wanted: str) -> str:
    """The `ref` of the caller that is meant.

    Raises:
        NobodyMeant: nobody of that name waits, or several do.
    """
    called = {who.ref for who in _called(callers, wanted)}
    return _one([who.ref for who in callers if who.ref == wanted or who.ref in called])


def _called(people: Sequence[P], wanted: str) -> Sequence[P]:
    """Those whom a name or the beginning of a fingerprint can mean.

    To make a key whose fingerprint begins like somebody's name takes seconds. So where that name is here, in whatever
    letters, it is not clear that the fingerprint was meant.
    """
    beginning = wanted.lower()
    by_name = [who for who in people if who.name == wanted]
    by_key = [who for who in people if who.fingerprint.startswith(beginning) and who not in by_name]
    if len(beginning) < LEAST_FINGERPRINT_CHARACTERS or not by_key:
        return by_name
    return [who for who in people if who in by_key or who.name.casefold() == wanted.casefold()]


def _one(matches: Sequence[T]) -> T:
    if len(matches) != 1:
        raise NobodyMeant("several are called that: say the fingerprint" if matches else "there is nobody of that name")
    return matches[0]
