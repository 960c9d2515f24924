"""What lines say, and in how much room: rosters, status, warnings and chat, without a terminal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.support import ADA, AUDIO, BEN, ME, POLICY, ROBIN, ZOE, chat, levels, state, stats
from tuiconf.control import schema
from tuiconf.control.events import (
    CommitRefused,
    Failed,
    Joined,
    KnockEnded,
    MuteRequested,
    Notice,
    ParticipantJoined,
    ParticipantLeft,
    Person,
    Reconnected,
    RecordingChanged,
    SourceEnded,
    Waiting,
)
from tuiconf.tui.model import CallModel
from tuiconf.tui.notices import notice
from tuiconf.tui.warnings import names, warnings
from tuiconf.tui.widgets.chat_lines import rows_of
from tuiconf.tui.widgets.painted import Line, Piece, piece, spread, width_of
from tuiconf.tui.widgets.roster import Roster, in_order
from tuiconf.tui.widgets.status import StatusBar, microphone
from tuiconf.tui.widgets.title import TitleBar


def model_of(**changes: Any) -> CallModel:
    """A model in this state."""
    model = CallModel()
    model.begin(state(**changes))
    model.levels = levels(own=-60.0, ada=-18.0)
    model.stats = stats()
    return model


def text_of(line: Line) -> str:
    """What it says."""
    return "".join(text for text, _ in line).strip()


def person(name: str, **changes: Any) -> Person:
    """Somebody."""
    return msgspec.structs.replace(BEN, name=name, leaf=len(name) + 10, **changes)


# --- lines that make do with the room there is


def test_pieces_that_matter_least_go_first_and_none_is_cut() -> None:
    left, right = [piece("room", rank=0), piece("people", rank=2)], [piece("encrypted at length", "encrypted", rank=1)]
    assert text_of(spread(left, right, 40)) == "room  people         encrypted at length"
    assert text_of(spread(left, right, 25)) == "room  people    encrypted"
    assert text_of(spread(left, right, 16)) == "room   encrypted"
    assert text_of(spread(left, right, 9)) == "room"
    assert text_of(spread(left, right, 3)) == ""


@given(st.integers(1, 200), st.lists(st.tuples(st.text("ab", min_size=1, max_size=30), st.integers(0, 9)), max_size=8))
def test_a_line_is_exactly_as_wide_as_it_is_to_be(width: int, texts: list[tuple[str, int]]) -> None:
    pieces = [Piece((((text, "plain"),), ((text[:1], "plain"),)), rank) for text, rank in texts]
    assert width_of(spread(pieces[::2], pieces[1::2], width)) == width


@pytest.mark.parametrize("width", [10, 20, 38, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", ["Ada", "Bartholomew Featherstonehaugh-Cholmondeley", "黒澤 明", "e\u0301" * 40])
def test_no_line_is_wider_than_the_screen(width: int, name: str) -> None:
    people = (*state().participants, person(name, hand=True, recording=True, host=True, trust="changed"))
    model = model_of(participants=people, room=name, chat=(chat(0, person(name), f"{name} {name}"),))
    widgets = (Roster(model), TitleBar(model), StatusBar(model))
    assert all(width_of(line) <= max(width, 11) for widget in widgets for line in widget.draw(width, 20))
    assert model.state is not None
    assert all(width_of(row) <= width for row in rows_of(model.state.chat[0], "Ada", 14, width, timestamps=True))


# --- the roster


def test_the_roster_has_oneself_first_and_then_whoever_needs_to_be_seen() -> None:
    assert [who.name for who in in_order(model_of())] == ["Jules", "Zoe", "Ben", "Ada", "Mara"]


def test_each_row_says_in_words_who_someone_is_and_what_they_show() -> None:
    rows = [text_of(line).split() for line in Roster(model_of()).draw(60, 10)]
    assert rows == [
        ["Jules", "you"],
        ["Zoe", "CHANGED"],
        ["muted", "Ben", "known", "fair", "hand"],
        ["▄▄▄▄", "Ada", "verified", "good", "host"],
        ["Mara", "new", "poor"],
    ]


def test_without_motion_a_word_says_who_speaks() -> None:
    roster = Roster(model_of())
    roster.moving = False
    assert text_of(roster.draw(60, 10)[3]).startswith("talks Ada")


def test_who_is_muted_here_or_does_not_fit_is_told() -> None:
    model = model_of(volumes=(schema.Volume(leaf=2, volume_db=0.0, muted=True),))
    assert text_of(Roster(model).draw(60, 10)[4]).endswith("off")
    assert text_of(Roster(model).draw(60, 3)[2]) == "and 3 more, Ada talks"


def test_a_recorder_is_told_before_all_else_where_there_is_little_room() -> None:
    everything = person("Kim", host=True, hand=True, recording=True)
    narrow = text_of(Roster(model_of(participants=(everything,))).draw(34, 5)[0])
    assert narrow.split() == ["Kim", "known", "rec"]


# --- the microphone, the connection


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "LIVE"),
        ({"audio": msgspec.structs.replace(AUDIO, live=False, muted=True)}, "MUTED"),
        ({"audio": msgspec.structs.replace(AUDIO, live=True, muted=True, push_to_talk=True)}, "LIVE"),
        ({"audio": msgspec.structs.replace(AUDIO, live=False, deafened=True)}, "DEAF"),
        ({"audio": msgspec.structs.replace(AUDIO, live=False)}, "SILENT"),
        ({"phase": "waiting"}, "NOT IN CALL"),
        ({"phase": "left"}, "NOT IN CALL"),
    ],
)
def test_one_word_says_whether_one_is_heard(changes: dict[str, Any], word: str) -> None:
    assert microphone(model_of(**changes))[0] == word


def test_the_status_tells_how_the_connection_is_and_how_to_talk() -> None:
    bar = StatusBar(model_of(audio=msgspec.structs.replace(AUDIO, live=False, muted=True)))
    bar.talk_words = ("hold space to talk", "hold space")
    assert text_of(bar.draw(79, 1)[0]).split() == (
        ["MUTED", "hold", "space", "to", "talk", "relay", "24", "ms", "loss", "14", "%", "buffer", "40", "ms"]
    )
    assert text_of(StatusBar(model_of()).draw(79, 1)[0]).split()[:4] == ["LIVE", "you", "are", "heard"]
    assert "RECONNECTING" in text_of(StatusBar(model_of(phase="reconnecting")).draw(40, 1)[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "waiting"}, "nobody hears you yet"),
        ({"phase": "reconnecting"}, "nobody hears you until it is back"),
        ({"phase": "reconnecting", "audio": msgspec.structs.replace(AUDIO, live=False, muted=True)}, "hold space"),
    ],
)
def test_nobody_is_said_to_be_heard_where_nothing_can_be_sent(changes: dict[str, Any], words: str) -> None:
    bar = StatusBar(model_of(**changes))
    bar.talk_words = ("hold space",)
    text = text_of(bar.draw(79, 1)[0])
    assert words in text
    assert "you are heard" not in text


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (msgspec.structs.replace(AUDIO, push_to_talk=True), "talking while the key is down"),
        (msgspec.structs.replace(AUDIO, deafened=True), "you hear nothing, and say nothing"),
        (msgspec.structs.replace(AUDIO, voice_activation=True), "sent only while you speak"),
    ],
)
def test_the_way_of_talking_that_is_active_is_named(audio: object, words: str) -> None:
    assert words in text_of(StatusBar(model_of(audio=audio)).draw(120, 1)[0])


def test_the_title_tells_of_encryption_and_its_epoch_and_as_much_of_the_code_as_fits() -> None:
    title = TitleBar(model_of())
    assert text_of(title.draw(118, 1)[0]).endswith(
        "end-to-end encrypted  3 not verified  epoch 7  code 50323 19938 71174 00291 88410 36652"
    )
    assert text_of(title.draw(78, 1)[0]).endswith("encrypted  3 not verified  epoch 7  code 50323 …")
    assert text_of(title.draw(38, 1)[0]) == "standup    encrypted  epoch 7  50323 …"
    assert text_of(TitleBar(CallModel()).draw(38, 1)[0]).endswith("not in the call yet")


def test_what_cannot_be_decrypted_is_not_called_encrypted() -> None:
    model = model_of()
    model.undecryptable = True
    assert "not all can be decrypted" in text_of(TitleBar(model).draw(118, 1)[0])
    assert "UNREADABLE" in text_of(TitleBar(model).draw(38, 1)[0])


# --- warnings


def words_of(model: CallModel) -> list[tuple[str, str]]:
    """Each warning."""
    return [(warning.word, warning.text) for warning in warnings(model)]


def test_nothing_is_warned_of_in_a_call_in_which_all_is_well() -> None:
    assert warnings(model_of(participants=(ADA, BEN, ME))) == []


def test_a_changed_identity_is_warned_of_first() -> None:
    model = model_of(callers=(ROBIN,), phase="reconnecting")
    model.undecryptable = True
    assert [word for word, _ in words_of(model)] == ["CHANGED", "UNREADABLE", "RECONNECTING", "KNOCK"]
    assert words_of(model)[0][1] == "Zoe is not who you knew, and silenced until you decide"
    assert words_of(model)[-1][1] == "Robin, new to you, waits to be let in"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("members", [("RECORDED", "Kim records this call")]),
        ("hosts", [("RECORDED", "Kim records, against the rules of this room")]),
        ("nobody", [("RECORDED", "Kim records, against the rules of this room")]),
    ],
)
def test_who_records_is_told_and_whether_they_may(rule: str, said: list[tuple[str, str]]) -> None:
    people = (ADA, person("Kim", recording=True), ME)
    assert words_of(model_of(participants=people, policy=msgspec.structs.replace(POLICY, record=rule))) == said


def test_one_is_reminded_that_one_records() -> None:
    recording = RecordingChanged(active=True, folder="f")
    mine = msgspec.structs.replace(ME, recording=True)
    model = model_of(participants=(ADA, mine), me=mine, recording=recording)
    assert words_of(model) == [("RECORDING", "You record this call; everyone was told")]


def test_only_those_who_may_decide_are_given_the_key_to_the_door() -> None:
    policy = msgspec.structs.replace(POLICY, admit="hosts")
    people = (ADA, ME)
    assert warnings(model_of(participants=people, callers=(ROBIN,)))[0].action == "lobby"
    assert warnings(model_of(participants=people, callers=(ROBIN,), policy=policy))[0].action == ""


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "A"), (2, "A and B"), (3, "A, B and C"), (4, "A, B, C and 1 other"), (9, "A, B, C and 6 others")],
)
def test_many_names_are_a_few_and_a_number(count: int, said: str) -> None:
    assert names([person(name) for name in "ABCDEFGHI"[:count]]) == said


# --- what happens, and is over then


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ParticipantJoined(participant=ZOE, epoch=8), ("Zoe joined, not who they were", "warning")),
        (ParticipantJoined(participant=BEN, epoch=8), ("Ben joined, known, not verified", "information")),
        (ParticipantLeft(participant=BEN, epoch=8, reason="vanished"), ("Ben is gone", "information")),
        (MuteRequested(by=ADA), ("Ada asked for quiet: you are muted", "warning")),
        (
            Joined(epoch=0, security_code="1", me=ME, participants=(ME,), created=True),
            ("Alone in a new room: nobody was there to let you in. Is it the right link?", "warning"),
        ),
        (KnockEnded(caller=ROBIN, reason="gone"), ("Robin no longer knocks", "information")),
        (KnockEnded(caller=ROBIN, reason="admitted"), None),
        (
            CommitRefused(reason="policy"),
            ("A change to the group was refused (policy); nothing has changed", "warning"),
        ),
        (Reconnected(epoch=7, rejoined=False), ("Back in the call", "information")),
        (RecordingChanged(active=True, folder="/r"), ("Recording into /r", "information")),
        (RecordingChanged(active=False, folder="/r", reason="full"), ("Not recording any more (full)", "information")),
        (SourceEnded(), ("What you were sending is over", "warning")),
        (Notice(message="No sound card"), ("No sound card", "information")),
        (Failed(code="x", message="It broke", fatal=False), ("It broke", "error")),
        (Waiting(), None),
    ],
)
def test_what_is_worth_a_sentence(event: Any, said: tuple[str, str] | None) -> None:
    assert notice(event) == said


# --- chat


def rows(text: str, *, width: int = 80, own_name: str = "Jules", timestamps: bool = True) -> list[str]:
    """A line of Ada's, as rows."""
    return [text_of(row) for row in rows_of(chat(0, ADA, text), own_name, 5, width, timestamps=timestamps)]


def tones(text: str, own_name: str = "Jules") -> dict[str, str]:
    """The parts of a line that are not plain."""
    spans = [span for row in rows_of(chat(0, ADA, text), own_name, 5, 80, timestamps=False) for span in row[1:]]
    return {text: tone for text, tone in spans if tone != "plain"}


def test_long_lines_are_wrapped_at_words_and_longer_words_within() -> None:
    assert rows("hello there, how are you", width=30) == ["12:20 Ada  hello there, how", "are you"]
    assert rows("x" * 50, width=30) == ["12:20 Ada  " + "x" * 19, "x" * 24, "x" * 7]
    assert rows("hello", width=29) == ["Ada  hello"]
    assert rows("hello", timestamps=False) == ["Ada    hello"]


def test_wide_characters_are_counted_as_wide() -> None:
    assert rows("漢" * 20, width=30) == ["12:20 Ada  " + "漢" * 9, "漢" * 11]


@pytest.mark.parametrize("text", ["hi Jules!", "@jules: look", "JULES", "ask @Jules"])
def test_ones_own_name_is_marked(text: str) -> None:
    assert list(tones(text).values()) == ["mention"]


@pytest.mark.parametrize("text", ["Julesverne", "my-jules_x", "a b c"])
def test_a_name_within_a_word_is_none(text: str) -> None:
    assert tones(text) == {}


def test_a_name_of_one_letter_is_marked_only_with_an_at() -> None:
    assert tones("a B c @B", own_name="B") == {"@B": "mention"}
    assert tones("anything", own_name="") == {}


def test_links_are_marked_and_nothing_of_them_is_hidden() -> None:
    assert tones("see https://a.example/x?y=1 and tuiconf://r/x") == {
        "https://a.example/x?y=1": "link",
        "tuiconf://r/x": "link",
    }


def test_what_others_wrote_moves_no_cursor_and_starts_no_line() -> None:
    shown = rows("a\x1b[2Jb\ncd\u202edc\r12:21 Ben  I agree")
    assert shown == ["12:20 Ada    a·[2Jb·cd·dc·12:21 Ben  I agree"]
