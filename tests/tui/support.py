"""A control server that is none: a call of four people that never changes unless a test says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import msgspec
from textual.pilot import Pilot

from tuiconf.config import Tui
from tuiconf.control import schema
from tuiconf.control.client import EngineGone
from tuiconf.control.events import (
    AudioChanged,
    AudioStats,
    Caller,
    CallEvent,
    ChatSent,
    Envelope,
    Level,
    Levels,
    Person,
    PolicyChanged,
    StatusChanged,
    TrustChanged,
    Undecryptable,
)
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.tui.app import TuiconfApp
from tuiconf.tui.launcher import RecentRoom, RelayUnknown
from tuiconf.tui.outcome import Outcome

R = TypeVar("R", bound=msgspec.Struct)

NOW = 1_772_540_400.0  # 3 March 2026, 12:20 UTC

CODE = "50323 19938 71174 00291 88410 36652"
WORDS = ("candle", "orbit", "velvet", "lunar", "mango", "tunnel", "silver", "wagon")
SAFETY = "03317 90120 55872 11094 67230 48811 29006 73345 81127 60459 10388 92741"

ADA = Person(leaf=0, name="Ada", fingerprint="aaaa-bbbb-cccc-dddd-eeee-ffff-gggg-hhhh", host=True, trust="verified")
BEN = Person(leaf=1, name="Ben", fingerprint="bben-2222-3333-4444-5555-6666-7777-aaaa", host=False, trust="known")
MARA = Person(leaf=2, name="Mara", fingerprint="mara-2222-3333-4444-5555-6666-7777-bbbb", host=False, trust="new")
ZOE = Person(leaf=3, name="Zoe", fingerprint="zoee-2222-3333-4444-5555-6666-7777-cccc", host=False, trust="changed")
ME = Person(leaf=4, name="Jules", fingerprint="jule-2222-3333-4444-5555-6666-7777-dddd", host=False, trust="self")
ROBIN = Caller(ref="k1", name="Robin", fingerprint="robi-2222-3333-4444-5555-6666-7777-eeee", known=False)

POLICY = PolicyChanged(hosts=(ADA,), lobby="unknown", locked=False, admit="members", remove="hosts", record="members")
AUDIO = AudioChanged(
    live=True, muted=False, push_to_talk=False, deafened=False, input="default", output="default", gain_db=0.0
)
RECENT = (
    RecentRoom(room="standup", relay="relay.example", last_joined=NOW - 86_400, ref="r1"),
    RecentRoom(room="reading group", relay="relay.example:4444", last_joined=NOW - 9 * 86_400, ref="r2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeTerminal:
    """A terminal of every kind. `tuiconf.tui.terminal` finds out what a real one is."""

    colours: Literal["none", "16", "256", "true"] = "true"
    unicode: bool = True
    multiplexer: Literal["", "tmux", "screen"] = ""
    key_releases: bool = True
    mouse: bool = True
    motion: bool = True
    dark: bool = True


def chat(minute: int, who: Person, text: str) -> schema.ChatLine:
    """A line that was said so many minutes after twelve past."""
    own = who.leaf == ME.leaf
    ts = NOW + 60 * minute
    return schema.ChatLine(ts=ts, leaf=who.leaf, name=who.name, fingerprint=who.fingerprint, own=own, text=text)


CHAT = (
    chat(0, ADA, "Good morning! Notes are at https://notes.example/standup"),
    chat(1, BEN, "Thanks. I am on the train, so I stay muted for the first few minutes"),
    chat(1, ME, "Fine with me"),
    chat(3, ADA, "@Jules can you show the numbers from last week?"),
)


def state(**changes: Any) -> schema.State:
    """The call as it is at first, but for `changes`."""
    people = (
        ADA,
        msgspec.structs.replace(BEN, muted=True, hand=True),
        MARA,
        ZOE,
        ME,
    )
    so = schema.State(
        seq=10,
        call="standup",
        room="standup",
        phase="joined",
        since=NOW,
        epoch=7,
        security_code=CODE,
        me=ME,
        participants=people,
        policy=POLICY,
        callers=(),
        audio=AUDIO,
        volumes=(),
        playing=None,
        recording=None,
        chat=CHAT,
        attached=1,
    )
    return msgspec.structs.replace(so, **changes)


def levels(own: float = -60.0, **loud: float) -> Levels:
    """How loud each is: `ada=-20.0` and so on."""
    people = {"ada": ADA, "ben": BEN, "mara": MARA, "zoe": ZOE}
    others = tuple(
        Level(leaf=who.leaf, dbfs=loud.get(name, -60.0), speaking=loud.get(name, -60.0) > -40.0)
        for name, who in people.items()
    )
    return Levels(own=Level(leaf=ME.leaf, dbfs=own, speaking=own > -40.0), others=others)


def stats(**changes: Any) -> AudioStats:
    """The statistics of a good second."""
    from tuiconf.conference.events import StreamStats

    so = AudioStats(
        frames_sent=5000,
        muted=False,
        level_dbfs=-30.0,
        rtt_ms=24.0,
        repeats=(),
        undecryptable={},
        ticks_skipped=0,
        streams=tuple(
            StreamStats(
                leaf=who.leaf,
                name=who.name,
                fingerprint=who.fingerprint,
                frames_received=5000,
                frames_played=4990,
                frames_concealed=10,
                frames_late=0,
                loss_percent=loss,
                buffer_ms=40.0,
                delay_ms_p50=80.0,
                delay_ms_p95=110.0,
            )
            for who, loss in ((ADA, 0.0), (BEN, 2.5), (MARA, 14.0))
        ),
    )
    return msgspec.structs.replace(so, **changes)


Answer = Callable[[Any], Any]


@dataclass
class FakeControl:
    """Answers as an engine of this state would, remembers what it was asked, and tells what a test has happen."""

    state: schema.State = field(default_factory=state)
    asked: list[schema.AnyRequest] = field(default_factory=list)
    answers: dict[type, Answer | msgspec.Struct | Exception] = field(default_factory=dict)
    """What to answer with instead: a result, a function of the request, or an exception."""
    closed: bool = False

    def __post_init__(self) -> None:
        self._events: asyncio.Queue[Envelope | None] = asyncio.Queue()
        self._seq = self.state.seq

    async def call(self, request: schema.Request[R]) -> R:
        """Remembered; then what `answers` says, or what an engine would."""
        self.asked.append(request)
        answer = self.answers.get(type(request))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, msgspec.Struct):
            return cast("R", answer)
        if answer is not None:
            return cast("R", answer(request))
        return cast("R", self._do(request))

    async def events(self) -> AsyncIterator[Envelope]:
        """What `happen` was given."""
        while (envelope := await self._events.get()) is not None:
            yield envelope

    async def close(self) -> None:
        """Hung up."""
        self.closed = True

    def happen(self, *events: CallEvent) -> None:
        """These happen in the call, and the state follows where a test's next `GetState` would look."""
        for event in events:
            self._seq += 1
            self._follow(event)
            self.state = msgspec.structs.replace(self.state, seq=self._seq)
            ts = NOW + 300 + self._seq
            self._events.put_nowait(Envelope(seq=self._seq, ts=ts, epoch=self.state.epoch, data=event))

    def end(self) -> None:
        """The engine is gone."""
        self._events.put_nowait(None)

    def asked_for(self, kind: type) -> list[Any]:
        """The requests of one kind."""
        return [request for request in self.asked if isinstance(request, kind)]

    def _follow(self, event: CallEvent) -> None:
        if isinstance(event, AudioChanged):
            self.state = msgspec.structs.replace(self.state, audio=event)
        elif isinstance(event, Undecryptable):
            self.state = msgspec.structs.replace(self.state, undecryptable=event.active)
        elif isinstance(event, StatusChanged | TrustChanged):
            now = event.participant
            people = tuple(now if who.leaf == now.leaf else who for who in self.state.participants)
            me = now if self.state.me is not None and now.leaf == self.state.me.leaf else self.state.me
            self.state = msgspec.structs.replace(self.state, participants=people, me=me)

    def _do(self, request: schema.AnyRequest) -> Any:
        audio = self.state.audio
        match request:
            case schema.GetState():
                return self.state
            case schema.Subscribe():
                return schema.Subscribed(seq=self._seq)
            case schema.Mute():
                self.happen(msgspec.structs.replace(audio, muted=True, live=False))
            case schema.Unmute():
                self.happen(msgspec.structs.replace(audio, muted=False, live=True))
            case schema.Deafen():
                self.happen(msgspec.structs.replace(audio, deafened=True, live=False))
            case schema.Undeafen():
                self.happen(msgspec.structs.replace(audio, deafened=False, live=not audio.muted))
            case schema.PushToTalkDown():
                if not audio.push_to_talk:  # said again, it changes nothing
                    self.happen(msgspec.structs.replace(audio, push_to_talk=True, live=True))
            case schema.PushToTalkUp():
                self.happen(msgspec.structs.replace(audio, push_to_talk=False, live=not audio.muted))
            case schema.ChatSend(text=text):
                assert self.state.me is not None
                self.happen(ChatSent(participant=self.state.me, text=text))
            case schema.HandRaise() | schema.HandLower():
                assert self.state.me is not None
                hand = isinstance(request, schema.HandRaise)
                self.happen(StatusChanged(participant=msgspec.structs.replace(self.state.me, hand=hand)))
            case _:
                return _ANSWERS[type(request)](request) if type(request) in _ANSWERS else schema.Done()
        return schema.Done()


def peer_shown(name: str, trust: Any = "new") -> schema.PeerShown:
    """What is known of someone."""
    print_ = next((who.fingerprint for who in (ADA, BEN, MARA, ZOE) if who.name == name), MARA.fingerprint)
    return schema.PeerShown(
        fingerprint=print_, name=name, trust=trust, stored=None, others=(), safety_number=SAFETY, qr=f"TUICONF:{SAFETY}"
    )


def _show_peer(request: schema.ShowPeer) -> schema.PeerShown:
    people = (ADA, BEN, MARA, ZOE)
    who = next((who for who in people if request.peer in (who.leaf, who.fingerprint)), MARA)
    return peer_shown(who.name, who.trust)


_ANSWERS: dict[type, Callable[[Any], msgspec.Struct]] = {
    schema.GetRoomCode: lambda _: schema.RoomCode(epoch=7, digits=CODE, words=WORDS),
    schema.ShowPeer: _show_peer,
    schema.ListPeers: lambda _: schema.Peers(
        peers=(
            schema.Peer(fingerprint=ADA.fingerprint, name="Ada", trust="verified", first_met=NOW - 9e6, last_met=NOW),
            schema.Peer(fingerprint=BEN.fingerprint, name="Ben", trust="known", first_met=NOW - 8e5, last_met=NOW),
        )
    ),
    schema.GetDevices: lambda _: schema.Devices(
        inputs=(
            schema.Device(name="Built-in microphone", spec="device:Built-in microphone", default=True, stable=True),
            schema.Device(name="USB headset", spec="device:USB headset", default=False, stable=True),
        ),
        outputs=(schema.Device(name="Built-in speakers", spec="device:Built-in speakers", default=True, stable=True),),
    ),
    schema.GetHistory: lambda _: schema.History(
        moments=tuple(
            schema.Moment(
                ts=NOW + second,
                rtt_ms=24.0 + second % 7,
                loss_percent=float(second % 11 == 0) * 3,
                buffer_ms=40.0,
                delay_ms=82.0,
                level_dbfs=-30.0 - second % 20,
            )
            for second in range(120)
        )
    ),
    schema.GetStats: lambda _: schema.Stats(
        audio=stats(),
        uptime_s=600.0,
        reconnections=0,
        rss_bytes=60 << 20,
        cpu_s=12.5,
        tasks=20,
        file_descriptors=30,
    ),
    schema.GetLink: lambda _: schema.Link(link="tuiconf://relay.example/standup#c2VjcmV0", code="tc1-stan-dup2"),
}


@dataclass
class FakeLauncher:
    """Begins calls that are `controls`, by their name."""

    rooms: tuple[RecentRoom, ...] = RECENT
    calls: tuple[str, ...] = ()
    unknown: RelayUnknown | None = None
    """Raised until it is accepted."""
    error: Exception | None = None
    done: list[tuple[Any, ...]] = field(default_factory=list)
    """What was asked of it."""

    def recent(self) -> tuple[RecentRoom, ...]:
        """`rooms`."""
        return self.rooms

    def forget(self, ref: str) -> None:
        """One less."""
        self.done.append(("forget", ref))
        self.rooms = tuple(room for room in self.rooms if room.ref != ref)

    async def join(self, where: str) -> str:
        """The call `standup`."""
        self.done.append(("join", where))
        return self._begin()

    async def host(self, relay: str, room: str | None, lobby: str) -> str:
        """The call `standup`."""
        self.done.append(("host", relay, room, lobby))
        return self._begin()

    def running(self) -> tuple[str, ...]:
        """`calls`."""
        return self.calls

    async def accept_relay(self, question: RelayUnknown) -> None:
        """Not asked again."""
        self.done.append(("accept", question.address))
        self.unknown = None

    def save(self, table: str, key: str, value: str | bool | float) -> None:
        """Remembered in `done`."""
        self.done.append(("save", table, key, value))

    def settings_file(self) -> str:
        """A place of someone's."""
        return "~/.config/tuiconf/client.toml"

    def _begin(self) -> str:
        if self.unknown is not None:
            raise self.unknown
        if self.error is not None:
            raise self.error
        return "standup"


def refused(message: str, code: str = "refused") -> ControlError:
    """What an engine says no with."""
    return ControlError(ErrorNumber.REFUSED, message, code=code)


def make_app(
    control: FakeControl | None = None,
    *,
    call: str | None = "standup",
    launcher: FakeLauncher | None = None,
    settings: Tui | None = None,
    terminal: FakeTerminal | None = None,
) -> TuiconfApp:
    """The app, in a call of this control; with `call=None` it begins with the start screen."""
    there = control or FakeControl()

    async def connect(_: str) -> FakeControl:
        if there.closed:
            raise EngineGone("the engine does not answer")
        return there

    launcher = launcher or FakeLauncher()
    return TuiconfApp(
        call=call,
        connect=cast("Callable[[str], Awaitable[Any]]", connect),
        launcher=launcher,
        keeper=launcher,
        settings=settings or Tui(),
        terminal=terminal or FakeTerminal(),
    )


@contextlib.asynccontextmanager
async def running(
    app: TuiconfApp, size: tuple[int, int] = (80, 24), *, notifications: bool = False
) -> AsyncGenerator[tuple[TuiconfApp, Pilot[Outcome]]]:
    """The app, on a terminal of this size, with its first screen; `notifications`: also what is said in passing."""
    async with app.run_test(size=size, notifications=notifications) as pilot:
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[Any], condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for what must come."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await pilot.pause(0.01)


def screen_text(app: TuiconfApp) -> str:
    """What a person sees, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    assert len(strips) <= height
    return "\n".join("".join(segment.text for segment in strip)[:width].rstrip() for strip in strips)
