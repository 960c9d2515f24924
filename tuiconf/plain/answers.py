"""What commands are answered with, as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from tuiconf.commands import GROUPS, SHORT_FINGERPRINT, Command, address, find_command
from tuiconf.control import schema
from tuiconf.control.events import AudioStats, Person
from tuiconf.control.schema import AnyRequest
from tuiconf.plain.sentences import heard, policy
from tuiconf.plain.wording import HOW, TRUST, clock, day, in_fours, name_of, names, sayer, spelled, standing
from tuiconf.untrusted import visible

# Lines that one command says at most, where a room or a store has more: nobody listens to a hundred.
MAX_LINES: Final = 40

# The lines of chat that are said to someone who comes back.
RECENT_CHAT: Final = 10


def answer(request: AnyRequest, result: msgspec.Struct) -> tuple[str, ...]:
    """The lines for what a request was answered with; none where an event says it."""
    match result:
        case schema.RoomCode():
            return tuple(room_code(result))
        case schema.Peers():
            return tuple(_peers(result))
        case schema.PeerShown():
            return tuple(_peer(result))
        case schema.Stats():
            return tuple(_stats(result))
        case schema.Devices():
            return tuple(_devices(result))
        case schema.Link(link=link, code=code):
            return ("link, a secret that lets people in:", visible(link), "or as an invite code:", visible(code))
        case _:
            return _done(request)


def _done(request: AnyRequest) -> tuple[str, ...]:
    """What no event tells, as it concerns this program alone."""
    match request:
        case schema.AudioSet(participant=who, muted=True) if who is not None:
            return (f"silenced: {_typed(who)}, and only you notice; /unsilence {_typed(who)}",)
        case schema.AudioSet(participant=who, muted=False) if who is not None:
            return (f"not silenced any more: {_typed(who)}",)
        case schema.AudioSet(participant=who, volume_db=volume) if who is not None and volume is not None:
            return (f"volume of {_typed(who)}: {volume:g} decibels",)
        case schema.Play():
            return ("playing; /stop ends it",)
        case schema.TryOutput():
            return ("playing three notes: do you hear them?",)
        case schema.ForgetPeer(peer=who):
            return (f"forgotten: {_typed(who)}",)
        case schema.VerifyPeer(peer=who, matches=False):
            return (f"not the same: trust nothing that comes from {_typed(who)} until you know why",)
        case _:
            return ()


def _typed(who: str | int) -> str:
    return f"number {who}" if isinstance(who, int) else visible(who)


# --- who is here


def who(state: schema.State) -> tuple[str, ...]:
    """All that is so about everyone."""
    return tuple(_who(state))


def _who(state: schema.State) -> Iterator[str]:
    me, people = state.me, state.participants
    others = [person for person in people if me is None or person.leaf != me.leaf]
    if me is None:
        yield f"the call is {state.phase}"
    else:
        yield f"here: {names(others, 'nobody else yet')}"
        recording = ", RECORDING" if state.recording is not None and state.recording.active else ""
        hand = ", hand up" if me.hand else ""
        yield f"you: {name_of(me)}{', host' if me.host else ''}, {heard(state.audio)}{hand}{recording}"
    if state.undecryptable:
        yield "some sound cannot be decrypted: it is silenced"
    silenced = {volume.leaf for volume in state.volumes if volume.muted}
    yield from (_person(person, people, silenced=person.leaf in silenced) for person in others[:MAX_LINES])
    yield from _more(len(others))
    for caller in state.callers[:MAX_LINES]:
        since = f" since {clock(caller.since)}" if caller.since else ""
        yield f"{name_of(caller)}: knocks{since}, {TRUST[caller.trust]}, /admit {address(caller, state.callers)}"
    if state.policy is not None:
        yield policy(state.policy)


def _person(person: Person, people: tuple[Person, ...], *, silenced: bool) -> str:
    typed = address(person, people)
    so = f"{standing(person)}{', silenced by you' if silenced and person.trust != 'changed' else ''}"
    if person.trust == "changed":
        so += ", silenced until you decide"
    return f"{name_of(person)}: {so}{f'; type {typed}' if typed != person.name else ''}"


def _more(count: int) -> Iterator[str]:
    if count > MAX_LINES:
        yield f"and {count - MAX_LINES} more"


def chat(state: schema.State, count: int | None = None) -> tuple[str, ...]:
    """What was said, or the last of it."""
    lines = state.chat if count is None else state.chat[-count:]
    left_out = len(state.chat) - len(lines)
    before = (f"chat, the last {len(lines)} of {len(state.chat)} lines; /chat says all",) if left_out else ()
    return *before, *(f"{'you' if line.own else _sayer(line)}: {visible(line.text)}" for line in lines)


def _sayer(line: schema.ChatLine) -> str:
    return sayer(Person(leaf=line.leaf, name=line.name, fingerprint=line.fingerprint, host=False, trust=line.trust))


# --- who people are


def room_code(code: schema.RoomCode) -> Iterator[str]:
    """The code of the room, the words first: they are easier to read aloud and to hear."""
    yield f"room code in words: {in_fours(code.words)}"
    yield f"room code in digits: {spelled(code.digits)}"
    yield "whoever reads the same is in the same group, and nobody is in between; it changes when people come and go"


def compare(peer: schema.PeerShown, code: schema.RoomCode | None) -> tuple[str, ...]:
    """What two people compare, and what to type then."""
    name = address_of(peer)
    return tuple(_compare(peer, code, name))


def _compare(peer: schema.PeerShown, code: schema.RoomCode | None, name: str) -> Iterator[str]:
    yield f"{_peer_name(peer)} is {TRUST[peer.trust]}"
    yield from (f"known by this name before: {_stored(other)}" for other in peer.others[:MAX_LINES])
    if code is not None:
        yield f"room code in words: {in_fours(code.words)}"
    yield from _safety_number(peer)
    yield "read it to each other where you know the voice, or meet; then say what you compared:"
    if code is not None:
        yield f"/verify {name} code, when the room code is the same"
    yield f"/verify {name} number, when the safety number is the same"
    yield f"/verify {name} mismatch, when it is not"


def _safety_number(peer: schema.PeerShown) -> Iterator[str]:
    """In four lines of three groups: as much as one reads before the other says yes."""
    groups = peer.safety_number.split()
    rows = [" ".join(groups[start : start + 3]) for start in range(0, len(groups), 3)]
    for number, row in enumerate(rows, 1):
        yield f"safety number, line {number} of {len(rows)}: {spelled(row)}"


def address_of(peer: schema.PeerShown) -> str:
    """What to type to mean them: with another of their name around, that is their fingerprint."""
    person = Person(leaf=0, name=peer.name, fingerprint=peer.fingerprint, host=False)
    others = [Person(leaf=1, name=who.name, fingerprint=who.fingerprint, host=False) for who in peer.others]
    return address(person, (person, *others))


def _peer_name(peer: schema.PeerShown | schema.Peer) -> str:
    return name_of(Person(leaf=0, name=peer.name, fingerprint=peer.fingerprint, host=False))


def _peers(peers: schema.Peers) -> Iterator[str]:
    if not peers.peers:
        yield "you have met nobody yet"
    for peer in peers.peers[:MAX_LINES]:
        yield f"{_peer_name(peer)}: {_stored(peer)}"
    if len(peers.peers) > MAX_LINES:
        yield f"and {len(peers.peers) - MAX_LINES} more, met longer ago: tuiconf peers list"


def _stored(peer: schema.Peer) -> str:
    mark = peer.fingerprint[:SHORT_FINGERPRINT]
    return f"{_trust_of(peer)}, last met {day(peer.last_met)}, fingerprint {mark}"


def _trust_of(peer: schema.Peer) -> str:
    if peer.trust == "verified" and peer.verified_at is not None:
        how = f" {HOW[peer.verified_how]}" if peer.verified_how is not None else ""
        return f"verified on {day(peer.verified_at)}{how}"
    return TRUST[peer.trust]


def _peer(peer: schema.PeerShown) -> Iterator[str]:
    stored = peer.stored
    verified = stored is not None and peer.trust == stored.trust == "verified"
    yield f"{_peer_name(peer)} is {_trust_of(stored) if stored is not None and verified else TRUST[peer.trust]}"
    if stored is not None:
        yield f"first met {day(stored.first_met)}, last met {day(stored.last_met)}"
    yield from (f"known by this name before: {_stored(other)}" for other in peer.others[:MAX_LINES])
    yield f"fingerprint: {' '.join(peer.fingerprint.split('-'))}"
    yield from _safety_number(peer)


# --- the call


def _stats(stats: schema.Stats) -> Iterator[str]:
    if stats.audio is None:
        yield "nothing is known yet: ask again in a second"
        return
    yield _connection(stats.audio, stats.reconnections)
    for stream in stats.audio.streams[:MAX_LINES]:
        delay = "" if stream.delay_ms_p50 is None else f", delay {stream.delay_ms_p50:.0f} milliseconds"
        name = name_of(Person(leaf=stream.leaf, name=stream.name, fingerprint=stream.fingerprint, host=False))
        yield f"{name}: loss {stream.loss_percent:.0f} percent, buffer {stream.buffer_ms:.0f} milliseconds{delay}"
    yield from _more(len(stats.audio.streams))


def _connection(audio: AudioStats, reconnections: int) -> str:
    rtt = "not known" if audio.rtt_ms is None else f"{audio.rtt_ms:.0f} milliseconds"
    lost = sum(audio.undecryptable.values())
    unreadable = f", {lost} packets could not be decrypted" if lost else ""
    return f"connection: to the relay and back {rtt}, {_times(reconnections)} connected again{unreadable}"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _devices(devices: schema.Devices) -> Iterator[str]:
    if devices.problem:
        yield f"sound devices: {visible(devices.problem)}"
    for what, command, found in (("input", "input", devices.inputs), ("output", "output", devices.outputs)):
        if not found and not devices.problem:
            yield f"{what}: none"
        for device in found[:MAX_LINES]:
            default = ", the default" if device.default else ""
            how = f"/{command} {visible(device.spec)}" if device.spec is not None else "shares its name with another"
            yield f"{what}: {visible(device.name)}{default}; {how}"


# --- help


def help_for(name: str) -> tuple[str, ...]:
    """All commands in a few lines, or one of them.

    Raises:
        UsageError: there is no such command.
    """
    if name:
        command = find_command(name)
        return (f"{command.usage}: {command.help}", *_aliases(command))
    lines = (f"{group}: {', '.join(f'/{command.name}' for command in commands)}" for group, commands in GROUPS.items())
    return ("what you type is chat, unless it begins with a slash; /help and a command says what it does", *lines)


def _aliases(command: Command) -> tuple[str, ...]:
    return (f"the same: {', '.join(f'/{alias}' for alias in command.aliases)}",) if command.aliases else ()
