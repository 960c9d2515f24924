"""What happens in a call as sentences, a line each. Pure.

Said is what one would want to be interrupted for. Not said: who speaks, who mutes themselves, new keys (`/code` says
them when they are to be compared), statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tuiconf.commands import address
from tuiconf.control import schema
from tuiconf.control.events import (
    AudioChanged,
    Caller,
    ChatReceived,
    ChatSent,
    CommitRefused,
    Connecting,
    Event,
    EventsMissed,
    Failed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    MuteRequested,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Played,
    PolicyChanged,
    Ready,
    Reconnected,
    Reconnecting,
    RecordingChanged,
    RecordingRefused,
    RoomCreated,
    SourceEnded,
    StatusChanged,
    TrustChanged,
    Undecryptable,
    Waiting,
)
from tuiconf.plain.wording import MAX_NAMES, TRUST, decide, name_of, names, sayer, standing
from tuiconf.untrusted import visible

READY: Final = (
    "ready, and nobody hears you yet: /join to be in the call, /join muted to be in it unheard; "
    "/level says how loud your microphone is, /test plays a sound, /devices what there is, /leave"
)


class Sentences:
    """Says what is new in each event, and for that remembers who is here and what was sent."""

    def __init__(self) -> None:
        self._people: dict[int, Person] = {}
        self._callers: dict[str, Caller] = {}
        self._audio: AudioChanged | None = None

    def begin(self, state: schema.State) -> None:
        """What is so already, and need not be said."""
        self._people = {who.leaf: who for who in state.participants}
        self._callers = {caller.ref: caller for caller in state.callers}
        self.sound_is(state.audio)

    def sound_is(self, audio: AudioChanged) -> None:
        """What is sent and heard, as was said in another way."""
        self._audio = audio

    @property
    def people(self) -> tuple[Person, ...]:
        """Who is here."""
        return tuple(self._people.values())

    def of(self, event: Event) -> tuple[str, ...]:
        """The lines of one event, most often one or none."""
        return self._of_people(event) or self._of_us(event) or _of_call(event)

    # --- people

    def _of_people(self, event: Event) -> tuple[str, ...]:
        match event:
            case Joined(participants=people):
                self._people = {who.leaf: who for who in people}
                return self._joined(event)
            case ParticipantJoined(participant=who):
                self._people[who.leaf] = who
                return (self._arrival(who),)
            case ParticipantLeft(participant=who, reason=reason):
                self._people.pop(who.leaf, None)
                return (f"{name_of(who)} {_HOW_GONE[reason]}",)
            case StatusChanged(participant=who):
                return self._status(self._people.get(who.leaf, who), who)
            case TrustChanged(participant=who):
                self._people[who.leaf] = who
                return (self._trust(who),)
            case ChatReceived(participant=who, text=text):
                return (f"{sayer(who)}: {visible(text)}",)
            case Knocked() | KnockEnded():
                return (self._at_the_door(event),)
            case _:
                return ()

    def _joined(self, event: Joined) -> tuple[str, ...]:
        me, code = event.me, event.security_code
        name = f"{name_of(me)}, host" if me.host else name_of(me)
        if event.created and not me.host:
            return (f"joined as {name}, alone in a new room: nobody was there to let you in. Is it the right link?",)
        others = [who for who in event.participants if who.leaf != me.leaf]
        few = len(others) <= MAX_NAMES
        return (
            f"joined as {name}; here: {names(others, 'nobody else yet')}; security code {code}",
            *(self._arrival(who, verb="is here") for who in others if few or who.trust == "changed" or who.recording),
        )

    def _arrival(self, who: Person, verb: str = "joined") -> str:
        if who.trust == "changed":
            return f"{name_of(who)} {verb}, {self._changed(who)}"
        return f"{name_of(who)} {verb}, {standing(who)}"

    def _trust(self, who: Person) -> str:
        if who.trust == "changed":
            return f"{name_of(who)} {self._changed(who)}"
        return f"{name_of(who)} is {TRUST[who.trust]}"

    def _changed(self, who: Person) -> str:
        why = "CHANGED: not the key you knew by this name, or a comparison failed"
        return f"{why}; {decide(who)}"

    def _status(self, before: Person, now: Person) -> tuple[str, ...]:
        """Who records is said at once; who is muted when one asks."""
        self._people[now.leaf] = now
        own = now.trust == "self"
        said = []
        if now.hand is not before.hand:
            subject = "your hand is" if own else f"{name_of(now)} has a hand"
            said.append(f"{subject} {'up' if now.hand else 'down'}")
        if now.recording is not before.recording and not own:
            said.append(f"{name_of(now)} {'RECORDS this call now' if now.recording else 'no longer records'}")
        return tuple(said)

    def _at_the_door(self, event: Knocked | KnockEnded) -> str:
        who = event.caller
        if isinstance(event, KnockEnded):
            self._callers.pop(who.ref, None)
            return f"{name_of(who)} {_HOW_ANSWERED[event.reason]}"
        self._callers[who.ref] = who
        typed = address(who, tuple(self._callers.values()))
        known = ", need not wait" if who.known else ""
        return f"{name_of(who)} knocks, {TRUST[who.trust]}{known}: /admit {typed} or /deny {typed}"

    # --- us

    def _of_us(self, event: Event) -> tuple[str, ...]:
        match event:
            case AudioChanged():
                before, self._audio = self._audio, event
                return tuple(_sound(before, event))
            case ChatSent(text=text):
                return (f"you: {visible(text)}",)
            case MuteRequested(by=who):
                return (f"{name_of(who)} asked for quiet: you are muted, /unmute when you want to speak",)
            case RecordingChanged(active=True, folder=folder):
                return (f"recording into {visible(folder)}: everyone was told",)
            case RecordingChanged(reason=reason):
                return (f"recording has ended: {visible(reason) or 'stopped'}",)
            case RecordingRefused(participant=who):
                return (f"{name_of(who)} says that they record, which the room's policy does not allow",)
            case _:
                return ()


def _sound(before: AudioChanged | None, now: AudioChanged) -> list[str]:
    """What is different. A talk key that goes up and down is noticed by whoever presses it."""
    said = []
    was_muted, was_deafened = (before is not None and before.muted), (before is not None and before.deafened)
    if now.deafened is not was_deafened:
        said.append(
            "deafened: you hear nothing, and nobody hears you" if now.deafened else f"hearing again; {heard(now)}"
        )
    elif now.muted is not was_muted and not now.deafened:
        said.append(heard(now))
    if (before is not None and before.voice_activation) is not now.voice_activation:
        said.append(f"voice activation {'on: you are heard while you speak' if now.voice_activation else 'off'}")
    if before is None:
        return said
    said += [f"input: {visible(now.input)}"] * (now.input != before.input)
    said += [f"output: {visible(now.output)}"] * (now.output != before.output)
    return said + [f"gain: {now.gain_db:g} decibels"] * (now.gain_db != before.gain_db)


def heard(audio: AudioChanged) -> str:
    """Whether one is heard, unmistakably."""
    if audio.deafened:
        return "deafened: nobody hears you"
    if not audio.live:
        return "muted: nobody hears you" if audio.muted else "held back: nobody hears you"
    if audio.push_to_talk:
        return "talk key down: you are heard"
    return "live: you are heard while you speak" if audio.voice_activation else "live: you are heard"


# --- the call


def _of_call(event: Event) -> tuple[str, ...]:
    line = _line_of_call(event)
    return () if line is None else (line,)


def _line_of_call(event: Event) -> str | None:
    match event:
        case RoomCreated(link=link):
            return link
        case Ready():
            return READY
        case Connecting():
            return "connecting …"
        case Waiting():
            return "waiting to be let in …"
        case PolicyChanged():
            return policy(event)
        case SourceEnded():
            return "what you were sending is over"
        case Played(finished=True):
            return "what was played is over"
        case Undecryptable(active=active):
            return "some sound cannot be decrypted: it is silenced" if active else "all sound can be decrypted again"
        case CommitRefused(reason=reason):
            return f"a change to the group was refused ({visible(reason)}); nothing has changed"
        case Reconnecting():
            return "the relay is out of reach; trying again …"
        case Reconnected():
            return "back in the call"
        case EventsMissed(events=count) if count:
            return f"{count} lines were left out, as they came faster than they were written: /who, /chat"
        case Notice(message=message):
            return visible(message)
        case Failed(message=message):
            return f"error: {visible(message)}"
        case Left(reason=reason):
            return _WHY_LEFT[reason]
        case _:
            return None


def policy(event: PolicyChanged) -> str:
    """Who decides in the room, and who may come in."""
    lobby = _LOBBY.get(event.lobby, f"lobby {visible(event.lobby)}")
    return f"the room: host {names(event.hosts, 'nobody')}, {lobby}, {'locked' if event.locked else 'not locked'}"


_LOBBY: Final[Mapping[str, str]] = {
    "off": "lobby off",
    "unknown": "lobby for people not known",
    "everyone": "lobby for everyone",
}

_HOW_GONE: Final[Mapping[str, str]] = {"left": "left", "removed": "was removed", "vanished": "is gone"}

_HOW_ANSWERED: Final[Mapping[str, str]] = {
    "admitted": "was let in",
    "denied": "was not let in",
    "gone": "no longer knocks",
}

_WHY_LEFT: Final[Mapping[str, str]] = {
    "left": "left",
    "removed": "you were removed by the host",
    "failed": "the call has ended",
}
