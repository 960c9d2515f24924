"""What is typed into a call: every command asks for what it says, and completion offers what can be meant."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuiconf.commands import COMMANDS, GROUPS, LocalCommand, Meant, address, complete, parse_command
from tuiconf.control import schema
from tuiconf.control.events import Caller, Person
from tuiconf.errors import UsageError

ME: Final = Person(leaf=0, name="Bo", fingerprint="bbbb-bbbb-bbbb", host=True, trust="self")
MARA: Final = Person(leaf=1, name="Mara", fingerprint="mmmm-mmmm-mmmm", host=False, trust="verified")
ANN_LEE: Final = Person(leaf=2, name="Ann Lee", fingerprint="aaaa-aaaa-aaaa", host=False, trust="known")
TWIN: Final = Person(leaf=3, name="Mara", fingerprint="tttt-tttt-tttt", host=False, trust="new")
KNOCKING: Final = Caller(ref="7", name="Zoe Q", fingerprint="zzzz-zzzz-zzzz", known=False)
PEOPLE: Final = (ME, MARA, ANN_LEE)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("hello, all", schema.ChatSend(text="hello, all")),
        ("  /mute  ", schema.Mute()),
        ("/unmute", schema.Unmute()),
        ("/deafen", schema.Deafen()),
        ("/undeafen", schema.Undeafen()),
        ("/voice on", schema.AudioSet(voice_activation=True)),
        ("/voice off", schema.AudioSet(voice_activation=False)),
        ("/hand", schema.HandRaise()),
        ("/unhand", schema.HandLower()),
        ("/say /mute", schema.ChatSend(text="/mute")),
        ("/who", LocalCommand(name="who")),
        ("/code", schema.GetRoomCode()),
        ("/verify Ann Lee", LocalCommand(name="verify", argument="Ann Lee")),
        ("/verify #2", LocalCommand(name="verify", argument=2)),
        ("/verify Ann Lee code", schema.VerifyPeer(peer="Ann Lee", how="room_code")),
        ("/verify Ann Lee number", schema.VerifyPeer(peer="Ann Lee", how="safety_number")),
        ("/verify mmmm fingerprint", schema.VerifyPeer(peer="mmmm", how="fingerprint")),
        ("/verify Mara mismatch", schema.VerifyPeer(peer="Mara", how="safety_number", matches=False)),
        ('/verify "Mara code"', LocalCommand(name="verify", argument="Mara code")),
        ("/verify code", LocalCommand(name="verify", argument="code")),
        ("/accept Mara", schema.AcceptPeer(peer="Mara")),
        ("/forget Mara", schema.ForgetPeer(peer="Mara")),
        ("/peers", schema.ListPeers()),
        ("/peers Mara", schema.ShowPeer(peer="Mara")),
        ("/silence Ann Lee", schema.AudioSet(participant="Ann Lee", muted=True)),
        ("/unsilence #12", schema.AudioSet(participant=12, muted=False)),
        ("/volume Ann Lee -6", schema.AudioSet(participant="Ann Lee", volume_db=-6.0)),
        ("/volume Ann Lee 1,5dB", schema.AudioSet(participant="Ann Lee", volume_db=1.5)),
        ("/chat", LocalCommand(name="chat")),
        ("/test", schema.TryOutput()),
        ("/level", LocalCommand(name="level")),
        ("/devices", schema.GetDevices()),
        ("/input", schema.GetDevices()),
        ("/input USB Headset", schema.AudioSet(input="USB Headset")),
        ("/output", schema.GetDevices()),
        ("/output hdmi", schema.AudioSet(output="hdmi")),
        ("/gain +6", schema.AudioSet(gain_db=6.0)),
        ("/play  a file.wav ", schema.Play(path="a file.wav")),
        ("/stop", schema.PlayStop()),
        ("/record", schema.RecordStart()),
        ("/record here it is", schema.RecordStart(folder="here it is")),
        ("/unrecord", schema.RecordStop()),
        ("/join", schema.Join()),
        ("/join muted", schema.Join(muted=True)),
        ("/link", schema.GetLink()),
        ("/stats", schema.GetStats()),
        ("/help", LocalCommand(name="help")),
        ("/help /mute", LocalCommand(name="help", argument="mute")),
        ("/detach", schema.Detach()),
        *((name, schema.Leave()) for name in ("/leave", "/quit", "/q", "/exit")),
        ("/admit Zoe Q", schema.Admit(caller="Zoe Q")),
        ("/deny 7", schema.Deny(caller="7")),
        ("/remove 3", schema.Remove(participant="3")),
        ("/remove #3", schema.Remove(participant=3)),
        ("/ask-to-mute Mara", schema.MuteRequest(participant="Mara")),
        ("/handover Mara", schema.HandOver(participant="Mara")),
        ("/lock", schema.Lock()),
        ("/unlock", schema.Unlock()),
        ("/lobby unknown", schema.LobbySet(lobby="unknown")),
    ],
)
def test_a_line_asks_for_what_it_says(line: str, meant: Meant) -> None:
    assert parse_command(line) == meant


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/", "there is no command /: /help lists all"),
        ("/mut", "there is no command /mut: did you mean /mute?"),
        ("/REMOVE Bo", "there is no command /REMOVE: /help lists all"),
        ("/\x1b[2J", "there is no command /·[2J: /help lists all"),
        ("/remove", "/remove NAME: this needs a name"),
        ("/mute Mara", "/mute: this takes nothing more"),
        ("/play", "/play FILE: this needs a file"),
        ("/volume Mara", "/volume NAME DECIBELS: this needs a name, and how many decibels"),
        ("/voice", "/voice on|off: this is on or off"),
        ("/join loud", "/join [muted]: this takes `muted`, or nothing"),
        ("/lobby", "/lobby off|unknown|everyone: this needs off, unknown or everyone"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_that_says_how_to_type_it(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_command(line)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "line",
    ["/lobby open", "/gain loud", "/gain nan", "/gain inf", "/gain 99", "/volume Mara x", "/remove " + "x" * 5000],
)
def test_what_the_control_api_would_refuse_is_refused_here(line: str) -> None:
    with pytest.raises(UsageError, match=line.split()[0]):
        parse_command(line)


@settings(deadline=None)
@given(
    st.text()
    | st.sampled_from([f"/{command.name} " for command in COMMANDS]).flatmap(lambda c: st.text().map(c.__add__))
)
def test_whatever_is_typed_is_meant_or_refused_in_a_sentence(line: str) -> None:
    try:
        parse_command(line)
    except UsageError as error:
        assert str(error)


def test_the_table_has_each_name_once_and_a_short_sentence_for_all() -> None:
    names = [name for command in COMMANDS for name in (command.name, *command.aliases)]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name == name.lower() and " " not in name for name in names)
    assert all(0 < len(command.help) <= 100 for command in COMMANDS)
    assert all(command.words for command in COMMANDS if command.takes == "words")
    assert {command.name for command in GROUPS["for hosts"]} == {c.name for c in COMMANDS if c.hosts_only}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("/de", ("/deafen", "/devices", "/detach", "/deny ")),
        ("/q", ("/leave",)),
        ("/remove ", ("/remove Mara", "/remove Ann Lee")),
        ("/remove aN", ("/remove Ann Lee",)),
        ("/remove mmmm-m", ("/remove Mara",)),
        ("/remove Ann L", ("/remove Ann Lee",)),
        ("/remove x", ()),
        ("/volume A", ("/volume Ann Lee ",)),
        (
            "/verify Ann Lee ",
            (
                "/verify Ann Lee code",
                "/verify Ann Lee number",
                "/verify Ann Lee fingerprint",
                "/verify Ann Lee mismatch",
            ),
        ),
        ("/verify Ann Lee m", ("/verify Ann Lee mismatch",)),
        ("/verify A", ("/verify Ann Lee ",)),
        ("/admit ", ("/admit Zoe Q",)),
        ("/lobby ", ("/lobby off", "/lobby unknown", "/lobby everyone")),
        ("/voice o", ("/voice on", "/voice off")),
        ("/help unm", ("/help unmute",)),
        ("/mute ", ()),
        ("/nonsense ", ()),
        ("hello", ()),
        ("@an", ("@Ann Lee ",)),
        ("yes @m", ("yes @Mara ",)),
        ("me@m", ()),
    ],
)
def test_completion_offers_what_the_line_may_become(line: str, found: tuple[str, ...]) -> None:
    assert complete(line, PEOPLE, (KNOCKING,)) == found


def test_people_of_one_name_are_told_apart_by_their_keys() -> None:
    people = (*PEOPLE, TWIN)
    assert complete("/remove ma", people, ()) == ("/remove mmmm-mmmm", "/remove tttt-tttt")
    assert [address(who, people) for who in people] == ["Bo", "mmmm-mmmm", "Ann Lee", "tttt-tttt"]


@pytest.mark.parametrize("name", ["#1", '"Mara"', "Mara\u200b", "x\ufe0f", "Mara code"])
def test_a_name_that_would_mean_someone_else_when_typed_is_not_offered(name: str) -> None:
    odd = Person(leaf=9, name=name, fingerprint="oooo-oooo-oooo", host=False)
    assert address(odd, (*PEOPLE, odd)) == "oooo-oooo"


def test_what_is_offered_means_whom_it_was_offered_for() -> None:
    for line in complete("/remove ", (*PEOPLE, TWIN), ()):
        parse_command(line)
