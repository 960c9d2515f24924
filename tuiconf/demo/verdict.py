"""What the demo found, and whether that is what was promised. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

# On loopback nothing is lost; a machine so busy that it drops more than this has not shown what it should.
LEAST_HEARD: Final = 0.9


class StreamVerdict(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One speaker's sound as one listener got it."""

    from_: str
    to: str
    frames_sent: int
    frames_played: int
    frames_concealed: int
    delay_ms_p50: float | None
    delay_ms_p95: float | None

    @property
    def arrived(self) -> bool:
        """Whether it was heard, not merely noticed."""
        return self.frames_sent > 0 and self.frames_played >= LEAST_HEARD * self.frames_sent


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's result: `ok` only if everything in it is as it should be."""

    ok: bool
    participants: tuple[str, ...]
    epochs: tuple[int, ...]
    security_codes_equal: bool
    removed_could_decrypt: bool
    removed_frames_tried: int
    streams: tuple[StreamVerdict, ...]
    failures: tuple[str, ...]


def codes_equal(codes: Mapping[str, Mapping[int, str]], members: Mapping[int, frozenset[str]]) -> bool:
    """Whether all who were in an epoch saw the same code, and every epoch had another one.

    `codes[name][epoch]` is what a participant was shown; `members[epoch]` who was to be in it.
    """
    seen: set[str] = set()
    for epoch, names in members.items():
        shown = {codes.get(name, {}).get(epoch) for name in names}
        code = shown.pop() if len(shown) == 1 else None
        if code is None or code in seen:
            return False
        seen.add(code)
    return bool(members)


def judge(
    *,
    participants: tuple[str, ...],
    epochs: tuple[int, ...],
    equal: bool,
    tried: int,
    opened: int,
    streams: tuple[StreamVerdict, ...],
    expected: frozenset[tuple[str, str]],
) -> Verdict:
    """The verdict on what was counted. `expected` are the (speaker, listener) pairs that there must be."""
    failures = [f"{s.to} did not get all that {s.from_} said" for s in streams if not s.arrived]
    missing = expected - {(s.from_, s.to) for s in streams}
    failures += [f"{listener} heard nothing of {speaker}" for speaker, listener in sorted(missing)]
    if not equal:
        failures.append("the security codes were not equal")
    if opened:
        failures.append("the removed participant could open what was sent afterwards")
    if not tried:
        failures.append("nothing reached the removed participant, so nothing was shown about it")
    return Verdict(
        ok=not failures,
        participants=participants,
        epochs=epochs,
        security_codes_equal=equal,
        removed_could_decrypt=opened > 0,
        removed_frames_tried=tried,
        streams=streams,
        failures=tuple(failures),
    )
