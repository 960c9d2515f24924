"""What is typed into plain lines is done, and answered in words; with --json in JSON."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.plain.support import ANN, BO, CODE, EVE, MARA, MUTED, PEER, SHOWN, STATS, ZOE, FakeCall, Seat, changed, state
from tuiconf.commands import COMMANDS
from tuiconf.conference.events import LeftReason
from tuiconf.control import schema
from tuiconf.control.events import ChatReceived, ChatSent, Failed, Left, Notice, RecordingChanged, Waiting
from tuiconf.control.schema import AnyRequest
from tuiconf.plain.answers import MAX_LINES, chat, who
from tuiconf.plain.printer import shows_utf8
from tuiconf.plain.wording import clock, level


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("hello", schema.ChatSend(text="hello")),
        ("/say /mute", schema.ChatSend(text="/mute")),
        ("  /mute  ", schema.Mute()),
        ("/q", schema.Leave()),
        ("/remove 3", schema.Remove(participant="3")),
        ("/lobby unknown", schema.LobbySet(lobby="unknown")),
        ("/hand", schema.HandRaise()),
        ("/join muted", schema.Join(muted=True)),
        ("/accept Mara", schema.AcceptPeer(peer="Mara")),
    ],
)
async def test_what_is_typed_is_asked_for_and_what_an_event_tells_is_not_answered(
    line: str, request_: AnyRequest
) -> None:
    seat = Seat()
    assert await seat.type(line) == []
    assert seat.call.asked == [request_]
    assert seat.errors == []


@pytest.mark.parametrize("line", ["", "   ", "\t"])
async def test_an_empty_line_is_nothing(line: str) -> None:
    seat = Seat()
    assert await seat.type(line) == []
    assert seat.errors == []
    assert seat.call.asked == []


@pytest.mark.parametrize("line", ["/nonsense", "/remove", "/lobby open", "/", "/play", "/REMOVE Bo", "/help nonsense"])
async def test_what_cannot_be_meant_asks_for_nothing_and_is_told(line: str) -> None:
    seat = Seat()
    assert await seat.type(line) == []
    assert seat.call.asked == []
    (told,) = seat.errors
    assert told.startswith("error: ")


async def test_what_is_refused_is_told() -> None:
    seat = Seat(FakeCall(willing=False))
    for line in ("hello", "/who", "/code", "/verify Mara", "/level", "/chat"):
        await seat.type(line)
    assert seat.errors == ["error: not now"] * 6


async def test_who_says_everything_about_everyone() -> None:
    volumes = (schema.Volume(leaf=2, volume_db=0.0, muted=True),)
    people = (
        changed(ANN, muted=True),
        BO,
        changed(MARA, hand=True, recording=True),
        EVE,
    )
    zoe = msgspec.structs.replace(ZOE, since=1_741_000_000.0)
    call = FakeCall(participants=people, volumes=volumes, callers=(zoe,), audio=MUTED)
    assert await Seat(call).type("/who") == [
        "here: Ann, Mara, Mara",
        "you: Bo, muted: nobody hears you",
        "Ann: verified, host, muted",
        "Mara: not verified, known, hand up, RECORDING, silenced by you; type mmmm-mmmm",
        "Mara: CHANGED, silenced until you decide; type eeee-eeee",
        f"Zoe: knocks since {clock(zoe.since)}, not verified, new, /admit Zoe",
        "the room: host Ann, lobby for people not known, not locked",
    ]


async def test_who_says_that_some_sound_cannot_be_decrypted() -> None:
    seat = Seat(FakeCall(undecryptable=True))
    assert "some sound cannot be decrypted: it is silenced" in await seat.type("/who")
    seat = Seat(FakeCall())
    assert not any("decrypted" in line for line in await seat.type("/who"))


async def test_who_says_that_one_records_and_is_a_host() -> None:
    recording = RecordingChanged(active=True, folder="x")
    call = FakeCall(me=changed(BO, host=True, hand=True), participants=(BO,), recording=recording, policy=None)
    assert await Seat(call).type("/who") == [
        "here: nobody else yet",
        "you: Bo, host, live: you are heard, hand up, RECORDING",
    ]


def test_a_thousand_people_are_not_all_said() -> None:
    people = tuple(changed(MARA, leaf=leaf, name=f"P{leaf}") for leaf in range(2, 1002))
    lines = who(state(participants=(BO, *people)))
    assert len(lines) <= MAX_LINES + 5
    assert lines[0].endswith("P11 and 990 more")
    assert "and 960 more" in lines


async def test_the_room_code_is_read_in_groups_the_words_first() -> None:
    assert (await Seat().type("/code"))[:2] == [
        "room code in words: alpha bravo cargo delta, eagle fable gamma hotel",
        "room code in digits: 1 2 3 4 5, 6 7 8 9 0, 1 2 3 4 5, 6 7 8 9 0, 1 2 3 4 5, 6 7 8 9 0",
    ]


async def test_comparing_begins_with_what_to_compare_and_ends_with_what_to_type() -> None:
    lines = await Seat().type("/verify Mara")
    assert lines == [
        "Mara is not verified, known",
        "room code in words: alpha bravo cargo delta, eagle fable gamma hotel",
        "safety number, line 1 of 4: 0 0 0 0 0, 0 0 0 0 1, 0 0 0 0 2",
        "safety number, line 2 of 4: 0 0 0 0 3, 0 0 0 0 4, 0 0 0 0 5",
        "safety number, line 3 of 4: 0 0 0 0 6, 0 0 0 0 7, 0 0 0 0 8",
        "safety number, line 4 of 4: 0 0 0 0 9, 0 0 0 1 0, 0 0 0 1 1",
        "read it to each other where you know the voice, or meet; then say what you compared:",
        "/verify Mara code, when the room code is the same",
        "/verify Mara number, when the safety number is the same",
        "/verify Mara mismatch, when it is not",
    ]


@pytest.mark.parametrize(
    ("first", "then"), [("/verify #2", "/verify #2 number"), ("/peers Mara", "/verify Mara number")]
)
async def test_whoever_was_shown_is_who_is_verified_whoever_is_at_that_number_by_now(first: str, then: str) -> None:
    seat = Seat()
    await seat.type(first)
    eve = msgspec.structs.replace(SHOWN, fingerprint=EVE.fingerprint)
    seat.call.answers = {**seat.call.answers, schema.ShowPeer: eve}
    await seat.type("/peers Zoe", then)
    assert seat.call.asked[-1] == schema.VerifyPeer(peer=MARA.fingerprint, how="safety_number")


async def test_a_number_that_was_not_shown_is_not_verified() -> None:
    seat = Seat()
    await seat.type("/verify #3 number", "/verify #3 mismatch", "/verify #" + "3" * 5000)
    assert [type(request) for request in seat.call.asked] == [schema.ShowPeer, schema.GetState, schema.GetRoomCode]
    assert seat.errors == ["error: compare first: /verify #3 says who that is, and their number"] * 2


async def test_what_was_said_by_whoever_is_changed_is_marked_when_it_is_read_again() -> None:
    line = schema.ChatLine(
        ts=1.0, leaf=3, name="Mara", fingerprint=EVE.fingerprint, own=False, text="x", trust="changed"
    )
    assert await Seat(FakeCall(chat=(line,))).type("/chat") == ["Mara (CHANGED): x"]


async def test_who_is_not_in_the_room_cannot_be_compared_by_its_code() -> None:
    seat = Seat(FakeCall(participants=(BO, ANN)))
    lines = await seat.type("/verify Mara")
    assert not any("room code" in line for line in lines)
    assert schema.GetRoomCode() not in seat.call.asked
    await seat.type("/verify Mara code")
    assert seat.errors == ["error: compare first: /code says the room code"]


async def test_of_a_changed_person_it_is_said_whose_name_it_was_and_they_are_typed_by_key() -> None:
    call = FakeCall(participants=(BO, EVE))
    verified = msgspec.structs.replace(PEER, trust="verified", verified_at=PEER.last_met, verified_how="safety_number")
    shown = msgspec.structs.replace(
        SHOWN, fingerprint=EVE.fingerprint, trust="changed", stored=None, others=(verified,)
    )
    call.answers = {**call.answers, schema.ShowPeer: shown}
    lines = await Seat(call).type("/verify eeee-eeee")
    assert lines[:2] == [
        "Mara is CHANGED",
        "known by this name before: verified on 3 March 2025 by safety number, last met 3 March 2025, "
        "fingerprint mmmm-mmmm",
    ]
    assert "/verify eeee-eeee number, when the safety number is the same" in lines


async def test_the_room_code_counts_with_the_epoch_in_which_it_was_said() -> None:
    seat = Seat()
    await seat.type("/verify Mara code")
    assert seat.errors == ["error: compare first: /code says the room code"]
    await seat.type("/code")
    seat.call.answers = {**seat.call.answers, schema.GetRoomCode: msgspec.structs.replace(CODE, epoch=5)}
    await seat.type("/verify Mara code")
    assert seat.call.asked[-1] == schema.VerifyPeer(peer="Mara", how="room_code", epoch=4)


async def test_a_comparison_that_failed_is_a_warning() -> None:
    seat = Seat()
    assert await seat.type("/verify Mara mismatch") == [
        "not the same: trust nothing that comes from Mara until you know why"
    ]
    assert seat.call.asked == [schema.VerifyPeer(peer="Mara", how="safety_number", matches=False)]


async def test_what_concerns_this_program_alone_is_confirmed() -> None:
    assert await Seat().type(
        "/silence Mara", "/unsilence #2", "/volume Mara -6", "/play x", "/test", "/forget Mara"
    ) == [
        "silenced: Mara, and only you notice; /unsilence Mara",
        "not silenced any more: number 2",
        "volume of Mara: -6 decibels",
        "playing; /stop ends it",
        "playing three notes: do you hear them?",
        "forgotten: Mara",
    ]


async def test_peers_are_said_with_what_is_known_of_them() -> None:
    assert await Seat().type("/peers") == ["Mara: not verified, known, last met 3 March 2025, fingerprint mmmm-mmmm"]
    new = FakeCall()
    new.answers = {**new.answers, schema.ShowPeer: msgspec.structs.replace(SHOWN, trust="new")}
    assert (await Seat(new).type("/peers Mara"))[0] == "Mara is not verified, new"
    lines = await Seat().type("/peers Mara")
    assert lines[:3] == [
        "Mara is not verified, known",
        "first met 19 February 2025, last met 3 March 2025",
        "fingerprint: mmmm mmmm mmmm mmmm",
    ]


async def test_the_connection_is_said_in_words() -> None:
    assert await Seat().type("/stats") == ["connection: to the relay and back 23 milliseconds, never connected again"]


async def test_devices_are_said_with_what_to_type_for_them() -> None:
    call = FakeCall()
    usb = schema.Device(name="USB\x1b Headset", spec="USB Headset", default=True, stable=True)
    twin = schema.Device(name="Twin", spec=None, default=False, stable=True)
    call.answers = {**call.answers, schema.GetDevices: schema.Devices(inputs=(usb, twin), outputs=())}
    assert await Seat(call).type("/devices") == [
        "input: USB· Headset, the default; /input USB Headset",
        "input: Twin; shares its name with another",
        "output: none",
    ]


async def test_the_link_and_its_code_stand_alone_on_a_line() -> None:
    assert await Seat().type("/link") == [
        "link, a secret that lets people in:",
        "tuiconf://relay/kitchen#secret",
        "or as an invite code:",
        "tc1-kitc-hen",
    ]


async def test_the_level_is_said_in_words_and_only_when_asked() -> None:
    assert await Seat().type("/level") == ["speak now …", "your microphone: good"]
    muted = Seat(FakeCall(audio=MUTED))
    assert await muted.type("/level") == []
    assert muted.errors == ["error: you are not heard now, so there is nothing to measure: /unmute first"]
    assert await Seat(FakeCall(audio=MUTED, phase="ready")).type("/level") == ["speak now …", "your microphone: good"]


@pytest.mark.parametrize(
    ("dbfs", "words"),
    [
        (None, "nothing is heard"),
        (-96.0, "nothing is heard"),
        (-50.0, "very quiet"),
        (-35.0, "quiet"),
        (-18.0, "good"),
        (-3.0, "loud"),
        (0.0, "too loud"),
    ],
)
def test_loudness_has_words(dbfs: float | None, words: str) -> None:
    assert level(dbfs) == words


async def test_help_names_every_command_and_says_what_one_does() -> None:
    lines = await Seat().type("/help")
    assert all(any(f"/{command.name}" in line for line in lines) for command in COMMANDS)
    assert len(lines) < 10
    assert await Seat().type("/help leave") == ["/leave: leave the call", "the same: /quit, /q, /exit"]


def test_of_a_long_chat_only_the_last_lines_are_said_to_who_comes_back() -> None:
    said = tuple(
        schema.ChatLine(ts=0.0, leaf=2, name="Mara", fingerprint="m", own=number % 2 == 1, text=f"{number}\x1b")
        for number in range(5)
    )
    assert chat(state(chat=said), 2) == (
        "chat, the last 2 of 5 lines; /chat says all",
        "you: 3·",
        "Mara: 4·",
    )
    assert len(chat(state(chat=said))) == 5
    assert chat(state(), 2) == ()


async def test_chat_is_an_echo_once_and_only_where_it_was_typed() -> None:
    here, elsewhere = Seat(), Seat()
    await here.type("hello")
    said = ChatSent(participant=ANN, text="hello")
    assert not elsewhere.commands.is_echo(said)
    assert here.commands.is_echo(said)
    assert not here.commands.is_echo(said)
    assert not here.commands.is_echo(ChatReceived(participant=BO, text="hello"))
    assert here.commands.said


async def test_chat_that_could_not_be_said_is_no_echo() -> None:
    seat = Seat(FakeCall(willing=False))
    await seat.type("hello")
    assert not seat.commands.is_echo(ChatSent(participant=ANN, text="hello"))


async def test_who_detaches_is_known_to_have_done_so_only_when_it_was_done() -> None:
    refused, done = Seat(FakeCall(willing=False)), Seat()
    await refused.type("/detach")
    await done.type("/detach")
    assert (refused.commands.detached, done.commands.detached) == (False, True)


# --- the printer


def test_what_went_wrong_is_apart() -> None:
    seat = Seat()
    notice, failed = Notice(message="no sound card"), Failed(code="x", message="no", fatal=True)
    assert seat.sees(Waiting(), STATS, notice, failed, Left(reason=LeftReason.FAILED)) == [
        "waiting to be let in …",
        "the call has ended",
    ]
    assert seat.errors == ["no sound card", "error: no"]


async def test_json_is_one_object_a_line_also_for_what_was_asked() -> None:
    seat = Seat(as_json=True)
    seat.sees(Waiting(), STATS)
    await seat.type("/who", "/code", "/mute", "/nonsense", "/verify Mara", "/help mute")
    events = [json.loads(line) for line in seat.lines]
    assert [event["event"] for event in events] == [
        *("waiting", "audio_stats", "joined", "answer", "error", "answer", "answer", "notice")
    ]
    assert events[3] == {"event": "answer", "method": "code.get", "result": json.loads(msgspec.json.encode(CODE))}


def test_a_terminal_without_utf8_is_given_ascii() -> None:
    seat = Seat(ascii=True)
    seat.sees(Waiting(), ChatReceived(participant=changed(MARA, name="Zoë"), text="schön …"))
    assert seat.lines == ["waiting to be let in ...", "Zoe: schon ..."]


@pytest.mark.parametrize(
    ("environ", "utf8"),
    [
        ({}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "de_DE.utf8", "LC_ALL": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
    ],
)
def test_the_locale_says_whether_utf8_is_shown(environ: dict[str, str], utf8: bool) -> None:
    assert shows_utf8(environ) is utf8
