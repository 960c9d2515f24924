"""What `--dry-run` prints: what a script would do, in the order it would. Pure. No link and no secret is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tuiconf.meeting.script import Announcement, Hook, Script, When

_MOMENTS = {
    "joined": "once in the call",
    "start": "when the meeting starts",
}


def explain(script: Script, starts: Sequence[datetime], *, now: datetime) -> str:
    """Several lines. `starts` are those that come next, as far as they are known."""
    return "\n".join(
        [
            *([f"title        {script.title!r}"] if script.title else []),
            *_when(script.when, starts, now),
            *_room(script),
            *_start(script),
            *_announcements(script.announce),
            *_recording(script),
            *_end(script),
            f"attendance   {script.attendance}",
            *_hooks(script.hook),
            "",
        ]
    )


def minutes(value: float) -> str:
    """A length of time, as people say it."""
    seconds = round(value * 60, 3)
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def _when(when: When | None, starts: Sequence[datetime], now: datetime) -> Iterator[str]:
    if when is None:
        yield "when         at once"
        return
    if not starts:
        yield "when         never: none is planned"
        return
    zone = ZoneInfo(when.zone) if when.zone is not None else when.at.tzinfo if when.at is not None else None
    shown = [f"{start.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}" for start in starts]
    yield f"when         {shown[0]}, {_in(starts[0] - now)}"
    if len(shown) > 1:
        yield f"             then {', '.join(shown[1:])}"
    if when.early_minutes:
        yield f"             joining {minutes(when.early_minutes)} before"
    yield f"             not at all if that is more than {minutes(when.late_minutes)} late"


def _in(left: timedelta) -> str:
    if left <= timedelta(0):
        return "which is now"
    days, rest = divmod(int(left.total_seconds()), 86_400)
    return f"in {days} d {rest // 3600} h" if days else f"in {rest // 3600} h {rest % 3600 // 60} min"


def _room(script: Script) -> Iterator[str]:
    room = script.room
    if room.host is not None:
        yield "room         a new one, made here" + (f"; lobby: {room.lobby}" if room.lobby is not None else "")
        if room.write_link is not None:
            yield f"             its link goes to {room.write_link}"
    else:
        where = f"in {room.link_file}" if room.link_file is not None else "in the script"
        yield f"room         that of the link {where}"
    yield f"as           {room.name!r}" if room.name is not None else "as           the name of the identity"


def _start(script: Script) -> Iterator[str]:
    wait = script.wait
    who = "one other is" if wait.participants == 1 else f"{wait.participants} others are"
    yield f"start        when {who} here"
    if wait.minutes is None:
        yield "             however long that takes"
        return
    if wait.participants > 1:
        do = "start without the rest" if wait.too_few == "begin" else "leave"
        yield f"             if only some are here after {minutes(wait.minutes)}: {do}"
    yield f"             if nobody came after {minutes(wait.minutes)}: leave"


def _announcements(announcements: Sequence[Announcement]) -> Iterator[str]:
    for number, what in enumerate(announcements):
        how = f"play {what.play}" if what.play is not None else f"say {what.say!r}"
        yield f"{'announce' if number == 0 else '':12} {_moment(what)}: {how}"


def _moment(what: Announcement) -> str:
    match what.when:
        case "every":
            return f"every {minutes(what.minutes or 0)}"
        case "before_end":
            return f"{minutes(what.minutes or 0)} before the longest end"
        case "present":
            return f"when {what.participants} others are here, the first time"
        case other:
            return _MOMENTS[other]


def _recording(script: Script) -> Iterator[str]:
    record = script.record
    if record is None:
        yield "record       nothing"
        return
    where = f"in {record.folder}" if record.folder is not None else "where the settings say"
    yield f"record       {_MOMENTS[record.begin]}, {where}, each in a file of their own; everyone is told"
    if record.mix:
        yield "             and all together in one more"
    if record.split_minutes is not None:
        yield f"             a new file every {minutes(record.split_minutes)}"
    if record.encrypt_to is not None:
        yield "             encrypted to an age recipient"


def _end(script: Script) -> Iterator[str]:
    end = script.end
    yield f"end          {minutes(end.everyone_left_minutes)} after everyone left"
    if end.silence_minutes is not None:
        yield f"             or after {minutes(end.silence_minutes)} of silence"
    yield f"             or after {minutes(end.maximum_minutes)} in any case"


def _hooks(hooks: Sequence[Hook]) -> Iterator[str]:
    """Of a command the program alone, of a URL nothing: both may hold what is nobody's business."""
    for number, hook in enumerate(hooks):
        events = ", ".join(hook.on) if hook.on is not None else "everything"
        what = f"run {hook.command[0]}" if hook.command is not None else "POST to its url, signed"
        yield f"{'hooks' if number == 0 else '':12} {what}: {events}"
