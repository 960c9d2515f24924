"""What is so for a while and has to be seen all that while: calm sentences, the gravest first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuiconf.control.events import Caller, Person
from tuiconf.tui.model import CallModel
from tuiconf.tui.widgets.painted import Tone

# Beyond these, "and 3 others": a banner that fills the screen is read by nobody.
MAX_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:  # noqa: A001 - that is what it is
    """`word` says what kind it is; `text` may hold names, to be neutralised; `action` is a key's, to do about it."""

    tone: Tone
    word: str
    text: str
    action: str = ""


def warnings(model: CallModel) -> list[Warning]:
    """What there is to warn of now."""
    return [*_identity(model), *_protection(model), *_phase(model), *_recording(model), *_door(model)]


def _identity(model: CallModel) -> Iterator[Warning]:
    changed = [who for who in model.people if who.trust == "changed"]
    if changed:
        one = len(changed) == 1
        text = f"{names(changed)} {'is' if one else 'are'} not who you knew, and silenced until you decide"
        yield Warning(tone="bad", word="CHANGED", text=text, action="verify")


def _protection(model: CallModel) -> Iterator[Warning]:
    if model.undecryptable:
        yield Warning(tone="bad", word="UNREADABLE", text="Some sound cannot be decrypted: it is silenced")


def _phase(model: CallModel) -> Iterator[Warning]:
    match model.state.phase if model.state is not None else "connecting":
        case "reconnecting":
            yield Warning(tone="warning", word="RECONNECTING", text="The relay is out of reach; trying again")
        case "waiting":
            yield Warning(tone="notice", word="WAITING", text="You knocked. Somebody in the call has to let you in")


def _recording(model: CallModel) -> Iterator[Warning]:
    policy = model.state.policy if model.state is not None else None
    me = model.me
    recorders = [who for who in model.people if who.recording and (me is None or who.leaf != me.leaf)]
    rule = policy.record if policy is not None else "members"
    against = [who for who in recorders if rule == "nobody" or (rule == "hosts" and not who.host)]
    allowed = [who for who in recorders if who not in against]
    if against:
        verb = "records" if len(against) == 1 else "record"
        yield Warning(tone="bad", word="RECORDED", text=f"{names(against)} {verb}, against the rules of this room")
    if allowed:
        verb = "records" if len(allowed) == 1 else "record"
        yield Warning(tone="warning", word="RECORDED", text=f"{names(allowed)} {verb} this call")
    if model.state is not None and model.state.recording is not None and model.state.recording.active:
        yield Warning(tone="warning", word="RECORDING", text="You record this call; everyone was told", action="record")


def _door(model: CallModel) -> Iterator[Warning]:
    callers = model.callers
    if callers:
        verb = "waits" if len(callers) == 1 else "wait"
        trust = f", {_CALLER_TRUST[callers[0].trust]}," if len(callers) == 1 else ""
        action = "lobby" if model.may_admit else ""
        yield Warning(tone="notice", word="KNOCK", text=f"{names(callers)}{trust} {verb} to be let in", action=action)


_CALLER_TRUST = {
    "new": "new to you",
    "known": "known",
    "verified": "verified",
    "changed": "not who you knew",
    "self": "you",
}


def names(people: Sequence[Person | Caller]) -> str:
    """Ada, Ben and Mara; or Ada, Ben, Mara and 4 others."""
    first = [who.name for who in people[:MAX_NAMES]]
    more = len(people) - len(first)
    if more:
        return f"{', '.join(first)} and {more} other{'s' if more > 1 else ''}"
    return " and ".join([", ".join(first[:-1]), first[-1]] if len(first) > 1 else first)
