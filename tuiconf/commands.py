"""What can be typed into a call: the one table of `/` commands, for plain lines and for the terminal interface. Pure.

A line becomes a request of the control API, or a `LocalCommand` where the front end has something to do itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tuiconf.control import schema
from tuiconf.control.events import Caller, Person
from tuiconf.control.schema import AnyRequest
from tuiconf.errors import UsageError
from tuiconf.untrusted import visible

Who = str | int
"""A participant as requests take them: a name or the beginning of a fingerprint, or the number after a `#`."""

LocalName = Literal["who", "help", "verify", "level", "chat"]

# A `#`, and more digits than any leaf has; of thousands Python makes no number.
_MAX_LEAF_CHARACTERS: Final = 10

# Of a fingerprint: as much as is shown of it in a line, and far more than is needed to mean one of 1,000 people.
SHORT_FINGERPRINT: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCommand:
    """What the front end does itself: who is here, help, comparing with someone, how loud one is, what was said."""

    name: LocalName
    argument: Who = ""


Meant = AnyRequest | LocalCommand

Takes = Literal["nothing", "text", "participant", "caller", "words", "command"]


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table. `takes` says what to complete, `words` what may stand there (or after the name)."""

    name: str
    hint: str
    help: str
    make: Callable[[str], Meant]
    takes: Takes = "nothing"
    words: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    hosts_only: bool = False
    """As the policy of a room is unless it was changed; the engine knows, and refuses."""

    @property
    def usage(self) -> str:
        """How to type it."""
        return f"/{self.name} {self.hint}".rstrip()


# --- from what is typed


def parse_command(line: str) -> Meant:
    """What a line asks for: a command where it begins with `/`, and chat otherwise.

    Raises:
        UsageError: there is no such command, or it needs to be told something else.
    """
    line = line.strip()
    if not line.startswith("/"):
        return schema.ChatSend(text=line)
    name, _, argument = line[1:].partition(" ")
    command = find_command(name)
    try:
        return command.make(argument.strip())
    except (UsageError, msgspec.ValidationError) as error:
        raise UsageError(f"{command.usage}: {error}") from error


def find_command(name: str) -> Command:
    """The command of that name, its `/` left out.

    Raises:
        UsageError: there is none.
    """
    if (command := _BY_NAME.get(name)) is not None:
        return command
    import difflib  # for what is mistyped; it takes as long to import as all else here

    close = difflib.get_close_matches(name, _BY_NAME, n=1)
    meant = f"did you mean /{close[0]}?" if close else "/help lists all"
    raise UsageError(f"there is no command /{visible(name)}: {meant}")


def address(who: Person | Caller, among: Sequence[Person | Caller]) -> str:
    """What to type to mean this one: their name, or where that is not clear the beginning of their fingerprint."""
    name = who.name
    is_clear = sum(other.name == name for other in among) <= 1 and visible(name) == name
    reads_so = _who(name) == name and name.rpartition(" ")[2] not in _OUTCOMES
    return name if is_clear and reads_so else who.fingerprint[:SHORT_FINGERPRINT]


def _who(text: str) -> Who:
    if len(text) > 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text.startswith("#") and text[1:].isascii() and text[1:].isdecimal() and len(text) <= _MAX_LEAF_CHARACTERS:
        return int(text[1:])
    return text


def _needs(what: str, text: str) -> str:
    if not text:
        raise UsageError(f"this needs {what}")
    return text


def _nothing(meant: Meant) -> Callable[[str], Meant]:
    def make(text: str) -> Meant:
        if text:
            raise UsageError("this takes nothing more")
        return meant

    return make


def _request(kind: type[AnyRequest], **fields: object) -> AnyRequest:
    return msgspec.convert(fields, kind)


def _named(kind: type[AnyRequest], field: str = "participant") -> Callable[[str], Meant]:
    return lambda text: _request(kind, **{field: _who(_needs("a name", text))})


def _heard(*, muted: bool) -> Callable[[str], Meant]:
    return lambda text: _request(schema.AudioSet, participant=_who(_needs("a name", text)), muted=muted)


def _caller(kind: type[AnyRequest]) -> Callable[[str], Meant]:
    return lambda text: _request(kind, caller=str(_who(_needs("a name", text))))


def _decibels(text: str) -> float:
    try:
        value = float(text.lower().removesuffix("db").strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError("how many decibels: a number, 0 as it is, 6 is louder, -6 is softer")
    return value


def _play(text: str) -> Meant:
    return _request(schema.Play, path=_needs("a file", text))


def _say(text: str) -> Meant:
    return schema.ChatSend(text=_needs("something to say", text))


def _device(field: str) -> Callable[[str], Meant]:
    return lambda text: _request(schema.AudioSet, **{field: text}) if text else schema.GetDevices()


def _gain(text: str) -> Meant:
    return _request(schema.AudioSet, gain_db=_decibels(text))


def _volume(text: str) -> Meant:
    name, _, decibels = text.rpartition(" ")
    who = _who(_needs("a name, and how many decibels", name.strip()))
    return _request(schema.AudioSet, participant=who, volume_db=_decibels(decibels))


def _voice(text: str) -> Meant:
    if text not in _ON_OFF:
        raise UsageError("this is on or off")
    return schema.AudioSet(voice_activation=text == "on")


def _record(text: str) -> Meant:
    return _request(schema.RecordStart, folder=text) if text else schema.RecordStart()


def _join(text: str) -> Meant:
    if text not in ("", *_MUTED):
        raise UsageError("this takes `muted`, or nothing")
    return schema.Join(muted=text == "muted")


def _verify(text: str) -> Meant:
    name, _, outcome = _needs("a name", text).rpartition(" ")
    if not name or outcome not in _OUTCOMES:
        return LocalCommand(name="verify", argument=_who(text))
    peer = _who(name.strip())
    if outcome == "mismatch":
        return _request(schema.VerifyPeer, peer=peer, how="safety_number", matches=False)
    return _request(schema.VerifyPeer, peer=peer, how=_OUTCOMES[outcome])


def _peers(text: str) -> Meant:
    return _request(schema.ShowPeer, peer=_who(text)) if text else schema.ListPeers()


def _lobby(text: str) -> Meant:
    return _request(schema.LobbySet, lobby=_needs("off, unknown or everyone", text))


def _help(text: str) -> Meant:
    return LocalCommand(name="help", argument=text.removeprefix("/"))


def _host(
    name: str,
    hint: str,
    sentence: str,
    make: Callable[[str], Meant],
    takes: Takes = "participant",
    words: tuple[str, ...] = (),
) -> Command:
    return Command(name, hint, sentence, make, takes, words, hosts_only=True)


_ON_OFF: Final = ("on", "off")
_MUTED: Final = ("muted",)
_LOBBIES: Final = ("off", "unknown", "everyone")
_OUTCOMES: Final[Mapping[str, str]] = {
    "code": "room_code",
    "number": "safety_number",
    "fingerprint": "fingerprint",
    "mismatch": "",
}
"""What was compared, and was the same; or was not."""

# --- the table

_TALKING: Final = (
    Command("mute", "", "send nothing of your microphone", _nothing(schema.Mute())),
    Command("unmute", "", "be heard", _nothing(schema.Unmute())),
    Command("deafen", "", "hear nothing, and send nothing", _nothing(schema.Deafen())),
    Command("undeafen", "", "hear again", _nothing(schema.Undeafen())),
    Command("voice", "on|off", "be heard only while you speak, by the sound of your voice", _voice, "words", _ON_OFF),
    Command("hand", "", "raise your hand, for all to see", _nothing(schema.HandRaise())),
    Command("unhand", "", "lower your hand", _nothing(schema.HandLower())),
    Command("chat", "", "what was said so far", _nothing(LocalCommand(name="chat"))),
    Command("say", "TEXT", "chat: for a line that begins with a slash", _say, "text"),
)

_PEOPLE: Final = (
    Command("who", "", "who is here: trust, host, muted, hand, recording", _nothing(LocalCommand(name="who"))),
    Command("code", "", "the room code: all who read the same are in one group", _nothing(schema.GetRoomCode())),
    Command(
        "verify",
        "NAME [code|number|fingerprint|mismatch]",
        "what to compare with someone; then what you compared and was the same, or mismatch where it was not",
        *(_verify, "participant", tuple(_OUTCOMES)),
    ),
    Command(
        "accept",
        "NAME",
        "hear someone who is CHANGED: as known, not verified",
        _named(schema.AcceptPeer, "peer"),
        "participant",
    ),
    Command(
        "forget", "NAME", "forget someone, as if you had never met", _named(schema.ForgetPeer, "peer"), "participant"
    ),
    Command("peers", "[NAME]", "whom you have met, or what is known of one of them", _peers, "participant"),
    Command("silence", "NAME", "do not hear someone; only you notice", _heard(muted=True), "participant"),
    Command("unsilence", "NAME", "hear them again", _heard(muted=False), "participant"),
    Command("volume", "NAME DECIBELS", "how loud you hear someone: 6 is louder, -6 is softer", _volume, "participant"),
)

_SOUND: Final = (
    Command("level", "", "how loud your microphone is, in words", _nothing(LocalCommand(name="level"))),
    Command("devices", "", "the sound devices", _nothing(schema.GetDevices())),
    Command("input", "DEVICE", "your microphone: a name of /devices, or a file", _device("input"), "text"),
    Command("output", "DEVICE", "what you hear with: a name of /devices", _device("output"), "text"),
    Command("test", "", "play three notes, to hear whether your output works", _nothing(schema.TryOutput())),
    Command("gain", "DECIBELS", "make your microphone louder or softer", _gain, "text"),
    Command("play", "FILE", "send a sound file besides your voice", _play, "text"),
    Command("stop", "", "stop playing it", _nothing(schema.PlayStop())),
    Command("record", "[FOLDER]", "record the call, after everyone was told", _record, "text"),
    Command("unrecord", "", "stop recording", _nothing(schema.RecordStop())),
)

_CALL: Final = (
    Command("join", "[muted]", "begin a call that was prepared", _join, "words", _MUTED),
    Command("link", "", "the link that lets people in: a secret", _nothing(schema.GetLink())),
    Command("stats", "", "how good the connection is", _nothing(schema.GetStats())),
    Command("help", "[COMMAND]", "all commands, or what one does", _help, "command"),
    Command("detach", "", "go, and stay in the call", _nothing(schema.Detach())),
    Command("leave", "", "leave the call", _nothing(schema.Leave()), aliases=("quit", "q", "exit")),
)

_HOSTS: Final = (
    _host("admit", "NAME", "let in someone who knocks", _caller(schema.Admit), "caller"),
    _host("deny", "NAME", "do not let them in", _caller(schema.Deny), "caller"),
    _host("remove", "NAME", "remove someone, who can open nothing that is said afterwards", _named(schema.Remove)),
    _host("ask-to-mute", "NAME", "mute someone, who can unmute again", _named(schema.MuteRequest)),
    _host("handover", "NAME", "make someone else the host in your place", _named(schema.HandOver)),
    _host("lock", "", "let nobody in any more", _nothing(schema.Lock()), "nothing"),
    _host("unlock", "", "let people in again", _nothing(schema.Unlock()), "nothing"),
    _host("lobby", "off|unknown|everyone", "who has to wait until they are let in", _lobby, "words", _LOBBIES),
)

GROUPS: Final[Mapping[str, tuple[Command, ...]]] = {
    "talking": _TALKING,
    "people": _PEOPLE,
    "sound": _SOUND,
    "the call": _CALL,
    "for hosts": _HOSTS,
}
"""The commands by what they are about, in the order to show them."""

COMMANDS: Final = tuple(command for group in GROUPS.values() for command in group)

_BY_NAME: Final[Mapping[str, Command]] = {
    name: command for command in COMMANDS for name in (command.name, *command.aliases)
}


# --- completion


def complete(line: str, people: Sequence[Person], callers: Sequence[Caller]) -> tuple[str, ...]:
    """What the line may become: whole lines, in the order to offer them. In chat: an `@` and a name."""
    if not line.startswith("/"):
        return _complete_mention(line, people)
    name, space, argument = line[1:].partition(" ")
    if not space:
        return tuple(f"/{command.name}{' ' * bool(command.hint)}" for command in _beginning_with(name))
    if (command := _BY_NAME.get(name)) is None:
        return ()
    return tuple(f"/{name} {end}" for end in _complete_argument(command, argument, people, callers))


def _beginning_with(name: str) -> list[Command]:
    return [command for command in COMMANDS if any(n.startswith(name) for n in (command.name, *command.aliases))]


def _complete_argument(
    command: Command, argument: str, people: Sequence[Person], callers: Sequence[Caller]
) -> list[str]:
    match command.takes:
        case "words":
            return [word for word in command.words if word.startswith(argument)]
        case "command":
            return [other.name for other in COMMANDS if other.name.startswith(argument.removeprefix("/"))]
        case "caller":
            return _names(argument, callers)
        case "participant":
            return _complete_person(command, argument, people)
        case _:
            return []


def _complete_person(command: Command, argument: str, people: Sequence[Person]) -> list[str]:
    """A name; and where one stands already, the word that may follow."""
    others = [who for who in people if who.trust != "self"]
    more = " " if command.words or command.name == "volume" else ""
    found = [f"{name}{more}" for name in _names(argument, others)]
    name, space, word = argument.rpartition(" ")
    if space and command.words and any(address(who, people) == name for who in others):
        found += [f"{name} {outcome}" for outcome in command.words if outcome.startswith(word)]
    return found


def _names(beginning: str, among: Sequence[Person | Caller]) -> list[str]:
    wanted = beginning.strip('"').lower()
    return [address(who, among) for who in among if who.name.lower().startswith(wanted) or _is_key(wanted, who)]


def _is_key(wanted: str, who: Person | Caller) -> bool:
    return bool(wanted) and who.fingerprint.startswith(wanted)


def _complete_mention(line: str, people: Sequence[Person]) -> tuple[str, ...]:
    before, at, beginning = line.rpartition("@")
    if not at or (before and not before.endswith(" ")):
        return ()
    names = [who.name for who in people if who.trust != "self" and who.name.lower().startswith(beginning.lower())]
    return tuple(dict.fromkeys(f"{before}@{name} " for name in names if visible(name) == name))
