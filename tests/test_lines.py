"""Plain lines: what people are shown cannot mislead them, and what they type does what it says."""

from __future__ import annotations

import json

import msgspec
import pytest

from tuiconf.conference.events import (
    AudioStats,
    ChatReceived,
    CommitRefused,
    Eavesdropped,
    EpochChanged,
    Event,
    Failed,
    Joined,
    Left,
    LeftReason,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Reconnected,
    Reconnecting,
    RoomCreated,
    Undecryptable,
    Waiting,
)
from tuiconf.control import schema
from tuiconf.control.events import ChatSent, Notice
from tuiconf.control.schema import AnyRequest, Request
from tuiconf.errors import LocalProtocolError
from tuiconf.lines import Commands, Printer, R, sentence

ANN = Person(leaf=0, name="Ann", fingerprint="abcd-efgh", host=True)
BO = Person(leaf=1, name="Bo\u202e", fingerprint="ijkl-mnop", host=False)

STATS = AudioStats(
    frames_sent=1, muted=False, level_dbfs=None, rtt_ms=None, repeats=(), undecryptable={}, ticks_skipped=0, streams=()
)

EVENTS: list[tuple[Event, str | None]] = [
    (RoomCreated(link="tuiconf://relay/room#secret"), "tuiconf://relay/room#secret"),
    (Waiting(), "waiting to be let in …"),
    (
        Joined(epoch=3, security_code="12345 67890", me=BO, participants=(ANN, BO)),
        "joined as Bo·; here: Ann (host); security code 12345 67890",
    ),
    (
        Joined(epoch=0, security_code="1", me=ANN, participants=(ANN,)),
        "joined as Ann (host); here: nobody else yet; security code 1",
    ),
    (
        Joined(epoch=0, security_code="1", me=BO, participants=(BO,), created=True),
        "joined as Bo·, alone in a new room: nobody was there to let you in. Is it the right link?",
    ),
    (ParticipantJoined(participant=BO, epoch=1), "Bo· joined (ijkl-mnop)"),
    (ParticipantLeft(participant=BO, epoch=2, reason="vanished"), "Bo· is gone"),
    (ParticipantLeft(participant=BO, epoch=2, reason="removed"), "Bo· was removed"),
    (EpochChanged(epoch=2, security_code="1"), "new keys (epoch 2); security code 1"),
    (ChatReceived(participant=BO, text="a\n<Ann> b\x1b[2J"), "<Bo·> a·<Ann> b·[2J"),
    (Undecryptable(active=True, frames=1), "some sound cannot be decrypted: it is silenced"),
    (Undecryptable(active=False, frames=1), "all sound can be decrypted again"),
    (CommitRefused(reason="policy"), "a change to the group was refused (policy); nothing has changed"),
    (Reconnecting(), "the relay is out of reach; trying again …"),
    (Reconnected(epoch=1, rejoined=False), "back in the call"),
    (Failed(code="x", message="something is wrong", fatal=False), "error: something is wrong"),
    (Left(reason=LeftReason.LEFT), "left"),
    (Left(reason=LeftReason.REMOVED), "you were removed by the host"),
    (Left(reason=LeftReason.FAILED), "the call has ended"),
    (STATS, None),
    (Eavesdropped(frames_tried=1, frames_opened=0), None),
]


@pytest.mark.parametrize(("event", "line"), EVENTS, ids=lambda value: type(value).__name__)
def test_every_event_is_a_sentence_or_not_worth_one(event: Event, line: str | None) -> None:
    assert sentence(event) == line


def test_plain_lines_put_what_went_wrong_apart() -> None:
    out: list[str] = []
    errors: list[str] = []
    printer = Printer(out.append, errors.append, as_json=False)
    notice, failed = Notice(message="no sound card"), Failed(code="x", message="no", fatal=True)
    for event in (Waiting(), STATS, notice, failed, Left(reason=LeftReason.FAILED)):
        printer.show(event)
    assert out == ["waiting to be let in …", "the call has ended"]
    assert errors == ["no sound card", "error: no"]


def test_json_is_one_object_a_line_and_all_of_them() -> None:
    out: list[str] = []
    printer = Printer(out.append, out.append, as_json=True)
    for event, _ in EVENTS:
        printer.show(event)
    assert [json.loads(line)["event"] for line in out] == [event.fields()["event"] for event, _ in EVENTS]
    assert not any("\n" in line for line in out)


class _Refusing:
    """A call that does what it is asked, or nothing."""

    def __init__(self, *, willing: bool = True) -> None:
        self.asked: list[AnyRequest] = []
        self.willing = willing

    async def call(self, request: Request[R]) -> R:
        self.asked.append(request)
        if not self.willing:
            raise LocalProtocolError("not now")
        return msgspec.convert({"number": 1}, request.result)


async def _typed(line: str, control: _Refusing) -> list[Event]:
    shown: list[Event] = []
    await Commands(control, shown.append).run(line)
    return shown


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("hello", schema.ChatSend(text="hello")),
        ("/say /mute", schema.ChatSend(text="/mute")),
        ("  /mute  ", schema.Mute()),
        ("/q", schema.Leave()),
        ("/play  a file.wav ", schema.Play(path="a file.wav")),
        ("/remove 3", schema.Remove(participant="3")),
        ("/lobby unknown", schema.LobbySet(lobby="unknown")),
        ("/detach", schema.Detach()),
    ],
)
async def test_what_is_typed_is_asked_for(line: str, request_: AnyRequest) -> None:
    control = _Refusing()
    assert await _typed(line, control) == []
    assert control.asked == [request_]


@pytest.mark.parametrize("line", ["/nonsense", "/remove", "/lobby open", "/", "/play", "/REMOVE Bo", "/lobby"])
async def test_what_cannot_be_meant_asks_for_nothing_and_is_told(line: str) -> None:
    control = _Refusing()
    (told,) = await _typed(line, control)
    assert isinstance(told, Failed) and told.code == "usage" and not told.fatal
    assert control.asked == []


async def test_what_is_refused_is_told() -> None:
    (told,) = await _typed("hello", _Refusing(willing=False))
    assert isinstance(told, Failed) and told.code == "local_protocol"


async def test_chat_is_an_echo_once_and_only_where_it_was_typed() -> None:
    commands, elsewhere = Commands(_Refusing(), lambda _: None), Commands(_Refusing(), lambda _: None)
    await commands.run("hello")
    said = ChatSent(participant=ANN, text="hello")
    assert not elsewhere.is_echo(said)
    assert commands.is_echo(said)
    assert not commands.is_echo(said)
    assert not commands.is_echo(ChatReceived(participant=BO, text="hello"))


async def test_chat_that_could_not_be_said_is_no_echo() -> None:
    commands = Commands(_Refusing(willing=False), lambda _: None)
    await commands.run("hello")
    assert not commands.is_echo(ChatSent(participant=ANN, text="hello"))
