"""What hooks deliver, and when one that failed is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

# The first pause; each is twice the one before. A restart of a receiver takes seconds.
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0

# What a receiver may ask for with Retry-After: it must not put us off until the deadline has passed.
LONGEST_RETRY_AFTER_S: Final = 300.0

# Besides errors of the server's own, these pass: timed out, too early, too many requests.
_PASSING: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Message:
    """One event for hooks."""

    event: str
    delivery: str  # the same at every try
    body: bytes  # JSON
    variables: Mapping[str, str]  # for a command's environment
    at: float  # monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a try went. `why` is for the log: no names, no addresses."""

    done: bool = False
    again: bool = False  # another try can help
    why: str = ""
    retry_after_s: float | None = None


DONE: Final = Outcome(done=True)


def of_status(status: int, retry_after: str | None, *, unix: float) -> Outcome:
    """What an HTTP status means. Redirects are not followed: the signed names would go where nobody said they may."""
    if 200 <= status < 300:
        return DONE
    again = status >= 500 or status in _PASSING
    return Outcome(again=again, why=f"HTTP {status}", retry_after_s=_retry_after(retry_after, unix) if again else None)


def next_try(outcome: Outcome, *, tries: int, now: float, deadline: float, random: Callable[[], float]) -> float | None:
    """When to try again after so many tries; None: not at all. `random` is uniform within 0 and 1.

    Half of each pause is left to chance, or all the meetings of a company would call again in the same moment.
    """
    if outcome.done or not outcome.again:
        return None
    pause = min(FIRST_PAUSE_S * 2 ** min(tries - 1, 16), LONGEST_PAUSE_S) * (0.5 + 0.5 * random())
    at = now + max(pause, outcome.retry_after_s or 0.0)
    return at if at <= deadline else None


def _retry_after(text: str | None, unix: float) -> float | None:
    """Seconds from now, of a number of seconds or a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - unix
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
