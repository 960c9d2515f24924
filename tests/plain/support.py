"""A call in memory, and people, for the tests of plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec

from tuiconf.control import schema
from tuiconf.control.events import AudioChanged, AudioStats, Caller, Event, Person, PolicyChanged
from tuiconf.control.schema import AnyRequest, Request
from tuiconf.errors import LocalProtocolError
from tuiconf.plain.printer import Printer
from tuiconf.plain.typed import Commands

R = TypeVar("R", bound=msgspec.Struct)

ANN: Final = Person(leaf=0, name="Ann", fingerprint="aaaa-aaaa-aaaa-aaaa", host=True, trust="verified")
BO: Final = Person(leaf=1, name="Bo", fingerprint="bbbb-bbbb-bbbb-bbbb", host=False, trust="self")
MARA: Final = Person(leaf=2, name="Mara", fingerprint="mmmm-mmmm-mmmm-mmmm", host=False, trust="known")
EVE: Final = Person(leaf=3, name="Mara", fingerprint="eeee-eeee-eeee-eeee", host=False, trust="changed")
ZOE: Final = Caller(ref="7", name="Zoe", fingerprint="zzzz-zzzz-zzzz-zzzz", known=False, trust="new")

POLICY: Final = PolicyChanged(hosts=(ANN,), lobby="unknown", locked=False, admit="hosts", remove="hosts", record="all")

LIVE: Final = AudioChanged(
    live=True, muted=False, push_to_talk=False, deafened=False, input="default", output="default", gain_db=0.0
)
MUTED: Final = msgspec.structs.replace(LIVE, live=False, muted=True)

DIGITS: Final = "12345 67890 12345 67890 12345 67890"
WORDS: Final = ("alpha", "bravo", "cargo", "delta", "eagle", "fable", "gamma", "hotel")
CODE: Final = schema.RoomCode(epoch=4, digits=DIGITS, words=WORDS)
NUMBER: Final = " ".join(f"{group:05}" for group in range(12))

PEER: Final = schema.Peer(
    fingerprint=MARA.fingerprint, name="Mara", trust="known", first_met=1_740_000_000.0, last_met=1_741_000_000.0
)
SHOWN: Final = schema.PeerShown(
    fingerprint=MARA.fingerprint, name="Mara", trust="known", stored=PEER, others=(), safety_number=NUMBER, qr="x"
)

STATS: Final = AudioStats(
    frames_sent=1, muted=False, level_dbfs=-20.0, rtt_ms=23.4, repeats=(), undecryptable={}, ticks_skipped=0, streams=()
)


def state(**fields: Any) -> schema.State:
    """Bo is in a call with Ann and Mara; or as `fields` say."""
    usual: dict[str, Any] = {
        "seq": 9,
        "call": "k3j2",
        "room": "kitchen",
        "phase": "joined",
        "since": 1_741_000_000.0,
        "epoch": 4,
        "security_code": DIGITS,
        "me": BO,
        "participants": (ANN, BO, MARA),
        "policy": POLICY,
        "callers": (),
        "audio": LIVE,
        "volumes": (),
        "playing": None,
        "recording": None,
        "chat": (),
        "attached": 1,
    }
    return schema.State(**(usual | fields))


def changed(person: Person, **fields: Any) -> Person:
    """The same person, but."""
    return msgspec.structs.replace(person, **fields)


class FakeCall:
    """A call that answers what a test says, and remembers what it was asked."""

    def __init__(self, *, willing: bool = True, **fields: Any) -> None:
        self.asked: list[AnyRequest] = []
        self.willing = willing
        self.answers: Mapping[type[AnyRequest], msgspec.Struct] = {
            schema.GetState: state(**fields),
            schema.GetRoomCode: CODE,
            schema.ShowPeer: SHOWN,
            schema.ListPeers: schema.Peers(peers=(PEER,)),
            schema.Play: schema.Playing(number=1),
            schema.AudioSet: LIVE,
            schema.GetLink: schema.Link(link="tuiconf://relay/kitchen#secret", code="tc1-kitc-hen"),
            schema.GetStats: schema.Stats(
                audio=STATS, uptime_s=1, reconnections=0, rss_bytes=1, cpu_s=1, tasks=1, file_descriptors=1
            ),
        }

    async def call(self, request: Request[R]) -> R:
        """As a control client."""
        self.asked.append(request)
        if not self.willing:
            raise LocalProtocolError("not now")
        return cast(R, self.answers.get(type(request), schema.Done()))


class Seat:
    """Somebody sits at plain lines: what they type, and what they read."""

    def __init__(self, call: FakeCall | None = None, *, as_json: bool = False, ascii: bool = False) -> None:  # noqa: A002
        self.call = call or FakeCall()
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.printer = Printer(self.lines.append, self.errors.append, as_json=as_json, ascii=ascii)
        self.commands = Commands(self.call, self.printer)

    async def type(self, *lines: str) -> list[str]:
        """What is said to these lines."""
        before = len(self.lines)
        for line in lines:
            await self.commands.run(line)
        return self.lines[before:]

    def sees(self, *events: Event) -> list[str]:
        """What is said of these events."""
        before = len(self.lines)
        for event in events:
            self.printer.show(event)
        return self.lines[before:]
