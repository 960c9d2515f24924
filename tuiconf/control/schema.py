"""The control API itself: every method with what it takes and gives. The JSON Schema and `tuiconf ctl` are made of it.

A method is a class: its fields are the parameters, `method` its name, `result` what it answers with. So a request
that was decoded is a typed value, and so is one that a bot makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from tuiconf.conference.events import AudioStats, Caller, Person, PolicyChanged, Trust
from tuiconf.config import Fingerprint
from tuiconf.control.events import AudioChanged, RecordingChanged
from tuiconf.control.preparing import Device as Device
from tuiconf.control.preparing import Devices as Devices
from tuiconf.control.preparing import GetDevices as GetDevices
from tuiconf.control.preparing import GetHistory as GetHistory
from tuiconf.control.preparing import History as History
from tuiconf.control.preparing import Join as Join
from tuiconf.control.preparing import Moment as Moment
from tuiconf.control.preparing import TryOutput as TryOutput
from tuiconf.control.requests import MAX_ALLOWED as MAX_ALLOWED
from tuiconf.control.requests import MAX_CHAT_CHARACTERS as MAX_CHAT_CHARACTERS
from tuiconf.control.requests import MAX_HOLD_S as MAX_HOLD_S
from tuiconf.control.requests import ChatText as ChatText
from tuiconf.control.requests import Decibels as Decibels
from tuiconf.control.requests import Done as Done
from tuiconf.control.requests import Participant as Participant
from tuiconf.control.requests import Request as Request
from tuiconf.control.requests import Result as Result
from tuiconf.control.requests import ShortText as ShortText
from tuiconf.control.verifying import AcceptPeer as AcceptPeer
from tuiconf.control.verifying import ForgetPeer as ForgetPeer
from tuiconf.control.verifying import GetRoomCode as GetRoomCode
from tuiconf.control.verifying import ListPeers as ListPeers
from tuiconf.control.verifying import Peer as Peer
from tuiconf.control.verifying import Peers as Peers
from tuiconf.control.verifying import PeerShown as PeerShown
from tuiconf.control.verifying import RoomCode as RoomCode
from tuiconf.control.verifying import ShowPeer as ShowPeer
from tuiconf.control.verifying import VerifyPeer as VerifyPeer

# Raised whenever a client of the version before would misunderstand something; additions do not raise it.
PROTOCOL_VERSION: Final = 1

# --- about the engine


class Hello(Result, frozen=True, kw_only=True):
    """Who answers. `socket` is where further connections go, and those that carry sound."""

    protocol: int
    version: str
    call: str
    pid: int
    socket: str
    methods: tuple[str, ...]


class SayHello(Request[Hello], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is there, and what it can do."""

    method = "hello"
    result = Hello


class ChatLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of chat that was said since this participant joined; `own`: by itself. `trust`: as it was then."""

    ts: float
    leaf: int
    name: str
    fingerprint: str
    own: bool
    text: str
    trust: Trust = "new"

    def __repr__(self) -> str:
        return "<ChatLine>"


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """How someone is heard here, when it is not as they are."""

    leaf: int
    volume_db: float
    muted: bool


class State(Result, frozen=True, kw_only=True):
    """Everything a front end shows, at one moment. `seq` is the last event it contains."""

    seq: int
    call: str
    room: str
    phase: Literal["ready", "connecting", "waiting", "joined", "reconnecting", "left"]
    since: float | None
    epoch: int | None
    security_code: str | None
    me: Person | None
    participants: tuple[Person, ...]
    policy: PolicyChanged | None
    callers: tuple[Caller, ...]
    audio: AudioChanged
    volumes: tuple[Volume, ...]
    playing: int | None  # the number of what `play` was given
    recording: RecordingChanged | None
    chat: tuple[ChatLine, ...]
    attached: int
    undecryptable: bool = False  # sound arrives that cannot be opened; an engine of before does not say


class GetState(Request[State], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of the call: what a front end that comes later has to know."""

    method = "state.get"
    result = State


class Subscribed(Result, frozen=True, kw_only=True):
    """Events with numbers above `seq` follow as notifications named `event`."""

    seq: int


class Subscribe(Request[Subscribed], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Be told what happens. `events` names some (all but `levels` without it); `since` repeats those kept of before."""

    method = "subscribe"
    result = Subscribed

    events: Annotated[list[ShortText], msgspec.Meta(max_length=64)] | None = None
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Unsubscribe(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Be told nothing more."""

    method = "unsubscribe"
    result = Done


class Attach(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This connection is a person's front end: when it is lost without `detach`, the call is muted and soon left."""

    method = "attach"
    result = Done


class Detach(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The person goes, and the call stays."""

    method = "detach"
    result = Done


class Link(Result, frozen=True, kw_only=True):
    """What lets people in: a secret. `code` is the same as an invite code: one word, without signs that shells take."""

    link: str
    code: str = ""

    def __repr__(self) -> str:
        return "<Link>"


class GetLink(Request[Link], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The room's link, to invite someone."""

    method = "link.get"
    result = Link


# --- the call


class Leave(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Leave the call, once what was typed is said; `now` does not wait for the others to take notice."""

    method = "leave"
    result = Done

    now: bool = False


class ChatSend(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say a line of chat to everyone in the call."""

    method = "chat.send"
    result = Done

    text: ChatText


class HandRaise(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show everyone that one would like to speak."""

    method = "hand.raise"
    result = Done


class HandLower(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No longer."""

    method = "hand.lower"
    result = Done


class Roster(Result, frozen=True, kw_only=True):
    """Who is in the group, by leaf, and who waits to be let in."""

    epoch: int | None
    participants: tuple[Person, ...]
    callers: tuple[Caller, ...]


class GetRoster(Request[Roster], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is in the call."""

    method = "roster.get"
    result = Roster


class Stats(Result, frozen=True, kw_only=True):
    """The statistics of the last second, None before the first, and of the process."""

    audio: AudioStats | None
    uptime_s: float
    reconnections: int
    rss_bytes: int
    cpu_s: float
    tasks: int
    file_descriptors: int


class GetStats(Request[Stats], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the call is doing."""

    method = "stats.get"
    result = Stats


# --- sound


class Mute(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send nothing."""

    method = "mute"
    result = Done


class Unmute(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send what the input gives."""

    method = "unmute"
    result = Done


class PushToTalkDown(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Be live although muted, until `ptt.up` or until this connection ends, and for two minutes at most.

    With `hold_s`: until `ptt.up`, or for so many seconds, also when this connection ends before. So a switch whose
    processes end at once cannot leave the microphone on, should its `ptt.up` be lost. Said again, it begins anew.

    With `renew_s`: until `ptt.up` or the end of this connection, and for so many seconds, unless it is said again in
    time. So a client that hangs while its key is down cannot leave the microphone on. Not together with `hold_s`.
    """

    method = "ptt.down"
    result = Done

    hold_s: Annotated[float, msgspec.Meta(gt=0.0, le=MAX_HOLD_S)] | None = None
    renew_s: Annotated[float, msgspec.Meta(gt=0.0, le=MAX_HOLD_S)] | None = None


class PushToTalkUp(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key is up again. From a connection whose key is not down: every key is."""

    method = "ptt.up"
    result = Done


class Deafen(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hear nothing, and send nothing."""

    method = "deafen"
    result = Done


class Undeafen(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hear again. What was muted before stays muted."""

    method = "undeafen"
    result = Done


class AudioSet(Request[AudioChanged], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change what is sent and heard; what is not named stays. `volume_db`, `muted`: how `participant` is heard here."""

    method = "audio.set"
    result = AudioChanged

    input: ShortText | None = None
    output: ShortText | None = None
    gain_db: Decibels | None = None
    voice_activation: bool | None = None
    participant: Participant | None = None
    volume_db: Decibels | None = None
    muted: bool | None = None


class Playing(Result, frozen=True, kw_only=True):
    """It is being sent; the event `played` with this number tells when that is over."""

    number: int


class Play(Request[Playing], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send a file, or whatever else an input can be, besides the input, in place of what was played before."""

    method = "play"
    result = Playing

    path: ShortText


class PlayStop(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send no more of it."""

    method = "play.stop"
    result = Done


class SoundIn(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the answer on this connection carries sound to the client, and nothing else: what `participant` says.

    Without one, the mix of all. A frame every 20 ms: its number (u32, big-endian; a gap is what the client was too
    slow for), then 960 samples of 48 kHz mono, signed 16 bit, little-endian. It ends when they leave. Not over stdio.
    """

    method = "audio.in"
    result = Done

    participant: Participant | None = None


class SoundOut(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From the answer on this connection carries sound to the call, and nothing else.

    Samples as in `audio.in`, without numbers. The engine takes what it needs every 20 ms, and no faster. After the
    client has closed its side and the last sample was sent, the engine closes the connection. Not over stdio.
    """

    method = "audio.out"
    result = Done


# --- recording


class RecordStart(Request[RecordingChanged], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Record, after everyone was told. Each in a file of their own; with `mix`, all together in one more."""

    method = "record.start"
    result = RecordingChanged

    folder: ShortText | None = None
    mix: bool = False
    split_s: Annotated[float, msgspec.Meta(ge=1.0)] | None = None
    split_bytes: Annotated[int, msgspec.Meta(ge=1 << 16)] | None = None
    encrypt_to: ShortText | None = None


class RecordStop(Request[RecordingChanged], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop recording; answered when the files are closed."""

    method = "record.stop"
    result = RecordingChanged


# --- roles


class Admit(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let in someone who waits: the `ref` of a caller, or their name where only one is called that."""

    method = "admit"
    result = Done

    caller: ShortText


class Deny(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Do not let in someone who waits."""

    method = "deny"
    result = Done

    caller: ShortText


class Remove(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove a participant: they can open nothing that is said afterwards."""

    method = "remove"
    result = Done

    participant: Participant


class Lock(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let nobody in any more."""

    method = "lock"
    result = Done


class Unlock(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let people in again."""

    method = "unlock"
    result = Done


class LobbySet(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who waits until someone lets them in: nobody (`off`), the not verified or allowed (`unknown`), or `everyone`."""

    method = "lobby.set"
    result = Done

    lobby: Literal["off", "unknown", "everyone"]


class AllowSet(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a lobby for `unknown` people lets in by itself, besides the verified, and those in this one's settings.

    Of those that were given before, whoever is not named is no longer allowed. It needs the right to admit.
    """

    method = "allow.set"
    result = Done

    fingerprints: Annotated[list[Fingerprint], msgspec.Meta(max_length=MAX_ALLOWED)]


class HandOver(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make someone else the host in one's place."""

    method = "hand_over"
    result = Done

    participant: Participant


class MuteRequest(Request[Done], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have a participant muted; they can unmute themselves."""

    method = "mute_request"
    result = Done

    participant: Participant


AnyRequest = Request[Any]

METHODS: Final[Mapping[str, type[AnyRequest]]] = {
    kind.method: kind
    for kind in (
        *(SayHello, GetState, Subscribe, Unsubscribe, Attach, Detach, GetLink),
        *(Leave, ChatSend, HandRaise, HandLower, GetRoster, GetStats),
        *(Mute, Unmute, PushToTalkDown, PushToTalkUp, Deafen, Undeafen, AudioSet, Play, PlayStop, SoundIn, SoundOut),
        *(RecordStart, RecordStop),
        *(Join, GetDevices, TryOutput, GetHistory),
        *(GetRoomCode, ListPeers, ShowPeer, VerifyPeer, AcceptPeer, ForgetPeer),
        *(Admit, Deny, Remove, Lock, Unlock, LobbySet, AllowSet, HandOver, MuteRequest),
    )
}
"""Every method, by its name."""
