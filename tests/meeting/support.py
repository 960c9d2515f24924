"""Events of a call, and scripts, for tests of meetings."""

from __future__ import annotations

from pathlib import Path

from tuiconf.conference.events import StreamStats
from tuiconf.control.events import AudioStats, Joined, ParticipantJoined, ParticipantLeft, Person
from tuiconf.meeting.script import Script, parse


def script(text: str = "") -> Script:
    """With a room."""
    return parse(f'[room]\nlink = "x"\n{text}', path=Path("m.toml")).script


def person(leaf: int, name: str = "") -> Person:
    name = name or f"P{leaf}"
    return Person(leaf=leaf, name=name, fingerprint=f"print-of-{name}", host=False)


ME = person(0, "Me")


def joined(*others: Person) -> Joined:
    return Joined(epoch=1, security_code="", me=ME, participants=(ME, *others))


def came(leaf: int, name: str = "") -> ParticipantJoined:
    return ParticipantJoined(participant=person(leaf, name), epoch=2)


def went(leaf: int, name: str = "") -> ParticipantLeft:
    return ParticipantLeft(participant=person(leaf, name), epoch=3, reason="left")


def stats(*spoke: tuple[Person, float]) -> AudioStats:
    """How long each has spoken so far."""
    return AudioStats(
        frames_sent=0,
        muted=False,
        level_dbfs=None,
        rtt_ms=None,
        repeats=(),
        undecryptable={},
        ticks_skipped=0,
        streams=tuple(
            StreamStats(
                leaf=who.leaf,
                name=who.name,
                fingerprint=who.fingerprint,
                frames_received=0,
                frames_played=0,
                frames_concealed=0,
                frames_late=0,
                loss_percent=0,
                buffer_ms=0,
                delay_ms_p50=None,
                delay_ms_p95=None,
                spoke_s=seconds,
            )
            for who, seconds in spoke
        ),
    )
