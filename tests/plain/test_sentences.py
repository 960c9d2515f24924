"""What happens is said in one line, once, with its meaning first; and nobody's name or chat can pass for our words."""

from __future__ import annotations

import unicodedata
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.untrusted_text import HOSTILE
from tests.plain.support import ANN, BO, EVE, LIVE, MARA, MUTED, POLICY, STATS, ZOE, Seat, changed, state
from tuiconf.conference.events import LeftReason
from tuiconf.control.events import (
    AudioChanged,
    Caller,
    ChatReceived,
    ChatSent,
    CommitRefused,
    Connecting,
    Eavesdropped,
    EpochChanged,
    Event,
    EventsMissed,
    Failed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    Levels,
    MuteRequested,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Played,
    Ready,
    Reconnected,
    Reconnecting,
    RecordingAnnounced,
    RecordingChanged,
    RecordingRefused,
    RoomCreated,
    SourceEnded,
    StatusChanged,
    TrustChanged,
    Undecryptable,
    Waiting,
)
from tuiconf.plain.sentences import READY, Sentences, heard
from tuiconf.plain.wording import TRUST, name_of

CHANGED: Final = "CHANGED: not the key you knew by this name, or a comparison failed; silenced until you decide: "

EVENTS: list[tuple[Event, str | None]] = [
    (RoomCreated(link="tuiconf://relay/room#secret"), "tuiconf://relay/room#secret"),
    (Ready(), READY),
    (Connecting(), "connecting …"),
    (Waiting(), "waiting to be let in …"),
    (
        Joined(epoch=3, security_code="12345 67890", me=ANN, participants=(ANN,)),
        "joined as Ann, host; here: nobody else yet; security code 12345 67890",
    ),
    (
        Joined(epoch=0, security_code="1", me=BO, participants=(BO,), created=True),
        "joined as Bo, alone in a new room: nobody was there to let you in. Is it the right link?",
    ),
    (ParticipantJoined(participant=MARA, epoch=1), "Mara joined, not verified, known"),
    (ParticipantJoined(participant=changed(MARA, trust="new"), epoch=1), "Mara joined, not verified, new"),
    (ParticipantJoined(participant=ANN, epoch=1), "Ann joined, verified, host"),
    (
        ParticipantJoined(participant=changed(ANN, host=False, recording=True, muted=True), epoch=1),
        "Ann joined, verified, muted, RECORDING",
    ),
    (
        ParticipantJoined(participant=EVE, epoch=1),
        f"Mara joined, {CHANGED}/verify eeee-eeee or /accept eeee-eeee",
    ),
    (ParticipantLeft(participant=MARA, epoch=2, reason="left"), "Mara left"),
    (ParticipantLeft(participant=MARA, epoch=2, reason="vanished"), "Mara is gone"),
    (ParticipantLeft(participant=MARA, epoch=2, reason="removed"), "Mara was removed"),
    (TrustChanged(participant=changed(MARA, trust="verified")), "Mara is verified"),
    (TrustChanged(participant=MARA), "Mara is not verified, known"),
    (TrustChanged(participant=changed(MARA, trust="new")), "Mara is not verified, new"),
    (TrustChanged(participant=EVE), f"Mara {CHANGED}/verify eeee-eeee or /accept eeee-eeee"),
    (EpochChanged(epoch=2, security_code="1"), None),
    (ChatReceived(participant=MARA, text="hello"), "Mara: hello"),
    (ChatReceived(participant=MARA, text="a\nAnn: b\x1b[2J"), "Mara: a·Ann: b·[2J"),
    (ChatReceived(participant=EVE, text="hello"), "Mara (CHANGED): hello"),
    (ChatReceived(participant=changed(MARA, name="Mara (CHANGED)"), text="hello"), '"Mara (CHANGED)": hello'),
    (ChatSent(participant=BO, text="from a script"), "you: from a script"),
    (Knocked(caller=ZOE), "Zoe knocks, not verified, new: /admit Zoe or /deny Zoe"),
    (KnockEnded(caller=ZOE, reason="denied"), "Zoe was not let in"),
    (MuteRequested(by=ANN), "Ann asked for quiet: you are muted, /unmute when you want to speak"),
    (POLICY, "the room: host Ann, lobby for people not known, not locked"),
    (RecordingChanged(active=True, folder="here\x1b"), "recording into here·: everyone was told"),
    (RecordingChanged(active=False, folder="here", reason="the disk is full"), "recording has ended: the disk is full"),
    (RecordingAnnounced(), None),
    (RecordingRefused(participant=MARA), "Mara says that they record, which the room's policy does not allow"),
    (SourceEnded(), "what you were sending is over"),
    (Played(number=1, path="x", finished=True), "what was played is over"),
    (Played(number=1, path="x", finished=False), None),
    (Undecryptable(active=True, frames=1), "some sound cannot be decrypted: it is silenced"),
    (Undecryptable(active=False, frames=1), "all sound can be decrypted again"),
    (CommitRefused(reason="policy"), "a change to the group was refused (policy); nothing has changed"),
    (Reconnecting(), "the relay is out of reach; trying again …"),
    (Reconnected(epoch=1, rejoined=False), "back in the call"),
    (
        EventsMissed(events=3, levels=0),
        "3 lines were left out, as they came faster than they were written: /who, /chat",
    ),
    (EventsMissed(events=0, levels=9), None),
    (Left(reason=LeftReason.LEFT), "left"),
    (Left(reason=LeftReason.REMOVED), "you were removed by the host"),
    (Left(reason=LeftReason.FAILED), "the call has ended"),
    (STATS, None),
    (Levels(own=None, others=()), None),
    (Eavesdropped(frames_tried=1, frames_opened=0), None),
]


@pytest.mark.parametrize(("event", "line"), EVENTS, ids=lambda value: type(value).__name__)
def test_every_event_is_a_line_or_not_worth_one(event: Event, line: str | None) -> None:
    assert Sentences().of(event) == (() if line is None else (line,))


def test_the_four_states_of_trust_are_never_merged() -> None:
    assert len(set(TRUST.values())) == len(TRUST) == 5


def test_whoever_joins_is_told_at_once_who_the_others_are() -> None:
    here = (BO, MARA, EVE, changed(ANN, recording=True))
    lines = Seat().sees(Joined(epoch=1, security_code="1", me=BO, participants=here))
    assert lines == [
        "joined as Bo; here: Mara, Mara, Ann; security code 1",
        "Mara is here, not verified, known",
        f"Mara is here, {CHANGED}/verify eeee-eeee or /accept eeee-eeee",
        "Ann is here, verified, host, RECORDING",
    ]


def test_of_many_only_those_are_said_at_once_whom_one_has_to_know_of() -> None:
    many = tuple(changed(MARA, leaf=leaf, name=f"P{leaf}") for leaf in range(10, 40))
    here = (BO, changed(ANN, recording=True), EVE, *many)
    lines = Seat().sees(Joined(epoch=1, security_code="1", me=BO, participants=here))
    assert lines[0].startswith("joined as Bo; here: Ann, Mara, P10, ")
    assert "and 22 more" in lines[0]
    assert [line.split(",")[0] for line in lines[1:]] == ["Ann is here", "Mara is here"]


def test_whoever_is_changed_is_typed_by_their_key_and_who_knocks_under_a_name_that_two_have() -> None:
    seat = Seat()
    seat.sees(ParticipantJoined(participant=MARA, epoch=1))
    assert seat.sees(ParticipantJoined(participant=EVE, epoch=2)) == [
        f"Mara joined, {CHANGED}/verify eeee-eeee or /accept eeee-eeee"
    ]
    seat.sees(Knocked(caller=ZOE))
    twin = Caller(ref="8", name="Zoe", fingerprint="yyyy-yyyy-yyyy", known=True, trust="known")
    assert seat.sees(Knocked(caller=twin)) == [
        "Zoe knocks, not verified, known, need not wait: /admit yyyy-yyyy or /deny yyyy-yyyy"
    ]


def test_hands_and_recordings_are_said_and_who_mutes_is_not() -> None:
    seat = Seat()
    seat.printer.sentences.begin(state())
    assert seat.sees(StatusChanged(participant=changed(MARA, muted=True))) == []
    assert seat.sees(StatusChanged(participant=changed(MARA, muted=True, hand=True))) == ["Mara has a hand up"]
    assert seat.sees(StatusChanged(participant=changed(MARA, recording=True))) == [
        "Mara has a hand down",
        "Mara RECORDS this call now",
    ]
    assert seat.sees(StatusChanged(participant=MARA)) == ["Mara no longer records"]
    assert seat.sees(StatusChanged(participant=changed(BO, hand=True))) == ["your hand is up"]
    assert seat.sees(StatusChanged(participant=BO)) == ["your hand is down"]


def test_whether_one_is_heard_is_said_whenever_one_decides_it() -> None:
    seat = Seat()
    seat.printer.sentences.begin(state())
    voice = AudioChanged(**{name: getattr(LIVE, name) for name in LIVE.__struct_fields__} | {"voice_activation": True})
    deaf = AudioChanged(**{name: getattr(MUTED, name) for name in LIVE.__struct_fields__} | {"deafened": True})
    assert seat.sees(MUTED) == ["muted: nobody hears you"]
    assert seat.sees(MUTED) == []
    assert seat.sees(LIVE) == ["live: you are heard"]
    assert seat.sees(voice) == ["voice activation on: you are heard while you speak"]
    assert seat.sees(deaf) == ["deafened: you hear nothing, and nobody hears you", "voice activation off"]
    assert seat.sees(MUTED) == ["hearing again; muted: nobody hears you"]


def test_a_talk_key_is_not_said_each_time() -> None:
    seat = Seat()
    seat.printer.sentences.begin(state(audio=MUTED))
    down = AudioChanged(
        live=True, muted=True, push_to_talk=True, deafened=False, input="default", output="default", gain_db=0.0
    )
    assert seat.sees(down, MUTED, down) == []
    assert heard(down) == "talk key down: you are heard"


def test_a_microphone_that_is_held_back_is_not_called_live() -> None:
    held = AudioChanged(
        live=False, muted=False, push_to_talk=False, deafened=False, input="default", output="default", gain_db=0.0
    )
    assert heard(held) == "held back: nobody hears you"


def test_other_devices_and_loudness_are_said() -> None:
    seat = Seat()
    seat.printer.sentences.begin(state())
    other = AudioChanged(
        live=True, muted=False, push_to_talk=False, deafened=False, input="usb\x07", output="hdmi", gain_db=6.0
    )
    assert seat.sees(other) == ["input: usb·", "output: hdmi", "gain: 6 decibels"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mara", "Mara"),
        ("Ann Lee", "Ann Lee"),
        ("O'Neill-Smith jr.", "O'Neill-Smith jr."),
        ("José", "José"),
        ("שרה", "שרה"),
        ("Mara: yes", '"Mara: yes"'),
        ("Mara joined, verified", '"Mara joined, verified"'),
        ("Mara is verified", '"Mara is verified"'),
        ("you", '"you"'),
        ("error", '"error"'),
        ("CHANGED", '"CHANGED"'),
        ('" Mara', '"\' Mara"'),
        ("Mara\u202e", "Mara·"),
    ],
)
def test_a_name_that_could_be_taken_for_our_words_is_in_quotation_marks(name: str, said: str) -> None:
    assert name_of(Person(leaf=1, name=name, fingerprint="x", host=False)) == said


@settings(deadline=None)
@given(st.text(min_size=1) | st.sampled_from([text for _, text, _ in HOSTILE]), st.text())
def test_nothing_that_others_write_leaves_its_line(name: str, text: str) -> None:
    person = Person(leaf=5, name=name, fingerprint="ffff-ffff", host=True, trust="changed")
    caller = Caller(ref="1", name=name, fingerprint="ffff-ffff", known=False)
    events = (
        Joined(epoch=1, security_code="1", me=BO, participants=(BO, person)),
        ParticipantJoined(participant=person, epoch=1),
        ChatReceived(participant=person, text=text),
        TrustChanged(participant=person),
        Knocked(caller=caller),
        MuteRequested(by=person),
        Failed(code="x", message=text, fatal=False),
    )
    sentences = Sentences()
    for event in events:
        for line in sentences.of(event):
            assert not {unicodedata.category(char) for char in line if char != "\u200c"} & {
                "Cc",
                "Cf",
                "Cs",
                "Zl",
                "Zp",
            }
