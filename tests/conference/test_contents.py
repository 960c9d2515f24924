"""What members and link holders can put into messages: only the parsers' own errors come out."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuiconf.conference import content, notes
from tuiconf.conference.content import (
    Chat,
    ContentError,
    Denied,
    Deny,
    Knock,
    MuteRequest,
    Presence,
    PresenceTable,
    RollCall,
    Status,
)
from tuiconf.conference.delay import FRAME_S, MOST_S, SenderClock
from tuiconf.conference.policy import VERSION, Lobby, Policy, PolicyError, Right, RoomRules
from tuiconf.errors import RemoteProtocolError, UsageError
from tuiconf.identity.keys import fingerprint
from tuiconf.identity.knock import NoteError, NoteKind, seal_note
from tuiconf.identity.link import Link, RelayAddress, derive_keys

KEYS = derive_keys(Link(relay=RelayAddress(host="relay.example"), room="room", secret=bytes(16)))
U32 = st.integers(0, 2**32 - 1)
CONTENTS = st.one_of(
    st.builds(Chat, number=st.integers(0, 2**53 - 1), text=st.text(min_size=1, max_size=50)),
    st.builds(Presence, connection=U32),
    st.builds(PresenceTable, entries=st.lists(st.tuples(U32, st.none() | U32, st.none() | U32), max_size=5)),
    st.builds(RollCall),
    st.builds(Status, muted=st.booleans(), hand=st.booleans(), recording=st.booleans(), recordable=st.booleans()),
    st.builds(Deny, ref=st.from_regex(r"[0-9a-f]{20}", fullmatch=True)),
    st.builds(MuteRequest, key=st.binary(min_size=32, max_size=32)),
)
NOTES = st.one_of(
    st.builds(Knock, key_package=st.binary(min_size=1, max_size=300)),
    st.builds(Denied, reason=st.from_regex(r"[a-z_]{0,64}", fullmatch=True)),
)
# Well-formed MessagePack of the wrong shape reaches deeper than noise does.
SHAPES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=3)),
)
HOSTILE = st.one_of(st.binary(max_size=200), SHAPES.map(msgspec.msgpack.encode))


def zeros(size: int) -> bytes:
    return bytes(size)


@given(CONTENTS)
def test_contents_come_back_as_they_were(said: content.Content) -> None:
    assert content.decode_content(content.encode(said)) == said


@given(NOTES)
def test_notes_come_back_as_they_were(note: content.NoteContent) -> None:
    assert content.decode_note(content.encode(note)) == note
    assert notes.unseal(notes.seal(note, KEYS, rng=zeros), KEYS) == note


@given(HOSTILE)
def test_no_other_error_leaves_the_contents_parser(data: bytes) -> None:
    with contextlib.suppress(ContentError):
        content.decode_content(data)


@given(HOSTILE)
def test_no_other_error_leaves_the_notes_parser(data: bytes) -> None:
    with contextlib.suppress(ContentError):
        content.decode_note(data)


@given(st.one_of(st.none(), HOSTILE))
def test_no_other_error_leaves_the_policy_parser(data: bytes | None) -> None:
    try:
        policy = Policy.decode(data)
    except PolicyError:
        pass
    else:
        assert policy.encode() == data


@given(HOSTILE, st.sampled_from(NoteKind))
def test_no_other_error_leaves_a_note_by_someone_with_the_link(data: bytes, kind: NoteKind) -> None:
    sealed = seal_note(KEYS.knock_key, data, room_id=KEYS.room_id, kind=kind, rng=zeros)
    try:
        notes.unseal(sealed, KEYS)
    except RemoteProtocolError as error:
        assert isinstance(error, NoteError | ContentError)


@given(st.binary(max_size=600))
def test_no_other_error_leaves_a_note_by_anyone(sealed: bytes) -> None:
    with pytest.raises(NoteError):
        notes.unseal(sealed, KEYS)


def test_an_answer_is_not_taken_for_a_knock() -> None:
    knock = content.encode(Knock(key_package=b"x"))
    sealed = seal_note(KEYS.knock_key, knock, room_id=KEYS.room_id, kind=NoteKind.ANSWER, rng=zeros)
    with pytest.raises(NoteError):
        notes.unseal(sealed, KEYS)


@pytest.mark.parametrize(
    "said",
    [
        ["chat", 0, ""],
        ["chat", 0, "x" * 4001],
        ["chat", -1, "x"],
        ["chat", 2**53, "x"],
        ["chat", 0, "x", 1],
        ["presence", 2**32],
        ["presences", [[1, 2]]],
        ["presences", [[1, 2, 3, 4]]],
        ["presences", [[1, 2, -1]]],
        ["presences", [[1, 1, 1]] * 4097],
        ["status", True, False, False],
        ["status", True, False, False, 1],
        ["deny", "0" * 19],
        ["deny", "G" * 20],
        ["mute_request", bytes(31)],
        ["knock", b"x"],
    ],
)
def test_what_is_too_large_or_of_another_kind_is_no_content(said: list[object]) -> None:
    with pytest.raises(ContentError):
        content.decode_content(msgspec.msgpack.encode(said))


def test_a_policy_has_one_encoding_and_one_version() -> None:
    hosts = [bytes([n]) * 32 for n in (1, 2)]
    rest = [[], "off", False, "hosts", "hosts", "members"]
    good = Policy(hosts=frozenset(hosts))
    assert good.encode() == msgspec.msgpack.encode([VERSION, hosts, *rest])
    assert Policy.decode(good.encode()) == good
    for bad in (
        [VERSION, hosts[::-1], *rest],
        [VERSION, [*hosts, hosts[0]], *rest],
        [VERSION - 1, hosts],
        [VERSION - 1, hosts, *rest],
        [VERSION + 1, hosts, *rest],
        [VERSION, [b"short"], *rest],
        [VERSION, hosts, [b"short"], *rest[1:]],
        [VERSION, hosts, [bytes(20), bytes(20)], *rest[1:]],
        [VERSION, hosts, [], "shut", *rest[2:]],
        [VERSION, hosts, [], "off", 0, *rest[3:]],
        [VERSION, hosts, [], "off", False, "nobody", "hosts", "members"],
        [VERSION, hosts, [], "off", False, "hosts", "nobody", "members"],
        [VERSION, [], [], "off", True, "hosts", "hosts", "members"],
        [VERSION, [], [], "everyone", False, "hosts", "hosts", "members"],
        [VERSION, hosts, *rest, 1],
        [VERSION, hosts, *rest[:-1]],
    ):
        with pytest.raises(PolicyError):
            Policy.decode(msgspec.msgpack.encode(bad))


@given(
    st.builds(
        Policy,
        hosts=st.frozensets(st.binary(min_size=32, max_size=32), min_size=1, max_size=4),
        successors=st.frozensets(st.binary(min_size=20, max_size=20), max_size=4),
        lobby=st.sampled_from(Lobby),
        locked=st.booleans(),
        admit=st.sampled_from([Right.HOSTS, Right.MEMBERS]),
        remove=st.sampled_from([Right.HOSTS, Right.MEMBERS]),
        record=st.sampled_from(Right),
    )
)
def test_a_policy_comes_back_as_it_was(policy: Policy) -> None:
    assert Policy.decode(policy.encode()) == policy


@pytest.mark.parametrize(
    "rules",
    [
        {"lobby": "shut"},
        {"admit": "nobody"},
        {"remove": "nobody"},
        {"record": "everyone"},
        {"successors": ("not a fingerprint",)},
        {"successors": ("aaaa-aaaa",)},
    ],
)
def test_rules_that_no_room_can_have_are_refused_before_there_is_one(rules: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RoomRules(**rules)


def test_successors_are_named_by_fingerprint_however_it_is_written() -> None:
    key, other = bytes(32), bytes(31) + b"1"
    text = fingerprint(key)
    for written in (text, text.upper(), text.replace("-", ""), text.replace("-", " ")):
        policy = RoomRules(successors=(written,)).policy(other)
        assert policy.names(key)
        assert not policy.names(other)


def test_nothing_said_is_in_a_repr() -> None:
    for said in (Chat(number=1, text="secret"), Presence(connection=77), Knock(key_package=b"secret")):
        assert repr(said) == f"<{type(said).__name__}>"
    assert repr(Policy(hosts=frozenset((b"k" * 32,)))) == "<Policy of 1 hosts>"


# --- delay


def test_a_delay_is_the_time_from_capture_to_play_out() -> None:
    clock = SenderClock()
    assert clock.percentiles_ms() == (None, None)
    clock.told(100, 5000.0)
    clock.played(100, 5000.050)
    clock.played(150, 5000.0 + 50 * FRAME_S + 0.060)
    clock.played(151, 5000.0 + 51 * FRAME_S + 0.055)
    assert clock.percentiles_ms() == (55.0, 55.0)


def test_the_95th_percentile_is_of_the_last_ten_seconds() -> None:
    clock = SenderClock()
    clock.told(1, 1000.0)
    for counter in range(1, 1101):
        late = 0.5 if counter <= 600 else 0.040 if counter % 20 else 0.080
        clock.played(counter, 1000.0 + (counter - 1) * FRAME_S + late)
    assert clock.percentiles_ms() == (40.0, 40.0)


def test_frames_before_the_report_and_impossible_delays_are_not_counted() -> None:
    clock = SenderClock()
    clock.played(1, 1.0)
    clock.told(0, 0.0)
    clock.told(10, 1000.0)
    clock.told(9, 500.0)  # an older report, overtaken
    clock.played(9, 1000.0)
    clock.played(10, 999.0)
    clock.played(10, 1000.0 + MOST_S + 1)
    clock.told(2**64 - 1, 2**64 / 1e6)
    clock.played(2**32 - 1, 1000.0)
    assert clock.percentiles_ms() == (None, None)
