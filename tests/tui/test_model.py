"""The model of the terminal interface: what the engine says, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.support import (
    ADA,
    AUDIO,
    BEN,
    CODE,
    MARA,
    ME,
    NOW,
    POLICY,
    ROBIN,
    WORDS,
    ZOE,
    chat,
    levels,
    state,
    stats,
)
from tuiconf.conference.events import LeftReason
from tuiconf.control import schema
from tuiconf.control.events import (
    AudioChanged,
    CallEvent,
    ChatReceived,
    ChatSent,
    Envelope,
    EpochChanged,
    EventsMissed,
    Joined,
    Knocked,
    KnockEnded,
    Left,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    Played,
    PolicyChanged,
    Ready,
    Reconnected,
    Reconnecting,
    RecordingChanged,
    StatusChanged,
    TrustChanged,
    Undecryptable,
    Waiting,
)
from tuiconf.tui.model import MAX_CHAT, CallModel, Part, Parts

NEW = msgspec.structs.replace(MARA, leaf=9, name="Kim", trust="new")


def begun(**changes: Any) -> CallModel:
    """A model in the call of `state`."""
    model = CallModel()
    model.begin(state(**changes))
    return model


def tell(model: CallModel, *events: CallEvent) -> Parts:
    """These happen; what of the model they changed."""
    parts: Parts = frozenset()
    for event in events:
        assert model.state is not None
        parts |= model.apply(Envelope(seq=model.state.seq + 1, ts=NOW, epoch=7, data=event))
    return parts


def test_that_sound_cannot_be_opened_is_known_from_the_beginning() -> None:
    assert begun(undecryptable=True).undecryptable
    model = begun(undecryptable=True)
    model.begin(state())
    assert not model.undecryptable


def test_who_joins_is_listed_by_leaf_and_who_leaves_no_longer() -> None:
    model = begun(volumes=(schema.Volume(leaf=1, volume_db=-6.0, muted=False),))
    assert tell(model, ParticipantJoined(participant=NEW, epoch=8)) == {Part.ROSTER}
    assert tell(model, ParticipantLeft(participant=BEN, epoch=9, reason="left")) == {Part.ROSTER}
    assert [who.leaf for who in model.people] == [0, 2, 3, 4, 9]
    assert model.state is not None and model.state.volumes == ()


def test_a_status_and_a_trust_replace_the_person_and_oneself_too() -> None:
    model = begun()
    verified = msgspec.structs.replace(MARA, trust="verified")
    muted = msgspec.structs.replace(ME, muted=True)
    assert tell(model, TrustChanged(participant=verified), StatusChanged(participant=muted)) == {Part.ROSTER}
    assert model.person(MARA.leaf) == verified
    assert model.me == muted == model.person(ME.leaf)


def test_the_policy_says_who_is_host_and_who_may_admit() -> None:
    model = begun(policy=msgspec.structs.replace(POLICY, admit="hosts"))
    assert not model.may_admit
    now = msgspec.structs.replace(POLICY, hosts=(ME,), admit="hosts")
    assert tell(model, now) == {Part.POLICY, Part.ROSTER}
    assert [who.name for who in model.people if who.host] == ["Jules"]
    assert model.me is not None and model.me.host and model.may_admit


def test_a_new_epoch_has_a_new_code_and_the_words_of_the_old_one_are_forgotten() -> None:
    model = begun()
    assert model.know_code(schema.RoomCode(epoch=7, digits=CODE, words=WORDS)) == {Part.CODE}
    assert tell(model, EpochChanged(epoch=8, security_code="1 2 3 4 5 6")) == {Part.CODE}
    assert model.code is None
    assert model.state is not None and (model.state.epoch, model.state.security_code) == (8, "1 2 3 4 5 6")
    assert model.know_code(schema.RoomCode(epoch=7, digits=CODE, words=WORDS)) == frozenset()
    assert model.code is None


@pytest.mark.parametrize(
    ("event", "phase"),
    [
        (Ready(), "ready"),
        (Waiting(), "waiting"),
        (Reconnecting(), "reconnecting"),
        (Reconnected(epoch=7, rejoined=False), "joined"),
        (Joined(epoch=1, security_code=CODE, me=ME, participants=(ME,)), "joined"),
        (Left(reason=LeftReason.LEFT), "left"),
    ],
)
def test_the_phase_follows_what_happens(event: CallEvent, phase: str) -> None:
    model = begun(phase="connecting")
    assert Part.PHASE in tell(model, event)
    assert model.state is not None and model.state.phase == phase


@pytest.mark.parametrize(
    "event",
    [
        Joined(epoch=1, security_code=CODE, me=ME, participants=(ME,)),
        Reconnected(epoch=7, rejoined=True),
        EventsMissed(events=3, levels=0),
        AUDIO,  # nothing of it is new: it was how someone is heard here
    ],
)
def test_what_an_event_does_not_say_is_asked_for_anew(event: CallEvent) -> None:
    model = begun()
    before = model.stale
    tell(model, event)
    after = model.stale
    model.begin(state(seq=20))
    assert (before, after, model.stale) == (False, True, False)


def test_levels_that_were_missed_are_no_reason_to_ask() -> None:
    model = begun()
    assert tell(model, EventsMissed(events=0, levels=7)) == frozenset()
    assert not model.stale


def test_events_that_the_state_contains_change_nothing() -> None:
    model = begun(seq=30)
    old = Envelope(seq=30, ts=NOW, epoch=7, data=ParticipantLeft(participant=ADA, epoch=7, reason="left"))
    assert model.apply(old) == frozenset()
    assert model.person(ADA.leaf) is not None


def test_before_there_is_a_state_nothing_changes() -> None:
    model = CallModel()
    assert model.apply(Envelope(seq=1, ts=NOW, epoch=None, data=Waiting())) == frozenset()
    assert (model.state, model.me, model.people, model.callers, model.may_admit) == (None, None, (), (), False)


def test_whoever_knocks_waits_until_the_knock_ends() -> None:
    model = begun()
    assert tell(model, Knocked(caller=ROBIN), Knocked(caller=ROBIN)) == {Part.CALLERS}
    assert [caller.ref for caller in model.callers] == ["k1"]
    assert tell(model, KnockEnded(caller=ROBIN, reason="denied")) == {Part.CALLERS}
    assert not model.callers


def test_sound_recording_and_what_is_played() -> None:
    model = begun(playing=3)
    muted: AudioChanged = msgspec.structs.replace(AUDIO, muted=True, live=False)
    assert tell(model, muted) == {Part.AUDIO}
    assert tell(model, RecordingChanged(active=True, folder="f")) == {Part.RECORDING}
    assert tell(model, Played(number=2, path="p", finished=False)) == frozenset()
    assert tell(model, Played(number=3, path="p", finished=True)) == {Part.AUDIO}
    assert tell(model, Undecryptable(active=True, frames=4)) == {Part.PROTECTION}
    so = model.state
    assert so is not None and so.recording is not None
    assert (so.audio.muted, so.recording.active, so.playing, model.undecryptable) == (True, True, None, True)


def test_levels_that_are_the_same_again_change_nothing() -> None:
    model = begun()
    assert tell(model, levels(ada=-20.0)) == {Part.LEVELS}
    assert tell(model, levels(ada=-20.0)) == frozenset()
    assert tell(model, stats()) == {Part.STATS}


def test_notices_are_no_state() -> None:
    assert tell(begun(), Notice(message="there is no sound card")) == frozenset()


def test_chat_is_kept_as_the_engine_keeps_it() -> None:
    model = begun(chat=())
    assert tell(model, ChatReceived(participant=ADA, text="a"), ChatSent(participant=ME, text="b")) == {Part.CHAT}
    assert model.state is not None
    assert [(line.name, line.own, line.text) for line in model.state.chat] == [
        ("Ada", False, "a"),
        ("Jules", True, "b"),
    ]
    tell(model, *(ChatReceived(participant=BEN, text=str(number)) for number in range(MAX_CHAT + 5)))
    assert len(model.state.chat) == MAX_CHAT
    assert model.state.chat[-1].text == str(MAX_CHAT + 4)


_EVENTS: st.SearchStrategy[CallEvent] = st.sampled_from(
    [
        ParticipantJoined(participant=NEW, epoch=8),
        ParticipantLeft(participant=NEW, epoch=8, reason="vanished"),
        ParticipantLeft(participant=BEN, epoch=8, reason="removed"),
        StatusChanged(participant=msgspec.structs.replace(ADA, hand=True)),
        StatusChanged(participant=msgspec.structs.replace(ME, muted=True)),
        TrustChanged(participant=msgspec.structs.replace(ZOE, trust="known")),
        msgspec.structs.replace(POLICY, hosts=(BEN,)),
        PolicyChanged(hosts=(), lobby="off", locked=True, admit="hosts", remove="hosts", record="nobody"),
        Knocked(caller=ROBIN),
        KnockEnded(caller=ROBIN, reason="gone"),
        ChatReceived(participant=ADA, text="x"),
        ChatSent(participant=ME, text="y"),
        msgspec.structs.replace(AUDIO, deafened=True),
        EpochChanged(epoch=9, security_code=CODE),
        Reconnecting(),
    ]
)


@given(st.lists(_EVENTS, max_size=30), st.integers(0, 30))
def test_two_interfaces_on_one_call_agree_whenever_the_second_came(events: list[CallEvent], came_after: int) -> None:
    first = begun()
    second = CallModel()
    for at, event in enumerate(events):
        if at == came_after:
            assert first.state is not None
            second.begin(first.state)
        tell(first, event)
        if at >= came_after:
            tell(second, event)
    if came_after < len(events):
        assert second.state == first.state


def test_a_line_of_chat_is_the_same_from_the_state_and_from_the_event() -> None:
    model = begun(chat=())
    tell(model, ChatReceived(participant=ADA, text="hello"))
    assert model.state is not None
    assert model.state.chat == (msgspec.structs.replace(chat(0, ADA, "hello"), ts=NOW),)
