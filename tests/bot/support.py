"""An engine without a call: the real socket and the real lines, and a service that only notes what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import numpy as np

from tests.control.support import Nobody
from tuiconf.bot import Bot, BotConfig, HandlerFault, Where
from tuiconf.conference.events import LeftReason
from tuiconf.config import Speech
from tuiconf.control import schema
from tuiconf.control.calls import socket_path
from tuiconf.control.events import (
    AudioChanged,
    CallEvent,
    ChatReceived,
    Left,
    ParticipantJoined,
    Person,
    Played,
    RecordingChanged,
)
from tuiconf.control.front_ends import FrontEnds
from tuiconf.control.history import History
from tuiconf.control.rpc import ControlError, ErrorNumber
from tuiconf.control.server import ControlServer
from tuiconf.control.streams import FRAME_BYTES, write_heard
from tuiconf.engine.incoming import Tap

CALL = "test"

ME = Person(leaf=0, name="Bot", fingerprint="aaaa-" * 7 + "aaaa", host=True)
MARA = Person(leaf=1, name="Mara", fingerprint="mara-" * 7 + "mara", host=False)

# Bounds how long a test that fails takes.
PATIENCE_S = 20.0


class FakeService:
    """What the engine's socket serves."""

    def __init__(self) -> None:
        self.history = History()
        self.front_ends = FrontEnds(Nobody(), stay_s=60.0)
        self.asked: list[schema.AnyRequest] = []
        self.people: tuple[Person, ...] = (ME, MARA)
        self.playing: int | None = None
        self.plays = self.ticks = 0
        self.taps: list[Tap] = []
        self.sent: list[bytes] = []
        self.streams = 0
        self.hold_streams = asyncio.Event()
        self.hold_streams.set()
        self.unreadable: set[str] = set()
        self.ears_free = True  # whether one more may listen
        self._paths: dict[int, str] = {}

    # --- for tests

    def tell(self, event: CallEvent) -> None:
        """It happens."""
        self.history.add(event, ts=time.time(), epoch=1)

    def chat(self, text: str, who: Person = MARA) -> None:
        """Somebody says this."""
        self.tell(ChatReceived(participant=who, text=text))

    def joined(self, who: Person) -> None:
        """Somebody comes."""
        self.people = (*self.people, who)
        self.tell(ParticipantJoined(participant=who, epoch=1))

    def played(self, number: int, *, finished: bool = True) -> None:
        """What was played is over."""
        self.playing = None
        self.tell(Played(number=number, path=self._paths.get(number, ""), finished=finished))

    def hear_silence(self) -> bool:
        """One frame to everyone who listens."""
        self.ticks += 1
        for tap in self.taps:
            tap.put(self.ticks, a_frame(0.0))
        return True

    def left(self) -> None:
        """The call is over."""
        self.tell(Left(reason=LeftReason.LEFT))

    def of(self, kind: type) -> list[schema.AnyRequest]:
        """What was asked of that kind."""
        return [request for request in self.asked if isinstance(request, kind)]

    @property
    def said(self) -> list[str]:
        """What was said in the chat."""
        return [request.text for request in self.asked if isinstance(request, schema.ChatSend)]

    # --- the service

    async def do(self, request: schema.AnyRequest) -> msgspec.Struct:
        """Note it, and answer."""
        self.asked.append(request)
        match request:
            case schema.SayHello():
                return schema.Hello(
                    protocol=1, version="0", call=CALL, pid=1, socket=str(socket_path(CALL)), methods=()
                )
            case schema.GetState():
                return self._state()
            case schema.GetRoster():
                return schema.Roster(epoch=1, participants=self.people, callers=())
            case schema.Play(path=path):
                return self._play(path)
            case schema.SoundIn(participant=int() as leaf) if leaf not in [who.leaf for who in self.people]:
                raise ControlError(ErrorNumber.REFUSED, "there is nobody of that name", code="no_such_participant")
            case schema.SoundIn() if not self.ears_free:
                raise ControlError(ErrorNumber.REFUSED, "too many streams of sound are open", code="too_many_streams")
            case schema.RecordStart() | schema.RecordStop():
                return RecordingChanged(active=isinstance(request, schema.RecordStart), folder="somewhere")
            case schema.Leave():
                self.left()
        return schema.Done()

    def _play(self, path: str) -> schema.Playing:
        if path in self.unreadable:
            raise ControlError(ErrorNumber.REFUSED, "it cannot be played", code="audio")
        if self.playing is not None:
            self.played(self.playing, finished=False)
        self.plays += 1
        self.playing, self._paths[self.plays] = self.plays, path
        return schema.Playing(number=self.plays)

    def _state(self) -> schema.State:
        audio = AudioChanged(
            live=True, muted=False, push_to_talk=False, deafened=False, input="null", output="null", gain_db=0.0
        )
        return schema.State(
            seq=self.history.seq,
            call=CALL,
            room="room",
            phase="joined",
            since=0.0,
            epoch=1,
            security_code="12345",
            me=ME,
            participants=self.people,
            policy=None,
            callers=(),
            audio=audio,
            volumes=(),
            playing=self.playing,
            recording=None,
            chat=self.history.chat,
            attached=0,
        )

    def contain(self, fault: Exception) -> None:
        """A bug of the test's."""
        raise fault

    async def stream_in(self, request: schema.SoundIn, writer: asyncio.StreamWriter) -> None:
        """What tests put into the tap."""
        tap = Tap(request.participant if isinstance(request.participant, int) else None)
        self.taps.append(tap)
        try:
            await write_heard(tap, writer)
        finally:
            self.taps.remove(tap)

    async def stream_out(self, request: schema.SoundOut, first: bytes, reader: asyncio.StreamReader) -> None:
        """Note what comes; frame after frame while `hold_streams` is set."""
        self.streams += 1
        data = bytearray(first)
        try:
            while True:
                await self.hold_streams.wait()
                if not (more := await reader.read(FRAME_BYTES)):
                    break
                data += more
        finally:
            self.streams -= 1
            self.sent.append(bytes(data))


class FakeEngine:
    """The service, and its socket."""

    def __init__(self) -> None:
        self.service = FakeService()
        self.server = ControlServer(self.service, socket_path(CALL))

    async def kill(self) -> None:
        """As `kill -9`: all connections end, without a word."""
        await self.server.close()


@contextlib.asynccontextmanager
async def fake_engine() -> AsyncIterator[FakeEngine]:
    """One that listens."""
    engine = FakeEngine()
    await engine.server.start()
    try:
        yield engine
    finally:
        await engine.server.close()


class Faults(list[HandlerFault]):
    """What handlers did wrong."""

    @property
    def kinds(self) -> list[str]:
        """Of each."""
        return [fault.what for fault in self]


def a_bot(faults: Faults, *, timeout_s: float = 5.0, speech: list[str] | None = None) -> Bot:
    """A bot that attaches to the fake engine."""
    config = BotConfig(
        bot=Where(call=CALL), handler_timeout_s=timeout_s, speech=Speech(command=speech) if speech else Speech()
    )
    return Bot(config, report=faults.append)


async def until(found: Callable[[], object], what: str = "what was waited for") -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


def a_frame(value: float) -> np.typing.NDArray[np.float32]:
    """A frame of one value."""
    return np.full(960, value, np.float32)
